"""From pixels of a raster to the coordinates of a layer."""

from __future__ import annotations

from typing import Optional

import numpy as np
import shapely
from affine import Affine
from rasterio.crs import CRS

from ...errors import DataError
from ...imagery.grid import Grid
from ...imagery.inspection import inspect_raster
from ...imagery.transforms import compose
from ...labels.geometry import is_pixel_space, mapped, transformed
from ..items import Item


class Placement:
    """Where the pixels of a raster lie in a layer.

    Without georeference, and in pixel space, x is the column and y minus the row, in pixels of the image
    itself: where QGIS shows an image without georeference.

    Args:
        grid: Lattice of the raster as it was read.
        item: What it was read from.
        pixel_space: Whether georeference is left out.
        crs: System of the layer; what lies in another one is brought to it.
        is_first: Whether the layer has no system yet, and gets that of the grid.

    Attributes:
        crs: System of what comes out; None in pixel space.
    """

    def __init__(
        self,
        grid: Grid,
        item: Item,
        pixel_space: bool,
        crs: Optional[CRS] = None,
        is_first: bool = True,
    ) -> None:
        transform = grid.transform
        if pixel_space and grid.is_georeferenced:
            # Extent and cell size have made another lattice of that of the image.
            transform = compose(~inspect_raster(item.images[0]).grid.transform, transform)
        is_pixels = pixel_space or is_pixel_space(grid)
        self._transform: Affine = compose(Affine.scale(1, -1), transform) if is_pixels else transform
        self._own = None if pixel_space else grid.crs
        self.crs = self._own if is_first else crs
        if (self._own is None) != (self.crs is None):
            has, have = ("no", "one") if self._own is None else ("a", "none")
            raise DataError(
                f"{item.name} has {has} coordinate system, and the images before it have {have}.",
                "Work on them in a run of their own, or set USE_PIXELSPACE.",
            )

    def place(self, shapes: np.ndarray) -> np.ndarray:
        """Geometries ``[n]`` in pixels of the raster, in the coordinates of the layer.

        What the layer's system cannot show becomes None.
        """
        placed = mapped(shapes, self._transform)
        if self._own is not None and self._own != self.crs:
            placed = transformed(self._own, self.crs, placed)
            placed[shapely.is_empty(placed)] = None
        return placed
