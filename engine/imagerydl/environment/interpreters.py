"""Finding a real Python: one that starts, and says which version it is."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Optional

from ..errors import ParameterError
from .processes import answer

#: Versions of Python the pinned packages are published for.
OLDEST, NEWEST = (3, 10), (3, 14)

_ASK = "import sys; print('%d.%d' % sys.version_info[:2])"


def version_of(python: str) -> Optional[tuple[int, int]]:
    """Version of an interpreter, or None where it is none (or one that does not start)."""
    said = answer([python, "-I", "-c", _ASK])
    major, dot, minor = (said or "").partition(".")
    return (int(major), int(minor)) if dot and major.isdigit() and minor.isdigit() else None


def require_version(python: str) -> str:
    """``python``, made sure that the environment can be built from it.

    Raises:
        ParameterError: If it does not run, or its version is not one of those supported.
    """
    version = version_of(python)
    if version is None:
        raise ParameterError(
            f"PYTHON: {python} does not run as Python.", "Give the path of a Python interpreter."
        )
    if not OLDEST <= version <= NEWEST:
        raise ParameterError(
            f"PYTHON: {python} is Python {version[0]}.{version[1]}.",
            f"Give one from {OLDEST[0]}.{OLDEST[1]} to {NEWEST[0]}.{NEWEST[1]}, or leave PYTHON empty.",
        )
    return python


def real_pythons() -> Iterator[str]:
    """Interpreters on this machine that start, whatever their version, Python 3 only.

    ``sys.executable`` is not among them: inside QGIS it may be QGIS itself.
    """
    seen = set()
    for candidate in _candidates():
        real = os.path.realpath(candidate)
        if real not in seen and os.access(candidate, os.X_OK):
            seen.add(real)
            version = version_of(candidate)
            if version is not None and version >= (3, 9):
                yield candidate


def _candidates() -> Iterator[str]:
    base = Path(sys.base_prefix)
    if sys.platform == "win32":
        yield from (str(base / name) for name in ("python.exe", "python3.exe", "bin/python3.exe"))
    else:
        yield str(base / "bin" / "python3")
    names = ("python.exe", "python3.exe", "py.exe") if sys.platform == "win32" else ("python3", "python")
    for folder in os.environ.get("PATH", "").split(os.pathsep):
        for name in names:
            found = shutil.which(name, path=folder) if folder else None
            if found:
                yield found
