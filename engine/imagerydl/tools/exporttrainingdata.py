"""Export Training Data: labelled imagery becomes a folder of training chips."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..chips.metadata_format import METADATA_FORMATS
from ..errors import ParameterError
from ..tool import Kind, Param, Result, Tool

if TYPE_CHECKING:
    from ..events import Reporter
    from ..jobs import Job


def _check(values: Mapping[str, Any]) -> None:
    if bool(values["IN_RASTER"]) == bool(values["IN_FOLDER"]):
        raise ParameterError(
            "IN_RASTER and IN_FOLDER are both given." if values["IN_RASTER"] else "There is no imagery.",
            "Give either IN_RASTER (raster layers) or IN_FOLDER (a folder of images).",
        )
    if values["IN_CLASS_DATA"] and values["IN_CLASS_FOLDER"]:
        raise ParameterError(
            "IN_CLASS_DATA and IN_CLASS_FOLDER are both given.",
            "Give either a layer of labels or a folder of label images.",
        )
    labelled = values["IN_CLASS_DATA"] or values["IN_CLASS_FOLDER"]
    if values["METADATA_FORMAT"] == "Classified_Tiles" and not labelled:
        raise ParameterError(
            "Classified_Tiles needs labels.",
            "Give IN_CLASS_DATA or IN_CLASS_FOLDER, or set METADATA_FORMAT to Export_Tiles.",
        )


def _run(job: Job, reporter: Reporter) -> dict[str, Any]:
    from .. import outputs
    from ..chips.checks import make_plan
    from ..chips.exporting import Exporter
    from ..chips.folder import ensure_replaceable
    from ..chips.plan import ExportSettings
    from ..labels.classes import ClassSchema

    values = job.values
    inputs = [*values["IN_RASTER"], values["IN_FOLDER"], values["IN_CLASS_DATA"], values["IN_CLASS_FOLDER"]]
    ensure_replaceable(values["OUT_FOLDER"], values["OVERWRITE"], [path for path in inputs if path])
    if values["START_INDEX"]:
        reporter.message("START_INDEX is ignored: chips are numbered from 0 over all tiles.")
    settings = ExportSettings(
        rasters=tuple(values["IN_RASTER"]),
        folder=values["IN_FOLDER"],
        class_data=values["IN_CLASS_DATA"],
        class_folder=values["IN_CLASS_FOLDER"],
        class_field=values["CLASS_VALUE_FIELD"],
        schema=ClassSchema.parse(values["CLASS_SCHEMA"]) if values["CLASS_SCHEMA"] else None,
        metadata_format=values["METADATA_FORMAT"],
        image_format=values["IMAGE_CHIP_FORMAT"],
        tile_size=(values["TILE_SIZE_X"], values["TILE_SIZE_Y"]),
        stride=(values["STRIDE_X"], values["STRIDE_Y"]),
        all_tiles=values["OUTPUT_NOFEATURE_TILES"],
        mask=values["IN_MASK_POLYGONS"],
        refuse_unknown_colors=values["UNKNOWN_COLORS"] == "ERROR",
        extent=values["EXTENT"],
        cell_size=values["CELL_SIZE"],
    )
    plan = make_plan(settings, reporter)
    with outputs.staged(values["OUT_FOLDER"], values["OVERWRITE"]) as root:
        record = Exporter(plan, root, reporter).run()
    return {
        "OUT_FOLDER": values["OUT_FOLDER"],
        "NUM_CHIPS": record.chip_count,
        "NUM_CLASSES": len(record.classes),
    }


_PARAMS = (
    Param(
        "IN_RASTER",
        Kind.RASTERS,
        "Input raster",
        (
            "Raster layers or files to cut chips from; several are treated as one mosaic on the grid of "
            "the first. Any number of bands. Give either this or a folder of images."
        ),
        optional=True,
    ),
    Param(
        "IN_FOLDER",
        Kind.FOLDER,
        "Input folder of images",
        (
            "A folder of images (folders inside it included), or a path with the wildcards *, ? and "
            "[abc], for example /data/Tile */images/*.jpg. Each image is cut on its own; no chip crosses "
            "from one to another."
        ),
        optional=True,
        pattern=True,
    ),
    Param(
        "OUT_FOLDER",
        Kind.OUT_FOLDER,
        "Output folder",
        "Folder for the chips, labels and metadata. It is created, and appears when it is complete.",
    ),
    Param(
        "IN_CLASS_DATA",
        Kind.LAYER,
        "Labels",
        (
            "A polygon layer, or a raster of class values, in any coordinate system. Class names and "
            "colours come from the attribute table or palette where the raster has one. An RGB raster "
            "needs a class schema."
        ),
        optional=True,
    ),
    Param(
        "IN_CLASS_FOLDER",
        Kind.FOLDER,
        "Folder of label images",
        (
            "One label image for each input image: a folder, or a path with wildcards such as /data/Tile "
            "*/masks/*.png. Files pair by what the wildcards match, or by name without extension. "
            "Single-band images hold class values; RGB images need a class schema with colours."
        ),
        optional=True,
        pattern=True,
    ),
    Param(
        "CLASS_SCHEMA",
        Kind.TEXT,
        "Class schema",
        (
            "Names and colours of the classes: a text file, or the text itself, with one class a line, "
            "'value, name, #RRGGBB'; the colour may be left out. It translates the colours of label "
            "images and the class names of polygons to class values."
        ),
        optional=True,
        multiline=True,
    ),
    Param(
        "CLASS_VALUE_FIELD",
        Kind.FIELD,
        "Class value field",
        (
            "Field of the label polygons that holds the class: a number, or a name. When left out, a "
            "field called 'value' or 'classvalue' is used; without one all polygons are class 1."
        ),
        optional=True,
        parent="IN_CLASS_DATA",
    ),
    Param(
        "METADATA_FORMAT",
        Kind.CHOICE,
        "Metadata format",
        (
            "Classified_Tiles writes for each chip a raster of its class values, for pixel "
            "classification. Export_Tiles writes image chips only."
        ),
        default="Classified_Tiles",
        choices=METADATA_FORMATS,
    ),
    Param(
        "IMAGE_CHIP_FORMAT",
        Kind.CHOICE,
        "Image format",
        (
            "File format of the chips. TIFF and MRF hold any bands and values; PNG holds 1 or 3 bands of "
            "8 or 16 bits; JPEG holds 1 or 3 bands of 8 bits and loses detail. Labels are never lossy."
        ),
        default="TIFF",
        choices=("TIFF", "PNG", "JPEG", "MRF"),
    ),
    Param(
        "TILE_SIZE_X",
        Kind.INTEGER,
        "Tile size X",
        "Width of a chip in pixels.",
        default=256,
        minimum=1,
        maximum=16384,
    ),
    Param(
        "TILE_SIZE_Y",
        Kind.INTEGER,
        "Tile size Y",
        "Height of a chip in pixels.",
        default=256,
        minimum=1,
        maximum=16384,
    ),
    Param(
        "STRIDE_X",
        Kind.INTEGER,
        "Stride X",
        (
            "Pixels from one chip to the next along a row: the tile size for chips that touch, half of it "
            "for an overlap of 50 %. At least 1."
        ),
        default=128,
        minimum=1,
    ),
    Param(
        "STRIDE_Y",
        Kind.INTEGER,
        "Stride Y",
        "Pixels from one row of chips to the next. At least 1.",
        default=128,
        minimum=1,
    ),
    Param(
        "OUTPUT_NOFEATURE_TILES",
        Kind.BOOLEAN,
        "Output tiles without labels",
        "Whether tiles without any label are written too. Tiles without image data never are.",
        default=False,
        words=("ALL_TILES", "ONLY_TILES_WITH_FEATURES"),
    ),
    Param(
        "IN_MASK_POLYGONS",
        Kind.FEATURES,
        "Mask polygons",
        "Only chips that lie completely inside these polygons are written.",
        optional=True,
        geometry=("polygon",),
    ),
    Param(
        "UNKNOWN_COLORS",
        Kind.CHOICE,
        "Colours not in the schema",
        (
            "What becomes of colours in RGB label images that the class schema does not list: BACKGROUND "
            "makes them 0 and reports how many there are, ERROR stops before anything is written."
        ),
        default="BACKGROUND",
        choices=("BACKGROUND", "ERROR"),
        advanced=True,
    ),
    Param(
        "EXTENT",
        Kind.EXTENT,
        "Extent",
        "Part of the imagery to export, in any coordinate system; snapped outwards to whole pixels.",
        optional=True,
        advanced=True,
    ),
    Param(
        "CELL_SIZE",
        Kind.NUMBER,
        "Cell size",
        (
            "Pixel size of the chips, in units of the imagery's coordinate system; the imagery is "
            "resampled to it. When left out, its own pixels are kept."
        ),
        optional=True,
        minimum=0,
        advanced=True,
    ),
    Param(
        "START_INDEX",
        Kind.INTEGER,
        "Start index",
        "Kept for old scripts and ignored.",
        default=0,
        advanced=True,
    ),
    Param(
        "OVERWRITE",
        Kind.BOOLEAN,
        "Overwrite",
        "Whether an earlier export in the output folder may be replaced. Other files are never deleted.",
        default=False,
        advanced=True,
    ),
)

TOOL = Tool(
    id="exporttrainingdata",
    command="export-training-data",
    title="Export Training Data",
    group="Training",
    summary="Cut labelled imagery into chips to train a model with.",
    description=(
        "Cuts imagery into chips of equal size and writes for each chip what the labels say about it, in "
        "the folder layout and metadata formats of ArcGIS. Train Deep Learning Model reads the result.\n\n"
        "Labels are polygons, a class raster, or label images whose colours a class schema explains. They "
        "may lie in another coordinate system and on another grid than the imagery.\n\n"
        "Only complete tiles are written. Everything is checked before the first chip is written, and the "
        "output folder appears when it is complete."
    ),
    params=_PARAMS,
    results=(
        Result("NUM_CHIPS", "number", "Number of chips"),
        Result("NUM_CLASSES", "number", "Number of classes"),
    ),
    run=_run,
    check=_check,
    tags=("chips", "tiles", "labels", "training", "samples", "mask", "segmentation"),
)
