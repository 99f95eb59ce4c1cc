"""Building the managed environment: staged, checked, and only then put in place."""

from __future__ import annotations

import os
import shutil
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from .. import outputs
from ..errors import CancelledError, EngineError, OutputError, ParameterError, RuntimeMissingError
from ..events import Reporter
from . import requirements as needed
from .folder import RECORD, python_in, record_for, recorded_requirements
from .interpreters import NEWEST, OLDEST, require_version
from .processes import clean_environment, follow
from .uv import Uv, find_uv

ENGINE = Path(__file__).resolve().parents[1]

#: Free space asked for before anything is downloaded, in bytes: the packages, and uv's copy of them.
_SPACE = {needed.CPU: 4e9, needed.CUDA: 12e9}
#: Less than this left after a failure means that the disk was the reason.
_FULL = 200e6

_REPORT = "imagerydl-report.txt"
_STAGE = "Setting up the environment"
_STEPS = (
    "Looking for uv",
    "Creating the environment",
    "Choosing the builds",
    "Installing packages",
    "Checking",
)


@dataclass(frozen=True)
class Plan:
    """What to build.

    Attributes:
        folder: Folder of the environment.
        hardware: "CPU" or "CUDA".
        wheels: Folder of wheels to install from, without any network; None for the package index.
        python: Interpreter to build from; None to let uv find or fetch one.
        rebuild: Whether a working environment is built anew.
        extras: What is installed beside, of :data:`requirements.EXTRAS`, in its order.
    """

    folder: Path
    hardware: str
    wheels: Optional[Path] = None
    python: Optional[str] = None
    rebuild: bool = False
    extras: tuple[str, ...] = ()

    @property
    def requirements(self) -> str:
        """What is installed, as the text of a requirements file."""
        return needed.requirements_for(self.hardware, self.extras)

    @property
    def record(self) -> str:
        """What is noted inside the finished environment."""
        return record_for(self.hardware, self.extras, self.requirements)


def build(plan: Plan, reporter: Reporter) -> str:
    """Build the environment, or find that it is there already; returns the proof that it works.

    Raises:
        EngineError: If it cannot be built; an environment that was there is still there then.
    """
    refuse_foreign(plan.folder)
    if not plan.rebuild and recorded_requirements(plan.folder) == plan.record:
        reporter.message(f"The environment in {plan.folder} is up to date.")
        try:
            return prove(plan.folder, plan.hardware, reporter)
        except RuntimeMissingError as error:
            reporter.warning(f"{error.message} It is built anew.")
    _require_space(plan)
    with outputs.staged(plan.folder, overwrite=True) as staging, _discarded_quickly(staging):
        reporter.progress(_STAGE, 0, len(_STEPS), note=_STEPS[0])
        with find_uv(reporter, plan.wheels) as uv:
            _Builder(plan, uv, staging, reporter).run()
        reporter.progress(_STAGE, 4, len(_STEPS), note=_STEPS[4])
        report = prove(staging, plan.hardware, reporter).replace(str(staging), str(plan.folder))
        (staging / RECORD).write_text(plan.record, encoding="utf-8")
        reporter.progress(_STAGE, len(_STEPS), len(_STEPS))
    return report


@contextmanager
def _discarded_quickly(staging: Path) -> Iterator[None]:
    """When cancelled, get ``staging`` out of the way at once and delete its many files in the background."""
    discarded = staging.with_name(staging.name + "-discarded")
    shutil.rmtree(discarded, ignore_errors=True)  # a background that was killed
    try:
        yield
    except CancelledError:
        with suppress(OSError):
            os.replace(staging, discarded)
            threading.Thread(target=shutil.rmtree, args=(discarded, True)).start()
        raise


def refuse_foreign(folder: Path) -> None:
    """Raise :class:`OutputError` where ``folder`` holds anything but an environment built here."""
    if not folder.exists() or recorded_requirements(folder) is not None or (folder / RECORD).exists():
        return
    if not folder.is_dir() or any(folder.iterdir()):
        raise OutputError(
            f"{folder} exists and is not an environment that this tool made.",
            "Choose another FOLDER, or remove it yourself.",
        )


def prove(folder: Path, hardware: str, reporter: Reporter) -> str:
    """Run the runtime check inside the environment; returns its report, which stays there too.

    Raises:
        RuntimeMissingError: If the environment does not work, with its last words.
    """
    report = folder / _REPORT
    command = [str(python_in(folder)), "-I", "-u", str(ENGINE), "check-runtime"]
    command += ["--device", hardware, "--out-report", str(report)]
    try:
        outcome = follow(command, clean_environment(), reporter, lambda line: None)
    except OSError as error:
        raise RuntimeMissingError(f"The environment in {folder} does not start ({error}).") from error
    if not outcome.succeeded:
        raise RuntimeMissingError(
            f"The environment in {folder} does not work:\n{outcome.last_words}\n",
            "Report this with the lines above.",
        )
    return report.read_text(encoding="utf-8").strip()


