"""Detect Objects Using Deep Learning: a model and imagery give a layer of objects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..errors import ParameterError
from ..events import Reporter
from ..inference.items import CANDIDATES, PROCESSING_MODES
from ..inference.objects.arguments import DETECTION_ARGUMENTS, DetectionArguments
from ..tool import Kind, Param, Result, Tool
from .imagery_inputs import IMAGE_FIELD, IN_IMAGE_FEATURES, check_one_input
from .model_inputs import DEVICE, TRUST_MODEL, model_arguments, model_definition
from .output_names import OVERWRITE, check_keeps_inputs

if TYPE_CHECKING:
    from ..jobs import Job

#: Fields of the result whose names are fixed, in lower case; fid and geom are the file's own.
_TAKEN = ("classname", "image", "model", "fid", "geom")


def check(values: Mapping[str, Any]) -> None:
    """Refuse what cannot work before anything is loaded."""
    DetectionArguments.parse(values["MODEL_ARGUMENTS"])
    source = check_one_input(values, "to look at")
    if values["PROCESSING_MODE"] == CANDIDATES and source != "IN_IMAGE_FEATURES":
        raise ParameterError(
            f"{CANDIDATES} goes with IN_IMAGE_FEATURES only, whose field Candidate tells the images.",
            f"Use {' or '.join(PROCESSING_MODES)}.",
        )
    keys = ("CLASS_VALUE_FIELD", "CONFIDENCE_SCORE_FIELD")
    names = [values[key].strip().lower() for key in keys]
    for key, name in zip(keys, names):
        if name in _TAKEN or not name:
            raise ParameterError(
                f"{key} cannot be {values[key]!r}, a field the result has already.", "Choose another name."
            )
    if names[0] == names[1]:
        raise ParameterError(f"{' and '.join(keys)} are both {values[keys[0]]!r}.", "Give two names.")
    layers = (values[key] for key in ("IN_IMAGE_FEATURES", "IN_POLYGONS_OF_INTEREST") if values[key])
    check_keeps_inputs(
        "OUT_DETECTED_OBJECTS", values["OUT_DETECTED_OBJECTS"], (*values["IN_RASTER"], *layers)
    )


def run(job: Job, reporter: Reporter) -> dict[str, Any]:
    """Detect; see the tool's description."""
    from ..inference.objects.detection_job import run_detection

    return run_detection(job, reporter)


