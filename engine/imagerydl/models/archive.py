"""Zip archives from anywhere: checked member by member before a byte is written, and written alike.

Standard library only.
"""

from __future__ import annotations

import lzma
import shutil
import stat
import unicodedata
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Callable, Optional

from ..errors import EngineError, ModelDefinitionError, OutputError, ParameterError
from ..outputs import explained

#: Limits on what an archive may unpack to: far above any real model, far below a full disk.
MAX_MEMBERS = 10_000
MAX_TOTAL_BYTES = 32 * 1024**3
MAX_RATIO = 1000
MAX_NAME = 240

_BLOCK = 1 << 20
_7Z_MAGIC = b"7z\xbc\xaf\x27\x1c"

#: Earliest time a zip can state. Every member gets it: the same files give the same bytes.
_TIME = (1980, 1, 1, 0, 0, 0)
#: Fixed, as zlib's default may change.
_LEVEL = 6

# What the common file systems of Windows cannot hold: such a package would work on some machines only.
_FORBIDDEN = frozenset('<>:"|?*') | frozenset(map(chr, range(32)))
_DEVICES = frozenset(
    {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10))}
)
_ENCRYPTED = 0x1


@dataclass(frozen=True)
class Member:
    """One file of an archive, wherever its content comes from.

    Attributes:
        name: Path in the archive, with slashes.
        size: Bytes it holds, as stated where it comes from.
        blocks: Gives its content, a block at a time.
    """

    name: str
    size: int
    blocks: Callable[[], Iterator[bytes]]

    def read(self, limit: int) -> bytes:
        """The whole content.

        Raises:
            ModelDefinitionError: If it is longer than ``limit`` bytes.
        """
        if self.size > limit:
            raise ModelDefinitionError(
                f"{self.name} has {self.size} bytes, too many for what it should be.",
                "Ask its author for a clean package.",
            )
        return b"".join(self.blocks())


def file_member(name: str, path: Path) -> Member:
    """A file on disk as a member."""

    def blocks() -> Iterator[bytes]:
        # Told here, or it would be taken for a fault of the archive that is written.
        try:
            with path.open("rb") as stream:
                yield from iter(lambda: stream.read(_BLOCK), b"")
        except OSError as error:
            raise ParameterError(
                f"{path} cannot be read ({error.strerror}).", "Check the file and its permissions."
            ) from error

    return Member(name, path.stat().st_size, blocks)


def bytes_member(name: str, content: bytes) -> Member:
    """Bytes as a member."""
    return Member(name, len(content), lambda: iter((content,)))


@contextmanager
def open_archive(path: Path) -> Iterator[list[Member]]:
    """The files in a zip, all checked; their contents can be read while it is open.

    Folders, and what macOS adds for itself (``__MACOSX``, ``._name``), are left out.

    Raises:
        ModelDefinitionError: For a file that is not a zip, and for a damaged or hostile one; also while
            contents are read.
    """
    _refuse_7z(path)
    with _damage_told(path):
        archive = zipfile.ZipFile(path)
    with archive:
        yield _checked_members(archive, path)


def extract(members: Iterable[Member], folder: Path, source: Path) -> None:
    """Write checked members into ``folder``.

    Args:
        members: From :func:`open_archive`.
        folder: Exists and is empty.
        source: The archive, for errors.

    Raises:
        ModelDefinitionError: If there is more in a member than it states.
        OutputError: If it cannot be written.
    """
    members = list(members)
    needed, free = sum(member.size for member in members), shutil.disk_usage(folder).free
    if needed > free:
        raise OutputError(
            f"{source.name} unpacks to {needed / 1e9:.2f} GB, and the disk of {folder.parent} has "
            f"{free / 1e9:.2f} GB left.",
            "Free some space.",
        )
    written = 0
    with explained(folder.parent):
        for member in members:
            target = folder.joinpath(*PurePosixPath(member.name).parts)
            target.parent.mkdir(parents=True, exist_ok=True)
            own = 0
            with target.open("wb") as sink:
                for block in member.blocks():
                    own += len(block)
                    written += len(block)
                    # What an archive states of itself is not proof of what comes out of it.
                    if own > member.size or written > MAX_TOTAL_BYTES:
                        raise _refused(source, f"{member.name!r} unpacks to more than it states")
                    sink.write(block)


def write_archive(
    members: Iterable[Member], path: Path, tick: Optional[Callable[[int], None]] = None
) -> None:
    """Write members as a zip: the same members in the same order give the same bytes.

    Times, permissions and systems leave no trace; versions of zlib do, as they compress differently.

    Args:
        members: Names are checked as those of a foreign archive are.
        path: The zip; the caller stages it.
        tick: Called with the bytes read so far; may raise to stop.

    Raises:
        ModelDefinitionError: For names that not every machine can hold, or two alike.
    """
    members = list(members)
    _check_names([member.name for member in members], path)
    done = 0
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=_LEVEL) as archive:
        for member in members:
            info = zipfile.ZipInfo(member.name, _TIME)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.create_system = 3  # or the bytes would tell Windows from the others
            info.external_attr = (stat.S_IFREG | 0o644) << 16
            info.file_size = member.size  # decides whether the large form of a header is needed
            with archive.open(info, "w") as sink:
                for block in member.blocks():
                    sink.write(block)
                    done += len(block)
                    if tick:
                        tick(done)


