"""The pixel lattice a raster is read on or written to."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Optional

import numpy as np
from affine import Affine
from rasterio.crs import CRS
from rasterio.windows import Window

from ..errors import DataError
from .transforms import apply, compose

#: Part of a pixel by which two lattices may differ and still count as the same one.
ALIGNMENT_TOLERANCE = 0.05

#: GDAL counts pixels along a side with signed 32-bit integers.
MAX_SIDE = 2**31 - 1


@dataclass(frozen=True)
class Grid:
    """A lattice of ``width`` x ``height`` pixels placed in a coordinate reference system.

    Attributes:
        crs: None where there is no georeference: coordinates are then columns and rows.
        transform: From (column, row) to map coordinates. It may rotate, and it may be south-up;
            both are kept as they are.
        width: Pixels along a row.
        height: Number of rows.
    """

    crs: Optional[CRS]
    transform: Affine
    width: int
    height: int

    @property
    def corners(self) -> tuple[tuple[float, float], ...]:
        """Map coordinates of the four corners."""
        width, height = self.width, self.height
        pixels = ((0, 0), (width, 0), (width, height), (0, height))
        return tuple(apply(self.transform, *pixel) for pixel in pixels)

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """(xmin, ymin, xmax, ymax) of the four corners, in map units."""
        xs, ys = zip(*self.corners)
        return min(xs), min(ys), max(xs), max(ys)

    @property
    def cell_size(self) -> tuple[float, float]:
        """(x, y) side lengths of a pixel in map units, both positive, also on rotated grids."""
        t = self.transform
        return math.hypot(t.a, t.d), math.hypot(t.b, t.e)

    @property
    def area(self) -> float:
        """Ground it covers, in map units squared."""
        return self.width * self.height * abs(self.transform.determinant)

    @property
    def is_georeferenced(self) -> bool:
        """Whether map coordinates are anything else than columns and rows."""
        return self.crs is not None or self.transform != Affine.identity()

    @property
    def is_rotated(self) -> bool:
        """Whether rows do not run along the x axis."""
        size = max(self.cell_size)
        return abs(self.transform.b) > 1e-9 * size or abs(self.transform.d) > 1e-9 * size

    def north_up(self) -> Grid:
        """A lattice of the same cell size whose rows run west to east and from north to south."""
        xmin, ymin, xmax, ymax = self.bounds
        x, y = self.cell_size
        # Rounding must not add a row or column to a raster that is straight already.
        width, height = (
            math.ceil(side - ALIGNMENT_TOLERANCE) for side in ((xmax - xmin) / x, (ymax - ymin) / y)
        )
        return Grid(self.crs, Affine(x, 0, xmin, 0, -y, ymax), max(width, 1), max(height, 1))

    @property
    def window(self) -> Window:
        """The whole grid."""
        return Window(0, 0, self.width, self.height)

    def window_transform(self, window: Window) -> Affine:
        """The transform of the part of this lattice in ``window`` (which may reach outside)."""
        t = self.transform
        x, y = apply(t, window.col_off, window.row_off)
        return Affine(t.a, t.b, x, t.d, t.e, y)

    def subgrid(self, window: Window) -> Grid:
        """The part of this lattice in ``window`` (which may reach outside)."""
        return Grid(self.crs, self.window_transform(window), int(window.width), int(window.height))

    def window_of_bounds(self, bounds: tuple[float, float, float, float]) -> Window:
        """The smallest window that covers ``bounds`` (map units): snapped outwards to whole pixels."""
        xmin, ymin, xmax, ymax = bounds
        return self._window_of_points(((xmin, ymin), (xmin, ymax), (xmax, ymin), (xmax, ymax)))

    def window_of_grid(self, other: Grid) -> Window:
        """The smallest window that covers ``other``, which must be in the same system."""
        return self._window_of_points(other.corners)

    def _window_of_points(self, points: Iterable[tuple[float, float]]) -> Window:
        inverse = ~self.transform
        columns, rows = zip(*(apply(inverse, *point) for point in points))
        # Bounds taken from this very raster must give it back, in spite of rounding.
        slack = ALIGNMENT_TOLERANCE
        left, top = math.floor(min(columns) + slack), math.floor(min(rows) + slack)
        right, bottom = math.ceil(max(columns) - slack), math.ceil(max(rows) - slack)
        return Window(left, top, max(right - left, 1), max(bottom - top, 1))

    def offset_of(self, other: Grid) -> Optional[tuple[int, int]]:
        """(column, row) of ``other``'s upper left corner here, where both share one lattice.

        Returns:
            None where the systems, pixel sizes or positions differ by a visible part of a pixel.
        """
        if self.crs != other.crs:
            return None
        relative = compose(~self.transform, other.transform)
        drift = max(
            abs(relative.a - 1) * other.width,
            abs(relative.e - 1) * other.height,
            abs(relative.b) * other.height,
            abs(relative.d) * other.width,
        )
        column, row = round(relative.c), round(relative.f)
        apart = max(abs(relative.c - column), abs(relative.f - row))
        return None if drift > ALIGNMENT_TOLERANCE or apart > ALIGNMENT_TOLERANCE else (column, row)

    def with_cell_size(self, cell_size: float) -> Grid:
        """The same ground in square pixels of ``cell_size`` map units, same origin and rotation."""
        x, y = self.cell_size
        columns, rows = self.width * x / cell_size, self.height * y / cell_size
        if max(columns, rows) > MAX_SIDE:
            raise DataError(
                f"A cell size of {cell_size:g} gives {columns:.3g} x {rows:.3g} pixels.",
                "Cell size is in units of the raster's coordinate system; give a larger one.",
            )
        width, height = (max(1, math.ceil(n - ALIGNMENT_TOLERANCE)) for n in (columns, rows))
        transform = compose(self.transform, Affine.scale(cell_size / x, cell_size / y))
        return Grid(self.crs, transform, width, height)


def reflect(start: int, stop: int, length: int) -> np.ndarray:
    """Positions ``start`` to ``stop - 1`` folded into ``0 .. length - 1`` as between two mirrors.

    The outermost pixel is not repeated: ``-1`` is ``1``, ``length`` is ``length - 2``.

    Returns:
        Integer array of ``stop - start`` positions.
    """
    if length == 1:
        return np.zeros(stop - start, dtype=np.intp)
    period = 2 * (length - 1)
    folded = np.arange(start, stop, dtype=np.intp) % period
    return np.minimum(folded, period - folded)


def intersection(first: Window, second: Window) -> Optional[Window]:
    """What two windows share, or None."""
    left, top = max(first.col_off, second.col_off), max(first.row_off, second.row_off)
    right = min(first.col_off + first.width, second.col_off + second.width)
    bottom = min(first.row_off + first.height, second.row_off + second.height)
    if right <= left or bottom <= top:
        return None
    return Window(left, top, right - left, bottom - top)


def slices_in(part: Window, whole: Window) -> tuple[slice, slice]:
    """Rows and columns of ``part`` in an array that holds ``whole``."""
    top, left = int(part.row_off - whole.row_off), int(part.col_off - whole.col_off)
    return slice(top, top + int(part.height)), slice(left, left + int(part.width))
