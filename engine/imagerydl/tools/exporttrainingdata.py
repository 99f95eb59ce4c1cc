"""Export Training Data: labelled imagery becomes a folder of training chips."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..chips.metadata_format import FORMATS, METADATA_FORMATS, formats_with
from ..chips.split_shares import split_shares
from ..errors import ParameterError
from ..parallel import worker_count
from ..tool import Kind, Param, Result, Tool

if TYPE_CHECKING:
    from ..events import Reporter
    from ..jobs import Job


def _with(trait: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Applies to the formats that have a trait."""
    return (("METADATA_FORMAT", formats_with(trait)),)


_WITH_SPLIT = (("SPLIT", ("SPATIAL_BLOCKS", "BY_IMAGE")),)
_WITH_BLOCKS = (("SPLIT", ("SPATIAL_BLOCKS",)),)


def _check(values: Mapping[str, Any]) -> None:
    _one_of(values, "IN_RASTER", "IN_FOLDER", "imagery", required=True)
    keyword = values["METADATA_FORMAT"]
    traits = FORMATS[keyword]
    _one_of(values, "IN_CLASS_DATA", "IN_CLASS_FOLDER", "labels", required=False)
    if traits.needs_labels and not (values["IN_CLASS_DATA"] or values["IN_CLASS_FOLDER"]):
        raise ParameterError(
            f"{keyword} needs labels.",
            "Give IN_CLASS_DATA or IN_CLASS_FOLDER, or set METADATA_FORMAT to Export_Tiles.",
        )
    _one_of(values, "IN_RASTER2", "IN_FOLDER2", "a second raster", required=keyword == "CycleGAN")
    if traits.has_instances and not values["IN_INSTANCE_DATA"]:
        raise ParameterError(f"{keyword} needs instance data.", "Give IN_INSTANCE_DATA.")
    if values["OVERWRITE"] and values["APPEND"]:
        raise ParameterError(
            "OVERWRITE and APPEND are both set.", "Replace the earlier export, or add chips to it."
        )
    split_shares(values["SPLIT_PERCENTAGES"])
    worker_count(values["PARALLEL_PROCESSING_FACTOR"])


def _one_of(values: Mapping[str, Any], first: str, second: str, what: str, required: bool) -> None:
    if values[first] and values[second]:
        raise ParameterError(
            f"{first} and {second} are both given.", f"Give either {first} (layers) or {second} (a folder)."
        )
    if required and not values[first] and not values[second]:
        raise ParameterError(
            f"There is no {what.removeprefix('a ')}.", f"Give {first} (layers) or {second} (a folder)."
        )


def _run(job: Job, reporter: Reporter) -> dict[str, Any]:
    from ..chips.export_job import run_export

    return run_export(job, reporter)


_IMAGERY = (
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
)

_LABELS = (
    Param(
        "IN_CLASS_DATA",
        Kind.LAYER,
        "Labels",
        (
            "Polygons; points or lines (see Buffer radius); a raster of class values; or a table with an "
            "image name, a box or polygon in pixels and a class in each row. Layers may be in any "
            "coordinate system. Class names and colours come from the attribute table or palette where "
            "a raster has one. An RGB raster needs a class schema."
        ),
        optional=True,
        only_with=_with("takes_labels"),
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
        only_with=_with("takes_labels"),
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
        only_with=_with("takes_labels"),
    ),
    Param(
        "CLASS_VALUE_FIELD",
        Kind.FIELD,
        "Class value field",
        (
            "Field of the labels that holds the class: a number, or a name. When left out, a "
            "field called 'value' or 'classvalue' is used; without one all labels are class 1."
        ),
        optional=True,
        parent="IN_CLASS_DATA",
        only_with=_with("takes_labels"),
    ),
    Param(
        "BUFFER_RADIUS",
        Kind.NUMBER,
        "Buffer radius",
        (
            "Points and lines become areas of this radius, in units of the labels' coordinate system. "
            "Formats that write boxes or areas need it for points and lines."
        ),
        optional=True,
        minimum=0,
        only_with=_with("takes_labels"),
    ),
)

