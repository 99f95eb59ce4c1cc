"""Making and changing packages: complete, checked, and the same bytes for the same files.

Standard library only.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from ..errors import ModelDefinitionError, ParameterError
from ..events import Reporter
from ..outputs import ensure_free, staged
from .archive import Member, bytes_member, open_archive, write_archive
from .definition import load_definition
from .package import EXTENSION, is_package, model_names
from .package_files import find_named, gather, named_files
from .package_properties import (
    PROPERTIES_FILE,
    changed_properties,
    properties_text,
    read_object,
    stored_properties,
)
from .raster_functions.files import function_file


@dataclass(frozen=True)
class Written:
    """A package that was written.

    Attributes:
        path: The package.
        models: Names of the models in it.
        files: Names of all files in it.
    """

    path: Path
    models: tuple[str, ...]
    files: tuple[str, ...]

    def results(self) -> dict[str, Any]:
        """As :data:`.package_parameters.PACKAGE_RESULTS` declares them, and the output parameter."""
        return {
            "OUT_PACKAGE": str(self.path),
            "PACKAGE": str(self.path),
            "MODELS": ";".join(self.models),
            "MODEL_COUNT": len(self.models),
            "FILE_COUNT": len(self.files),
        }


def create_package(
    source: Path,
    path: Path,
    reporter: Reporter,
    properties: Mapping[str, Any],
    add: Sequence[Path] = (),
    overwrite: bool = False,
) -> Written:
    """Make a package of a model definition and its files.

    Args:
        source: An ``.emd``, or a folder with one or several and everything that belongs to them.
        path: The package.
        reporter: For progress and warnings.
        properties: To set, by their names in :class:`.package_properties.PackageProperties`.
        add: Files and folders to put beside.
        overwrite: Whether an existing package is replaced, once the new one is complete.

    Raises:
        ParameterError: For a source or an added file that cannot be used.
        ModelDefinitionError: For a definition that does not load, or names a file that is not there.
        OutputError: If the package cannot be written.
    """
    ensure_free(path, overwrite)
    _require_source(source)
    members: dict[str, Member] = {}
    _add(members, source, "", reporter)
    if not model_names(members.values()):
        raise ParameterError(f"The folder {source} holds no model definition (.emd).", "Name another folder.")
    _add_all(members, add, reporter)
    _store(members, changed_properties(stored_properties(members.values()), properties))
    with staged(path, overwrite) as staging:
        return _write(members, staging, path, reporter)


def edit_package(
    source: Path,
    path: Path,
    reporter: Reporter,
    properties: Mapping[str, Any],
    add: Sequence[Path] = (),
    remove: Sequence[str] = (),
    overwrite: bool = False,
) -> Written:
    """Change the properties and files of a package.

    Args:
        source: The package.
        path: The changed one; may be the same file, which is replaced once the new one is complete.
        reporter: For progress and warnings.
        properties: To set; None lets a property follow the definitions again.
        add: Files and folders to put in; those of the same names are replaced.
        remove: Names of files and folders in the package.
        overwrite: Whether another existing file is replaced.

    Raises:
        ParameterError: For names that the package has not, files that a model in it needs, and added
            files that do not exist.
        ModelDefinitionError: For a package that cannot be read, or whose models would not load.
        OutputError: If the package cannot be written.
    """
    if not source.is_file() or not is_package(source):
        raise ParameterError(f"{source} is no model package ({EXTENSION}).", "Check its path.")
    in_place = path.exists() and path.samefile(source)
    with staged(path, overwrite or in_place) as staging, open_archive(source) as found:
        members = {member.name: member for member in found}
        stored = stored_properties(found)
        _remove(members, remove, source)
        _add_all(members, add, reporter)
        _store(members, changed_properties(stored, properties))
        return _write(members, staging, path, reporter)


def _require_source(source: Path) -> None:
    if not source.exists():
        raise ParameterError(f"{source} does not exist.", "Give an .emd file, or a folder that holds one.")
    if source.is_file() and source.suffix.lower() != ".emd":
        if is_package(source):
            raise ParameterError(f"{source} is a package already.", "Change it with editmodelpackage.")
        raise ParameterError(
            f"{source} is no model definition.", "Give an .emd file, or a folder that holds one."
        )


def _add_all(members: dict[str, Member], add: Sequence[Path], reporter: Reporter) -> None:
    for path in add:
        if not path.exists():
            raise ParameterError(f"The file to add, {path}, does not exist.", "Check its path.")
        replaced = _add(members, path, f"{path.name}/" if path.is_dir() else "", reporter)
        if replaced:
            reporter.message(f"Replaced in the package: {', '.join(replaced)}.")


def _add(members: dict[str, Member], path: Path, prefix: str, reporter: Reporter) -> list[str]:
    """Take in what ``path`` stands for; returns the names of files whose place it takes."""
    gathered = gather(path, prefix)
    for missing in gathered.missing:
        reporter.warning(f"{missing} is not there, and so not in the package.")
    known = {name.casefold(): name for name in members}
    replaced = [known[name.casefold()] for name in gathered.members if name.casefold() in known]
    for name in replaced:
        del members[name]
    members.update(gathered.members)
    return replaced


def _remove(members: dict[str, Member], remove: Sequence[str], source: Path) -> None:
    gone: set[str] = set()
    for written in remove:
        wanted = written.strip().replace("\\", "/").strip("/").casefold()
        found = {
            name
            for name in members
            if name != PROPERTIES_FILE
            and (name.casefold() == wanted or name.casefold().startswith(f"{wanted}/"))
        }
        if not wanted or not found:
            names = ", ".join(sorted(name for name in members if name != PROPERTIES_FILE))
            raise ParameterError(f"{source.name} has no file {written!r}.", f"It has {names}.")
        gone |= found
    needed = _needed([member for name, member in members.items() if name not in gone or not _is_emd(name)])
    for name in sorted(gone):
        if name in needed:
            raise ParameterError(
                f"{name} cannot be removed from {source.name}: {needed[name]} names it.",
                f"To replace it, add a file of the same name. To be rid of the model, remove its definition, "
                f"{needed[name]}, too.",
            )
        del members[name]


def _is_emd(name: str) -> bool:
    return name.lower().endswith(".emd")


def _needed(members: list[Member]) -> dict[str, str]:
    """Archive names of the files that definitions name, and which definition it is."""
    needed = {}
    with tempfile.TemporaryDirectory(prefix="imagerydl-") as folder:
        root = Path(folder).resolve()
        _sketch(members, root)
        for name in model_names(members).values():
            emd = root / name
            member = next(member for member in members if member.name == name)
            for named in named_files(read_object(member)):
                path = find_named(named, emd.parent)
                if path is not None and root in path.resolve().parents:
                    needed[path.resolve().relative_to(root).as_posix()] = name
    return needed


def _check_models(members: Iterable[Member]) -> tuple[str, ...]:
    """Load every definition as it will be found in the unpacked package; returns the models' names."""
    members = list(members)
    models = model_names(members)
    if not models:
        raise ParameterError(
            "Without a model definition (.emd) it would be no package.", "Keep one, or add one."
        )
    with tempfile.TemporaryDirectory(prefix="imagerydl-") as folder:
        root = Path(folder).resolve()
        _sketch(members, root)
        for name in models.values():
            definition = load_definition(str(root / name))
            paths = [definition.model_file]
            if definition.inference_function:
                paths.append(function_file(definition))
            for path in paths:
                if root not in path.resolve().parents:
                    raise ModelDefinitionError(
                        f"{name} names {path}, which is not in the package.",
                        "Make the package anew with createmodelpackage, which takes the file in.",
                    )
    return tuple(models)


