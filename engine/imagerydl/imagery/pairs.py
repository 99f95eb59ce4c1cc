"""Two dates of one place as one source: the second seen on the grid of the first, bands side by side."""

from __future__ import annotations

from typing import Any, Optional, Union

import numpy as np
from rasterio.windows import Window

from ..errors import DataError
from .framed import FramedSource
from .grid import Grid, intersection
from .inspection import inspect_raster
from .placing import bounds_text
from .source import RasterSource, open_on, open_source


class PairedSource(FramedSource):
    """Two rasters on one grid, read as one with the bands of both; a context manager.

    It reads like a :class:`RasterSource`. A pixel is valid where it is in both rasters. Beyond the
    ground they share the picture is mirrored at one and the same line for both, lest the dates get
    out of step there.

    Args:
        before: The first date; its grid is the one.
        after: The second, opened on that grid.

    Attributes:
        before: The first date.
        after: The second date.
        grid: The lattice of the first.
        count: Bands of both together; those of the first date come first.
        dtype: A type that holds the values of both.
        band_names: Names of all bands, each with its date.
        nodata: The first date's value; validity comes from :meth:`read`.
        name: What to call the pair in messages.
        paths: The rasters, the first date's first.

    Raises:
        DataError: If they share no ground.
    """

    def __init__(self, before: RasterSource, after: RasterSource) -> None:
        shared = intersection(before.frame, after.frame)
        if shared is None or intersection(shared, before.grid.window) is None:
            here = f"{before.name}, which is looked at within {bounds_text(before.grid.bounds)}"
            there = bounds_text(before.grid.subgrid(after.frame).bounds)
            raise DataError(
                f"{after.name} covers {there} in the coordinates of the first raster and does not overlap "
                f"{here}.",
                "Give two rasters of one place, and check their coordinate reference systems.",
            )
        super().__init__(shared)
        self.before, self.after = before, after
        self.grid = before.grid
        self.count = before.count + after.count
        self.dtype = np.result_type(before.dtype, after.dtype)
        self.band_names = (
            *(f"{name} (before)" for name in before.band_names),
            *(f"{name} (after)" for name in after.band_names),
        )
        self.nodata = before.nodata
        self.name = f"{before.name} and {after.name}"
        self.paths = (*before.paths, *after.paths)

    def close(self) -> None:
        """Release the files; reading opens them again."""
        self.before.close()
        self.after.close()

    def clone(self) -> PairedSource:
        """An independent handle on the same pair, for another thread."""
        return PairedSource(self.before.clone(), self.after.clone())

    @property
    def damage(self) -> dict[str, int]:
        """Blocks that could not be read, by file."""
        return {**self.before.damage, **self.after.damage}

    def _read_inside(self, window: Window, bands: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
        """A window within the ground both dates share."""
        first = self.before.count
        data = np.empty((len(bands), int(window.height), int(window.width)), dtype=self.dtype)
        picture = np.ones(data.shape[1:], dtype=bool)
        for source, offset in ((self.before, 0), (self.after, first)):
            places = [i for i, band in enumerate(bands) if (band >= first) == (offset > 0)]
            # Both are read, whatever the bands: a pixel without the other date has no value.
            own = [bands[i] - offset for i in places] or [0]
            pixels, _, valid = source.read_context(window, own)
            if places:
                data[places] = pixels
            picture &= valid
        return data, picture


#: Whatever reads like a raster.
AnySource = Union[RasterSource, PairedSource]


def open_pair(
    before: str,
    after: str,
    *,
    extent: Optional[dict[str, Any]] = None,
    cell_size: Optional[float] = None,
    skip_damaged: bool = False,
) -> PairedSource:
    """Open two dates of one place; the second is brought to the grid of the first on the fly.

    Args:
        before: File or GDAL name of the first date.
        after: Of the second. Where its pixels do not lie on the first one's lattice it is resampled
            (bilinear), be it in another system, of another cell size, or off by a part of a pixel. Without
            georeference it must have the first one's size.
        extent: See :func:`open_source`; for both.
        cell_size: Likewise, in units of the first one's system.
        skip_damaged: See :func:`open_source`.

    Raises:
        DataError: Naming the raster and what is wrong with it; where both share no ground.
    """
    whole = inspect_raster(before).grid
    _check_both_placed(whole, inspect_raster(after).grid, (before, after))
    first = open_source(before, extent=extent, cell_size=cell_size, skip_damaged=skip_damaged)
    return PairedSource(first, open_on((after,), first.grid, whole, skip_damaged=skip_damaged))


def _check_both_placed(before: Grid, after: Grid, names: tuple[str, str]) -> None:
    """Refuse rasters of which one is placed in a way that the other is not."""
    if after.is_georeferenced and not before.is_georeferenced:
        raise DataError(
            f"{names[0]} has no georeference, and {names[1]} has one: how they lie is unknown.",
            "Give both a coordinate system, or none.",
        )
    if after.is_georeferenced and (before.crs is None) != (after.crs is None):
        without, placed = names if before.crs is None else names[::-1]
        raise DataError(
            f"{without} has no coordinate reference system, {placed} has one.",
            "Assign it the system its coordinates are in.",
        )
