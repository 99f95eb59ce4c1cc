"""Two dates of one place as one source: the second seen on the grid of the first, bands side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Optional, Union

import numpy as np
from rasterio.windows import Window

from ..errors import DataError
from .grid import Grid, intersection, slices_in
from .inspection import inspect_raster
from .placing import bounds_text
from .source import RasterSource, mirrored, open_on, open_source


class PairedSource:
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
        self.before, self.after = before, after
        shared = intersection(before.frame, after.frame)
        if shared is None or intersection(shared, before.grid.window) is None:
            here = f"{before.name}, which is looked at within {bounds_text(before.grid.bounds)}"
            there = bounds_text(before.grid.subgrid(after.frame).bounds)
            raise DataError(
                f"{after.name} covers {there} in the coordinates of the first raster and does not overlap "
                f"{here}.",
                "Give two rasters of one place, and check their coordinate reference systems.",
            )
        self._frame = shared
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

    def __enter__(self) -> PairedSource:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

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

    def read(
        self,
        window: Window,
        bands: Optional[Sequence[int]] = None,
        border: Literal["reflect", "zero"] = "reflect",
    ) -> tuple[np.ndarray, np.ndarray]:
        """Data and validity of a window; see :meth:`RasterSource.read`."""
        data, valid, _ = self.read_context(window, bands, border)
        return data, valid

    def read_context(
        self,
        window: Window,
        bands: Optional[Sequence[int]] = None,
        border: Literal["reflect", "zero"] = "reflect",
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """A window with where it is a picture; see :meth:`RasterSource.read_context`."""
        chosen = tuple(range(self.count)) if bands is None else tuple(bands)
        inside = intersection(window, self._frame)
        if inside == window:
            data, picture = self._read_inside(window, chosen)
        elif border == "zero" or inside is None:
            data, picture = _nothing(window, len(chosen), self.dtype)
            if inside is not None:
                part = slices_in(inside, window)
                data[(slice(None), *part)], picture[part] = self._read_inside(inside, chosen)
        else:
            needed, rows, columns = mirrored(window, self._frame)
            data, picture = self._read_inside(needed, chosen)
            data, picture = data[:, rows][:, :, columns], picture[rows][:, columns]
        valid = np.zeros_like(picture)
        counted = intersection(inside, self.grid.window) if inside is not None else None
        if counted is not None:
            part = slices_in(counted, window)
            valid[part] = picture[part]
        return data, valid, picture

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


def _nothing(window: Window, bands: int, dtype: np.dtype) -> tuple[np.ndarray, np.ndarray]:
    shape = (int(window.height), int(window.width))
    return np.zeros((bands, *shape), dtype=dtype), np.zeros(shape, dtype=bool)
