"""The four files beside the chips, in the form ArcGIS writes and reads them.

``map.txt``, ``esri_accumulated_stats.json``, ``stats.txt`` and ``esri_model_definition.emd``. Their
keys, key order and spelling are Esri's, down to the blank before the colon.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

from rasterio.crs import CRS

from ..imagery.grid import Grid
from ..labels.classes import ClassEntry, ClassSchema
from .folder import DEFINITION_FILE, ORIGINAL_NAME, STATS_FILE, SUMMARY_FILE
from .plan import ExportSettings
from .statistics import BandStatistics, LabelCounts

#: Esri's own number where it differs from the EPSG code.
_ESRI_WKID = {3857: 102100}

_WELL_KNOWN_KEY = "WellKnownBandNames (FYI, these band names can be used in ExtractBands)"
_WELL_KNOWN_BANDS = (
    "Red", "Green", "Blue", "Infrared", "CoastalBlue", "Yellow", "RedEdge", "ShortWaveInfrared",
    "NearInfrared", "NearInfrared_1", "NearInfrared_2", "MidInfrared", "MidInfrared_1", "MidInfrared_2",
    "Thermal", "Thermal_1", "Thermal_2", "Panchromatic", "PseudoRed", "PseudoGreen", "PseudoBlue", "QA",
)  # fmt: skip

#: Names the raster reader makes up for bands nothing is known about.
_MADE_UP = re.compile(r"Band_\d+")


@dataclass(frozen=True)
class FolderRecord:
    """What a folder of chips holds, as the side files tell it.

    Attributes:
        settings: What was asked for.
        output_features: Whether labels are counted as features.
        counts: Labels by class.
        folder_names: Folder of each class value, where files are found by class.
        instance_classes: Classes of instances (panoptic segmentation).
        chip_count: Chips in the folder.
        next_index: The number the next chip would get.
        classes: Classes, with colours where known.
        band_names: Names as the raster source gives them.
        band_names2: Those of the second raster.
        bands: Statistics of the image chips.
        bands2: Those of the second raster; None without one.
        grids: Grids of the images: their cell sizes are told.
        earlier_definition: The definition of the export these chips were added to.
    """

    settings: ExportSettings
    output_features: bool
    counts: LabelCounts
    folder_names: Mapping[int, str]
    instance_classes: ClassSchema
    chip_count: int
    next_index: int
    classes: ClassSchema
    band_names: tuple[str, ...]
    band_names2: tuple[str, ...]
    bands: BandStatistics
    bands2: Optional[BandStatistics]
    grids: Sequence[Grid]
    earlier_definition: Mapping[str, Any]


def map_line(paths: Iterable[str]) -> str:
    """One line of ``map.txt``: Windows separators, and a blank at the end."""
    return "".join(path.replace("/", "\\") + " " for path in paths) + "\n"


def write_side_files(root: Path, record: FolderRecord) -> None:
    """Write everything but ``map.txt``."""
    _write_json(root / STATS_FILE, accumulated_stats(record))
    _write_json(root / DEFINITION_FILE, definition_template(record))
    width, height = record.settings.tile_size
    lines = [
        f"images = {record.chip_count} *{len(record.band_names)}*{width}*{height}",
        *record.counts.summary(list(record.classes)),
    ]
    (root / SUMMARY_FILE).write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")


def accumulated_stats(record: FolderRecord) -> dict[str, Any]:
    """The content of ``esri_accumulated_stats.json``."""
    width, height = record.settings.tile_size
    return {
        "Version": 1,
        "NumBands": len(record.band_names),
        "TileSizeX": width,
        "TileSizeY": height,
        "NumClasses": len(record.classes),
        "NumTiles": record.chip_count,
        "NumTilesAsDouble": record.chip_count,
        "NextTileIndex": record.next_index,
        "OutputFeatures": record.output_features,
        "MetaDataMode": record.settings.metadata_format,
        "Classes": [
            {"ClassValue": entry.value, "ClassName": _shown_name(record, entry)} for entry in record.classes
        ],
        **_cell_sizes(record),
        **_raster_properties(record),
        record.counts.key: record.counts.as_json(record.classes.values),
        "BandStatsState": record.bands.state(),
        **({"BandStatsState2": record.bands2.state()} if record.bands2 else {}),
    }


def definition_template(record: FolderRecord) -> dict[str, Any]:
    """The content of ``esri_model_definition.emd``: a template whose texts are to be filled in."""
    settings = record.settings
    classes = [_class_item(record, entry) for entry in record.classes]
    instances = [_class_item(record, entry) for entry in record.instance_classes]
    return {
        "Framework": "e.g. TensorFlow or PyTorch",
        "ModelConfiguration": "e.g. UNet or FasterRCNN",
        "ModelType": "e.g. ObjectDetection or ImageClassification",
        "ModelFile": "e.g. ./trained.model",
        "Description": "e.g. which data model was trained on, what it finds",
        "ImageHeight": settings.tile_size[1],
        "ImageWidth": settings.tile_size[0],
        "ExtractBands": "e.g. [0, 1, 2]",
        "DataRange": "e.g. [0.1, 1.0] (optional)",
        "ModelPadding": "e.g. 64 (optional)",
        "BatchSize": "e.g. 8 (optional)",
        "PerProcessGPUMemoryFraction": "e.g. 0.8 (optional)",
        "MetaDataMode": settings.metadata_format,
        "BlackenAroundFeature": settings.blacken,
        "IsMultidimensional": False,
        "CropTileMode": "Variable_Size" if settings.crop_to_objects else "Fixed_Size",
        "ImageSpaceUsed": "PIXEL_SPACE" if settings.pixel_space else "MAP_SPACE",
        **_cell_sizes(record),
        **({"Classes": classes} if classes else {}),
        **({"Panoptic_Segmentation_Instance_Classes": instances} if instances else {}),
        **_raster_properties(record),
        "AllTilesStats": record.bands.summary(_known(record.band_names)),
        **({"AllTilesStats2": record.bands2.summary(_known(record.band_names2))} if record.bands2 else {}),
        _WELL_KNOWN_KEY: list(_WELL_KNOWN_BANDS),
    }


def _class_item(record: FolderRecord, entry: ClassEntry) -> dict[str, Any]:
    shown = _shown_name(record, entry)
    item = {"Value": entry.value, "Name": shown, "Color": list(entry.color or (-1, -1, -1))}
    return item if shown == entry.name else {**item, ORIGINAL_NAME: entry.name}


def _shown_name(record: FolderRecord, entry: ClassEntry) -> str:
    """The name by which Esri's reader finds the files of a class."""
    return record.folder_names.get(entry.value, entry.name)


