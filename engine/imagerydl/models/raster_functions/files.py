"""The files a raster function consists of. Standard library only."""

from __future__ import annotations

import os
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

from ...errors import ModelDefinitionError
from ..definition import ModelDefinition, resolve_file
from ..trust import ForeignCode

#: More files than these around a function are no part of it: the folder is a common one.
_MOST_MODULES, _MOST_FILES = 500, 50_000


def function_file(definition: ModelDefinition) -> Path:
    """The Python file that a definition names as ``InferenceFunction``.

    Raises:
        ModelDefinitionError: If it is not there.
    """
    written = definition.inference_function
    path = resolve_file(written, definition.folder)
    if not path.is_file():
        where = "" if definition.folder else " at an absolute path, as the definition was given as text"
        raise ModelDefinitionError(
            f"The inference function {written} that {definition.name} names does not exist (looked for "
            f"{path}).",
            f"Put the Python file{where or ' beside the definition'}.",
        )
    return path.resolve()


def code_folders(definition: ModelDefinition) -> tuple[Path, ...]:
    """Where the function imports its own modules from: its folder, and that of the definition."""
    folders = [function_file(definition).parent]
    if definition.folder and definition.folder.resolve() not in folders:
        folders.append(definition.folder.resolve())
    return tuple(folders)


def function_code(definition: ModelDefinition) -> ForeignCode:
    """Everything of the model that could run: the function, modules beside it, and what they load.

    Raises:
        ModelDefinitionError: If the function is not there, or lies in a folder of other things.
    """
    modules = [path for folder in code_folders(definition) for path in _modules(folder, definition)]
    model = definition.model_file
    weights = [model] if model is not None else []
    if model is not None and model.is_dir():
        weights = [path for path in model.rglob("*") if path.is_file()]
    files = sorted({function_file(definition), *modules, *(path.resolve() for path in weights)})
    return ForeignCode(tuple(files), "a Python raster function")


def _modules(folder: Path, definition: ModelDefinition) -> list[Path]:
    """All Python modules in a folder and below it."""
    found: list[Path] = []
    seen = 0
    for place, _, names in os.walk(folder):
        seen += len(names)
        found += [Path(place, name) for name in names if name.endswith((".py", *EXTENSION_SUFFIXES))]
        if len(found) > _MOST_MODULES or seen > _MOST_FILES:
            raise ModelDefinitionError(
                f"The inference function of {definition.name} lies among very many other files in {folder}.",
                "Put the model into a folder of its own: whatever lies beside a function can run with it.",
            )
    return found
