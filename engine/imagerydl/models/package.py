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
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Optional

from ..errors import ModelDefinitionError

#: Limits on what a package may unpack to: far above any real one, far below a full disk.
MAX_MEMBERS = 10_000
MAX_TOTAL_BYTES = 32 * 1024**3
MAX_RATIO = 1000

#: Names the folder packages are unpacked to.
FOLDER_VARIABLE = "IMAGERYDL_PACKAGES"


def is_package(path: Path) -> bool:
    """Whether ``path`` is a package, by its extension or its first bytes."""
    return path.suffix.lower() in (".dlpk", ".zip") or zipfile.is_zipfile(path)


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


def unpack_package(path: Path, folder: Optional[Path] = None) -> Path:
    """Unpack a package, once per content, and return its model definition file.

    Args:
        path: The package.
        folder: Where to unpack; by default :func:`packages_folder`.

    Raises:
        ModelDefinitionError: For a file that is not a zip, a hostile or damaged archive, or one
            without exactly one definition.
    """
    target = (folder or packages_folder()) / f"{path.stem}-{_digest(path)[:16]}"
    if not target.is_dir():
        target.parent.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=".unpacking-", dir=target.parent))
        try:
            _unpack(path, staging)
            try:
                os.replace(staging, target)
            except OSError:
                if not target.is_dir():  # not merely unpacked by another process meanwhile
                    raise
        finally:
            shutil.rmtree(staging, ignore_errors=True)
    definitions = sorted(target.rglob("*.emd"))
    if len(definitions) != 1:
        found = ", ".join(str(item.relative_to(target)) for item in definitions) or "none"
        raise ModelDefinitionError(
            f"{path.name} holds {len(definitions)} model definitions ({found}).",
            "A package must hold exactly one .emd file.",
        )
    return definitions[0]


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


def _unpack(path: Path, target: Path) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            members = [member for member in archive.infolist() if not member.is_dir()]
            _check_members(members, path.name)
            for member in members:
                destination = target.joinpath(*PurePosixPath(member.filename).parts)
                destination.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(member) as source, destination.open("wb") as sink:
                    shutil.copyfileobj(source, sink, 1 << 20)
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError) as error:
        raise ModelDefinitionError(
            f"{path.name} is not a readable package ({error}).", "Download or copy it again."
        ) from error


def _check_members(members: list[zipfile.ZipInfo], name: str) -> None:
    def refuse(reason: str) -> ModelDefinitionError:
        return ModelDefinitionError(f"{name} is refused: {reason}.", "Ask its author for a clean package.")

    if len(members) > MAX_MEMBERS:
        raise refuse(f"it holds {len(members)} files")
    seen: set[str] = set()
    for member in members:
        parts = PurePosixPath(member.filename).parts
        plain = bool(parts) and not any(
            part in ("..", "/") or "\\" in part or ":" in part or "\0" in part for part in parts
        )
        if not plain:
            raise refuse(f"the file name {member.filename!r} leads outside the package")
        if member.filename.casefold() in seen:
            raise refuse(f"{member.filename!r} occurs twice")
        seen.add(member.filename.casefold())
        if stat.S_ISLNK(member.external_attr >> 16):
            raise refuse(f"{member.filename!r} is a link")
        if member.file_size > MAX_RATIO * max(member.compress_size, 1024):
            raise refuse(f"{member.filename!r} unpacks to {member.file_size} bytes, out of proportion")
    if sum(member.file_size for member in members) > MAX_TOTAL_BYTES:
        raise refuse("it unpacks to more than 32 GiB")
