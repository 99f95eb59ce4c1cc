"""Detect Change Using Deep Learning: a model and two rasters of one place give a raster of change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..errors import ParameterError
from ..events import Reporter
from ..inference.arguments import PixelArguments
from ..tool import Kind, Param, Result, Tool
from .classifypixels import TOOL as CLASSIFY_PIXELS
from .model_inputs import DEVICE, TRUST_MODEL, model_definition
from .output_names import OVERWRITE, check_results, same_file

if TYPE_CHECKING:
    from ..jobs import Job

_RASTER_KEYS = ("OUT_CLASSIFIED_RASTER", "OUT_CONFIDENCE_RASTER")
_OTHER_KEYS = ("OUT_CLASS_AREAS", "OUT_POLYGONS")


def check(values: Mapping[str, Any]) -> None:
    """Refuse what cannot work before anything is loaded."""
    PixelArguments.parse(values["ARGUMENTS"])
    if same_file(values["FROM_RASTER"], values["TO_RASTER"]):
        raise ParameterError(
            "FROM_RASTER and TO_RASTER are the same raster.", "Give two dates of the same place."
        )
    check_results(values, _RASTER_KEYS, _OTHER_KEYS, (values["FROM_RASTER"], values["TO_RASTER"]))


def run(job: Job, reporter: Reporter) -> dict[str, Any]:
    """Detect change; see the tool's description."""
    from ..inference.change_job import run_change_detection

    return run_change_detection(job, reporter)


def _as_in_classify_pixels(*keys: str) -> tuple[Param, ...]:
    """Parameters that mean the same there."""
    return tuple(CLASSIFY_PIXELS.param(key) for key in keys)


_PARAMS = (
    Param(
        "FROM_RASTER",
        Kind.RASTER,
        "From raster",
        "The raster of the first date. The result has its grid.",
    ),
    Param(
        "TO_RASTER",
        Kind.RASTER,
        "To raster",
        (
            "The raster of the second date. It is brought to the grid of the first on the fly: it may have "
            "another coordinate reference system, another cell size, and cover another part of the ground."
        ),
    ),
    Param(
        "OUT_CLASSIFIED_RASTER",
        Kind.OUT_RASTER,
        "Classified raster",
        (
            "The result, a cloud-optimised GeoTIFF (.tif) with palette, overviews and attribute table. A "
            "pixel that one of the rasters lacks has no data: 255 (65535 where class values go beyond 254)."
        ),
    ),
    model_definition(
        more=" It takes the bands of the first date and then as many of the second; ExtractBands lists both, "
        "as positions in the rasters, as positions in a stack of both, or as names."
    ),
    *_as_in_classify_pixels("ARGUMENTS"),
    replace(
        CLASSIFY_PIXELS.param("EXTENT"),
        help=(
            "The part to look at, in any coordinate reference system; left out, the whole of the first "
            "raster. It is widened to whole pixels."
        ),
    ),
    replace(
        CLASSIFY_PIXELS.param("CELL_SIZE"),
        help=(
            "Size of the pixels the model sees and the result has, in units of the first raster's "
            "coordinate reference system; left out or 0, the first raster's own."
        ),
    ),
    *_as_in_classify_pixels(
        "IN_POLYGONS_OF_INTEREST",
        "OUT_CONFIDENCE_RASTER",
        "OUT_CLASS_AREAS",
        "OUT_POLYGONS",
        "MIN_POLYGON_AREA",
        "SIMPLIFY_TOLERANCE",
    ),
    DEVICE,
    *_as_in_classify_pixels("PRECISION"),
    TRUST_MODEL,
    *_as_in_classify_pixels("RESUME"),
    OVERWRITE,
)

TOOL = Tool(
    id="detectchange",
    command="detect-change",
    title="Detect Change Using Deep Learning",
    group="Inference",
    summary="Finds what has changed between two rasters of one place with a trained model.",
    description=(
        "Runs a trained model over two rasters of any size that show one place at two dates, and writes a "
        "class raster on the grid of the first: change or no change, or the kinds of change the model knows. "
        "The second raster is brought to that grid on the fly. Only ground that both rasters cover, and "
        "where both have data, gets a class.\n\n"
        "Models are ChangeDetector packages saved by arcgis.learn, and any pixel classifier (ONNX, trained "
        "here, or with a raster function) that takes the bands of both dates, those of the first raster "
        "first. Each date's bands are found in its own raster, by name, then by position.\n\n"
        "Tiles, blending, polygons, and going on after an interruption are those of Classify Pixels."
    ),
    params=_PARAMS,
    results=(Result("VALID_PIXELS", "number", "Number of pixels compared"),),
    run=run,
    check=check,
    tags=("change detection", "two dates", "difference", "inference", "segmentation", "bitemporal"),
)
