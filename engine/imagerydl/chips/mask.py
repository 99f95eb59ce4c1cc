"""Mask polygons: only chips that lie completely inside are exported."""

from __future__ import annotations

from collections.abc import Callable
from typing import Optional

import numpy as np
import shapely
from rasterio.windows import Window

from ..errors import DataError
from ..imagery.grid import Grid
from ..labels.geometry import is_pixel_space, layer_on, read_layer, window_polygon

#: Part of a pixel by which a chip may stick out: coordinates of edges that coincide differ by
#: rounding.
_TOLERANCE = 1e-3


class MaskPolygons:
    """The polygons of a layer as the area chips may come from.

    Args:
        path: File, or ``path|layername=NAME``.
        say: Receives what the user should know.
    """

    def __init__(self, path: str, say: Callable[[str], None] = lambda text: None) -> None:
        self._layer = read_layer(path, "mask layer")
        self._say = say
        if not (shapely.get_dimensions(self._layer.geometries) == 2).any():
            raise DataError(
                f"The mask layer {self._layer.name} has no polygons.", "Draw polygons around the area."
            )
        self._key: Optional[tuple[Optional[str], bool]] = None
        self._polygons = np.empty(0, dtype=object)
        self._tree = shapely.STRtree([])

    def contains(self, grid: Grid, window: Window) -> bool:
        """Whether ``window`` of ``grid`` lies inside the polygons; touching ones count as one area."""
        self._bring_to(grid)
        outline = window_polygon(grid, window, shrink=_TOLERANCE)
        near = self._tree.query(outline, predicate="intersects")
        if not len(near):
            return False
        touched = self._polygons[near]
        if shapely.covers(touched, outline).any():
            return True
        return len(touched) > 1 and bool(shapely.covers(shapely.union_all(touched), outline))

    def _bring_to(self, grid: Grid) -> None:
        key = (grid.crs.to_wkt() if grid.crs else None, is_pixel_space(grid))
        if key != self._key:
            self._polygons = layer_on(self._layer, self._layer.geometries, grid, self._say)
            shapely.prepare(self._polygons)
            self._tree = shapely.STRtree(self._polygons)
            self._key = key
