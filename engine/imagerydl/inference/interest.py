"""Polygons of interest: what lies outside them is not run and has no data in the result."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import shapely
from rasterio.features import rasterize
from rasterio.windows import Window

from ..errors import DataError
from ..imagery.grid import Grid
from ..imagery.transforms import apply
from ..labels.geometry import layer_on, read_layer, window_polygon


class InterestArea:
    """The polygons of a layer, on the grid of a raster.

    Threads may share it.

    Args:
        path: File, or ``path|layername=NAME``.
        grid: Grid of the raster.
        say: Receives what the user should know.

    Raises:
        DataError: If the layer holds no polygon, or none lies on the grid.
    """

    def __init__(self, path: str, grid: Grid, say: Callable[[str], None] = lambda text: None) -> None:
        layer = read_layer(path, "layer of polygons of interest")
        polygons = layer.geometries[shapely.get_dimensions(layer.geometries) == 2]
        if not len(polygons):
            raise DataError(
                f"The layer of polygons of interest {layer.name} has no polygons.",
                "Draw polygons around the area.",
            )
        self._polygons = layer_on(layer, polygons, grid, say)
        shapely.prepare(self._polygons)
        self._tree = shapely.STRtree(self._polygons)
        if not self.touches(grid, grid.window):
            raise DataError(
                f"No polygon of {layer.name} touches the raster.",
                "Draw polygons over it, and check their coordinate reference system.",
            )

    def touches(self, grid: Grid, window: Window) -> bool:
        """Whether any polygon touches ``window``."""
        return bool(len(self._tree.query(window_polygon(grid, window), predicate="intersects")))

    def holds(self, grid: Grid, points: np.ndarray) -> np.ndarray:
        """Which points (column, row) ``[n, 2]`` lie in a polygon, bool ``[n]``."""
        xs, ys = apply(grid.transform, *points.T)
        found = np.zeros(len(points), dtype=bool)
        found[self._tree.query(shapely.points(xs, ys), predicate="intersects")[0]] = True
        return found

    def mask(self, grid: Grid, window: Window) -> np.ndarray:
        """Which pixels of ``window`` have their centre in a polygon, bool ``[h, w]``."""
        outline = window_polygon(grid, window)
        shape = (int(window.height), int(window.width))
        near = self._polygons[self._tree.query(outline, predicate="intersects")]
        if not len(near):
            return np.zeros(shape, dtype=bool)
        if len(near) == 1 and shapely.covers(near[0], outline):
            return np.ones(shape, dtype=bool)
        return rasterize(near, out_shape=shape, transform=grid.window_transform(window), dtype=np.uint8) > 0
