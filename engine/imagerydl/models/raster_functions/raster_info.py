"""What a raster function is told of its raster, and what it says of its output: ``updateRasterInfo``."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Optional, Union

import numpy as np

from ...errors import EngineError, ModelError
from ...labels.classes import ClassEntry, ClassSchema, color_or_none, lenient_schema
from ..runtimes.protocol import Scene

#: Types of less than a byte, which arrays do not have.
_SMALL_TYPES = {"t1": "uint8", "t2": "uint8", "t4": "uint8"}

#: Column names of a class table, as functions spell them.
_VALUE, _NAME = ("value", "classvalue"), ("class", "classname", "class_name", "name")


def describe(scene: Scene, bands: int, pixel_type: str) -> dict[str, Any]:
    """A raster in the words of the contract.

    Args:
        scene: The raster.
        bands: Number of bands the function is given.
        pixel_type: numpy name of their type.
    """
    extent = scene_extent(scene)
    return {
        "bandCount": bands,
        "pixelType": np.dtype(pixel_type).str[1:],
        "noData": None if scene.nodata is None else (scene.nodata,) * bands,
        "cellSize": cell_size(scene),
        "extent": extent,
        "nativeExtent": extent,
        "spatialReference": scene.spatial_reference,
        "nativeSpatialReference": scene.spatial_reference,
        "origin": (extent[0], extent[3]),
        "width": scene.width,
        "height": scene.height,
        "statistics": (),
        "histogram": (),
        "colormap": (),
    }


def map_coordinates(scene: Scene, column: float, row: float) -> tuple[float, float]:
    """Where the upper left corner of a pixel lies."""
    a, b, c, d, e, f = scene.transform
    return a * column + b * row + c, d * column + e * row + f


def cell_size(scene: Scene) -> tuple[float, float]:
    """Width and height of a pixel in map units."""
    a, b, _, d, e, _ = scene.transform
    return math.hypot(a, d), math.hypot(b, e)


def scene_extent(scene: Scene) -> tuple[float, float, float, float]:
    """xmin, ymin, xmax, ymax of a raster."""
    corners = [map_coordinates(scene, x, y) for x in (0, scene.width) for y in (0, scene.height)]
    xs, ys = zip(*corners)
    return min(xs), min(ys), max(xs), max(ys)


@dataclass(frozen=True)
class OutputInfo:
    """What a function says of its output.

    Attributes:
        pixel_type: numpy name of its type.
        bands: Number of its bands.
        nodata: Value it uses for no data; None where it names none.
        classes: Its classes; None where it gives no table.
    """

    pixel_type: str
    bands: int
    nodata: Optional[float]
    classes: Optional[ClassSchema]

    @property
    def no_value(self) -> float:
        """What marks a pixel the function masks out: its no-data value, else the type's last one."""
        if self.nodata is not None:
            return self.nodata
        dtype = np.dtype(self.pixel_type)
        return math.nan if dtype.kind == "f" else int(np.iinfo(dtype).max)

    @classmethod
    def read(cls, name: str, answer: Any, offered: Mapping[str, Any]) -> OutputInfo:
        """Read what ``updateRasterInfo`` gave.

        Args:
            name: File name of the function, for messages.
            answer: What it gave.
            offered: The ``output_info`` it was given, which it may have changed without giving it back.

        Raises:
            ModelError: If something of it cannot be used.
        """
        info = answer.get("output_info", offered) if isinstance(answer, Mapping) else offered
        if not isinstance(info, Mapping):
            raise ModelError(
                f"updateRasterInfo of {name} gives {type(info).__name__} as output_info.",
                "It must be a dictionary.",
            )
        pixel_type = _pixel_type(name, info.get("pixelType"))
        return cls(
            pixel_type,
            _count(name, info.get("bandCount", 1)),
            _nodata(name, info.get("noData"), np.dtype(pixel_type)),
            class_table(name, info.get("rasterAttributeTable")),
        )


def class_table(name: str, table: Any) -> Optional[ClassSchema]:
    """The classes in a raster attribute table, a JSON feature set as text or object.

    Args:
        name: File name of the function, for messages.
        table: As ``output_info`` holds it; empty for none.

    Raises:
        ModelError: If it cannot be read, or has a record without value.
    """
    if not table:
        return None
    try:
        content = json.loads(table) if isinstance(table, (str, bytes)) else table
        records = [
            {str(key).lower(): value for key, value in feature["attributes"].items()}
            for feature in content["features"]
        ]
        entries = [_entry(record) for record in records]
        return lenient_schema(entries) if entries else None
    except EngineError as error:
        raise ModelError(f"The class table of {name}: {error.message}", error.fix) from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ModelError(
            f"The class table (rasterAttributeTable) of {name} cannot be read ({error!r}).",
            "It must be a JSON feature set with Value, Class, Red, Green and Blue.",
        ) from error


def _entry(record: Mapping[str, Any]) -> ClassEntry:
    value = int(next(record[key] for key in (*_VALUE, "") if key in record or not key))
    label = next((record[key] for key in _NAME if record.get(key) not in (None, "")), None)
    color = color_or_none([record.get(key) for key in ("red", "green", "blue")])
    return ClassEntry(value, f"Class {value}" if label is None else str(label), color)


def _pixel_type(name: str, written: Any) -> str:
    try:
        dtype = np.dtype(_SMALL_TYPES.get(written, written))
    except TypeError:
        dtype = None
    if written is None or dtype is None or dtype.kind not in "iuf":
        raise ModelError(
            f"updateRasterInfo of {name} gives {written!r} as pixelType.",
            "Give u1, u2, u4, i1, i2, i4, f4 or f8.",
        )
    return dtype.name


def _count(name: str, written: Any) -> int:
    try:
        count = int(written)
    except (TypeError, ValueError):
        count = 0
    if count < 1:
        raise ModelError(f"updateRasterInfo of {name} gives {written!r} as bandCount.", "Give 1 or more.")
    return count


def _nodata(
    name: str, written: Union[float, Sequence[float], np.ndarray, None], dtype: np.dtype
) -> Optional[float]:
    """The no-data value of the first band; None where no pixel of this type can have it."""
    if isinstance(written, (list, tuple, np.ndarray)):
        written = written[0] if len(written) else None
    if written is None:
        return None
    try:
        value = float(written)
    except (TypeError, ValueError) as error:
        raise ModelError(
            f"updateRasterInfo of {name} gives {written!r} as noData.", "Give a number."
        ) from error
    if dtype.kind == "f":
        return value
    fits = value.is_integer() and np.iinfo(dtype).min <= value <= np.iinfo(dtype).max
    return int(value) if fits else None