def is_7z(path: Path) -> bool:
    """Whether a file is a 7z archive, whatever its name."""
    with path.open("rb") as stream:
        return stream.read(len(_7Z_MAGIC)) == _7Z_MAGIC


def _refuse_7z(path: Path) -> None:
    if is_7z(path):
        raise ModelDefinitionError(
            f"{path.name} is a 7z archive, which cannot be read here.",
            "Unpack it with 7-Zip and give the .emd file, or zip its files and name the zip .dlpk.",
        )


@contextmanager
def _damage_told(path: Path) -> Iterator[None]:
    try:
        yield
    except EngineError:
        raise
    # RuntimeError: a password is wanted. OSError: bad bzip2 data, or a disk that fails.
    except (
        *(zipfile.BadZipFile, zlib.error, lzma.LZMAError),
        *(EOFError, NotImplementedError, RuntimeError, OSError, ValueError),
    ) as error:
        raise ModelDefinitionError(
            f"{path.name} is not a readable package ({error}).", "Download or copy it again."
        ) from error


def _refused(path: Path, reason: str) -> ModelDefinitionError:
    return ModelDefinitionError(f"{path.name} is refused: {reason}.", "Ask its author for a clean package.")


def _checked_members(archive: zipfile.ZipFile, path: Path) -> list[Member]:
    infos = archive.infolist()
    if len(infos) > MAX_MEMBERS:
        raise _refused(path, f"it holds {len(infos)} files")
    for info in infos:
        _check_info(info, path)
    # Some programs of Windows write its separator, against the format.
    named = [(info.filename.replace("\\", "/"), info) for info in infos]
    files = [(name, info) for name, info in named if not name.endswith("/")]
    _check_names([name.rstrip("/") for name, _ in named if name.endswith("/")], path, unique=False)
    _check_names([name for name, _ in files], path)
    total = sum(info.file_size for _, info in files)
    if total > MAX_TOTAL_BYTES:
        raise _refused(path, f"it unpacks to more than {MAX_TOTAL_BYTES // 1024**3} GiB")
    # Members may share their bytes: each alone keeps the proportion then, and all of them do not.
    if total > MAX_RATIO * max(path.stat().st_size, 1024):
        raise _refused(path, f"it unpacks to {total} bytes, out of proportion")
    members = []
    for written, info in files:
        name = "/".join(PurePosixPath(written).parts)
        if not _is_of_macos(name):
            members.append(Member(name, info.file_size, _reader(archive, info, path)))
    return members


def _check_info(info: zipfile.ZipInfo, path: Path) -> None:
    if info.flag_bits & _ENCRYPTED:
        raise ModelDefinitionError(
            f"{path.name} is encrypted ({info.filename!r}).",
            "Unpack it with its password, and zip it without.",
        )
    if "\0" in info.orig_filename:  # zipfile cuts the name there
        raise _refused(path, f"the file name {info.orig_filename!r} holds a NUL")
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind == stat.S_IFLNK:
        raise _refused(path, f"{info.filename!r} is a link")
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise _refused(path, f"{info.filename!r} is neither a file nor a folder")
    if info.file_size > MAX_RATIO * max(info.compress_size, 1024):
        raise _refused(path, f"{info.filename!r} unpacks to {info.file_size} bytes, out of proportion")


def _check_names(names: list[str], path: Path, unique: bool = True) -> None:
    """Refuse names that lead elsewhere, that Windows cannot hold, and (where ``unique``) doubles."""
    seen: set[str] = set()
    folders: dict[str, str] = {}
    for name in names:
        parts = name.split("/")
        if name.startswith("/") or ".." in parts or (len(name) > 1 and name[1] == ":"):
            raise _refused(path, f"the file name {name!r} leads outside the package")
        reason = _unusable(name, [part for part in parts if part not in ("", ".")])
        if reason:
            raise _refused(path, f"the file name {name!r} {reason}")
        # macOS and Windows take names that differ in case or composition for one.
        keys = [unicodedata.normalize("NFC", part).casefold() for part in PurePosixPath(name).parts]
        key = "/".join(keys)
        if key in seen:
            raise _refused(path, f"{name!r} occurs twice")
        if unique:
            seen.add(key)
            folders.update({"/".join(keys[:depth]): name for depth in range(1, len(keys))})
    both = sorted(seen & set(folders))
    if both:
        raise _refused(path, f"{both[0]!r} is a file and a folder")


def _unusable(name: str, parts: list[str]) -> str:
    if not parts:
        return "is empty"
    if len(name) > MAX_NAME:
        return f"is longer than {MAX_NAME} characters"
    for part in parts:
        if any(character in _FORBIDDEN for character in part):
            return "holds characters that Windows cannot store"
        if part.endswith((".", " ")):
            return "ends with a dot or a blank, which Windows drops"
        if part.split(".")[0].strip().casefold() in _DEVICES:
            return "is that of a device in Windows"
    return ""


def _is_of_macos(name: str) -> bool:
    path = PurePosixPath(name)
    return path.parts[0] == "__MACOSX" or path.name.startswith("._") or path.name == ".DS_Store"


def _reader(archive: zipfile.ZipFile, info: zipfile.ZipInfo, path: Path) -> Callable[[], Iterator[bytes]]:
    def blocks() -> Iterator[bytes]:
        with _damage_told(path):
            stream = archive.open(info)
        with stream:
            while True:
                with _damage_told(path):
                    block = stream.read(_BLOCK)
                if not block:
                    return
                yield block

    return blocks