_PARAMS = (
    Param(
        "IN_RASTER",
        Kind.RASTERS,
        "Input raster",
        (
            "The imagery to look at. Several rasters are taken as one mosaic on the grid of the first, or "
            "one by one, as the processing mode says. Images without georeference work, too."
        ),
        optional=True,
    ),
    Param(
        "OUT_DETECTED_OBJECTS",
        Kind.OUT_FEATURES,
        "Detected objects",
        (
            "Polygons with class value, class name, confidence (0 to 100), image and model: outlines where "
            "the model gives them, bounding boxes otherwise. A GeoPackage carries a style with the model's "
            "colours."
        ),
    ),
    model_definition("detector"),
    model_arguments("MODEL_ARGUMENTS", "Model arguments", "padding 100;threshold 0.6", DETECTION_ARGUMENTS),
    Param(
        "RUN_NMS",
        Kind.BOOLEAN,
        "Non maximum suppression",
        (
            "Whether of objects that overlap too much the surest one stays, among all of a raster: first "
            "those of a class, then across classes."
        ),
        default=False,
        words=("NMS", "NO_NMS"),
    ),
    Param(
        "CONFIDENCE_SCORE_FIELD",
        Kind.TEXT,
        "Confidence score field",
        "Name of the result's field with the confidence, 0 to 100.",
        default="Confidence",
        advanced=True,
    ),
    Param(
        "CLASS_VALUE_FIELD",
        Kind.TEXT,
        "Class value field",
        "Name of the result's field with the class value; the class name is in ClassName.",
        default="Class",
        advanced=True,
    ),
    Param(
        "MAX_OVERLAP_RATIO",
        Kind.NUMBER,
        "Max overlap ratio",
        (
            "Intersection over union above which two objects are the same. 0 removes whatever overlaps a "
            "surer object."
        ),
        default=0.0,
        minimum=0,
        maximum=1,
        only_with=(("RUN_NMS", (True,)),),
    ),
    Param(
        "PROCESSING_MODE",
        Kind.CHOICE,
        "Processing mode",
        (
            "Whether several rasters, or the images of a mosaic, are looked at as one image or one by one. "
            "With features that carry images, only those whose field Candidate is 1 or 2 may be processed."
        ),
        default=PROCESSING_MODES[0],
        choices=(*PROCESSING_MODES, CANDIDATES),
        advanced=True,
    ),
    Param(
        "USE_PIXELSPACE",
        Kind.BOOLEAN,
        "Use pixel space",
        (
            "Whether objects get image coordinates although the image has a georeference: x is the column, "
            "y minus the row. Images without georeference have nothing else."
        ),
        default=False,
        words=("PIXELSPACE", "NO_PIXELSPACE"),
        advanced=True,
    ),
    Param(
        "IN_OBJECTS_OF_INTEREST",
        Kind.TEXT,
        "Objects of interest",
        "Names of the classes to report, separated by semicolons; left out, all of them.",
        optional=True,
    ),
    Param(
        "IN_FOLDER",
        Kind.FOLDER,
        "Folder of images",
        (
            "In place of input rasters: a folder of images, or a pattern such as /photos/*/dji*.jpg. Each "
            "image is looked at by itself."
        ),
        optional=True,
        pattern=True,
    ),
    IN_IMAGE_FEATURES,
    IMAGE_FIELD,
    Param(
        "IN_POLYGONS_OF_INTEREST",
        Kind.FEATURES,
        "Polygons of interest",
        "Only objects with their centre in these polygons; tiles that touch no polygon are not run.",
        optional=True,
        geometry=("polygon",),
    ),
    Param(
        "EXTENT",
        Kind.EXTENT,
        "Extent",
        "The part to look at, in any coordinate reference system; left out, the whole raster.",
        optional=True,
    ),
    Param(
        "CELL_SIZE",
        Kind.NUMBER,
        "Cell size",
        (
            "Size of the pixels the model sees, in units of the raster's coordinate reference system (of "
            "its pixels where it has none); left out or 0, the raster's own."
        ),
        optional=True,
        minimum=0,
        advanced=True,
    ),
    Param(
        "MATCH_CELL_SIZE",
        Kind.BOOLEAN,
        "Match the model's cell size",
        (
            "Whether a raster that is much finer (1.5 times) than the imagery the model was trained on is "
            "brought to that cell size, where the model states one and no cell size is given."
        ),
        default=True,
        advanced=True,
    ),
    DEVICE,
    TRUST_MODEL,
    OVERWRITE,
)

TOOL = Tool(
    id="detectobjects",
    command="detect-objects",
    title="Detect Objects Using Deep Learning",
    group="Inference",
    summary="Finds the objects in imagery with a trained detector.",
    description=(
        "Runs a trained object detector over rasters of any size, or over photos without georeference, and "
        "writes the objects as polygons, coloured by class and labelled with their confidence.\n\n"
        "Tiles overlap by the padding. An object that several tiles see comes once: from the tile that its "
        "centre belongs to. One that is larger than what tiles share is put together from its parts. What "
        "comes out does not depend on the order of the tiles, and memory does not grow with the size of the "
        "raster or the number of objects.\n\n"
        "Detectors are packages trained here or by arcgis.learn, Python raster functions with vectorize, and "
        "ONNX models of the usual kinds: YOLO v5 to v11 with boxes, turned boxes or masks, YOLOX, DETR, and "
        "exports of torchvision; TorchScript and exported PyTorch programs, weights of torchvision's "
        "detectors, and TensorFlow graphs of the Object Detection API."
    ),
    params=_PARAMS,
    results=(Result("OBJECTS", "number", "Number of objects found"),),
    run=run,
    check=check,
    tags=("detection", "inference", "yolo", "instance segmentation", "bounding boxes", "onnx", "count"),
)
