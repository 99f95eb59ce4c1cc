"""Classify Pixels Using Deep Learning: a model and a raster give a class raster."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..errors import ParameterError
from ..events import Reporter
from ..inference.arguments import PIXEL_ARGUMENTS, PixelArguments
from ..inference.items import PROCESSING_MODES, SEPARATELY, gives_many
from ..tool import Kind, Param, Result, Tool
from .imagery_inputs import IMAGE_FIELD, IN_IMAGE_FEATURES, check_one_input
from .model_inputs import DEVICE, TRUST_MODEL, model_arguments, model_definition
from .output_names import OVERWRITE, check_results

if TYPE_CHECKING:
    from ..jobs import Job

_RASTER_KEYS = (
    "OUT_CLASSIFIED_RASTER",
    "OUT_CONFIDENCE_RASTER",
    "OUT_MARGIN_RASTER",
    "OUT_ENTROPY_RASTER",
    "OUT_PROBABILITY_RASTER",
)
_OTHER_KEYS = ("OUT_FEATURECLASS", "OUT_CLASS_AREAS", "OUT_POLYGONS")


def check(values: Mapping[str, Any]) -> None:
    """Refuse what cannot work before anything is loaded."""
    PixelArguments.parse(values["ARGUMENTS"])
    _check_wanted(values, check_one_input(values, "to classify"))
    suffixes = (".tif", ".tiff", ".vrt") if gives_many(values) else (".tif", ".tiff")
    check_results(values, _RASTER_KEYS, _OTHER_KEYS, values["IN_RASTER"], suffixes)


def _check_wanted(values: Mapping[str, Any], source: str) -> None:
    """Every kind of input has its own outputs."""
    many = gives_many(values)
    if not many and not values["OUT_CLASSIFIED_RASTER"]:
        raise ParameterError(
            "OUT_CLASSIFIED_RASTER (Classified raster) is missing.", "Give the name of a GeoTIFF (.tif)."
        )
    if not many and values["OUT_CLASSIFIED_FOLDER"]:
        raise ParameterError(
            "OUT_CLASSIFIED_FOLDER is given, and there is one result only.",
            f"Leave it out, or set PROCESSING_MODE to {SEPARATELY}.",
        )
    if source == "IN_IMAGE_FEATURES" and not values["OUT_FEATURECLASS"]:
        raise ParameterError(
            "OUT_FEATURECLASS is missing.", "Features with images give features: name the layer to write."
        )
    if source != "IN_IMAGE_FEATURES" and values["OUT_FEATURECLASS"]:
        raise ParameterError("OUT_FEATURECLASS goes with IN_IMAGE_FEATURES only.", "Leave it out.")
    if many and source != "IN_IMAGE_FEATURES" and not values["OUT_CLASSIFIED_FOLDER"]:
        raise ParameterError("OUT_CLASSIFIED_FOLDER is missing.", "Several results need a folder: name one.")
    for key in ("OUT_CLASS_AREAS", "OUT_POLYGONS"):
        if many and values[key]:
            raise ParameterError(f"{key} goes with one result only.", "Leave it out.")


def run(job: Job, reporter: Reporter) -> dict[str, Any]:
    """Classify; see the tool's description."""
    from ..inference.pixel_job import run_classification

    return run_classification(job, reporter)


