"""Set up runtime: build the environment the engine runs in."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..tool import Kind, Param, Result, Tool

if TYPE_CHECKING:
    from ..events import Reporter
    from ..jobs import Job


def _run(job: Job, reporter: Reporter) -> dict[str, Any]:
    from ..environment.building import Plan, build, require_folder
    from ..environment.folder import default_folder, python_in, recorded_extras
    from ..environment.requirements import EXTRAS, detect_hardware

    folder = Path(job["FOLDER"]).expanduser().absolute() if job["FOLDER"] else default_folder()
    # What was asked for earlier stays, so that one model after another can ask for what it needs.
    kept = recorded_extras(folder)
    extras = tuple(extra for extra in EXTRAS if job["EXTRAS"] in (extra, "ALL") or extra in kept)
    plan = Plan(
        folder=folder,
        hardware=detect_hardware() if job["HARDWARE"] == "AUTO" else job["HARDWARE"],
        wheels=require_folder(Path(job["WHEEL_FOLDER"]).expanduser()) if job["WHEEL_FOLDER"] else None,
        python=job["PYTHON"],
        rebuild=job["REINSTALL"],
        extras=extras,
    )
    beside = f" with {' and '.join(extras)}" if extras else ""
    reporter.message(f"Environment for {plan.hardware}{beside} in {folder}.")
    report = build(plan, reporter)
    reporter.message(report)
    return {"FOLDER": str(folder), "PYTHON": str(python_in(folder)), "REPORT": report}


_PARAMS = (
    Param(
        "FOLDER",
        Kind.FOLDER,
        "Folder of the environment",
        (
            "Where the environment is built. When left out, it is the folder the tools look in: inside the "
            "QGIS profile, or the user's data folder on the command line. 2 to 8 GB are needed."
        ),
        optional=True,
    ),
    Param(
        "HARDWARE",
        Kind.CHOICE,
        "Hardware",
        (
            "Which builds to install: CPU, CUDA for an NVIDIA graphics card, or AUTO, which takes CUDA "
            "where an NVIDIA driver answers."
        ),
        default="AUTO",
        choices=("AUTO", "CPU", "CUDA"),
    ),
    Param(
        "EXTRAS",
        Kind.CHOICE,
        "Models of other libraries",
        (
            "What to install beside: KERAS for Keras models (.h5, .keras), TENSORFLOW for TensorFlow graphs "
            "(frozen .pb, SavedModel), TRANSFORMERS to train RTDETR, or ALL. PyTorch and ONNX models need "
            "none. What an environment has of them already stays."
        ),
        default="NONE",
        choices=("NONE", "KERAS", "TENSORFLOW", "TRANSFORMERS", "ALL"),
    ),
    Param(
        "WHEEL_FOLDER",
        Kind.FOLDER,
        "Folder of wheels",
        (
            "For machines without a network: a folder that holds the wheels of every package (and of uv, "
            "where it is not installed). Nothing is downloaded then."
        ),
        optional=True,
    ),
    Param(
        "PYTHON",
        Kind.FILE,
        "Python interpreter",
        (
            "The Python, 3.10 to 3.14, to build the environment from. When left out, one found on this "
            "machine is taken, or one is downloaded. QGIS's own Python is not changed in any case."
        ),
        optional=True,
        advanced=True,
    ),
    Param(
        "REINSTALL",
        Kind.BOOLEAN,
        "Reinstall",
        (
            "Whether an environment that is up to date is built anew. The old one is kept until the new one "
            "works."
        ),
        default=False,
        advanced=True,
    ),
)

TOOL = Tool(
    id="setupruntime",
    command="setup-runtime",
    title="Set up runtime",
    group="Runtime",
    summary="Build the deep-learning environment that the other tools run in; needed once.",
    description=(
        "The tools that compute run outside QGIS, in an environment of their own with PyTorch, ONNX Runtime "
        "and GDAL. This tool builds it with uv, from the package index that uv or pip is set up for, or "
        "from a folder of wheels. QGIS and its Python are not changed.\n\n"
        "The environment appears when it is complete and has passed the runtime check. It can be run again "
        "at any time: an environment that is up to date is only checked, and one that is not is built "
        "anew.\n\n"
        "To use an environment of your own, set the environment variable IMAGERYDL_PYTHON to its Python "
        "instead."
    ),
    params=_PARAMS,
    results=(
        Result("PYTHON", "file", "Python of the environment"),
        Result("REPORT", "text", "Report"),
    ),
    run=_run,
    tags=(
        "install",
        "environment",
        "python",
        "pytorch",
        "dependencies",
        "uv",
        "cuda",
        "gpu",
        "keras",
        "tensorflow",
        "transformers",
    ),
    needs_runtime=False,
)
