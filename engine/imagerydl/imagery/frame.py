"""A rectangle of pixels to cut from a raster: on its lattice, or turned about its own centre."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from affine import Affine
from rasterio.crs import CRS
from rasterio.enums import Resampling
from rasterio.warp import reproject
from rasterio.windows import Window

from .grid import Grid
from .source import RasterSource
from .transforms import apply, compose

#: GDAL wants a system on both sides of a resampling; with the same one it leaves coordinates alone.
_ANY_CRS = CRS.from_epsg(3857)

#: Share of valid pixels under a resampled one from which on it counts as valid: it must not mix in
#: pixels without data, but rounding must not make it invalid either.
_VALID_SHARE = 0.999


@dataclass(frozen=True)
class Frame:
    """Where a chip lies.

    Attributes:
        lattice: Grid of the raster.
        window: Integer window on it; may reach outside.
        angle: Degrees by which the window is turned clockwise about its centre, as seen on the
            image; what it shows appears turned the other way.
    """

    lattice: Grid
    window: Window
    angle: float = 0.0

    @cached_property
    def grid(self) -> Grid:
        """The lattice of the frame's own pixels."""
        if not self.angle:
            return self.lattice.subgrid(self.window)
        width, height = int(self.window.width), int(self.window.height)
        turned = compose(
            self.lattice.window_transform(self.window),
            Affine.translation(width / 2, height / 2),
            Affine.rotation(self.angle),
            Affine.translation(-width / 2, -height / 2),
        )
        return Grid(self.lattice.crs, turned, width, height)

    @property
    def view(self) -> tuple[Grid, Window]:
        """A grid and a window on it: the frame in the form everything that is cut to it takes."""
        return (self.grid, self.grid.window) if self.angle else (self.lattice, self.window)

    def read(self, source: RasterSource, nearest: bool = False) -> tuple[np.ndarray, np.ndarray]:
        """Read the frame.

        Args:
            source: A raster on :attr:`lattice`.
            nearest: Whether pixels of a turned frame are the nearest ones rather than mixed.

        Returns:
            Data ``[bands, h, w]`` and validity ``[h, w]``, False outside the raster.
        """
        if not self.angle:
            return source.read(self.window, border="zero")
        around = self._surroundings()
        data, valid = source.read(around, border="zero")
        origin = Affine.translation(around.col_off, around.row_off)
        resampling = Resampling.nearest if nearest else Resampling.bilinear
        share = self._turned(valid[None].astype(np.float32), origin, resampling)[0]
        return self._turned(data, origin, resampling), share >= _VALID_SHARE

    @property
    def _to_lattice(self) -> Affine:
        """From the frame's own pixels to those of the raster."""
        return compose(~self.lattice.transform, self.grid.transform)

    def _turned(self, data: np.ndarray, origin: Affine, resampling: Resampling) -> np.ndarray:
        result = np.zeros((len(data), int(self.window.height), int(self.window.width)), data.dtype)
        reproject(
            data,
            result,
            src_transform=origin,
            dst_transform=self._to_lattice,
            src_crs=_ANY_CRS,
            dst_crs=_ANY_CRS,
            resampling=resampling,
        )
        return result

    def _surroundings(self) -> Window:
        """The window of the lattice that holds the turned frame, with room for resampling."""
        width, height = self.window.width, self.window.height
        corners = ((0, 0), (width, 0), (width, height), (0, height))
        columns, rows = zip(*(apply(self._to_lattice, *corner) for corner in corners))
        left, top = math.floor(min(columns)) - 1, math.floor(min(rows)) - 1
        return Window(left, top, math.ceil(max(columns)) + 1 - left, math.ceil(max(rows)) + 1 - top)
