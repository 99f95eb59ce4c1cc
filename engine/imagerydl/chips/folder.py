"""Reads a folder of exported training chips, written here or by ArcGIS.

The layout and the meaning of the side files: ``images/``, ``labels/``, ``esri_model_definition.emd``,
``esri_accumulated_stats.json``. Chips and labels pair by file stem, as Esri's own reader pairs them.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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

_EXPORT_AGAIN = "Give the folder that Export Training Data wrote, or export it again."


@dataclass(frozen=True)
class ChipPair:
    """One training chip.

    Attributes:
        image: The chip.
        label: Its label; None where the format has none, or where it is missing.
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
    definition, stats = _read_side_file(root / DEFINITION_FILE), _read_side_file(root / STATS_FILE)
    if not definition and not stats:
        parts = [name for name in ("train", "A") if (root / name / STATS_FILE).is_file()]
        if parts:
            raise DataError(f"{root} is an export in several parts.", f"Give one of them: {root / parts[0]}.")
        raise DataError(f"{root} has neither {DEFINITION_FILE} nor {STATS_FILE}.", _EXPORT_AGAIN)
    # The statistics are what Esri's own reader trusts for the format.
    metadata_format = str(stats.get("MetaDataMode") or definition.get("MetaDataMode") or "")
    if not metadata_format:
        raise DataError(f"{root} does not say its format: MetaDataMode is missing.", _EXPORT_AGAIN)
    chips = _find_chips(root)
    width, height, band_count = _chip_shape(definition, stats, chips)
    names = _band_names(definition, stats, band_count)
    return ExportedFolder(
        root=root,
        metadata_format=metadata_format,
        classes=_classes(root, definition, stats),
        tile_size=(width, height),
        band_count=band_count,
        band_names=names,
        band_stats=_band_stats(definition, stats, names),
        image_space=str(definition.get("ImageSpaceUsed") or "MAP_SPACE"),
        cell_size=_mapping(definition.get("MinCellSize")) or _mapping(stats.get("MinCellSize")) or None,
        pixels_per_class=_pixels_per_class(stats),
        chips=chips,
        definition=definition,
        class_folders=_class_folders(definition),
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


def _find_chips(root: Path) -> tuple[ChipPair, ...]:
    if not (root / IMAGES).is_dir():
        raise DataError(f"{root} has no {IMAGES} folder.", _EXPORT_AGAIN)
    images, labels = _by_stem(root / IMAGES), _by_stem(root / LABELS)
    if not images:  # in folders by class
        for folder in sorted(path for path in (root / IMAGES).iterdir() if path.is_dir()):
            images |= _by_stem(folder)
    if not images:
        raise DataError(f"{root / IMAGES} holds no chip (tif, png, jpg or mrf).", _EXPORT_AGAIN)
    second = _by_stem(root / IMAGES2)
    return tuple(ChipPair(images[stem], labels.get(stem), second.get(stem)) for stem in sorted(images))


def _by_stem(folder: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    if folder.is_dir():
        for entry in sorted(os.listdir(folder)):
            stem, extension = os.path.splitext(entry)
            if extension.lower() in CHIP_EXTENSIONS:
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


def _classes(root: Path, definition: Mapping[str, Any], stats: Mapping[str, Any]) -> ClassSchema:
    try:
        items = definition.get("Classes") or stats.get("Classes") or ()
        return schema_from_items({**item, **_true_name(item)} for item in items)
    except EngineError as error:
        raise DataError(f"The classes of {root} cannot be used: {error.message}", error.fix) from error


def _true_name(item: Mapping[str, Any]) -> dict[str, Any]:
    return {"Name": item[ORIGINAL_NAME]} if ORIGINAL_NAME in item else {}


def _class_folders(definition: Mapping[str, Any]) -> dict[str, int]:
    items = [
        *(definition.get("Classes") or ()),
        *(definition.get("Panoptic_Segmentation_Instance_Classes") or ()),
    ]
    return {str(item["Name"]): int(item["Value"]) for item in items if "Name" in item and "Value" in item}


def _band_names(definition: Mapping[str, Any], stats: Mapping[str, Any], band_count: int) -> tuple[str, ...]:
    properties = _mapping(definition.get("InputRastersProps")) or _mapping(stats.get("InputRastersProps"))
    names = properties.get("BandNames")
    if not isinstance(names, list) or len(names) != band_count:
        return ("",) * band_count
    return tuple(str(name) for name in names)


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
