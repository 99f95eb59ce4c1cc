"""Reads a folder of exported training chips, written here or by ArcGIS.

The layout and the meaning of the side files: ``images/``, ``labels/``, ``esri_model_definition.emd``,
``esri_accumulated_stats.json``. Chips and labels pair by file stem, as Esri's own reader pairs them.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Optional, Union

from .. import outputs
from ..errors import DataError, EngineError, OutputError
from ..labels.classes import ClassSchema, schema_from_items
from ..models.json_text import read_json_object

DEFINITION_FILE = "esri_model_definition.emd"
STATS_FILE = "esri_accumulated_stats.json"
MAP_FILE = "map.txt"
SUMMARY_FILE = "stats.txt"
IMAGES, IMAGES2, LABELS = "images", "images2", "labels"

#: Key of a class's true name, where its name had to become a folder name.
ORIGINAL_NAME = "OriginalName"

#: Extensions of chips and label chips.
CHIP_EXTENSIONS = (".tif", ".tiff", ".png", ".jpg", ".jpeg", ".mrf")

#: Extensions of label files, where they are no rasters.
_LABEL_EXTENSIONS = {
    "KITTI_rectangles": (".txt",),
    "PASCAL_VOC_rectangles": (".xml",),
    "Labeled_Tiles": (".xml",),
    "MultiLabeled_Tiles": (".xml",),
    "YOLO": (".txt",),
}

#: Folders of an export that was divided; each is a complete one.
_DIVISIONS = ("train", "validation", "test")

#: Folders of the two sides of a CycleGAN export; each is a complete one.
SIDES = ("A", "B")

_EXPORT_AGAIN = "Give the folder that Export Training Data wrote, or export it again."


@dataclass(frozen=True)
class ChipPair:
    """One training chip.

    Attributes:
        image: The chip.
        label: Its label file; None where the format has none for each chip, or where it is missing.
        second: The chip of the second raster, where the export has one.
    """

    image: Path
    label: Optional[Path]
    second: Optional[Path] = None


@dataclass(frozen=True)
class ExportedFolder:
    """What an exported folder holds.

    Attributes:
        root: The folder.
        metadata_format: Its format keyword ("Classified_Tiles").
        classes: Classes in the order of its statistics, with their true names.
        class_folders: Class value by folder name, in formats that sort files by class.
        instance_classes: Classes of instances, with true names (panoptic segmentation).
        band_names2: As ``band_names``, of the second raster; empty where unknown.
        other: Side B of a CycleGAN export, whose root was given: everything else is of side A.
        tile_size: Chip (width, height) in pixels.
        band_count: Bands of a chip.
        band_names: One per band; empty texts where unknown.
        band_stats: One ``{"BandName", "Min", "Max", "Mean", "StdDev"}`` per band, raw values; empty
            where unknown.
        image_space: "MAP_SPACE" or "PIXEL_SPACE".
        cell_size: Smallest cell size ``{"x", "y", "spatialReference"}`` in units of that reference.
        pixels_per_class: Label pixels by class value; empty where unknown.
        chips: All chips, in order of name.
        definition: The raw ``esri_model_definition.emd``.
    """

    root: Path
    metadata_format: str
    classes: ClassSchema
    tile_size: tuple[int, int]
    band_count: int
    band_names: tuple[str, ...]
    band_stats: list[dict[str, Any]]
    image_space: str
    cell_size: Optional[dict[str, Any]]
    pixels_per_class: dict[int, int]
    chips: tuple[ChipPair, ...]
    definition: dict[str, Any]
    class_folders: dict[str, int]
    instance_classes: ClassSchema = field(default_factory=ClassSchema)
    band_names2: tuple[str, ...] = ()
    other: Optional[ExportedFolder] = None

    @property
    def has_variable_size(self) -> bool:
        """Whether chips are cropped to their objects."""
        return self.definition.get("CropTileMode") == "Variable_Size"


def read_exported_folder(path: Union[str, Path]) -> ExportedFolder:
    """Read what ``path`` holds; the chips themselves are not opened (the first one may be).

    Raises:
        DataError: Naming what is missing or unreadable.
    """
    root = Path(path)
    if not root.is_dir():
        raise DataError(f"The training folder {root} does not exist.", _EXPORT_AGAIN)
    if _is_complete(root):
        return _read_complete(root)
    divisions = [name for name in _DIVISIONS if _has_export(root / name)]
    if divisions:
        raise DataError(
            f"{root} is an export divided into {', '.join(divisions)}.",
            "Give one of its folders: " + " or ".join(str(root / name) for name in divisions) + ".",
        )
    if _has_export(root):
        missing = [name for name in SIDES if not _is_complete(root / name)]
        if missing:
            raise DataError(f"{root} has no side {missing[0]}.", _EXPORT_AGAIN)
        one, other = (_read_complete(root / name) for name in SIDES)
        return replace(one, root=root, other=other)
    raise DataError(f"{root} has neither {DEFINITION_FILE} nor {STATS_FILE}.", _EXPORT_AGAIN)


def _is_complete(folder: Path) -> bool:
    """Whether a side file says what lies in ``folder``."""
    return (folder / DEFINITION_FILE).is_file() or (folder / STATS_FILE).is_file()


def _has_export(folder: Path) -> bool:
    return any(_is_complete(path) for path in (folder, *(folder / name for name in SIDES)))


def _read_complete(root: Path) -> ExportedFolder:
    """Read a folder that has side files of its own."""
    definition, stats = _read_side_file(root / DEFINITION_FILE), _read_side_file(root / STATS_FILE)
    # The statistics are what Esri's own reader trusts for the format.
    metadata_format = str(stats.get("MetaDataMode") or definition.get("MetaDataMode") or "")
    if not metadata_format:
        raise DataError(f"{root} does not say its format: MetaDataMode is missing.", _EXPORT_AGAIN)
    chips = _find_chips(root, metadata_format)
    width, height, band_count = _chip_shape(definition, stats, chips)
    names = _band_names(definition, stats, band_count)
    items = _class_items(root, definition.get("Classes")) or _class_items(root, stats.get("Classes"))
    instances = _class_items(root, definition.get("Panoptic_Segmentation_Instance_Classes"))
    classes, instance_classes = _classes(root, items), _classes(root, instances)
    return ExportedFolder(
        root=root,
        metadata_format=metadata_format,
        classes=classes,
        tile_size=(width, height),
        band_count=band_count,
        band_names=names,
        band_stats=_band_stats(definition, stats, names),
        image_space=str(definition.get("ImageSpaceUsed") or "MAP_SPACE"),
        cell_size=_mapping(definition.get("MinCellSize")) or _mapping(stats.get("MinCellSize")) or None,
        pixels_per_class=_pixels_per_class(stats),
        chips=chips,
        definition=definition,
        class_folders=_class_folders([*items, *instances]),
        instance_classes=instance_classes,
        band_names2=_second_band_names(definition, stats),
    )


def ensure_replaceable(path: Union[str, Path], overwrite: bool, inputs: Sequence[str] = ()) -> None:
    """Check that an export may be written to ``path``, without touching it.

    Args:
        path: Folder of the export.
        overwrite: Whether an earlier export there may be replaced. Other files never are.
        inputs: Files, folders and patterns the export reads.

    Raises:
        OutputError: If something would be lost.
    """
    folder = Path(path)
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"{folder} is a file.", "Give a folder as OUT_FOLDER.")
    outputs.ensure_free(folder, overwrite)
    if not folder.is_dir() or not any(folder.iterdir()):
        return
    if not (folder / DEFINITION_FILE).exists() and not (folder / MAP_FILE).exists():
        raise OutputError(
            f"{folder} is not empty and holds no exported chips: OVERWRITE would delete other files.",
            "Choose another folder, or empty it yourself.",
        )
    for name in inputs:
        if folder.resolve() in (Path(name).resolve(), *Path(name).resolve().parents):
            raise OutputError(
                f"OUT_FOLDER {folder} holds the input {name}, which OVERWRITE would delete.",
                "Choose another folder.",
            )


def _read_side_file(path: Path) -> dict[str, Any]:
    """The JSON object in ``path``; empty where the file is not there."""
    if not path.is_file():
        return {}
    try:
        return read_json_object(path.read_text(encoding="utf-8-sig"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read ({error}).", _EXPORT_AGAIN) from error
    except EngineError as error:
        raise DataError(error.message, _EXPORT_AGAIN) from error


def _find_chips(root: Path, metadata_format: str) -> tuple[ChipPair, ...]:
    if not (root / IMAGES).is_dir():
        raise DataError(f"{root} has no {IMAGES} folder.", _EXPORT_AGAIN)
    images = list(files_by_stem(root / IMAGES).values())
    if not images:  # in folders by class, where stems of two classes may be the same
        folders = sorted(path for path in (root / IMAGES).iterdir() if path.is_dir())
        images = [image for folder in folders for image in files_by_stem(folder).values()]
    if not images:
        raise DataError(f"{root / IMAGES} holds no chip (tif, png, jpg or mrf).", _EXPORT_AGAIN)
    labels = files_by_stem(root / LABELS, _LABEL_EXTENSIONS.get(metadata_format, CHIP_EXTENSIONS))
    second = files_by_stem(root / IMAGES2)
    images.sort(key=lambda image: (image.stem, image.parent.name))
    return tuple(ChipPair(image, labels.get(image.stem), second.get(image.stem)) for image in images)


def files_by_stem(folder: Path, extensions: Sequence[str] = CHIP_EXTENSIONS) -> dict[str, Path]:
    """The files of ``folder`` with one of ``extensions``, by stem; none where there is no folder."""
    found: dict[str, Path] = {}
    if folder.is_dir():
        for entry in sorted(os.listdir(folder)):
            stem, extension = os.path.splitext(entry)
            if extension.lower() in extensions:
                found.setdefault(stem, folder / entry)
    return found


def _chip_shape(
    definition: Mapping[str, Any], stats: Mapping[str, Any], chips: Sequence[ChipPair]
) -> tuple[int, int, int]:
    """Width, height and band count as stated, else as the first chip that opens has them.

    Older exports write a placeholder text ("e.g. 256") where a number belongs.
    """
    width = _positive(stats.get("TileSizeX")) or _positive(definition.get("ImageWidth"))
    height = _positive(stats.get("TileSizeY")) or _positive(definition.get("ImageHeight"))
    bands = _positive(stats.get("NumBands"))
    if width and height and bands:
        return width, height, bands
    import rasterio
    from rasterio.errors import RasterioError

    for chip in chips:
        try:
            with rasterio.open(chip.image) as dataset:
                return width or dataset.width, height or dataset.height, bands or dataset.count
        except RasterioError:
            continue
    raise DataError(f"No chip in {chips[0].image.parent} can be opened.", _EXPORT_AGAIN)


def _class_items(root: Path, items: Any) -> list[dict[str, Any]]:
    """Classes as ``{"Value", "Name", ...}``; none where something else stands there, as a placeholder."""
    if not isinstance(items, list):
        return []
    found = []
    for item in items:
        if not isinstance(item, Mapping):
            raise DataError(f"The classes of {root} cannot be used: {item!r} is no class.", _EXPORT_AGAIN)
        names = {"ClassValue": "Value", "ClassName": "Name"}
        found.append({names.get(key, key): value for key, value in item.items()})
    return found


def _classes(root: Path, items: Sequence[Mapping[str, Any]]) -> ClassSchema:
    """The classes with their true names."""
    try:
        return schema_from_items({**item, **_true_name(item)} for item in items)
    except EngineError as error:
        raise DataError(f"The classes of {root} cannot be used: {error.message}", error.fix) from error


def _true_name(item: Mapping[str, Any]) -> dict[str, Any]:
    return {"Name": item[ORIGINAL_NAME]} if ORIGINAL_NAME in item else {}


def _class_folders(items: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    return {str(item["Name"]): int(item["Value"]) for item in items}


def _band_names(definition: Mapping[str, Any], stats: Mapping[str, Any], band_count: int) -> tuple[str, ...]:
    properties = _mapping(definition.get("InputRastersProps")) or _mapping(stats.get("InputRastersProps"))
    names = properties.get("BandNames")
    if not isinstance(names, list) or len(names) != band_count:
        return ("",) * band_count
    return tuple(str(name) for name in names)


def _second_band_names(definition: Mapping[str, Any], stats: Mapping[str, Any]) -> tuple[str, ...]:
    properties = _mapping(definition.get("InputRastersProps2")) or _mapping(stats.get("InputRastersProps2"))
    names = properties.get("BandNames")
    return tuple(str(name) for name in names) if isinstance(names, list) else ()


def _band_stats(
    definition: Mapping[str, Any], stats: Mapping[str, Any], names: Sequence[str]
) -> list[dict[str, Any]]:
    """Statistics per band, from the definition or from the running state of the export."""
    for items in (definition.get("AllTilesStats"), stats.get("BandStatsState")):
        try:
            result = [_one_band(name, item) for name, item in zip(names, items)]
        except (TypeError, KeyError, ValueError, ZeroDivisionError):
            continue
        if result and len(result) == len(names):
            return result
    return []


def _one_band(name: str, item: Mapping[str, Any]) -> dict[str, Any]:
    if "M2" in item:  # the running state leaves Mean and StdDev at 0
        mean, deviation = float(item["M1"]), math.sqrt(float(item["M2"]) / float(item["Num"]))
    else:
        mean, deviation = float(item["Mean"]), float(item["StdDev"])
    numbers = (float(item["Min"]), float(item["Max"]), mean, deviation)
    if not all(math.isfinite(number) for number in numbers):
        raise ValueError("statistics must be finite")
    return {
        "BandName": name or str(item.get("BandName") or ""),
        **dict(zip(("Min", "Max", "Mean", "StdDev"), numbers)),
    }


def _pixels_per_class(stats: Mapping[str, Any]) -> dict[int, int]:
    pixels = _mapping(stats.get("ClassPixelStats")).get("NumPixelsPerClass")
    try:
        counts = [int(count) for count in pixels]
        values = [int(item["ClassValue"]) for item in stats["Classes"]]
    except (TypeError, KeyError, ValueError):
        return {}
    # A negative count is an overflow in the program that wrote it: better no counts than wrong ones.
    if len(counts) != len(values) or any(count < 0 for count in counts):
        return {}
    return dict(zip(values, counts))


def _mapping(value: Any) -> dict[str, Any]:
    return dict(value) if isinstance(value, Mapping) else {}


def _positive(value: Any) -> int:
    """``value`` as a whole number above 0, or 0 where it is none."""
    try:
        return max(0, int(value))
    except (TypeError, ValueError):
        return 0
