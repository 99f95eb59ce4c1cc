"""The surroundings a raster function runs in, put up for a call and taken down after it.

A function expects its folder on ``sys.path``, an ``arcpy``, and names of old libraries. It may change
``sys.path`` and environment variables. None of that must reach the engine or another function, whose modules
are likely to have the same names (``prf_utils``, ``fields``, ``features``).
"""

from __future__ import annotations

import builtins
import os
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, redirect_stdout
from pathlib import Path
from types import ModuleType
from typing import Optional

from ...events import Reporter
from .arcpy_stand_in import ArcpyStandIn
from .old_names import old_numpy, removed_modules
from .source_importing import forget_finders, lies_in, path_hook

# What a function sees is the process's, so functions take turns.
_TURN = threading.RLock()


class Host:
    """The surroundings of one function.

    Args:
        folders: Where it imports its own modules from, first one first.
        reporter: Hears its messages.
        gpu: Number of the graphics card it is to use, negative for the processor.
    """

    def __init__(self, folders: Sequence[Path], reporter: Reporter, gpu: int) -> None:
        self._folders = tuple(folder.resolve() for folder in folders)
        self._tops = _module_names(self._folders) | {"arcpy"}
        self._arcpy = ArcpyStandIn(reporter, gpu)
        # Its modules, its additions to sys.path and its variables, from one call to the next.
        self._modules: dict[str, ModuleType] = {"arcpy": self._arcpy, **removed_modules()}
        self._path = [str(folder) for folder in self._folders]
        self._variables: dict[str, Optional[str]] = {}

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Be in these surroundings."""
        with _TURN, ExitStack() as surroundings:
            for part in (
                old_numpy(),
                self._imports(),
                self._environment(),
                self._builtin_arcpy(),
                # The command line's stdout is its result; what a function prints is not.
                redirect_stdout(sys.stderr),
            ):
                surroundings.enter_context(part)
            yield

    @contextmanager
    def _imports(self) -> Iterator[None]:
        path, hook = list(sys.path), path_hook(self._folders)
        hidden = {name: sys.modules[name] for name in self._names_of_others()}
        for name in hidden:
            del sys.modules[name]
        others = set(sys.modules)
        sys.modules.update(self._modules)
        sys.path[:0] = self._path
        sys.path_hooks.insert(0, hook)
        forget_finders(self._folders)
        try:
            yield
        finally:
            own = {
                name: sys.modules[name]
                for name in sys.modules.keys() - others
                if name in self._modules or lies_in(sys.modules.get(name), self._folders)
            }
            for name in own:
                del sys.modules[name]
            self._modules = own
            self._path = [entry for entry in sys.path if entry not in path]
            sys.modules.update(hidden)
            sys.path[:] = path
            sys.path_hooks.remove(hook)
            forget_finders(self._folders)

    def _names_of_others(self) -> set[str]:
        """Modules loaded now that would stand in for the function's own."""
        names = {name for name in (*self._modules, *self._tops) if name in sys.modules}
        packages = tuple(f"{name}." for name in names & self._tops)
        if not packages:  # mostly: and thousands of modules may be loaded
            return names
        return names | {name for name in list(sys.modules) if name.startswith(packages)}

    @contextmanager
    def _environment(self) -> Iterator[None]:
        before = dict(os.environ)
        _set_variables(self._variables)
        try:
            yield
        finally:
            changed = {name for name in {*before, *os.environ} if before.get(name) != os.environ.get(name)}
            self._variables = {name: os.environ.get(name) for name in changed}
            _set_variables({name: before.get(name) for name in changed})

    @contextmanager
    def _builtin_arcpy(self) -> Iterator[None]:
        # Published templates use arcpy without importing it.
        before = getattr(builtins, "arcpy", None)
        builtins.arcpy = self._arcpy
        try:
            yield
        finally:
            if before is None:
                del builtins.arcpy
            else:
                builtins.arcpy = before


def _module_names(folders: Sequence[Path]) -> set[str]:
    """Top names of the modules in folders, but none that Python itself needs."""
    names = {
        entry.name.partition(".")[0]
        for folder in folders
        for entry in folder.iterdir()
        if entry.suffix == ".py" or (entry / "__init__.py").is_file()
    }
    return names - set(sys.stdlib_module_names)


def _set_variables(variables: dict[str, Optional[str]]) -> None:
    for name, value in variables.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
