"""Importing from a folder by source only.

Consent is given to source files. Compiled ones that lie beside them (``__pycache__``) could hold anything
else, so they are neither read nor written.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from importlib.machinery import EXTENSION_SUFFIXES, ExtensionFileLoader, FileFinder, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import Optional


class SourceLoader(SourceFileLoader):
    """Loads a module from its source, whatever has been compiled before."""

    def get_code(self, fullname: str) -> CodeType:
        """The module's code."""
        path = self.get_filename(fullname)
        return self.source_to_code(self.get_data(path), path)


def path_hook(folders: Sequence[Path]) -> Callable[[str], FileFinder]:
    """An entry of ``sys.path_hooks`` that is responsible for some (resolved) folders and all below them."""

    def find(entry: str) -> FileFinder:
        path = Path(entry or ".").resolve()
        if not any(path == folder or folder in path.parents for folder in folders) or not path.is_dir():
            raise ImportError(f"{entry} is not a folder of the raster function")
        loaders = (ExtensionFileLoader, list(EXTENSION_SUFFIXES)), (SourceLoader, [".py"])
        return FileFinder(str(path), *loaders)

    return find


def lies_in(module: Optional[ModuleType], folders: Sequence[Path]) -> bool:
    """Whether a module (or namespace package) was imported through :func:`path_hook`."""
    origin = getattr(module, "__file__", None)
    places = [origin] if origin else [str(place) for place in getattr(module, "__path__", ())]
    return any(_are_below(folders, place) for place in places)


def forget_finders(folders: Sequence[Path]) -> None:
    """Make the import system look at these folders anew."""
    starts = tuple(f"{folder}{os.sep}" for folder in folders)
    for entry in [entry for entry in list(sys.path_importer_cache) if f"{entry}{os.sep}".startswith(starts)]:
        del sys.path_importer_cache[entry]


def _are_below(folders: Sequence[Path], place: str) -> bool:
    return f"{place}{os.sep}".startswith(tuple(f"{folder}{os.sep}" for folder in folders))
