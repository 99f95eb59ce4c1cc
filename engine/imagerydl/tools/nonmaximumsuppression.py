"""Non Maximum Suppression: of detections that overlap the surest stays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..tool import Kind, Param, Result, Tool

if TYPE_CHECKING:
    from ..events import Reporter
    from ..jobs import Job


def run(job: Job, reporter: Reporter) -> dict[str, Any]:
    """Suppress; see the tool's description."""
    from ..inference.layer_suppression import run_suppression

    return run_suppression(job, reporter)


_PARAMS = (
    Param(
        "IN_FEATURECLASS",
        Kind.FEATURES,
        "Input features",
        (
            "The layer of detections: boxes or any polygons. Features without a polygon, and those without "
            "a confidence, are left out and counted."
        ),
        geometry=("polygon",),
    ),
    Param(
        "CONFIDENCE_SCORE_FIELD",
        Kind.FIELD,
        "Confidence score field",
        "Field with the confidence of each detection: numbers of any range; the higher, the surer.",
        default="Confidence",
        parent="IN_FEATURECLASS",
    ),
    Param(
        "OUT_FEATURECLASS",
        Kind.OUT_FEATURES,
        "Output features",
        (
            "The detections that stay, with all their attributes and in the same coordinate system; from "
            "GeoPackage to GeoPackage with their style, too."
        ),
    ),
    Param(
        "CLASS_VALUE_FIELD",
        Kind.FIELD,
        "Class value field",
        (
            "Field with the class of each detection. When left out, a field called 'Classvalue', 'Value', "
            "'class_value' or 'Class' is used; without one all detections are one class."
        ),
        optional=True,
        parent="IN_FEATURECLASS",
    ),
    Param(
        "MAX_OVERLAP_RATIO",
        Kind.NUMBER,
        "Max overlap ratio",
        (
            "Largest overlap two detections may have, 0 to 1: the area they share divided by the area they "
            "cover together. Of two that share more, the less sure one is removed. With 0 no two may "
            "share any area; they may touch."
        ),
        default=0.0,
        minimum=0,
        maximum=1,
    ),
    Param(
        "IMAGE_FIELD",
        Kind.FIELD,
        "Image field",
        (
            "Field that names the image of each detection: those of different images are never compared. "
            "When left out, a layer without coordinate system, whose coordinates are pixels, is told apart "
            "by a field called 'Image' or 'path'; on the map an object seen in two images is the same one."
        ),
        optional=True,
        parent="IN_FEATURECLASS",
        advanced=True,
    ),
    Param(
        "OVERWRITE",
        Kind.BOOLEAN,
        "Overwrite existing output",
        "Replace the file that exists under the output name, once the new one is complete.",
        default=False,
        advanced=True,
    ),
)

TOOL = Tool(
    id="nonmaximumsuppression",
    command="non-maximum-suppression",
    title="Non Maximum Suppression",
    group="Inference",
    summary="Removes duplicate detections: of those that overlap the surest one stays.",
    description=(
        "From the surest detection to the least sure, each one removes all less sure ones that overlap it "
        "by more than the ratio: first among the detections of each class, then among what is left "
        "of all classes. Overlap is intersection over union of the polygons themselves, not of their "
        "bounding boxes.\n\n"
        "The result is the same in every run. Of two detections with the same confidence the larger one "
        "counts as the surer; of two of the same size the one further west, then the one further "
        "south, then the one that comes first in the layer.\n\n"
        "Invalid polygons are repaired for comparing and written as they are. Any polygon layer will do: "
        "GeoPackage, Shapefile, GeoJSON and other formats. A million detections take a few seconds."
    ),
    params=_PARAMS,
    results=(
        Result("FEATURE_COUNT", "number", "Number of features that stay"),
        Result("REMOVED_COUNT", "number", "Number of features removed"),
    ),
    run=run,
    tags=("nms", "duplicates", "overlap", "detections", "boxes", "intersection over union"),
)
