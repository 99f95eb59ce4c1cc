"""The files a model consists of, and where they go in a package. Standard library only."""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Optional

from ..errors import ModelDefinitionError
from .archive import Member, bytes_member, file_member
from .definition import ModelDefinition, load_definition, resolve_file
from .json_text import read_json_object
from .onnx_file import read_onnx
from .package import EXTENSION
from .raster_functions.files import function_code, function_file

#: Keys that name files; "*" stands for every key of an object.
_FILE_KEYS = (
    ("ModelFile",),
    ("InferenceFunction",),
    ("ModelConfigurationFile",),
    ("ModelConfiguration", "Architecture"),
    ("ModelConfiguration", "Config"),
    ("ONNX", "*"),
    ("TorchScript", "*"),
)
#: What a SavedModel consists of beside its graph.
_SAVED_MODEL = ("variables", "assets", "assets.extra", "keras_metadata.pb", "fingerprint.pb")


@dataclass(frozen=True)
class NamedFile:
    """A file that a definition names.

    Attributes:
        keys: Where in the definition.
        written: The path as written.
    """

    keys: tuple[str, ...]
    written: str

    @property
    def key(self) -> str:
        """As people write it: "ONNX.INFER"."""
        return ".".join(self.keys)


def named_files(raw: Mapping[str, Any]) -> list[NamedFile]:
    """Every file a definition names; Esri's built-in functions are none."""
    found = []
    for keys in _FILE_KEYS:
        value: Any = raw.get(keys[0])
        if len(keys) == 1:
            found.append(((keys[0],), value))
        elif isinstance(value, Mapping):
            names = list(value) if keys[1] == "*" else [keys[1]]
            found += [((keys[0], name), value.get(name)) for name in names]
    return [
        NamedFile(keys, value.strip())
        for keys, value in found
        if isinstance(value, str) and value.strip() and not value.strip().lower().startswith("[functions]")
    ]


def find_named(named: NamedFile, folder: Path) -> Optional[Path]:
    """Where a named file is, seen from the definition's folder; None where it is not."""
    # Configurations name Python modules without their extension.
    for written in (named.written, named.written + ".py"):
        path = resolve_file(written, folder)
        if path.exists():
            return path
    return None


@dataclass
class Gathered:
    """Files on the way into a package.

    Attributes:
        members: By their names in the archive.
        missing: What definitions name and is not there, for a warning: only what a model runs without.
    """

    members: dict[str, Member]
    missing: list[str]

    def add(self, name: str, path: Path) -> None:
        """Take a file in.

        Raises:
            ModelDefinitionError: If another file has its name.
        """
        self._taken.setdefault(name, path)
        if not os.path.samefile(self._taken[name], path):
            raise ModelDefinitionError(
                f"{path} and {self._taken[name]} would both be {name} in the package.", "Rename one of them."
            )
        self.members[name] = file_member(name, path)

    def __post_init__(self) -> None:
        self._taken: dict[str, Path] = {}


def gather(source: Path, prefix: str = "") -> Gathered:
    """Everything that goes into a package for one input.

    Args:
        source: A definition (its files come along), any other file, or a folder (all that is in it, and
            what definitions in it name elsewhere).
        prefix: Folder in the archive, with a slash at its end.

    Raises:
        ModelDefinitionError: For a definition that does not load.
    """
    gathered = Gathered({}, [])
    if source.is_dir():
        files = list(_files_in(source))
        for path in files:
            gathered.add(prefix + path.relative_to(source).as_posix(), path)
        for path in files:
            if path.suffix.lower() == ".emd":
                _gather_model(path, source, prefix, gathered)
    elif source.suffix.lower() == ".emd":
        _gather_model(source, source.parent, prefix, gathered)
    else:
        gathered.add(prefix + source.name, source)
    return gathered


def _files_in(folder: Path) -> Iterator[Path]:
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name != "__pycache__")
        for name in sorted(names):
            path = Path(place, name)
            if not name.startswith(".") and path.suffix.lower() != EXTENSION and path.is_file():
                yield path


def _gather_model(emd: Path, root: Path, prefix: str, gathered: Gathered) -> None:
    """Take in a definition, with relative paths, and what it names."""
    definition = load_definition(str(emd))
    raw = copy.deepcopy(read_json_object(emd.read_text(encoding="utf-8-sig"), emd.name))
    own = prefix + emd.relative_to(root).as_posix()

    def place(path: Path, parent: Path) -> str:
        """Name in the archive: as in the folder, or (from elsewhere) beside the definition."""
        inside = _relative(path, root)
        if inside is not None:
            return prefix + inside
        return (PurePosixPath(own).parent / path.relative_to(parent).as_posix()).as_posix()

    for named in named_files(raw):
        path = _path_of(named, definition, emd.parent)
        if path is None:
            gathered.missing.append(f"{named.written} ({named.key} of {emd.name})")
            continue
        for part in _parts(path):
            gathered.add(place(part, path.parent), part)
        target = os.path.relpath(place(path, path.parent), PurePosixPath(own).parent)
        _set(raw, named.keys, target.replace("\\", "/"))
    if definition.inference_function:
        # Whatever may be imported comes along; weights that lie elsewhere are there by now.
        folder = function_file(definition).parent
        for path in function_code(definition).files:
            if _relative(path, root) or _relative(path, folder):
                gathered.add(place(path, folder), path)
    try:
        text = json.dumps(raw, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    except ValueError as error:
        raise ModelDefinitionError(
            f"{emd.name} holds a number that JSON has not ({error}).", "Replace NaN and Infinity by numbers."
        ) from error
    gathered.members[own] = bytes_member(own, text.encode())


def _path_of(named: NamedFile, definition: ModelDefinition, folder: Path) -> Optional[Path]:
    if named.keys == ("ModelFile",):
        return definition.model_file
    if named.keys == ("InferenceFunction",):
        return function_file(definition)
    return find_named(named, folder)


def _parts(path: Path) -> list[Path]:
    """A model file with the files it consists of."""
    if path.is_dir():
        return list(_files_in(path))
    if path.suffix.lower() == ".onnx":
        return [path, *(path.parent / name.replace("\\", "/") for name in read_onnx(path).external_files)]
    if path.name == "saved_model.pb":
        beside = [path.parent / name for name in _SAVED_MODEL]
        inside = [file for item in beside if item.is_dir() for file in _files_in(item)]
        return [path, *inside, *(item for item in beside if item.is_file())]
    return [path]


def _relative(path: Path, root: Path) -> Optional[str]:
    """``path`` from ``root``, with slashes; None where it lies elsewhere."""
    for first, second in ((Path(os.path.abspath(path)), Path(os.path.abspath(root))),
                          (path.resolve(), root.resolve())):  # fmt: skip
        if second in first.parents:
            return first.relative_to(second).as_posix()
    return None


def _set(raw: dict[str, Any], keys: tuple[str, ...], value: str) -> None:
    for key in keys[:-1]:
        raw = raw[key]
    raw[keys[-1]] = value
