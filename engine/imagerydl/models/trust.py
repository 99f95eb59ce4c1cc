"""Consent to run code that comes with a model: by content, remembered, revocable.

A Python raster function, a pickle or a Lambda layer can do whatever the user can. It runs only once
somebody has agreed to these very files. Standard library only: QGIS asks through this, too.

Consent is kept in one JSON file, digest by digest. Where that file is damaged or cannot be read, nothing
is trusted and nothing is written over it: the error says so.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import BinaryIO

from ..errors import TrustError
from ..fingerprints import file_digest
from ..user_folders import settings_folder

#: Names the file that remembers consent.
FILE_VARIABLE = "IMAGERYDL_TRUST"

#: Files named in an error.
_SHOWN = 5

#: Between the files of one consent.
_SEPARATOR = ", "

#: Digits of a digest that say which one is meant.
_SHORTEST_DIGEST = 8

#: Seconds to wait for another process that changes the list, which takes it milliseconds.
_PATIENCE = 10.0

#: The parameter that gives consent without a dialog.
PARAMETER = "TRUST_MODEL"


@dataclass(frozen=True)
class ForeignCode:
    """Files of a model that run code when they are used.

    Attributes:
        files: All of them; a change in any asks for consent anew.
        reason: What they hold, as a phrase: "a Python raster function", "a pickle".
    """

    files: tuple[Path, ...]
    reason: str

    @property
    def digest(self) -> str:
        """SHA-256 over names and contents, independent of folder and order."""
        digest = hashlib.sha256()
        for name, content in sorted((path.name, file_digest(path)) for path in self.files):
            digest.update(f"{name}\0{content}\n".encode())
        return digest.hexdigest()


def trust_file() -> Path:
    """Where consent is remembered: ``$IMAGERYDL_TRUST``, else the user's settings folder."""
    named = os.environ.get(FILE_VARIABLE)
    return Path(named) if named else settings_folder() / "trusted.json"


def trusted_models() -> dict[str, str]:
    """What has been agreed to: digest -> a text that names it.

    Raises:
        TrustError: If the file is there and cannot be read, or is damaged.
    """
    path = trust_file()
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise TrustError(
            f"The list of trusted models {path} cannot be read ({error.strerror}).",
            f"Make it readable, or set {FILE_VARIABLE} to another file.",
        ) from error
    except ValueError as error:
        raise _damaged(path, str(error)) from error
    if not isinstance(content, dict) or not all(isinstance(text, str) for text in content.values()):
        raise _damaged(path, "it should hold digests and names")
    return content


def is_trusted(code: ForeignCode) -> bool:
    """Whether somebody has agreed to run these files as they are.

    Raises:
        TrustError: As :func:`trusted_models`.
    """
    return code.digest in trusted_models()


def trust(code: ForeignCode) -> None:
    """Remember consent.

    Raises:
        TrustError: If it cannot be remembered.
    """
    with _changing():
        _write({**trusted_models(), code.digest: _SEPARATOR.join(str(path) for path in code.files)})


def revoke(digest: str) -> bool:
    """Forget consent; returns whether there was any.

    Raises:
        TrustError: If it cannot be forgotten.
    """
    with _changing():
        known = trusted_models()
        found = known.pop(digest, None) is not None
        if found:
            _write(known)
    return found


def revoke_all() -> int:
    """Forget every consent, also where the list is damaged; returns how many were known.

    Raises:
        TrustError: If it cannot be forgotten.
    """
    with _changing():
        try:
            count = len(trusted_models())
        except TrustError:
            count = 0
        _write({})
    return count


def digests_named(name: str, known: Mapping[str, str]) -> list[str]:
    """The digests that ``name`` means: a digest, eight or more of its first digits, a file or its path."""
    wanted = name.strip().casefold()
    if not wanted:
        return []
    found = []
    for digest, files in known.items():
        paths = files.casefold().split(_SEPARATOR)
        is_digest = digest.startswith(wanted) and len(wanted) >= _SHORTEST_DIGEST
        if is_digest or any(wanted in (path, *_names(path)) for path in paths):
            found.append(digest)
    return found


def ensure_trusted(code: ForeignCode, consent: bool) -> None:
    """Let a model's code run, or refuse.

    Consent given now counts even where it cannot be remembered, as with a read-only home folder on a
    cluster: that is warned about.

    Args:
        code: What would run.
        consent: Whether the user agrees now; it is remembered.

    Raises:
        TrustError: Where nobody has agreed to these files.
    """
    if consent:
        try:
            if not is_trusted(code):
                trust(code)
        except TrustError as error:
            warnings.warn(f"The consent holds for this run only. {error}", stacklevel=2)
        return
    if is_trusted(code):
        return
    shown = [path.name for path in code.files[:_SHOWN]]
    names = ", ".join(shown) + (f" and {len(code.files) - _SHOWN} more" if len(code.files) > _SHOWN else "")
    raise TrustError(
        f"The model holds {code.reason} ({names}), which can do anything that you can.",
        f"If you trust its author, run again with {PARAMETER} set to true; the choice is remembered for "
        "these very files.",
    )


def _damaged(path: Path, reason: str) -> TrustError:
    return TrustError(
        f"The list of trusted models {path} is damaged ({reason}).",
        "Correct it; or delete it, and you are asked again about every model that holds code.",
    )


def _names(path: str) -> tuple[str, str]:
    # Either separator: the list may be shared between machines.
    name = PurePath(path.replace("\\", "/"))
    return name.name, name.stem


@contextmanager
def _changing() -> Iterator[None]:
    """Read, change and write without another process in between."""
    path = trust_file()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Never removed: another process may be waiting for this very file.
        with path.with_name(f".{path.name}.lock").open("ab") as stream:
            _lock(stream)
            yield  # the lock goes with the file, also where the process dies
    except OSError as error:
        raise TrustError(
            f"The list of trusted models {path} cannot be written ({error.strerror or error}).",
            f"Make its folder writable, or set {FILE_VARIABLE} to a file that you may write.",
        ) from error


def _lock(stream: BinaryIO) -> None:
    """Wait for the lock on an open file.

    Raises:
        OSError: If another process keeps it, or the file system has no locks.
    """
    if sys.platform == "win32":
        import msvcrt

        stream.seek(0)
        msvcrt.locking(stream.fileno(), msvcrt.LK_LOCK, 1)  # tries for ten seconds
        return
    import fcntl

    until = time.monotonic() + _PATIENCE
    while True:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > until:
                raise
            time.sleep(0.01)
        else:
            return


def _write(known: Mapping[str, str]) -> None:
    path = trust_file()
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".trusted-")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            json.dump(known, stream, indent=1, sort_keys=True, ensure_ascii=False)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
