"""Check runtime: prove what really runs in the environment, and on which device."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..tool import Kind, Param, Result, Tool

if TYPE_CHECKING:
    from ..events import Reporter
    from ..jobs import Job


def _run(job: Job, reporter: Reporter) -> dict[str, Any]:
    from .. import outputs
    from ..environment.proof import Proof
    from ..errors import RuntimeMissingError
    from ..models.runtimes.devices import choose_device

    proof = Proof(choose_device(job["DEVICE"]), reporter)
    proof.run()
    if job["OUT_REPORT"]:
        # A report is made to be made again: the newest replaces the one before.
        with outputs.staged(job["OUT_REPORT"], overwrite=True) as path:
            Path(path).write_text(proof.text + "\n", encoding="utf-8")
    if proof.failures:
        raise RuntimeMissingError(
            f"The deep-learning environment does not work ({', '.join(proof.failures)}).\n{proof.text}\n",
            'Run the tool "Set up runtime" (imagerydl:setupruntime) with REINSTALL.',
        )
    reporter.message(proof.text)
    return {"REPORT": proof.text, "DEVICE_USED": proof.device, "OUT_REPORT": job["OUT_REPORT"]}


_PARAMS = (
    Param(
        "DEVICE",
        Kind.TEXT,
        "Device",
        "What to check: AUTO (a CUDA device where there is one), CPU, CUDA, or CUDA:0, CUDA:1...",
        default="AUTO",
    ),
    Param(
        "OUT_REPORT",
        Kind.OUT_FILE,
        "Report file",
        "Text file for the report. It may be left out.",
        optional=True,
        extension="txt",
    ),
)

TOOL = Tool(
    id="checkruntime",
    command="check-runtime",
    title="Check runtime",
    group="Runtime",
    summary="Prove what really runs in the deep-learning environment, and on which device.",
    description=(
        "Multiplies matrices, runs a small ONNX network and transforms coordinates, compares the results "
        "with known ones, and reports versions, devices and speed. The report is text to paste where you "
        "ask for help; your home folder is left out of it."
    ),
    params=_PARAMS,
    results=(
        Result("REPORT", "text", "Report"),
        Result("DEVICE_USED", "text", "Device used"),
    ),
    run=_run,
    tags=("environment", "gpu", "cuda", "device", "version", "report", "diagnosis"),
)
