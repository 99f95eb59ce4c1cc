"""Classify Pixels Using Deep Learning: a model and a raster give a class raster."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ParameterError
from ..events import Reporter
from ..inference.arguments import ClassifyArguments
from ..tool import Kind, Param, Result, Tool

if TYPE_CHECKING:
    from ..jobs import Job

_OUTPUT_KEYS = ("OUT_CLASSIFIED_RASTER", "OUT_CONFIDENCE_RASTER")


def check(values: Mapping[str, Any]) -> None:
    """Refuse what cannot work before anything is loaded."""
    ClassifyArguments.parse(values["ARGUMENTS"])
    written = [(key, values[key]) for key in _OUTPUT_KEYS if values[key]]
    for key, path in written:
        if Path(path).suffix.lower() not in (".tif", ".tiff"):
            raise ParameterError(
                f"{key} is {path}.", "The result is a GeoTIFF: give a name that ends with .tif."
            )
        for raster in values["IN_RASTER"]:
            if _same_file(path, raster):
                raise ParameterError(f"{key} would overwrite the input {raster}.", "Choose another name.")
    if len(written) == 2 and _same_file(written[0][1], written[1][1]):
        raise ParameterError(f"{' and '.join(_OUTPUT_KEYS)} are the same file.", "Choose another name.")


def _same_file(first: str, second: str) -> bool:
    def normal(path: str) -> str:
        return os.path.normcase(os.path.realpath(path))

    return normal(first) == normal(second)


def run(job: Job, reporter: Reporter) -> dict[str, Any]:
    """Classify; see the tool's description."""
    from ..inference.running import run_classification

    return run_classification(job, reporter)


_PARAMS = (
    Param(
        "IN_RASTER",
        Kind.RASTERS,
        "Input raster",
        (
            "The raster to classify. Several are taken as one mosaic on the grid of the first; where "
            "they overlap, the first one with data counts."
        ),
    ),
    Param(
        "IN_MODEL_DEFINITION",
        Kind.FILE,
        "Model definition",
        "The trained model: an .emd file, a .dlpk package, or the definition's JSON text.",
        extension="emd dlpk",
    ),
    Param(
        "OUT_CLASSIFIED_RASTER",
        Kind.OUT_RASTER,
        "Classified raster",
        (
            "The result, a GeoTIFF (.tif) with palette and attribute table. The value 255 means no data "
            "(65535 where class values go beyond 254)."
        ),
    ),
    Param(
        "ARGUMENTS",
        Kind.ARGUMENTS,
        "Arguments",
        (
            "Names and values, as in 'padding 64;batch_size 8': padding (at least 0, less than half a "
            "tile), batch_size (at least 1), predict_background (True or False), test_time_augmentation "
            "(True or False)."
        ),
        optional=True,
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
            "reference system; left out or 0, the raster's own. Set it to the model's when the raster is "
            "much finer or coarser."
        ),
        optional=True,
        minimum=0,
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
        "DEVICE",
        Kind.TEXT,
        "Device",
        (
            "AUTO (a CUDA graphics card where there is one, else the processor), CPU, CUDA, or CUDA:0, "
            "CUDA:1 and so on."
        ),
        default="AUTO",
        advanced=True,
    ),
    Param(
        "OVERWRITE",
        Kind.BOOLEAN,
        "Overwrite existing output",
        "Replace files that exist under the output names, once the new ones are complete.",
        default=False,
        advanced=True,
    ),
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
        "Arguments are: padding (pixels shared with each neighbouring tile, by default a quarter of the "
        "tile; 0 is fastest and may show seams), batch_size (tiles predicted together; it is halved by "
        "itself when memory runs out), predict_background (False: the class of value 0 never wins), "
        "test_time_augmentation (True: the average over the eight flipped and turned views of each tile, "
        "eight times slower)."
    ),
    params=_PARAMS,
    results=(Result("VALID_PIXELS", "number", "Number of pixels classified"),),
    run=run,
    check=check,
    tags=("segmentation", "semantic", "inference", "predict", "u-net", "onnx", "land cover"),
)
