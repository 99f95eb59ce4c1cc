"""Describe Model: what a model is, what it takes, and what keeps it from running here."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..tool import Kind, Param, Result, Tool

if TYPE_CHECKING:
    from ..events import Reporter
    from ..jobs import Job


def run(job: Job, reporter: Reporter) -> dict[str, Any]:
    """Describe; see the tool's description."""
    from .. import outputs
    from ..models.describing import describe_model

    description = describe_model(job["IN_MODEL_DEFINITION"], job["TRUST_MODEL"])
    reporter.message(description.card.to_text())
    if job["OUT_CARD"]:
        # A card is made to be made again: the newest replaces the one before.
        with outputs.staged(job["OUT_CARD"], overwrite=True) as path:
            Path(path).write_text(description.card.to_html(), encoding="utf-8")
    return {**description.to_results(), "OUT_CARD": job["OUT_CARD"]}


_PARAMS = (
    Param(
        "IN_MODEL_DEFINITION",
        Kind.FILE,
        "Model definition",
        "The model: an .emd file, a .dlpk package, the definition's JSON text, or an ONNX model (.onnx).",
        extension="emd dlpk onnx",
    ),
    Param(
        "TRUST_MODEL",
        Kind.BOOLEAN,
        "Trust the model's code",
        (
            "Agree to run code that comes with the model (a Python raster function, a pickle), which can do "
            "anything that you can. The choice is remembered for these very files. Arguments that such code "
            "declares are known only once it may run."
        ),
        default=False,
    ),
    Param(
        "OUT_CARD",
        Kind.OUT_FILE,
        "Model card",
        "The card as a page (.html). It may be left out.",
        optional=True,
        extension="html",
    ),
)

TOOL = Tool(
    id="describemodel",
    command="describe-model",
    title="Describe Model",
    group="Models",
    summary="Tells what a model is, what it takes, and what keeps it from running here.",
    description=(
        "Reads a model definition, a package or an ONNX file and shows it as a card: task, framework, bands, "
        "tile size, normalisation, classes, and the arguments that the model itself declares. What keeps the "
        "model from running here is listed with the fix: a key that is missing or wrong, a file that is not "
        "there, a library that is not installed.\n\n"
        "Code that comes with a model is named, and runs only if you agree."
    ),
    params=_PARAMS,
    results=(
        Result("CARD", "text", "Model card as text"),
        Result("ARGUMENTS", "text", "Arguments the model declares, as JSON"),
        Result("FOREIGN_CODE", "text", "Code that comes with the model, as JSON; empty without"),
        Result("TILE_SIZE", "text", "Height and width of a tile in pixels"),
        Result("PROBLEMS", "text", "What keeps the model from running here, as a JSON list"),
    ),
    run=run,
    tags=("model card", "definition", "package", "emd", "dlpk", "onnx", "inspect", "trust"),
)
