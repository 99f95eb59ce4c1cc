"""The engine's Python: where it is, and one run of a job in it.

QGIS's own Python is never used for the engine: inside QGIS ``sys.executable`` may be anything.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Optional

from qgis.core import QgsApplication, QgsProcessingFeedback, QgsProcessingUtils, QgsSettings

from ..engine.imagerydl.environment.folder import python_in
from ..engine.imagerydl.errors import RuntimeMissingError
from .relay import EventRelay
from .translation import tr
from .worker_process import WorkerProcess

SETTING = "imagerydl/python"
ENVIRONMENT_VARIABLE = "IMAGERYDL_PYTHON"
ENGINE = Path(__file__).resolve().parent.parent / "engine" / "imagerydl"


def managed_folder() -> Path:
    """Where "Set up runtime" builds the environment: in the user's QGIS profile."""
    return Path(QgsApplication.qgisSettingsDirPath()) / "imagerydl" / "runtime"


def _named_python() -> tuple[str, str]:
    """What the user named and where: the setting first, then the environment variable."""
    setting = str(QgsSettings().value(SETTING, "") or "").strip()
    if setting:
        return setting, tr("the setting {name}").format(name=SETTING)
    variable = os.environ.get(ENVIRONMENT_VARIABLE, "").strip()
    return variable, tr("the environment variable {name}").format(name=ENVIRONMENT_VARIABLE)


def find_python() -> Optional[Path]:
    """The engine's interpreter, or None where there is none.

    In this order: the setting ``imagerydl/python``, the variable ``IMAGERYDL_PYTHON``, the
    managed environment. Something named that is not there is not passed over in silence.
    """
    named, _ = _named_python()
    python = Path(named).expanduser() if named else python_in(managed_folder())
    return python if python.is_file() else None


def require_python() -> Path:
    """The engine's interpreter.

    Raises:
        RuntimeMissingError: With the one message that names the tool to run.
    """
    python = find_python()
    if python is None:
        named, origin = _named_python()
        message = tr("The deep-learning environment is not set up.")
        if named:
            message = tr("There is no Python at {path}, which {origin} names.").format(
                path=named, origin=origin
            )
        raise RuntimeMissingError(
            message, tr('Run the tool "Set up runtime" (imagerydl:setupruntime) once, then try again.')
        )
    return python


def worker_command(python: Path, job_file: Path) -> list[str]:
    """How a job is started: isolated from whatever else is installed, output not held back."""
    return [str(python), "-I", "-u", str(ENGINE), "worker", str(job_file)]


class JobFolder:
    """A temporary folder of one run, for the job file and the layers written for it; context manager."""

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="imagerydl-", dir=QgsProcessingUtils.tempFolder()))

    def __enter__(self) -> Path:
        return self.path

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self.path, ignore_errors=True)


def run_in_worker(
    tool_id: str,
    values: Mapping[str, Any],
    folder: Path,
    feedback: QgsProcessingFeedback,
    command: Optional[Sequence[str]] = None,
) -> dict[str, Any]:
    """Run a job in the engine's environment.

    Args:
        tool_id: The tool.
        values: Its parameters, checked and in the form a job holds.
        folder: Where the job file may be written.
        feedback: Receives progress and messages; cancels.
        command: Started in place of the engine (tests).

    Returns:
        The engine's results by key.

    Raises:
        EngineError: For whatever the engine refused, for cancelling, and for a worker that died.
    """
    job_file = folder / "job.json"
    job_file.write_text(json.dumps({"tool": tool_id, "parameters": dict(values)}), encoding="utf-8")
    command = command or worker_command(require_python(), job_file)
    with WorkerProcess(command) as worker:
        return worker.follow(EventRelay(feedback), feedback.isCanceled)