def _sketch(members: Iterable[Member], root: Path) -> None:
    """The package unpacked, with empty files but for the definitions: enough to see what leads where."""
    for member in members:
        target = root.joinpath(*PurePosixPath(member.name).parts)
        target.parent.mkdir(parents=True, exist_ok=True)
        if _is_emd(member.name):
            with target.open("wb") as sink:
                sink.writelines(member.blocks())
        else:
            target.touch()


def _store(members: dict[str, Member], stored: Mapping[str, Any]) -> None:
    members.pop(PROPERTIES_FILE, None)
    if stored:
        members[PROPERTIES_FILE] = bytes_member(PROPERTIES_FILE, properties_text(stored))


def _write(members: dict[str, Member], staging: Path, path: Path, reporter: Reporter) -> Written:
    models = _check_models(members.values())
    ordered = sorted(members.values(), key=lambda member: (not _is_emd(member.name), member.name))
    total = max(sum(member.size for member in ordered) / 1e6, 1e-6)

    def tick(done: int) -> None:
        reporter.progress("Writing the package", done / 1e6, total, "MB")

    write_archive(ordered, staging, tick)
    with open_archive(staging) as written:  # as whoever receives it will
        names = tuple(member.name for member in written)
    reporter.message(f"{path.name} holds {', '.join(names)}.")
    return Written(path, models, names)
