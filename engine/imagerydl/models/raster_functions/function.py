"""One raster function: its class found, imported and called, its failures told by name and line."""

from __future__ import annotations

import sys
import traceback
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

from ...errors import ModelDefinitionError, ModelError, RuntimeMissingError
from ..runtimes.protocol import looks_like_out_of_memory
from .host import Host
from .source_importing import SourceLoader

#: Packages that come with ArcGIS only.
_OF_ARCGIS = ("arcpy", "arcgis", "arcgisscripting")

#: What to install for a module, where that has another name.
_INSTALLED_AS = {
    "PIL": "pillow",
    "cv2": "opencv-python-headless",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "yaml": "pyyaml",
}

#: Modules that Esri's own functions have beside them.
_BESIDE = ("attribute_table", "features", "fields", "prf_utils")


class RasterFunction:
    """An instance of the class in a raster function's file.

    Args:
        path: The file.
        host: The surroundings it runs in.

    Raises:
        ModelDefinitionError: If the file holds no such class, or several.
        RuntimeMissingError: If it imports a package that is not installed.
        ModelError: If it fails while it is imported or made.
    """

    def __init__(self, path: Path, host: Host) -> None:
        self._path = path
        self._host = host
        self.name = path.name
        module = self._run("import", self._import)
        made = _class_in(module, path)
        self._instance = self._run("__init__", made)

    def has(self, method: str) -> bool:
        """Whether the function defines a method; most are optional."""
        return callable(getattr(self._instance, method, None))

    def call(self, method: str, *positional: Any, **named: Any) -> Any:
        """Call a method of the function.

        Raises:
            MemoryError: If it ran out of memory.
            RuntimeMissingError: If it needs a package that is not installed.
            ModelError: If it fails otherwise, with the line where.
        """
        return self._run(method, lambda: getattr(self._instance, method)(*positional, **named))

    def _run(self, what: str, action: Any) -> Any:
        try:
            with self._host.entered():
                return action()
        except (Exception, SystemExit) as error:  # whatever a function of somebody else raises
            raise self._told(what, error) from error

    def _told(self, what: str, error: BaseException) -> BaseException:
        if isinstance(error, ImportError) and (missing := _missing_package(error)):
            top = missing.partition(".")[0]
            if top in _OF_ARCGIS:
                return RuntimeMissingError(
                    f"{self.name} needs {missing}, which only ArcGIS has.",
                    "Run it in ArcGIS, or have its author do without that package.",
                )
            if top in _BESIDE:
                return ModelDefinitionError(
                    f"{self.name} needs {top}.py, which does not lie beside it.",
                    f"Put it into {self._path.parent}.",
                )
            package = _INSTALLED_AS.get(top, top)
            return RuntimeMissingError(
                f"{self.name} imports {missing}: the Python package {package!r} is not installed.",
                f'Install it with: uv pip install --python "{sys.executable}" {package}. If it belongs to '
                f"the model, put it beside {self.name}.",
            )
        if looks_like_out_of_memory(error):
            return MemoryError(f"{self.name}: {error}")
        summary = traceback.format_exception_only(type(error), error)[-1].strip()
        place = _place(error, self._path)
        return ModelError(
            f"The raster function {self.name} failed in {what}{place}: {summary}",
            "Correct the function, or ask its author.",
        )

    def _import(self) -> ModuleType:
        stem = self._path.stem.replace(".", "_")
        name = stem if stem not in sys.stdlib_module_names else f"function_{stem}"
        spec = spec_from_file_location(name, self._path, loader=SourceLoader(name, str(self._path)))
        module = module_from_spec(spec)
        sys.modules[name] = module
        try:
            spec.loader.exec_module(module)
        except BaseException:
            sys.modules.pop(name, None)
            raise
        return module


def _class_in(module: ModuleType, path: Path) -> type:
    """The class named like the file, else the only one that looks like a raster function."""
    named = getattr(module, path.stem, None)
    if isinstance(named, type):
        return named
    able = [
        value
        for value in vars(module).values()
        if isinstance(value, type)
        and value.__module__ == module.__name__
        and any(hasattr(value, method) for method in ("getParameterInfo", "updatePixels"))
    ]
    if len(able) == 1:
        return able[0]
    found = f"several ({', '.join(kind.__name__ for kind in able)})" if able else "none"
    raise ModelDefinitionError(
        f"{path.name} has no class {path.stem}, and of classes with getParameterInfo or updatePixels "
        f"{found}.",
        f"Name the class of the raster function {path.stem}, like its file.",
    )


def _missing_package(error: ImportError) -> str:
    return (error.name or "") if isinstance(error, ModuleNotFoundError) else ""


def _place(error: BaseException, path: Path) -> str:
    """Where in the function's own folder an error arose, as a phrase; the innermost such line."""
    if isinstance(error, SyntaxError) and error.filename:
        return f" (line {error.lineno} of {Path(error.filename).name})"
    folder = path.parent
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        file = Path(frame.filename)
        if file == path or folder in file.parents:
            return f" (line {frame.lineno} of {file.name})"
    return ""
