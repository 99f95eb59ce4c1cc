"""Compute Accuracy for Object Detection: detections against ground truth."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..tool import Kind, Param, Result, Tool
from .output_names import OVERWRITE, check_extensions

if TYPE_CHECKING:
    from ..events import Reporter
    from ..jobs import Job

_EXTENSIONS = {"OUT_ACCURACY_REPORT": ("pdf", "html")}


def check(values: Mapping[str, Any]) -> None:
    """The extension of a file says its format."""
    check_extensions(values, _EXTENSIONS)


def run(job: Job, reporter: Reporter) -> dict[str, Any]:
    """Compare; see the tool's description."""
    from ..assessment.object_accuracy import run_object_accuracy

    return run_object_accuracy(job, reporter)


_CLASS_FIELD = (
    " When left out, a field called 'Classvalue', 'Value', 'class_value' or 'Class' is used; without one "
    "all objects are one class."
)

_IMAGE_FIELD = (
    " When left out, a layer without coordinate system, whose coordinates are pixels, is told apart by a "
    "field called 'Image' or 'path'."
)

_PARAMS = (
    Param(
        "DETECTED_FEATURES",
        Kind.FEATURES,
        "Detected features",
        "The polygons a model found. A layer without features counts: everything was missed.",
        geometry=("polygon",),
    ),
    Param(
        "GROUND_TRUTH_FEATURES",
        Kind.FEATURES,
        "Ground truth features",
        (
            "The true objects, as polygons; they may be in another coordinate system. For images without "
            "georeference also the table of boxes or polygons in pixels that Export Training Data takes."
        ),
    ),
    Param(
        "OUT_ACCURACY_TABLE",
        Kind.OUT_TABLE,
        "Accuracy table",
        (
            "One row for each class and one for all: precision, recall, F1, average precision, COCO mAP and "
            "the counts. Its extension says the format: .csv (with the types of its columns in a .csvt "
            "beside it), .gpkg or .dbf (with shorter names of columns)."
        ),
    ),
    Param(
        "OUT_ACCURACY_REPORT",
        Kind.OUT_FILE,
        "Accuracy report",
        "The table with curves and explanations, as .pdf or .html.",
        optional=True,
        extension="pdf html",
    ),
    Param(
        "DETECTED_CLASS_VALUE_FIELD",
        Kind.FIELD,
        "Detected class value field",
        "Field with the class of each detection: numbers or names." + _CLASS_FIELD,
        optional=True,
        parent="DETECTED_FEATURES",
    ),
    Param(
        "GROUND_TRUTH_CLASS_VALUE_FIELD",
        Kind.FIELD,
        "Ground truth class value field",
        "Field with the class of each true object; it must hold the same values." + _CLASS_FIELD,
        optional=True,
        parent="GROUND_TRUTH_FEATURES",
    ),
    Param(
        "MIN_IOU",
        Kind.NUMBER,
        "Minimum intersection over union",
        "Overlap with a true object from which a detection counts as right, 0 to 1.",
        default=0.5,
        minimum=0,
        maximum=1,
    ),
    Param(
        "MASK_FEATURES",
        Kind.FEATURES,
        "Mask features",
        (
            "Polygons of the area to judge: detections and true objects that do not lie completely inside "
            "are left out."
        ),
        optional=True,
        geometry=("polygon",),
    ),
    Param(
        "CONFIDENCE_SCORE_FIELD",
        Kind.FIELD,
        "Confidence score field",
        (
            "Field with the confidence of each detection. When left out, a field called 'Confidence', "
            "'conf', 'score' or 'probability' is used; without one, detections are matched by their overlap, "
            "and average precision comes from a single point."
        ),
        optional=True,
        parent="DETECTED_FEATURES",
    ),
    Param(
        "OUT_MARKED_FEATURES",
        Kind.OUT_FEATURES,
        "Marked features",
        "A layer with every true positive (TP), false positive (FP) and missed object (FN).",
        optional=True,
        offered=True,
    ),
    Param(
        "DETECTED_IMAGE_FIELD",
        Kind.FIELD,
        "Detected image field",
        "Field that names the image of each detection: objects of different images are never compared."
        + _IMAGE_FIELD,
        optional=True,
        parent="DETECTED_FEATURES",
        advanced=True,
    ),
    Param(
        "GROUND_TRUTH_IMAGE_FIELD",
        Kind.FIELD,
        "Ground truth image field",
        (
            "Field that names the image of each true object. File names suffice, and their extension may be "
            "another." + _IMAGE_FIELD
        ),
        optional=True,
        parent="GROUND_TRUTH_FEATURES",
        advanced=True,
    ),
    OVERWRITE,
)

TOOL = Tool(
    id="computeaccuracyobjectdetection",
    command="compute-accuracy-object-detection",
    title="Compute Accuracy for Object Detection",
    group="Accuracy",
    summary="Compares detected objects with true ones: precision, recall, F1, average precision.",
    description=(
        "From the surest detection on, each takes the true object of its class that it overlaps most, if "
        "that is not taken yet and the overlap (intersection over union of the polygons) is large enough: "
        "this is how COCO and ArcGIS match. What takes an object is a true positive, what does not "
        "is a false positive, and an object nobody takes is a false negative.\n\n"
        "Average precision is the area under the precision-recall curve at the chosen overlap, read at 101 "
        "recalls. COCO mAP is its mean over the overlaps 0.50, 0.55 to 0.95, equal to what pycocotools "
        "gives; the number of detections is not limited. For all classes the counts are summed and average "
        "precision is the mean over the classes that have true objects. Without confidences the curve is "
        "one point: the precision up to the recall of all detections.\n\n"
        "Classes match where their values are the same; the number 1 and the text 1 are. Where no value "
        "is in both layers the run ends and lists them. The true objects are brought to the coordinate "
        "system of the detections. Invalid polygons are repaired, unusable ones are left out and counted.\n\n"
        "Objects of many images without georeference, in pixels of their image, are judged image by image."
    ),
    params=_PARAMS,
    results=(
        Result("PRECISION", "number", "Precision over all classes"),
        Result("RECALL", "number", "Recall over all classes"),
        Result("F1_SCORE", "number", "F1 over all classes"),
        Result("AVERAGE_PRECISION", "number", "Mean average precision at the chosen overlap"),
        Result("COCO_MAP", "number", "COCO mean average precision"),
        Result("TRUE_POSITIVES", "number", "Number of true positives"),
        Result("FALSE_POSITIVES", "number", "Number of false positives"),
        Result("FALSE_NEGATIVES", "number", "Number of false negatives"),
    ),
    run=run,
    check=check,
    tags=("evaluation", "precision", "recall", "average precision", "map", "coco", "f1", "iou"),
)
