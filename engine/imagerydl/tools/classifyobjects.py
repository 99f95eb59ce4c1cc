"""Classify Objects Using Deep Learning: a model says what each feature, or each image, shows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..errors import ParameterError
from ..events import Reporter
from ..inference.items import PROCESSING_MODES
from ..inference.objects.classification_arguments import CLASSIFICATION_ARGUMENTS, ClassificationArguments
from ..tool import Kind, Param, Result, Tool
from .imagery_inputs import IMAGE_FIELD, IN_IMAGE_FEATURES, check_one_input
from .model_inputs import DEVICE, TRUST_MODEL, model_arguments, model_definition
from .output_names import OVERWRITE, check_keeps_inputs

if TYPE_CHECKING:
    from ..jobs import Job


def check(values: Mapping[str, Any]) -> None:
    """Refuse what cannot work before anything is loaded."""
    ClassificationArguments.parse(values["MODEL_ARGUMENTS"])
    check_one_input(values, "to look at")
    field = values["CLASS_LABEL_FIELD"].strip()
    if field.lower() in ("", "fid", "geom", "confidence"):
        raise ParameterError(
            f"CLASS_LABEL_FIELD cannot be {field!r}, a field the result has already.", "Choose another name."
        )
    layers = (values[key] for key in ("IN_FEATURES", "IN_IMAGE_FEATURES") if values[key])
    check_keeps_inputs("OUT_FEATURE_CLASS", values["OUT_FEATURE_CLASS"], (*values["IN_RASTER"], *layers))


def run(job: Job, reporter: Reporter) -> dict[str, Any]:
    """Classify; see the tool's description."""
    from ..inference.objects.classification_job import run_object_classification

    return run_object_classification(job, reporter)


_PARAMS = (
    Param(
        "IN_RASTER",
        Kind.RASTERS,
        "Input raster",
        (
            "The imagery that shows the objects. Several rasters are taken as one mosaic on the grid of the "
            "first, or one by one, as the processing mode says. Images without georeference work, too."
        ),
        optional=True,
    ),
    Param(
        "OUT_FEATURE_CLASS",
        Kind.OUT_FEATURES,
        "Classified objects",
        (
            "The features with a class label and the confidence in percent: polygons as they are, points and "
            "lines as the ground that was looked at. Without features, the extent of each image; a table "
            "where no image has a georeference."
        ),
    ),
    model_definition("classifier"),
    Param(
        "IN_FEATURES",
        Kind.FEATURES,
        "Input features",
        (
            "Points, lines or polygons: each feature is an object. Left out, each image is one. Of several "
            "images without georeference a field Image tells which one a feature lies on."
        ),
        optional=True,
    ),
    Param(
        "CLASS_LABEL_FIELD",
        Kind.TEXT,
        "Class label field",
        (
            "Name of the result's field with the class name; names of several classes are joined by "
            "semicolons. A field of that name in the input is replaced."
        ),
        default="ClassLabel",
    ),
    Param(
        "PROCESSING_MODE",
        Kind.CHOICE,
        "Processing mode",
        "Whether several rasters, or the images of a mosaic, are one image or are looked at one by one.",
        default=PROCESSING_MODES[0],
        choices=PROCESSING_MODES,
    ),
    model_arguments("MODEL_ARGUMENTS", "Model arguments", "padding 0;batch_size 4", CLASSIFICATION_ARGUMENTS),
    Param(
        "IN_FOLDER",
        Kind.FOLDER,
        "Folder of images",
        "In place of input rasters: a folder, searched with the folders inside it, or a pattern like "
        "/photos/*/*.jpg.",
        optional=True,
        pattern=True,
    ),
    IN_IMAGE_FEATURES,
    IMAGE_FIELD,
    Param(
        "EXTENT",
        Kind.EXTENT,
        "Extent",
        "The part of the imagery to use, in any coordinate reference system; left out, all of it.",
        optional=True,
    ),
    Param(
        "CELL_SIZE",
        Kind.NUMBER,
        "Cell size",
        (
            "Size of the pixels the model sees, in units of the raster's coordinate reference system; left "
            "out or 0, the raster's own."
        ),
        optional=True,
        minimum=0,
        advanced=True,
    ),
    DEVICE,
    TRUST_MODEL,
    OVERWRITE,
)

TOOL = Tool(
    id="classifyobjects",
    command="classify-objects",
    title="Classify Objects Using Deep Learning",
    group="Inference",
    summary="Gives each feature, or each image, a class with a trained model.",
    description=(
        "Cuts a chip around each feature as the model definition says, and writes the features with the "
        "class that the model sees in it. CropSizeFixed 1 means chips of one size with the object in the "
        "middle, 0 the object's bounding box; BlackenAroundFeature 1 makes everything outside a polygon "
        "black.\n\n"
        "Features are looked at in the order in which they lie on the imagery, so that each part of it is "
        "read once, and come out in their own order. Those that lie outside, or have no geometry, keep their "
        "row, get no class, and are listed."
    ),
    params=_PARAMS,
    results=(Result("CLASSIFIED", "number", "Number of objects classified"),),
    run=run,
    check=check,
    tags=("classification", "inference", "features", "label", "onnx", "damage"),
)