_PARAMS = (
    Param(
        "IN_RASTER",
        Kind.RASTERS,
        "Input raster",
        (
            "The raster to classify. Several are taken as one mosaic on the grid of the first, where "
            "they overlap the first one with data counts; or one by one, as the processing mode says."
        ),
        optional=True,
    ),
    model_definition(),
    Param(
        "OUT_CLASSIFIED_RASTER",
        Kind.OUT_RASTER,
        "Classified raster",
        (
            "The result, a cloud-optimised GeoTIFF (.tif) with palette, overviews and attribute table. The "
            "value 255 means no data (65535 where class values go beyond 254). With several results it is "
            "a mosaic of them: a .vrt refers to them, a .tif copies them."
        ),
        optional=True,
        offered=True,
    ),
    model_arguments("ARGUMENTS", "Arguments", "padding 64;batch_size 8", PIXEL_ARGUMENTS),
    Param(
        "PROCESSING_MODE",
        Kind.CHOICE,
        "Processing mode",
        (
            "Whether several input rasters, or the rasters of a mosaic file (VRT), are one image or are "
            "classified one by one. Images of a folder and of features always are."
        ),
        default=PROCESSING_MODES[0],
        choices=PROCESSING_MODES,
    ),
    Param(
        "OUT_CLASSIFIED_FOLDER",
        Kind.OUT_FOLDER,
        "Folder of classified rasters",
        (
            "Where the results go when images are classified one by one, each under the name of its image. "
            "With image features it may be left out: a folder beside their result then."
        ),
        optional=True,
    ),
    Param(
        "OUT_FEATURECLASS",
        Kind.OUT_FEATURES,
        "Features with classified rasters",
        "The input features with the field Classified, the path of their class raster.",
        optional=True,
    ),
    Param(
        "IN_FOLDER",
        Kind.FOLDER,
        "Folder of images",
        "In place of input rasters: a folder, searched with the folders inside it, or a pattern like "
        "/data/*/images/*.tif. Each image is classified by itself.",
        optional=True,
        pattern=True,
    ),
    IN_IMAGE_FEATURES,
    IMAGE_FIELD,
    Param(
        "IN_POLYGONS_OF_INTEREST",
        Kind.FEATURES,
        "Polygons of interest",
        (
            "Only pixels inside these polygons are classified; the others have no data, and tiles that touch "
            "no polygon are not run."
        ),
        optional=True,
        geometry=("polygon",),
    ),
    Param(
        "EXTENT",
        Kind.EXTENT,
        "Extent",
        (
            "The part to classify, in any coordinate reference system; left out, the whole raster. It is "
            "widened to whole pixels."
        ),
        optional=True,
    ),
    Param(
        "CELL_SIZE",
        Kind.NUMBER,
        "Cell size",
        (
            "Size of the pixels the model sees and the result has, in units of the raster's coordinate "
            "reference system; left out or 0, the raster's own."
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
            "brought to that cell size, where the model states one and no cell size is given. The result has "
            "that cell size, too."
        ),
        default=True,
        advanced=True,
    ),
    Param(
        "OUT_CONFIDENCE_RASTER",
        Kind.OUT_RASTER,
        "Confidence raster",
        "A GeoTIFF (.tif) with the probability, 0 to 1, of each pixel's class; -1 means no data.",
        optional=True,
    ),
    Param(
        "OUT_MARGIN_RASTER",
        Kind.OUT_RASTER,
        "Margin raster",
        (
            "A GeoTIFF (.tif) with the difference, 0 to 1, between the largest and the second largest "
            "probability of each pixel: where it is small, the model wavers. -1 means no data."
        ),
        optional=True,
        advanced=True,
    ),
    Param(
        "OUT_ENTROPY_RASTER",
        Kind.OUT_RASTER,
        "Entropy raster",
        (
            "A GeoTIFF (.tif) with the entropy of each pixel's probabilities, as a share of the largest one "
            "possible: 0 is sure, 1 knows nothing. -1 means no data."
        ),
        optional=True,
        advanced=True,
    ),
    Param(
        "OUT_PROBABILITY_RASTER",
        Kind.OUT_RASTER,
        "Probability raster",
        (
            "A GeoTIFF (.tif) with one band per class: its probability in steps of 0.004 (bytes with a "
            "scale, which QGIS applies); 255 means no data."
        ),
        optional=True,
        advanced=True,
    ),
    Param(
        "OUT_CLASS_AREAS",
        Kind.OUT_TABLE,
        "Class areas",
        "A table (.csv) with pixels, area and share of each class.",
        optional=True,
        extension="csv",
    ),
    Param(
        "OUT_POLYGONS",
        Kind.OUT_FEATURES,
        "Polygons",
        (
            "The regions of the classified raster as polygons with class, area and mean confidence (where a "
            "confidence raster is written). Class 0, the background, gives none."
        ),
        optional=True,
    ),
    Param(
        "MIN_POLYGON_AREA",
        Kind.NUMBER,
        "Smallest polygon",
        (
            "Regions of a smaller area (square units of the raster's coordinate reference system, square "
            "metres where that is in degrees) go into the class they share the longest border with."
        ),
        default=0.0,
        minimum=0,
        advanced=True,
    ),
    Param(
        "SIMPLIFY_TOLERANCE",
        Kind.NUMBER,
        "Simplify polygons by",
        (
            "How far, in units of the raster's coordinate reference system, borders may be moved to make "
            "them smooth; common borders stay common. 0 keeps the pixels' steps."
        ),
        default=0.0,
        minimum=0,
        advanced=True,
    ),
    Param(
        "RIGHT_ANGLES",
        Kind.BOOLEAN,
        "Right angles",
        "Whether polygons get right angles where that fits them, as for buildings.",
        default=False,
        advanced=True,
    ),
    DEVICE,
    Param(
        "PRECISION",
        Kind.CHOICE,
        "Precision",
        (
            "FLOAT32 is exact. BF16, FP16 and INT8 are faster where the hardware supports them; how often "
            "they agree with float32 on tiles of this raster is measured and told. AUTO takes the fastest "
            "that agrees."
        ),
        default="FLOAT32",
        choices=("FLOAT32", "AUTO", "BF16", "FP16", "INT8"),
        advanced=True,
    ),
    TRUST_MODEL,
    Param(
        "RESUME",
        Kind.BOOLEAN,
        "Resume",
        (
            "Whether an interrupted run of the same settings is gone on with; the result is the same, byte "
            "for byte. Otherwise it begins anew."
        ),
        default=True,
        advanced=True,
    ),
    OVERWRITE,
)

TOOL = Tool(
    id="classifypixels",
    command="classify-pixels",
    title="Classify Pixels Using Deep Learning",
    group="Inference",
    summary="Gives every pixel of a raster a class with a trained model.",
    description=(
        "Runs a trained pixel classification model over rasters of any size and writes a class raster "
        "on the input's own grid, with the model's class names and colours. Neighbouring tiles overlap "
        "and are blended, so there are no seams; the border of the raster is mirrored, so that it is as "
        "reliable as the middle. Pixels without data stay without data. Memory does not grow with the "
        "size of the raster.\n\n"
        "The model carries what it needs to know: bands, normalisation, tile size and classes. Bands are "
        "found by name, then by position. A raster that lacks a band is refused; one that merely looks "
        "different from the training imagery gives a warning.\n\n"
        "An interrupted run, even one that was killed, goes on where it stopped when it is started again "
        "with the same settings, and ends with the same bytes."
    ),
    params=_PARAMS,
    results=(Result("VALID_PIXELS", "number", "Number of pixels classified"),),
    run=run,
    check=check,
    tags=("segmentation", "semantic", "inference", "predict", "u-net", "onnx", "land cover"),
)