def _known(band_names: Sequence[str]) -> list[str]:
    """Band names; empty texts where the source knows none."""
    return ["" if _MADE_UP.fullmatch(name) else name for name in band_names]


def _cell_sizes(record: FolderRecord) -> dict[str, Any]:
    sizes = [_cell_size(grid) for grid in record.grids]
    # Cell sizes of another system cannot be compared: those of the first system are told.
    system = sizes[0]["spatialReference"]
    earlier = [record.earlier_definition.get(key) for key in ("MinCellSize", "MaxCellSize")]
    sizes = [s for s in (*sizes, *filter(None, earlier)) if s.get("spatialReference") == system]
    return {
        "MinCellSize": min(sizes, key=lambda size: (size["x"], size["y"])),
        "MaxCellSize": max(sizes, key=lambda size: (size["x"], size["y"])),
    }


def _cell_size(grid: Grid) -> dict[str, Any]:
    x, y = grid.cell_size
    return {"x": x, "y": y, "spatialReference": _spatial_reference(grid.crs)}


def _spatial_reference(crs: Optional[CRS]) -> dict[str, Any]:
    """Esri's form of a coordinate system; empty for images without one."""
    if crs is None:
        return {}
    authority = crs.to_authority()
    if authority is None or not authority[1].isdigit():
        return {"wkt": crs.to_wkt()}
    code = int(authority[1])
    return {"wkid": _ESRI_WKID.get(code, code), "latestWkid": code}


def _raster_properties(record: FolderRecord) -> dict[str, Any]:
    result = {"InputRastersProps": _properties(record.band_names)}
    if record.bands2:
        result["InputRastersProps2"] = _properties(record.band_names2)
    return result


def _properties(band_names: Sequence[str]) -> dict[str, Any]:
    return {"RasterCount": 1, "SensorName": "Undefined", "BandNames": _known(band_names)}


def _write_json(path: Path, content: dict[str, Any]) -> None:
    text = json.dumps(content, indent=2, separators=(",", " : "), ensure_ascii=False, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8", newline="\n")
