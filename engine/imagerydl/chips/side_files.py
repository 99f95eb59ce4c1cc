"""The four files beside the chips, in the form ArcGIS writes and reads them.

``map.txt``, ``esri_accumulated_stats.json``, ``stats.txt`` and ``esri_model_definition.emd``. Their
keys, key order and spelling are Esri's, down to the blank before the colon.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

from rasterio.crs import CRS

from ..imagery.grid import Grid
from ..labels.classes import ClassSchema
from .folder import DEFINITION_FILE, STATS_FILE, SUMMARY_FILE
from .metadata_format import MetadataFormat
from .statistics import BandStatistics

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
class ExportRecord:
    """What an export did, as the side files tell it.

    Attributes:
        metadata_format: The format that wrote the labels, with its statistics.
        tile_size: Chip (width, height) in pixels.
        chip_count: Chips written.
        next_index: The number the next chip would get.
        classes: Classes, with colours where known.
        band_names: Names as the raster source gives them.
        bands: Statistics of the image chips.
        grids: Grids of the images: their cell sizes are told.
    """

    metadata_format: MetadataFormat
    tile_size: tuple[int, int]
    chip_count: int
    next_index: int
    classes: ClassSchema
    band_names: tuple[str, ...]
    bands: BandStatistics
    grids: Sequence[Grid]

    @property
    def known_band_names(self) -> list[str]:
        """Band names; empty texts where the source knows none."""
        return ["" if _MADE_UP.fullmatch(name) else name for name in self.band_names]


def map_line(paths: Iterable[str]) -> str:
    """One line of ``map.txt``: Windows separators, and a blank at the end."""
    return "".join(path.replace("/", "\\") + " " for path in paths) + "\n"


def write_side_files(root: Path, record: ExportRecord) -> None:
    """Write everything but ``map.txt``, which grows with the chips."""
    _write_json(root / STATS_FILE, accumulated_stats(record))
    _write_json(root / DEFINITION_FILE, definition_template(record))
    width, height = record.tile_size
    lines = [
        f"images = {record.chip_count} *{len(record.band_names)}*{width}*{height}",
        *record.metadata_format.summary(list(record.classes)),
    ]
    (root / SUMMARY_FILE).write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")


def accumulated_stats(record: ExportRecord) -> dict[str, Any]:
    """The content of ``esri_accumulated_stats.json``."""
    kind = record.metadata_format
    return {
        "Version": 1,
        "NumBands": len(record.band_names),
        "TileSizeX": record.tile_size[0],
        "TileSizeY": record.tile_size[1],
        "NumClasses": len(record.classes),
        "NumTiles": record.chip_count,
        "NumTilesAsDouble": record.chip_count,
        "NextTileIndex": record.next_index,
        "OutputFeatures": kind.output_features,
        "MetaDataMode": kind.keyword,
        "Classes": [{"ClassValue": entry.value, "ClassName": entry.name} for entry in record.classes],
        **_cell_sizes(record.grids),
        "InputRastersProps": _raster_properties(record),
        **kind.statistics(record.classes.values),
        "BandStatsState": record.bands.state(),
    }


def definition_template(record: ExportRecord) -> dict[str, Any]:
    """The content of ``esri_model_definition.emd``: a template whose texts are to be filled in."""
    classes = [
        {"Value": entry.value, "Name": entry.name, "Color": list(entry.color or (-1, -1, -1))}
        for entry in record.classes
    ]
    return {
        "Framework": "e.g. TensorFlow or PyTorch",
        "ModelConfiguration": "e.g. UNet or FasterRCNN",
        "ModelType": "e.g. ObjectDetection or ImageClassification",
        "ModelFile": "e.g. ./trained.model",
        "Description": "e.g. which data model was trained on, what it finds",
        "ImageHeight": record.tile_size[1],
        "ImageWidth": record.tile_size[0],
        "ExtractBands": "e.g. [0, 1, 2]",
        "DataRange": "e.g. [0.1, 1.0] (optional)",
        "ModelPadding": "e.g. 64 (optional)",
        "BatchSize": "e.g. 8 (optional)",
        "PerProcessGPUMemoryFraction": "e.g. 0.8 (optional)",
        "MetaDataMode": record.metadata_format.keyword,
        "BlackenAroundFeature": False,
        "IsMultidimensional": False,
        "CropTileMode": "Fixed_Size",
        "ImageSpaceUsed": "MAP_SPACE",
        **_cell_sizes(record.grids),
        **({"Classes": classes} if classes else {}),
        "InputRastersProps": _raster_properties(record),
        "AllTilesStats": record.bands.summary(record.known_band_names),
        _WELL_KNOWN_KEY: list(_WELL_KNOWN_BANDS),
    }


def _cell_sizes(grids: Sequence[Grid]) -> dict[str, Any]:
    smallest = min(grids, key=lambda grid: grid.cell_size)
    largest = max(grids, key=lambda grid: grid.cell_size)
    return {"MinCellSize": _cell_size(smallest), "MaxCellSize": _cell_size(largest)}


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


def _raster_properties(record: ExportRecord) -> dict[str, Any]:
    return {"RasterCount": 1, "SensorName": "Undefined", "BandNames": record.known_band_names}


def _write_json(path: Path, content: dict[str, Any]) -> None:
    text = json.dumps(content, indent=2, separators=(",", " : "), ensure_ascii=False, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8", newline="\n")
