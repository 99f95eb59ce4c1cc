"""What lies in one chip, object by object: features cut to it, or regions of equal pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

import numpy as np
import shapely
from affine import Affine
from rasterio.features import shapes

from .repair import repaired

#: Parts thinner than this, in pixels, come from rounding where a feature ends at the chip's border.
_NOISE = 1e-6

_COLLECTION = shapely.GeometryType.GEOMETRYCOLLECTION


@dataclass(frozen=True)
class LabelObjects:
    """Objects in one chip, in the order they are drawn in.

    Attributes:
        values: Class values, int32 ``[n]``.
        geometries: Their shapes ``[n]`` in pixels of the chip (x right, y down, origin at the upper
            left corner), cut to the chip; never empty. Those that were cut are
            valid; whole ones as valid as rounding to pixels leaves them.
        shares: Visible part of each whole object, float64 ``[n]``: of the area of polygons and the
            length of lines; 1 for points.
        features: Position of each in its source, int64 ``[n]``: the same number for the same
            feature in every chip.
    """

    values: np.ndarray
    geometries: np.ndarray
    shares: np.ndarray
    features: np.ndarray

    def __len__(self) -> int:
        return len(self.values)

    def select(self, which: np.ndarray) -> LabelObjects:
        """Some of the objects: by a bool mask ``[n]``, or by positions in any order."""
        return LabelObjects(
            self.values[which], self.geometries[which], self.shares[which], self.features[which]
        )

    @property
    def boxes(self) -> np.ndarray:
        """Smallest upright boxes, float64 ``[n, 4]``: (xmin, ymin, xmax, ymax) in pixels."""
        return shapely.bounds(self.geometries).reshape(-1, 4)

    @classmethod
    def empty(cls) -> LabelObjects:
        """No objects."""
        return cls(np.empty(0, np.int32), np.empty(0, object), np.empty(0), np.empty(0, np.int64))


def regions(label: np.ndarray) -> LabelObjects:
    """The connected regions of a class chip as objects.

    Pixels of equal, non-zero value that touch, also by a corner, are one region. Its polygon
    follows the borders of the pixels.

    Args:
        label: Class values ``[height, width]``.

    Returns:
        The regions in the order of their first pixels, row by row; all shares are 1.
    """
    if not label.any():
        return LabelObjects.empty()
    # The library reads neither 64 bits nor the unsigned 32.
    pixels = label if label.dtype in (np.uint8, np.uint16, np.int32) else label.astype(np.int32)
    found = [
        (shapely.geometry.shape(shape), value)
        for shape, value in shapes(pixels, mask=pixels != 0, connectivity=8)
    ]
    # Where pixels touch by a corner only, the outline touches itself there.
    geometries = repaired(np.array([geometry for geometry, _ in found], dtype=object))
    values = np.array([value for _, value in found]).astype(np.int32)
    order = _reading_order(geometries)
    count = len(order)
    return LabelObjects(values[order], geometries[order], np.ones(count), np.arange(count, dtype=np.int64))


def _reading_order(geometries: np.ndarray) -> np.ndarray:
    """Positions of regions sorted by their first pixels, row by row."""
    coordinates, owners = shapely.get_coordinates(geometries, return_index=True)
    # The upper left corner of a region's first pixel is the leftmost of its topmost vertices.
    by_place = np.lexsort((coordinates[:, 0], coordinates[:, 1]))
    _, first = np.unique(owners[by_place], return_index=True)
    return np.argsort(first, kind="stable")


def to_pixels(geometries: np.ndarray, transform: Affine, origins: Optional[np.ndarray] = None) -> np.ndarray:
    """Geometries ``[n]`` in map coordinates as geometries in pixels of the lattice of ``transform``.

    Args:
        geometries: In map coordinates.
        transform: Of the lattice.
        origins: Where each geometry's own lattice begins, map coordinates ``[n, 2]``; None where
            that is the origin of ``transform`` for all.
    """
    inverse = ~transform
    if origins is None:
        coordinates, origin = shapely.get_coordinates(geometries), (transform.c, transform.f)
    else:
        coordinates, owners = shapely.get_coordinates(geometries, return_index=True)
        origin = origins[owners]
    # Differences first: map coordinates are large numbers, and a product of them loses digits.
    moved = coordinates - origin
    x, y = moved[:, 0], moved[:, 1]
    pixels = np.column_stack((inverse.a * x + inverse.b * y, inverse.d * x + inverse.e * y))
    return shapely.set_coordinates(geometries.copy(), pixels)


def clipped(geometries: np.ndarray, width: int, height: int) -> tuple[np.ndarray, np.ndarray]:
    """Geometries in pixels cut to a chip of ``width`` x ``height`` pixels.

    Only parts of a geometry's own dimension are kept: where a polygon touches the border, there is
    nothing. A point on the border belongs to the pixel right of and below it.

    Returns:
        Cut geometries ``[n]``, None where nothing is left, and which lie inside as a whole, bool ``[n]``.
    """
    bounds = shapely.bounds(geometries).reshape(-1, 4)
    low, high = bounds[:, :2], bounds[:, 2:]
    size = (width, height)
    dimensions = shapely.get_dimensions(geometries)
    points = dimensions == 0
    with np.errstate(invalid="ignore"):  # empty geometries have no bounds
        inside = (low >= 0).all(axis=1) & (high <= size).all(axis=1)
        inside &= ~points | (high < size).all(axis=1)
        near = (high >= 0).all(axis=1) & (low <= size).all(axis=1)
    result = np.full(len(geometries), None, dtype=object)
    result[inside] = geometries[inside]
    across = np.flatnonzero(near & ~inside)
    if len(across):
        result[across] = _cut(geometries[across], dimensions[across], width, height)
    result[~_visible(result, dimensions)] = None
    return result, inside


def _cut(geometries: np.ndarray, dimensions: np.ndarray, width: int, height: int) -> np.ndarray:
    cut = geometries.copy()
    points = dimensions == 0
    cut[points] = [_points_within(geometry, width, height) for geometry in geometries[points]]
    cut[~points] = _cut_areas_and_lines(geometries[~points], width, height)
    mixed = np.flatnonzero(shapely.get_type_id(cut) == _COLLECTION)
    for position in mixed:
        parts = shapely.get_parts(cut[position])
        cut[position] = shapely.union_all(parts[shapely.get_dimensions(parts) == dimensions[position]])
    return cut


def _cut_areas_and_lines(geometries: np.ndarray, width: int, height: int) -> np.ndarray:
    # Clipping at a rectangle takes a tenth of the time of a true intersection. It can go wrong where
    # a vertex lies on the very border or an edge runs through the very corner, and it may leave an
    # outline that touches itself.
    cut = shapely.clip_by_rect(geometries, 0, 0, width, height)
    doubtful = ~shapely.is_valid(cut)
    doubtful[_on_border(geometries, width, height, sides=1)] = True
    doubtful[_on_border(cut, width, height, sides=2)] = True
    if doubtful.any():
        # Rounding on the way to pixels can fold a very thin polygon, and intersecting that one would fail.
        whole = repaired(geometries[doubtful])
        cut[doubtful] = shapely.intersection(whole, shapely.box(0, 0, width, height))
    return cut


def _on_border(geometries: np.ndarray, width: int, height: int, sides: int) -> np.ndarray:
    """Positions of geometries with a vertex on so many sides of the chip at once (2: a corner)."""
    coordinates, owners = shapely.get_coordinates(geometries, return_index=True)
    on_side = (coordinates == 0) | (coordinates == (width, height))
    return owners[on_side.sum(axis=1) >= sides]


def _points_within(geometry: shapely.Geometry, width: int, height: int) -> shapely.Geometry:
    parts = shapely.get_parts(geometry)
    x, y = shapely.get_x(parts), shapely.get_y(parts)
    kept = parts[(x >= 0) & (x < width) & (y >= 0) & (y < height)]
    return kept[0] if len(kept) == 1 else shapely.multipoints(kept)


def _visible(geometries: np.ndarray, dimensions: np.ndarray) -> np.ndarray:
    """Which geometries show more than rounding leaves over, bool ``[n]``."""
    bounds = shapely.bounds(geometries).reshape(-1, 4)
    with np.errstate(invalid="ignore"):
        extent = np.maximum(bounds[:, 2] - bounds[:, 0], bounds[:, 3] - bounds[:, 1])
        thick = shapely.area(geometries) > _NOISE * extent
        long = shapely.length(geometries) > _NOISE
        there = ~(shapely.is_missing(geometries) | shapely.is_empty(geometries))
    return there & np.where(dimensions == 2, thick, long | (dimensions == 0))
