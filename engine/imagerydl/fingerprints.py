"""What tells files and runs apart. Standard library only."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any, Union


def file_state(file: Union[str, Path]) -> list[Any]:
    """A file by name, size and time of change; by name alone where it is no plain file."""
    try:
        state = os.stat(file)
    except OSError:
        return [str(file)]
    return [str(file), state.st_size, state.st_mtime_ns]


def fingerprint(told: Any) -> str:
    """A short text that changes with anything in ``told``, which must be JSON."""
    return hashlib.blake2b(json.dumps(told, sort_keys=True).encode(), digest_size=16).hexdigest()


def file_digest(file: Path) -> str:
    """SHA-256 of what a file holds."""
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        for block in iter(lambda: stream.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()
