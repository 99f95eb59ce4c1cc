"""Compute Accuracy for Pixel Classification: a class raster against reference data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..tool import Kind, Param, Result, Tool
from .output_names import OVERWRITE, check_extensions

if TYPE_CHECKING:
    from ..events import Reporter
    from ..jobs import Job

_EXTENSIONS = {"OUT_ACCURACY_REPORT": ("pdf", "html"), "OUT_ERROR_MAP": ("tif", "tiff")}

#: The first one is ours, the others are those of ArcGIS.
_SAMPLINGS = ("ALL_PIXELS", "STRATIFIED_RANDOM", "EQUALIZED_STRATIFIED_RANDOM", "RANDOM")


def check(values: Mapping[str, Any]) -> None:
    """The extension of a file says its format."""
    check_extensions(values, _EXTENSIONS)


def run(job: Job, reporter: Reporter) -> dict[str, Any]:
    """Compare; see the tool's description."""
    from ..assessment.pixel_accuracy import run_pixel_accuracy

    return run_pixel_accuracy(job, reporter)


_PARAMS = (
    Param("IN_RASTER", Kind.RASTER, "Input raster", "The class raster to judge: one band of class values."),
    Param(
        "IN_GROUND_TRUTH_DATA",
        Kind.LAYER,
        "Ground truth data",
        (
            "What the classes truly are: a class raster, polygons or points, in any coordinate system. Use "
            "none that the model was trained on."
        ),
        geometry=("point", "polygon"),
    ),
    Param(
        "OUT_CONFUSION_MATRIX",
        Kind.OUT_TABLE,
        "Confusion matrix",
        (
            "The table: a row for each classified value, a column (c_1, c_2 ...) for each reference value, "
            "user's and producer's accuracy, kappa, IoU and F1. Its extension says the format: .csv (with "
            "the types of its columns in a .csvt beside it), .gpkg or .dbf."
        ),
    ),
    Param(
        "GROUND_TRUTH_CLASS_VALUE_FIELD",
        Kind.FIELD,
        "Ground truth class value field",
        (
            "Field of polygons or points with the class: class values, or names from the attribute table of "
            "the class raster. When left out, a field called 'Classvalue', 'Value', 'class_value' or 'Class' "
            "is used."
        ),
        optional=True,
        parent="IN_GROUND_TRUTH_DATA",
    ),
    Param(
        "SAMPLING",
        Kind.CHOICE,
        "Sampling strategy",
        (
            "Which pixels are compared: all that are known in both; a random sample with as large a share of "
            "each mapped class as it has of the area (at least two pixels); a random sample with as many "
            "pixels of each mapped class; or a random sample without regard to classes. Points are a sample "
            "already: all are compared."
        ),
        default="ALL_PIXELS",
        choices=_SAMPLINGS,
    ),
    Param(
        "NUM_RANDOM_POINTS",
        Kind.INTEGER,
        "Number of random points",
        "Size of the sample. A few more may be drawn, so that every class is in it.",
        default=500,
        minimum=1,
        maximum=1_000_000,
        only_with=(("SAMPLING", _SAMPLINGS[1:]),),
    ),
    Param(
        "IGNORE_CLASS_VALUES",
        Kind.TEXT,
        "Class values to ignore",
        (
            "Values that mean no class, such as 0 for unlabelled pixels, separated by semicolons: pixels "
            "that have one in the class raster or in the ground truth are not compared."
        ),
        optional=True,
    ),
    Param(
        "OUT_ACCURACY_REPORT",
        Kind.OUT_FILE,
        "Accuracy report",
        "The tables with figures and explanations, as .pdf or .html.",
        optional=True,
        extension="pdf html",
    ),
    Param(
        "OUT_AREA_ESTIMATES",
        Kind.OUT_TABLE,
        "Area estimates",
        (
            "A table (.csv, .gpkg or .dbf) with the area of each class, adjusted for the map's mistakes, "
            "and accuracies adjusted for the areas; columns that end in CI95 hold half the width of the 95 % "
            "confidence interval."
        ),
        optional=True,
    ),
    Param(
        "OUT_ERROR_MAP",
        Kind.OUT_RASTER,
        "Error map",
        (
            "A GeoTIFF (.tif): 1 where the class is right, further values for each kind of mistake (named in "
            "its attribute table), 0 where nothing was compared. Not with points."
        ),
        optional=True,
    ),
    Param(
        "OUT_SAMPLE_POINTS",
        Kind.OUT_FEATURES,
        "Sample points",
        "A point layer of the pixels compared, with both classes. Needs a sample or points.",
        optional=True,
    ),
    Param(
        "SEED",
        Kind.INTEGER,
        "Random seed",
        "The same seed draws the same sample.",
        default=1,
        minimum=0,
        advanced=True,
    ),
    OVERWRITE,
)

TOOL = Tool(
    id="computeaccuracypixelclassification",
    command="compute-accuracy-pixel-classification",
    title="Compute Accuracy for Pixel Classification",
    group="Accuracy",
    summary="Compares a class raster with reference data: confusion matrix, accuracies, areas.",
    description=(
        "Counts how often each classified value meets each reference value and gives user's accuracy "
        "(precision), producer's accuracy (recall), F1 and intersection over union of each class, overall "
        "accuracy and Cohen's kappa. Pixels without data in either are left out.\n\n"
        "The reference may be a raster, polygons or points, of any coordinate system and cell size: it is "
        "seen at the centres of the class raster's pixels. Memory does not grow with the size of the "
        "rasters.\n\n"
        "From the compared pixels the areas of the classes on the ground are estimated, adjusted for the "
        "mistakes of the map, with 95 % confidence intervals (the stratified estimator of Olofsson and "
        "others, Remote Sensing of Environment 148, 2014). Intervals hold where pixels or points were drawn "
        "at random. Areas are in hectares where the coordinate system is projected, else in pixels."
    ),
    params=_PARAMS,
    results=(
        Result("ACCURACY", "number", "Overall accuracy"),
        Result("KAPPA", "number", "Cohen's kappa"),
        Result("MEAN_IOU", "number", "Mean intersection over union"),
        Result("MEAN_F1", "number", "Mean F1"),
        Result("AREA_ADJUSTED_ACCURACY", "number", "Overall accuracy adjusted for areas"),
        Result("COMPARED_PIXELS", "number", "Number of pixels or points compared"),
    ),
    run=run,
    check=check,
    tags=("evaluation", "confusion matrix", "kappa", "iou", "land cover", "area estimation", "validation"),
)