_FORMAT = (
    Param(
        "METADATA_FORMAT",
        Kind.CHOICE,
        "Metadata format",
        (
            "What is written for each chip. For object detection: KITTI_rectangles, PASCAL_VOC_rectangles, "
            "COCO and YOLO write boxes; RCNN_Masks and COCO outlines of instances. For pixel "
            "classification and change detection: Classified_Tiles writes a raster of class values. For "
            "object classification: Labeled_Tiles and Imagenet write one chip for each labelled feature "
            "(from a class raster: the most frequent class of each tile), MultiLabeled_Tiles all classes "
            "of a tile. Panoptic_Segmentation writes class values and instances. Export_Tiles and "
            "CycleGAN write image chips only."
        ),
        default="PASCAL_VOC_rectangles",
        choices=METADATA_FORMATS,
    ),
    Param(
        "CROP_MODE",
        Kind.CHOICE,
        "Crop mode",
        (
            "FIXED_SIZE cuts chips of the tile size with the feature in their middle, BOUNDING_BOX just "
            "around the feature."
        ),
        default="FIXED_SIZE",
        choices=("FIXED_SIZE", "BOUNDING_BOX"),
        only_with=_with("crops"),
    ),
    Param(
        "BLACKEN_AROUND_FEATURE",
        Kind.BOOLEAN,
        "Blacken around feature",
        "Whether pixels outside the feature become 0.",
        default=False,
        words=("BLACKEN_AROUND_FEATURE", "NO_BLACKEN"),
        only_with=_with("blackens"),
    ),
    Param(
        "MIN_POLYGON_OVERLAP_RATIO",
        Kind.NUMBER,
        "Minimum polygon overlap ratio",
        (
            "Features of which a smaller share than this lies in a chip are left out of its label; 0.2 "
            "means 20 %. For labels that are features."
        ),
        default=0.0,
        minimum=0,
        maximum=1,
        only_with=_with("has_objects"),
    ),
)

_FURTHER_DATA = (
    Param(
        "IN_RASTER2",
        Kind.RASTERS,
        "Additional input raster",
        (
            "A second raster: the same place at another time (Classified_Tiles: change detection), in "
            "another look (Export_Tiles: image translation), or any other place (CycleGAN). Except for "
            "CycleGAN it is brought to the pixels of the first one and its chips lie in images2."
        ),
        optional=True,
        only_with=_with("has_second"),
    ),
    Param(
        "IN_FOLDER2",
        Kind.FOLDER,
        "Additional folder of images",
        (
            "In place of an additional raster, a folder or pattern: one image for each image of the input "
            "folder, paired like label images."
        ),
        optional=True,
        pattern=True,
        only_with=_with("has_second"),
    ),
    Param(
        "IN_INSTANCE_DATA",
        Kind.LAYER,
        "Instance data",
        "Features or a class raster that show the single objects, for panoptic segmentation.",
        optional=True,
        only_with=_with("has_instances"),
    ),
    Param(
        "INSTANCE_CLASS_VALUE_FIELD",
        Kind.FIELD,
        "Instance class value field",
        (
            "Field of the instance data that holds the class. When left out, a field called 'value' or "
            "'classvalue' is used; without one all instances are class 1."
        ),
        optional=True,
        parent="IN_INSTANCE_DATA",
        only_with=_with("has_instances"),
    ),
)

_CHIPS = (
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
        "ROTATION_ANGLE",
        Kind.NUMBER,
        "Rotation angle",
        (
            "Degrees. Each chip is written again at every multiple of this angle below 360, turned about "
            "its middle with its labels. 0 writes each chip once."
        ),
        default=0.0,
        minimum=0,
        maximum=360,
    ),
    Param(
        "REFERENCE_SYSTEM",
        Kind.CHOICE,
        "Reference system",
        (
            "MAP_SPACE cuts chips whose upper side is north; PIXEL_SPACE cuts along the rows and columns of "
            "the image as it is stored. They differ for rotated and south-up images. It must be that of "
            "the imagery the model will see."
        ),
        default="MAP_SPACE",
        choices=("MAP_SPACE", "PIXEL_SPACE"),
    ),
    Param(
        "PROCESSING_MODE",
        Kind.CHOICE,
        "Processing mode",
        (
            "Whether several input rasters, or the rasters of a mosaic file (VRT), are one image or are "
            "cut one by one, so that no chip crosses from one to another. Images of a folder always are."
        ),
        default="PROCESS_AS_MOSAICKED_IMAGE",
        choices=("PROCESS_AS_MOSAICKED_IMAGE", "PROCESS_ITEMS_SEPARATELY"),
    ),
)

