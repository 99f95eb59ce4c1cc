"""The Esri deep-learning package (``.dlpk``): a zip of model definitions and their files.

Unpacked once per content into a folder of the user's, then as good as the ``.emd`` files in it.
Standard library only.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import time
import zipfile
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Optional

from ..errors import ModelDefinitionError
from ..fingerprints import file_digest
from ..outputs import explained
from ..user_folders import cache_folder
from .archive import Member, extract, file_member, is_7z, open_archive, write_archive

#: Names the folder packages are unpacked to.
FOLDER_VARIABLE = "IMAGERYDL_PACKAGES"

EXTENSION = ".dlpk"

#: Chooses one of several models, after the package's path.
CHOICE = "|model="

_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)
_UNPACKING = ".unpacking-"
#: Seconds after which an unfinished folder belongs to a run that was killed.
_ABANDONED = 24 * 3600


def is_package(path: Path) -> bool:
    """Whether ``path`` is a package, by its extension or its first bytes."""
    return path.suffix.lower() in (EXTENSION, ".zip", ".7z") or zipfile.is_zipfile(path) or is_7z(path)


def split_model(text: str) -> tuple[Path, str]:
    """The parts of ``package.dlpk|model=NAME``; the name is empty where none is given."""
    path, _, model = text.partition(CHOICE)
    return Path(path), model.strip()


def packages_folder() -> Path:
    """Where packages are unpacked: ``$IMAGERYDL_PACKAGES``, else the user's cache folder."""
    named = os.environ.get(FOLDER_VARIABLE)
    return Path(named) if named else cache_folder() / "packages"


def definition_in_package(text: str) -> Optional[Path]:
    """The definition file that ``package.dlpk`` or ``package.dlpk|model=NAME`` leads to, unpacked.

    Returns:
        The ``.emd``; None where ``text`` names no package.

    Raises:
        ModelDefinitionError: For an address on the network, a package that cannot be used, and a choice
            that is missing or leads nowhere.
    """
    if _ADDRESS.match(text):
        raise ModelDefinitionError(
            f"{text} is an address; a model must be a file on this machine or its network drives.",
            "Download it, and give the path of the file.",
        )
    path, model = split_model(text)
    chosen = CHOICE in text
    if chosen and not path.is_file():
        raise ModelDefinitionError(f"The package {path} does not exist.", "Check its path.")
    if path.is_file() and is_package(path):
        return unpack_package(path, model=model)
    if chosen:
        raise ModelDefinitionError(f"{path} is no package.", f"Leave {CHOICE}{model} out.")
    return None


def unpack_package(path: Path, folder: Optional[Path] = None, model: str = "") -> Path:
    """Unpack a package, once per content, and return a model definition file in it.

    Args:
        path: The package.
        folder: Where to unpack; by default :func:`packages_folder`.
        model: Which model, as :func:`model_names` calls it; may be left out where there is one.

    Raises:
        ModelDefinitionError: For a file that is not a zip, a hostile or damaged archive, one without a
            definition, or a choice that is missing or leads nowhere.
        OutputError: If it cannot be unpacked to that folder.
    """
    folder = folder or packages_folder()
    target = folder / f"{path.stem}-{file_digest(path)[:16]}"
    with open_archive(path) as members:
        name = choose_model(members, path, model)
        if not _is_whole(members, target):
            with explained(folder):
                _unpack(members, path, target)
    return target.joinpath(*PurePosixPath(name).parts)


def model_names(members: Iterable[Member]) -> dict[str, str]:
    """The models in a package.

    Returns:
        What each is called (the name of its definition, with folders where that alone is not clear)
        and the definition's name in the archive.
    """
    found = sorted(member.name for member in members if member.name.lower().endswith(".emd"))
    stems = [PurePosixPath(name).stem.casefold() for name in found]
    return {
        PurePosixPath(name).stem if stems.count(stem) == 1 else name[: -len(".emd")]: name
        for name, stem in zip(found, stems)
    }


def choose_model(members: Iterable[Member], path: Path, model: str = "") -> str:
    """The archive name of a model's definition; see :func:`unpack_package`."""
    models = model_names(members)
    if not models:
        raise ModelDefinitionError(
            f"{path.name} holds no model definition (.emd).",
            "Give a deep-learning package; createmodelpackage makes one of a definition and its files.",
        )
    if not model and len(models) == 1:
        return next(iter(models.values()))
    for name, definition in models.items():
        known = (name, f"{name}.emd", definition, definition[: -len(".emd")])
        if model and model.casefold() in map(str.casefold, known):
            return definition
    told = f"has no model {model!r}" if model else f"holds {len(models)} models"
    raise ModelDefinitionError(
        f"{path.name} {told}: it has {', '.join(models)}.",
        f"Name one of them after the path, as in {path.name}{CHOICE}{next(iter(models))}.",
    )


def write_package(files: Iterable[Path], path: Path) -> None:
    """Zip ``files`` (files and folders, at the archive's root) as the package ``path``."""
    members = []
    for item in files:
        inside = sorted(item.rglob("*")) if item.is_dir() else [item]
        members += [
            file_member(member.relative_to(item.parent).as_posix(), member)
            for member in inside
            if member.is_file()
        ]
    write_archive(members, path)


def _unpack(members: list[Member], path: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    _sweep(target.parent)
    staging = Path(tempfile.mkdtemp(prefix=_UNPACKING, dir=target.parent))
    try:
        extract(members, staging, path)
        if target.exists() and not _is_whole(members, target):
            shutil.rmtree(target)
        try:
            os.replace(staging, target)
        except OSError:
            if not _is_whole(members, target):  # not merely unpacked by another process meanwhile
                raise
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _is_whole(members: list[Member], target: Path) -> bool:
    """Whether everything is there still: programs that tidy up caches take single files."""
    return all(_size(target.joinpath(*PurePosixPath(member.name).parts)) == member.size for member in members)


def _size(path: Path) -> Optional[int]:
    try:
        return path.stat().st_size
    except OSError:
        return None


def _sweep(folder: Path) -> None:
    """Remove what runs that were killed have left."""
    for left in folder.glob(f"{_UNPACKING}*"):
        try:
            if time.time() - left.stat().st_mtime > _ABANDONED:
                shutil.rmtree(left, ignore_errors=True)
        except OSError:  # another process was faster
            continue
