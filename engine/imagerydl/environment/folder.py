"""Where the managed environment lies, and what tells a complete one from any other folder."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Optional

from ..user_folders import data_folder
from .requirements import EXTRAS

#: A copy of the requirements an environment was built from, inside it. Its presence also says
#: that the environment is ours to replace.
RECORD = "imagerydl-requirements.txt"


def default_folder() -> Path:
    """Where the command line keeps its environment (the plugin uses the QGIS profile)."""
    return data_folder() / "runtime"


def python_in(folder: Path) -> Path:
    """The interpreter of an environment, whether or not it is there."""
    return folder / "Scripts" / "python.exe" if sys.platform == "win32" else folder / "bin" / "python"


def recorded_requirements(folder: Path) -> Optional[str]:
    """What the environment in ``folder`` was built from; None where it is no complete one of ours."""
    try:
        record = (folder / RECORD).read_text(encoding="utf-8")
    except OSError:
        return None
    return record if python_in(folder).is_file() else None


def record_for(hardware: str, extras: Iterable[str], requirements: str) -> str:
    """What is noted inside a finished environment: its first line says what it was made for."""
    return f"# {' '.join((hardware, *extras))}\n{requirements}"


def recorded_extras(folder: Path) -> tuple[str, ...]:
    """The extras that the environment in ``folder`` was built with."""
    first = (recorded_requirements(folder) or "").partition("\n")[0]
    return tuple(word for word in first.split() if word in EXTRAS)
