"""Running other programs: in a clean environment, with their words passed on, stopped in time."""

from __future__ import annotations

import os
import queue
import signal
import subprocess  # nosec B404 - uv, pip and interpreters are programs of their own
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

from ..events import Reporter

#: Seconds a program gets to leave by itself before it is killed; cancelling takes hold within
#: this and one poll.
_GRACE = 1.0
_POLL = 0.1
_LAST_WORDS = 12

# What QGIS, its launchers and the user's shell set for QGIS's own Python and libraries: another
# Python would load the wrong files with it.
_FOREIGN_PREFIXES = ("PYTHON", "PROJ_", "GDAL_", "OGR_", "QT_", "QGIS_", "DYLD_")
_FOREIGN_NAMES = frozenset(
    {"LD_LIBRARY_PATH", "LD_PRELOAD", "VIRTUAL_ENV", "CONDA_PREFIX", "__PYVENV_LAUNCHER__"}
)


@dataclass(frozen=True)
class Outcome:
    """How a program ended.

    Attributes:
        status: Exit status; 0 is success.
        last_words: The last lines it printed, joined.
    """

    status: int
    last_words: str

    @property
    def succeeded(self) -> bool:
        """Whether it ended well."""
        return self.status == 0


def clean_environment(environment: Optional[Mapping[str, str]] = None) -> dict[str, str]:
    """``environment`` (this process's own by default) without what belongs to another Python.

    Proxies, certificates and the settings of uv and pip stay: they are the user's.
    """
    return {
        name: value
        for name, value in (os.environ if environment is None else environment).items()
        if not name.upper().startswith(_FOREIGN_PREFIXES) and name not in _FOREIGN_NAMES
    }


def answer(command: Sequence[str], timeout: float = 20.0) -> Optional[str]:
    """What a short-lived program prints, stripped; None where it fails or does not start."""
    try:
        done = subprocess.run(  # nosec B603 - a list of arguments, no shell
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=clean_environment(),
            timeout=timeout,
            check=False,
            encoding="utf-8",
            errors="replace",
            **_platform_options(),
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def follow(
    command: Sequence[str],
    environment: Mapping[str, str],
    reporter: Reporter,
    on_line: Callable[[str], None],
    folder: Optional[Path] = None,
) -> Outcome:
    """Run a program to its end and hand on every line it prints.

    Args:
        command: Program and arguments.
        environment: Its environment variables.
        reporter: Asked for the wish to cancel ten times a second.
        on_line: Receives each line of stdout and stderr.
        folder: Working folder.

    Raises:
        CancelledError: After the program and its children have been ended.
        OSError: If the program does not start.
    """
    process = subprocess.Popen(  # nosec B603 - a list of arguments, no shell
        list(command),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=dict(environment),
        cwd=folder,
        encoding="utf-8",
        errors="replace",
        **_platform_options(),
    )
    lines: queue.Queue[Optional[str]] = queue.Queue()
    reader = threading.Thread(target=_read_lines, args=(process, lines), daemon=True)
    reader.start()
    last_words: deque[str] = deque(maxlen=_LAST_WORDS)
    try:
        while True:
            reporter.check_cancelled()
            with suppress(queue.Empty):
                line = lines.get(timeout=_POLL)
                if line is None:
                    break
                last_words.append(line)
                on_line(line)
        return Outcome(process.wait(), "\n".join(last_words))
    finally:
        _end(process)
        reader.join(timeout=_GRACE)
        process.stdout.close()


def _platform_options() -> dict[str, Any]:
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NO_WINDOW}
    # A group of its own, so that whatever it starts is ended with it.
    return {"start_new_session": True}


def _read_lines(process: subprocess.Popen[str], lines: queue.Queue[Optional[str]]) -> None:
    for line in process.stdout:
        if line.strip():
            lines.put(line.rstrip())
    lines.put(None)


def _end(process: subprocess.Popen[str]) -> None:
    if process.poll() is not None:
        return
    for sig in ("SIGTERM", "SIGKILL"):
        with suppress(OSError):
            if sys.platform == "win32":
                process.kill()
            else:
                os.killpg(process.pid, getattr(signal, sig))
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=_GRACE)
            return