_SPLIT = (
    Param(
        "SPLIT",
        Kind.CHOICE,
        "Split",
        (
            "Divides the chips into the folders train, validation and test, each a complete export: by "
            "blocks of ground, or image by image. Neighbours stay together, and chips on the border of "
            "two parts are left out, so that nothing of one part is seen in another."
        ),
        default="NONE",
        choices=("NONE", "SPATIAL_BLOCKS", "BY_IMAGE"),
    ),
    Param(
        "SPLIT_PERCENTAGES",
        Kind.TEXT,
        "Split percentages",
        "Shares of training, validation and test.",
        default="80;10;10",
        only_with=_WITH_SPLIT,
    ),
)

_BESIDE_THE_CHIPS = (
    Param(
        "OUT_FOOTPRINTS",
        Kind.OUT_FEATURES,
        "Chip footprints",
        "A polygon layer of the chips: where each lies, and how much of each class it holds.",
        optional=True,
    ),
    Param(
        "PREVIEW",
        Kind.BOOLEAN,
        "Preview sheet",
        "Whether preview.png, a sheet of chips with their labels drawn, is written to the output folder.",
        default=True,
    ),
)

_ADVANCED = (
    Param(
        "SPLIT_BLOCK_SIZE",
        Kind.INTEGER,
        "Split block size",
        "Side of a block of ground in tiles.",
        default=4,
        minimum=1,
        advanced=True,
        only_with=_WITH_BLOCKS,
    ),
    Param(
        "SEED",
        Kind.INTEGER,
        "Seed",
        "The same number divides the chips in the same way.",
        default=42,
        minimum=0,
        advanced=True,
        only_with=_WITH_SPLIT,
    ),
    Param(
        "CREATION_OPTIONS",
        Kind.ARGUMENTS,
        "Creation options",
        "GDAL creation options of the chip files, such as COMPRESS DEFLATE for TIFF or QUALITY 90 for JPEG.",
        default={},
        advanced=True,
    ),
    Param(
        "PARALLEL_PROCESSING_FACTOR",
        Kind.TEXT,
        "Parallel processing factor",
        (
            "Number of workers that cut chips at a time, or a share of the processor's cores such as 75%. "
            "Left out, one worker. The result is the same, byte for byte."
        ),
        default="",
        optional=True,
        advanced=True,
    ),
    Param(
        "APPEND",
        Kind.BOOLEAN,
        "Append",
        (
            "Whether chips are added to an earlier export of the same kind in the output folder. Their "
            "numbers go on from its last one; classes and statistics are joined."
        ),
        default=False,
        advanced=True,
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
        "Labels are features, a class raster, label images whose colours a class schema explains, or a "
        "table of boxes in pixels. They may lie in another coordinate system and on another grid than the "
        "imagery.\n\n"
        "Only complete tiles are written. Everything is checked before the first chip is written, and the "
        "output folder appears when it is complete. An export that was cancelled or interrupted goes on "
        "where it stopped when it is run again."
    ),
    params=(
        *_IMAGERY,
        *_LABELS,
        *_FORMAT,
        *_FURTHER_DATA,
        *_CHIPS,
        *_SPLIT,
        *_BESIDE_THE_CHIPS,
        *_ADVANCED,
    ),
    results=(
        Result("NUM_CHIPS", "number", "Number of chips"),
        Result("NUM_CLASSES", "number", "Number of classes"),
    ),
    run=_run,
    check=_check,
    tags=("chips", "tiles", "labels", "samples", "mask", "detection", "coco", "yolo", "pascal voc", "kitti"),
)
