"""A Detect Change job from its values to the published results."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..events import Reporter
from .decision import CONFIDENCE
from .finishing import ResultFiles
from .items import Item
from .pixel_classifier import PixelClassifier
from .pixel_job import ensure_outputs_free
from .subject import TwoDates

if TYPE_CHECKING:
    from ..jobs import Job

_OUTPUT_KEYS = ("OUT_CLASSIFIED_RASTER", "OUT_CONFIDENCE_RASTER", "OUT_CLASS_AREAS", "OUT_POLYGONS")


def run_change_detection(job: Job, reporter: Reporter) -> dict[str, Any]:
    """Run a job of the tool Detect Change; returns its outputs and results."""
    ensure_outputs_free(job, _OUTPUT_KEYS)
    paths = {key: Path(job[key]) for key in _OUTPUT_KEYS if job[key]}
    confidence = paths.get("OUT_CONFIDENCE_RASTER")
    files = ResultFiles(
        paths["OUT_CLASSIFIED_RASTER"],
        {CONFIDENCE: confidence} if confidence else {},
        paths.get("OUT_CLASS_AREAS"),
        paths.get("OUT_POLYGONS"),
    )
    item = Item((job["FROM_RASTER"], job["TO_RASTER"]), paths["OUT_CLASSIFIED_RASTER"].stem)
    classifier = PixelClassifier(job, reporter, TwoDates())
    try:
        result = classifier.classify(item, files, job["OVERWRITE"])
    finally:
        classifier.close()
    return {**{key: job[key] for key in paths}, "VALID_PIXELS": result.tally.valid_pixels}
