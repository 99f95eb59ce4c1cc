"""The Esri deep-learning package (``.dlpk``): a zip of one model definition and its files.

Archives come from anywhere, so members are checked one by one before anything is written.
Standard library only.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import IO, Optional

from ..errors import ModelDefinitionError

#: Limits on what a package may unpack to: far above any real one, far below a full disk.
MAX_MEMBERS = 10_000
MAX_TOTAL_BYTES = 32 * 1024**3
MAX_RATIO = 1000

_SEVEN_ZIP = b"7z\xbc\xaf\x27\x1c"

#: Between a package's path and the model of it that is meant.
_MODEL_MARK = "|model="

#: Names the folder packages are unpacked to.
FOLDER_VARIABLE = "IMAGERYDL_PACKAGES"


def is_package(path: Path) -> bool:
    """Whether ``path`` is a package, by its extension or its first bytes."""
    if path.suffix.lower() in (".dlpk", ".zip", ".7z") or zipfile.is_zipfile(path):
        return True
    with path.open("rb") as stream:
        return stream.read(len(_SEVEN_ZIP)) == _SEVEN_ZIP


def split_model(text: str) -> tuple[Path, str]:
    """The parts of ``package.dlpk|model=NAME``; the name is empty where none is given."""
    path, _, model = text.partition(_MODEL_MARK)
    return Path(path), model.strip()


def packages_folder() -> Path:
    """Where packages are unpacked: ``$IMAGERYDL_PACKAGES``, else the user's cache folder."""
    named = os.environ.get(FOLDER_VARIABLE)
    if named:
        return Path(named)
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "imagerydl" / "packages"


def unpack_package(path: Path, folder: Optional[Path] = None, model: str = "") -> Path:
    """Unpack a package, once per content, and return its model definition file.

    Args:
        path: The package.
        folder: Where to unpack; by default :func:`packages_folder`.
        model: Which definition, by file name without ``.emd``; needed where there are several.

    Raises:
        ModelDefinitionError: For a file that is not a zip, a hostile or damaged archive, one
            without a definition, or with several where ``model`` names none.
    """
    target = (folder or packages_folder()) / f"{path.stem}-{_digest(path)[:16]}"
    if not target.is_dir():
        target.parent.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=".unpacking-", dir=target.parent))
        try:
            extract_package(path, staging)
            try:
                os.replace(staging, target)
            except OSError:
                if not target.is_dir():  # not merely unpacked by another process meanwhile
                    raise
        finally:
            shutil.rmtree(staging, ignore_errors=True)
    return choose_definition(target, path.name, model)


def definitions_in(folder: Path) -> dict[str, Path]:
    """Model definitions below a folder by their names: the path without ``.emd``, ``a/town``."""
    found = sorted(item for item in folder.rglob("*") if item.suffix.lower() == ".emd" and item.is_file())
    return {item.relative_to(folder).with_suffix("").as_posix(): item for item in found}


def choose_definition(folder: Path, name: str, model: str = "") -> Path:
    """The definition below ``folder`` that ``model`` names, or the only one.

    Args:
        folder: The unpacked package.
        name: What to call the package in errors.
        model: A name of :func:`definitions_in`, or its last part where that tells them apart.

    Raises:
        ModelDefinitionError: Listing what there is.
    """
    found = definitions_in(folder)
    if not found:
        raise ModelDefinitionError(
            f"{name} holds no model definition.", "A package must hold exactly one .emd file for each model."
        )
    wanted = model.lower()
    wanted = wanted[:-4] if wanted.endswith(".emd") else wanted
    fitting = [key for key in found if wanted in ("", key.lower())]
    fitting = fitting or [key for key in found if key.lower().rpartition("/")[2] == wanted]
    if len(fitting) != 1:
        problem = f"no model {model!r} to choose" if model else f"{len(found)} models, not exactly one"
        raise ModelDefinitionError(
            f"{name} holds {problem}; it has {', '.join(found)}.",
            f"Name one after the package's path, as in {name}{_MODEL_MARK}{next(iter(found))}.",
        )
    return found[fitting[0]]


def write_package(files: Iterable[Path], path: Path) -> None:
    """Zip ``files`` (files and folders, at the archive's root) as the package ``path``."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for item in files:
            members = sorted(item.rglob("*")) if item.is_dir() else [item]
            for member in members:
                if member.is_file():
                    archive.write(member, member.relative_to(item.parent).as_posix())


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        for block in iter(lambda: stream.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def extract_package(path: Path, target: Path) -> None:
    """Unpack a package's files into the folder ``target``, after checking every member.

    Raises:
        ModelDefinitionError: For a hostile or damaged archive.
    """
    with path.open("rb") as stream:
        if stream.read(len(_SEVEN_ZIP)) == _SEVEN_ZIP:
            raise ModelDefinitionError(
                f"{path.name} is a 7-Zip archive.",
                "Unpack it with 7-Zip, and give the .emd file, or zip the files again.",
            )
    try:
        with zipfile.ZipFile(path) as archive:
            members = [member for member in archive.infolist() if not member.is_dir()]
            _check_members(members, path)
            for member in members:
                destination = target.joinpath(*PurePosixPath(member.filename).parts)
                destination.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(member) as source, destination.open("wb") as sink:
                    _copy(source, sink, member, path.name)
    except (
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        NotImplementedError,
        RuntimeError,
        FileExistsError,
        NotADirectoryError,
        IsADirectoryError,
    ) as error:
        raise ModelDefinitionError(
            f"{path.name} is not a readable package ({error}).", "Download or copy it again."
        ) from error


def _refuse(name: str, reason: str) -> ModelDefinitionError:
    return ModelDefinitionError(f"{name} is refused: {reason}.", "Ask its author for a clean package.")


def _copy(source: IO[bytes], sink: IO[bytes], member: zipfile.ZipInfo, name: str) -> None:
    # What a member says of its size may be a lie: what comes out is counted.
    left = member.file_size
    for block in iter(lambda: source.read(1 << 20), b""):
        left -= len(block)
        if left < 0:
            raise _refuse(name, f"{member.filename!r} unpacks to more than it says")
        sink.write(block)


def _check_members(members: list[zipfile.ZipInfo], path: Path) -> None:
    name = path.name
    if len(members) > MAX_MEMBERS:
        raise _refuse(name, f"it holds {len(members)} files")
    seen: set[str] = set()
    for member in members:
        # `filename` ends at the first NUL; what the archive holds is in `orig_filename`.
        parts = PurePosixPath(member.orig_filename).parts
        plain = bool(parts) and not any(
            part in ("..", "/", "//") or "\\" in part or ":" in part or "\0" in part for part in parts
        )
        if not plain:
            raise _refuse(name, f"the file name {member.orig_filename!r} leads outside the package")
        folded = PurePosixPath(member.filename).as_posix().casefold()
        if folded in seen:
            raise _refuse(name, f"{member.filename!r} occurs twice")
        seen.add(folded)
        if stat.S_ISLNK(member.external_attr >> 16):
            raise _refuse(name, f"{member.filename!r} is a link")
        if member.flag_bits & 1:
            raise _refuse(name, f"{member.filename!r} is encrypted")
        if member.file_size > MAX_RATIO * max(member.compress_size, 1024):
            raise _refuse(name, f"{member.filename!r} unpacks to {member.file_size} bytes, out of proportion")
    if sum(member.compress_size for member in members) > path.stat().st_size:
        raise _refuse(name, "its files overlap")
    if sum(member.file_size for member in members) > MAX_TOTAL_BYTES:
        raise _refuse(name, "it unpacks to more than 32 GiB")
