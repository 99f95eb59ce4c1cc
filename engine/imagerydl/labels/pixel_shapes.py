"""Shapes of a label table: boxes in four columns, polygons written into one, or the geometries of a file."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from functools import reduce
from typing import Any, Optional

import numpy as np
import shapely

from .repair import largest_dimension, repaired

#: The reason for which shapes without an area are left out.
POINTS_OR_LINES = "points or lines"

_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")


def boxes_from_columns(sides: Sequence[np.ndarray]) -> tuple[np.ndarray, dict[str, int]]:
    """Boxes as polygons.

    Args:
        sides: Columns xmin, ymin, xmax, ymax ``[rows]``, numbers or text.

    Returns:
        Polygons ``[rows]``, None for boxes that cannot be used, and how many those are by reason.
    """
    xmin, ymin, xmax, ymax = (_numbers(column) for column in sides)
    readable = np.isfinite([xmin, ymin, xmax, ymax]).all(axis=0)
    with np.errstate(invalid="ignore"):
        reversed_ = readable & ((xmax < xmin) | (ymax < ymin))
        flat = readable & ~reversed_ & ((xmax == xmin) | (ymax == ymin))
    good = readable & ~reversed_ & ~flat
    result = np.full(len(xmin), None, dtype=object)
    result[good] = shapely.box(xmin[good], ymin[good], xmax[good], ymax[good])
    return result, {
        "a box that is not four numbers": int((~readable).sum()),
        "a reversed box": int(reversed_.sum()),
        "a box without size": int(flat.sum()),
    }


def usable_shapes(shapes: np.ndarray) -> tuple[np.ndarray, dict[str, int]]:
    """Shapes that are valid and have an area.

    Returns:
        Shapes ``[rows]``, None for those that cannot be used, and how many those are by reason.
    """
    drawn = ~(shapely.is_missing(shapes) | shapely.is_empty(shapes))
    result = repaired(shapes).copy()
    mixed = np.flatnonzero(shapely.get_type_id(result) == shapely.GeometryType.GEOMETRYCOLLECTION)
    for row in mixed:
        result[row] = largest_dimension(result[row])
    thin = drawn & (shapely.get_dimensions(shapes) < 2)
    good = drawn & (shapely.area(result) > 0)
    result[~good] = None
    return result, {
        "no readable shape": int((~drawn).sum()),
        POINTS_OR_LINES: int(thin.sum()),
        "a polygon without area": int((drawn & ~thin & ~good).sum()),
    }


def rows_downwards(shapes: np.ndarray) -> np.ndarray:
    """Shapes ``[rows]`` with y as the row, also where they were drawn over an image without georeference.

    QGIS shows such an image below the x axis, row ``r`` at y = -r, and Detect Objects writes what it
    finds in it likewise; a table of pixels has no row below 0.
    """
    middles = shapely.bounds(shapes).reshape(-1, 4)[:, 1::2].mean(axis=1)
    known = middles[np.isfinite(middles)]
    return mirrored(shapes) if len(known) and np.median(known) < 0 else shapes


def mirrored(shapes: np.ndarray) -> np.ndarray:
    """Shapes ``[rows]`` with y as minus the row, or back."""
    return shapely.transform(shapes, lambda xy: xy * (1.0, -1.0))


def shapes_from_texts(cells: np.ndarray) -> np.ndarray:
    """Geometries ``[rows]`` from WKT, Esri JSON, GeoJSON or lists of x and y; None for anything else.

    Lists may be ``x, y, x, y``, ``[[x, y], [x, y]]``, or several rings or polygons, as COCO has them.
    """
    return np.array([*(_shape(cell) for cell in cells.tolist()), None], dtype=object)[:-1]


def _shape(cell: Any) -> Optional[shapely.Geometry]:
    text = str(cell or "").strip()
    try:
        if text.startswith("{"):
            return _from_object(json.loads(text), text)
        if text[:1].isalpha():
            # PostGIS writes SRID=0;POLYGON...
            return shapely.from_wkt(text.rpartition(";")[2])
        if text.startswith("[[") and ")" not in text:
            return _from_list(json.loads(text))
        return _ring(_NUMBER.findall(text))
    except (shapely.errors.ShapelyError, ValueError, TypeError, IndexError, KeyError):
        return None


def _from_object(value: dict[str, Any], text: str) -> Optional[shapely.Geometry]:
    if "rings" not in value:
        return shapely.from_geojson(text)
    # Esri winds holes the other way than outlines; what lies inside an odd number of rings counts.
    rings = repaired(np.array([shapely.Polygon(ring) for ring in value["rings"]], dtype=object))
    return reduce(shapely.symmetric_difference, rings) if len(rings) else None


def _from_list(value: list[Any]) -> Optional[shapely.Geometry]:
    """A polygon from a list of points, or the union of several polygons."""
    if not isinstance(value[0], list):
        return _ring(value)
    if isinstance(value[0][0], list) or len(value[0]) > 3:
        return shapely.union_all(repaired(np.array([_from_list(part) for part in value], dtype=object)))
    return _ring([number for point in value for number in point[:2]])


def _ring(numbers: Sequence[Any]) -> Optional[shapely.Geometry]:
    if len(numbers) < 6 or len(numbers) % 2:
        return None
    return shapely.Polygon(np.array(numbers, dtype=float).reshape(-1, 2))


def _numbers(cells: np.ndarray) -> np.ndarray:
    """Cells as numbers, NaN where they are none."""
    try:
        return cells.astype(float)
    except (TypeError, ValueError):
        return np.array([_number(cell) for cell in cells.tolist()], dtype=float)


def _number(cell: Any) -> float:
    try:
        return float(cell)
    except (TypeError, ValueError):
        return float("nan")
