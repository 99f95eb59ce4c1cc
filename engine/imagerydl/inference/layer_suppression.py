"""A Non Maximum Suppression job: a layer of overlapping detections becomes one without."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import outputs
from ..errors import DataError
from ..events import Reporter
from ..imagery.layer_style import copy_layer_style
from ..labels.confidence import confidences
from ..labels.fields import OBJECT_CLASS_FIELDS, choose_field, distinct_cells
from ..labels.image_space import image_field, laid_apart
from ..labels.source import split_layer_name
from ..labels.whole_features import WholeFeatures
from .suppression import suppress

if TYPE_CHECKING:
    from ..jobs import Job

LAYER = "detections"


def run_suppression(job: Job, reporter: Reporter) -> dict[str, Any]:
    """Run a job of the tool Non Maximum Suppression; returns its outputs and results."""
    target = job["OUT_FEATURECLASS"]
    outputs.ensure_free(target, job["OVERWRITE"])
    reporter.progress("Reading", 0, 1)
    layer = WholeFeatures(job["IN_FEATURECLASS"], "layer of detections")
    if not len(layer):
        raise DataError(f"{layer.name} is empty.", "Choose a layer with detections.")
    for note in layer.notes:
        reporter.warning(note)
    scores, classes = _scores(layer, job), _classes(layer, job, reporter)
    (geometries,) = laid_apart((layer.geometries, _images(layer, job, reporter)))
    sure = np.flatnonzero(np.isfinite(scores))
    if len(sure) < len(scores):
        reporter.warning(
            f"{len(scores) - len(sure)} features of {layer.name} without a confidence were left out."
        )
    if not len(sure):
        raise DataError(
            f"No feature of {layer.name} has a confidence.",
            "Name another field in CONFIDENCE_SCORE_FIELD.",
        )
    reporter.progress("Suppressing", 0, 1, span=(0.3, 0.7))
    keep = np.zeros(len(scores), dtype=bool)
    keep[sure] = suppress(
        geometries[sure],
        scores[sure],
        classes[sure],
        job["MAX_OVERLAP_RATIO"],
        reporter.check_cancelled,
    )
    kept = int(keep.sum())
    removed = len(sure) - kept
    reporter.progress("Writing", 0, 1, span=(0.7, 1.0))
    with outputs.staged(target, job["OVERWRITE"]) as path:
        layer.write(path, keep, LAYER, reporter.warning)
        source, source_layer = split_layer_name(job["IN_FEATURECLASS"])
        copy_layer_style(Path(source), source_layer, Path(path), LAYER)
    reporter.message(f"{kept} of {len(sure)} features stay, {removed} were removed.")
    return {"OUT_FEATURECLASS": target, "FEATURE_COUNT": kept, "REMOVED_COUNT": removed}


def _scores(layer: WholeFeatures, job: Job) -> np.ndarray:
    field = choose_field(
        layer.fields, job["CONFIDENCE_SCORE_FIELD"], layer.name, key="CONFIDENCE_SCORE_FIELD"
    )
    return confidences(layer.column(field), field, layer.name)


def _classes(layer: WholeFeatures, job: Job, reporter: Reporter) -> np.ndarray:
    """A number for the class of each feature; an empty cell is a class of its own."""
    field = choose_field(layer.fields, job["CLASS_VALUE_FIELD"], layer.name, OBJECT_CLASS_FIELDS)
    if not field:
        reporter.message(f"{layer.name} has no field of classes: all features are one class.")
        return np.zeros(len(layer), dtype=np.intp)
    _, numbers = distinct_cells(layer.column(field), f"field {field!r} of {layer.name}")
    return numbers


def _images(layer: WholeFeatures, job: Job, reporter: Reporter) -> np.ndarray:
    """A number for the image of each feature; 0 for all where images are not told apart."""
    placed = layer.crs is not None
    field = image_field(layer.fields, job["IMAGE_FIELD"], placed, layer.name, "IMAGE_FIELD")
    if not field:
        return np.zeros(len(layer), dtype=np.intp)
    names, numbers = distinct_cells(layer.column(field), f"field {field!r} of {layer.name}")
    if len(names) > 1:
        reporter.message(
            f"{layer.name} has features of {len(names)} images ({field}), each judged by itself."
        )
    return numbers