class _Builder:
    """One environment being built in its staging folder."""

    def __init__(self, plan: Plan, uv: Uv, staging: Path, reporter: Reporter) -> None:
        self._plan, self._uv, self._staging, self._reporter = plan, uv, staging, reporter
        self._requirements = plan.requirements

    def run(self) -> None:
        """Create it and fill it."""
        self._step(1)
        self._create()
        self._step(2)
        backend = self._backend()
        self._step(3)
        self._install(backend)

    def _step(self, number: int) -> None:
        self._reporter.progress(_STAGE, number, len(_STEPS), note=_STEPS[number])

    def _create(self) -> None:
        # Relocatable: it is moved to its final name once it is complete.
        arguments = ["venv", "--quiet", "--relocatable", str(self._staging)]
        if self._plan.python:
            arguments += ["--python", require_version(self._plan.python)]
        elif not os.environ.get("UV_PYTHON"):
            above = f"{NEWEST[0]}.{NEWEST[1] + 1}"
            arguments += ["--python", f">={OLDEST[0]}.{OLDEST[1]},<{above}"]
        if self._plan.wheels:
            arguments += ["--offline"]
        self._run(
            arguments,
            "The environment could not be created.",
            "Install a Python from {}.{} to {}.{}, or name one in PYTHON.".format(*OLDEST, *NEWEST),
        )

    def _backend(self) -> list[str]:
        """Arguments that choose the builds of torch by hardware, where their index can be reached."""
        plan = self._plan
        defaults_are_cpu = sys.platform != "linux" and plan.hardware == needed.CPU
        if plan.wheels or defaults_are_cpu or sys.platform == "darwin" or os.environ.get("UV_TORCH_BACKEND"):
            return []
        backend = ["--torch-backend", "cpu" if plan.hardware == needed.CPU else "auto"]
        self._reporter.message(f"Asking for the {plan.hardware} builds of PyTorch...")
        pair = needed.matched_pair(self._requirements)
        lines: list[str] = []
        arguments = ["pip", "install", "--quiet", "--dry-run", "--python", str(self._python), *backend, *pair]
        probe = Uv(self._uv.program).run(arguments, Reporter(lines.append, self._is_cancelled), self._folder)
        if probe.succeeded:
            return backend
        if sys.platform == "win32":  # the default builds there know no CUDA
            fix = f"{_NETWORK} Or set HARDWARE to CPU."
            raise self._failure("The CUDA builds of PyTorch cannot be reached.", probe.last_words, fix)
        self._reporter.warning(
            f"The index of PyTorch's own {plan.hardware} builds cannot be reached. The default builds are "
            "taken: on Linux they carry CUDA, which makes the download larger, and run on the CPU as well."
        )
        return []

    def _install(self, backend: Sequence[str]) -> None:
        text = self._requirements
        if not backend and not self._plan.wheels and not os.environ.get("UV_TORCH_BACKEND"):
            text = needed.index_builds_only(text)
        wanted = self._staging / RECORD
        wanted.write_text(text, encoding="utf-8")
        files = " and ".join(
            f"engine/{path.name}" for path in (needed.FILE, *map(needed.extra_file, self._plan.extras))
        )
        fix = f"WHEEL_FOLDER must hold the wheels of all of {files} and of what they need."
        where = ["--python", str(self._python), *self._uv.source(), *backend]
        self._run(
            ["pip", "install", "--only-binary", ":all:", *where, "--requirements", str(wanted)],
            "The packages could not be installed.",
            fix if self._plan.wheels else _NETWORK,
        )

    @property
    def _python(self) -> Path:
        return python_in(self._staging)

    @property
    def _folder(self) -> Path:
        # uv reads the settings of a project it is started in: here is none.
        return self._staging.parent

    def _is_cancelled(self) -> bool:
        self._reporter.check_cancelled()
        return False

    def _run(self, arguments: Sequence[str], problem: str, fix: str) -> None:
        outcome = self._uv.run(arguments, self._reporter, self._folder)
        if not outcome.succeeded:
            raise self._failure(problem, outcome.last_words, fix)

    def _failure(self, problem: str, last_words: str, fix: str) -> EngineError:
        if shutil.disk_usage(self._folder).free < _FULL:
            return OutputError(
                f"The disk of {self._plan.folder} is full.", "Free some space, or choose another FOLDER."
            )
        return RuntimeMissingError(f"{problem}\n{last_words}\n", fix)


_NETWORK = (
    "Check the network connection and the proxy (uv's and pip's own settings are respected), or give a "
    "WHEEL_FOLDER."
)


def _require_space(plan: Plan) -> None:
    parent = next(folder for folder in plan.folder.absolute().parents if folder.exists())
    free, wanted = shutil.disk_usage(parent).free, _SPACE[plan.hardware]
    if free < wanted:
        raise OutputError(
            f"The disk of {parent} has {free / 1e9:.1f} GB left; the environment needs {wanted / 1e9:g} GB.",
            "Free some space, or choose a FOLDER on another disk.",
        )


def require_folder(path: Path) -> Path:
    """``path``, made sure that it is a folder with wheels in it.

    Raises:
        ParameterError: If it is not.
    """
    if not path.is_dir() or not any(path.glob("*.whl")):
        raise ParameterError(f"WHEEL_FOLDER: {path} holds no wheels.", "Give a folder with .whl files in it.")
    return path.absolute()
