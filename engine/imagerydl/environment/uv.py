"""uv, which builds the environment: the one on this machine, or one fetched for the occasion."""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from ..errors import RuntimeMissingError
from ..events import Reporter
from .folder import python_in
from .interpreters import real_pythons
from .pip_settings import uv_environment
from .processes import Outcome, answer, clean_environment, follow

#: The first version with everything used here (``--torch-backend``).
OLDEST = (0, 6, 9)


@dataclass(frozen=True)
class Uv:
    """A uv that works.

    Attributes:
        program: Path of the executable.
        wheels: Folder of wheels to install from instead of a package index, or None.
    """

    program: str
    wheels: Optional[Path] = None

    def run(self, arguments: Sequence[str], reporter: Reporter, folder: Path) -> Outcome:
        """Run it in ``folder``; what it prints becomes messages, less its list of every package.

        Raises:
            CancelledError: If the user asked to stop; uv is ended first.
        """
        environment = uv_environment(clean_environment())
        environment["NO_COLOR"] = "1"

        def pass_on(line: str) -> None:
            if not line.startswith(" + "):
                reporter.message(line)

        return follow([self.program, *arguments], environment, reporter, pass_on, folder)

    def source(self) -> list[str]:
        """Arguments of ``uv pip`` that say where packages come from."""
        return ["--offline", "--no-index", "--find-links", str(self.wheels)] if self.wheels else []


@contextmanager
def find_uv(reporter: Reporter, wheels: Optional[Path] = None) -> Iterator[Uv]:
    """The uv on PATH; where there is none, one in a temporary folder.

    Raises:
        RuntimeMissingError: If there is neither uv nor a Python that can fetch it.
    """
    installed = shutil.which("uv")
    if installed and is_recent(installed):
        yield Uv(installed, wheels)
        return
    folder = tempfile.mkdtemp(prefix="imagerydl-uv-")
    try:
        yield Uv(_fetch(Path(folder), reporter, wheels), wheels)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def is_recent(program: str) -> bool:
    """Whether ``program`` is a uv new enough to be used."""
    said = re.match(r"uv (\d+)\.(\d+)\.(\d+)", answer([program, "--version"]) or "")
    return bool(said) and tuple(int(part) for part in said.groups()) >= OLDEST


def _fetch(folder: Path, reporter: Reporter, wheels: Optional[Path]) -> str:
    """Install uv with pip into a small environment of its own; returns the program."""
    reporter.message("uv, which builds the environment, is not installed: fetching it.")
    source = ["--no-index", "--find-links", str(wheels)] if wheels else []
    said = ""
    for python in real_pythons():
        environment = folder / "environment"
        shutil.rmtree(environment, ignore_errors=True)
        made = _quietly([python, "-I", "-m", "venv", str(environment)], reporter)
        if not made.succeeded:  # Debian's Python comes without python3-venv
            said = said or made.last_words
            continue
        pip = [str(python_in(environment)), "-I", "-m", "pip", "install", "--quiet", *source, "uv"]
        fetched = _quietly(pip, reporter)
        program = python_in(environment).with_name("uv.exe" if sys.platform == "win32" else "uv")
        if fetched.succeeded and is_recent(str(program)):
            return str(program)
        said = fetched.last_words or said
    raise RuntimeMissingError(
        "uv, which builds the environment, could not be fetched." + (f"\n{said}\n" if said else ""),
        "Install uv, or a Python 3 with venv and pip (on Debian and Ubuntu: apt install python3-venv), "
        + ("and put a wheel of uv into WHEEL_FOLDER." if wheels else "and check the network connection."),
    )


def _quietly(command: Sequence[str], reporter: Reporter) -> Outcome:
    return follow(command, clean_environment(), reporter, lambda line: None)
