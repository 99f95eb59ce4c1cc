"""Rasters as a source: one raster, or several as a mosaic, seen on one grid."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Optional, Union

import numpy as np
from rasterio.windows import Window

from ..errors import DataError
from .framed import FramedSource
from .grid import Grid, intersection, slices_in
from .inspection import RasterInfo, inspect_raster
from .members import DamageLog, Member, MemberReader
from .placing import OutsideExtentError, bounds_text, check_alike, extent_bounds, place

#: Files of a mosaic one thread keeps open at a time.
_OPEN_FILES = 48


class RasterSource(FramedSource):
    """A raster, or a mosaic of rasters, seen on a grid; a context manager.

    Where rasters overlap the first valid one wins. A handle belongs to one thread: give each
    other thread a :meth:`clone`.

    Attributes:
        grid: The lattice; windows count columns and rows on it.
        count: Number of data bands (an alpha band tells validity and is not counted).
        dtype: Type of the data.
        band_names: One name per data band.
        nodata: The first raster's nodata value; validity comes from :meth:`read`.
        name: The first raster's file name, for messages.
        paths: The rasters, in order.
        colormap: Colour by value of a paletted raster's first band, else None.
        categories: Class name by value where an attribute table or category names give them.
    """

    def __init__(self, grid: Grid, members: Sequence[Member], frame: Optional[Window] = None) -> None:
        first = members[0].info
        self._members = tuple(members)
        super().__init__(frame or grid.window)
        self._readers: OrderedDict[int, MemberReader] = OrderedDict()
        self._index = _MemberIndex(self._members)
        self.grid = grid
        self.count = len(first.bands)
        self.dtype = np.result_type(*(member.info.dtype for member in members))
        self.band_names = first.names
        self.nodata = first.nodata[0]
        self.paths = tuple(member.info.path for member in members)
        more = f" and {len(members) - 1} more" if len(members) > 1 else ""
        self.name = (os.path.basename(first.path) or first.path) + more
        self.colormap = first.attributes.colormap
        self.categories = first.attributes.categories

    def close(self) -> None:
        """Release the files; reading opens them again."""
        while self._readers:
            self._readers.popitem()[1].close()

    def clone(self) -> RasterSource:
        """An independent handle on the same source, for another thread."""
        return RasterSource(self.grid, self._members, self._frame)

    @property
    def covers_any_of_grid(self) -> bool:
        """Whether any raster lies on the grid at all."""
        return any(intersection(member.window, self.grid.window) for member in self._members)

    @property
    def damage(self) -> dict[str, int]:
        """Blocks that could not be read, by file (sources opened with ``skip_damaged``)."""
        log = self._members[0].damage
        return log.summary() if log else {}

    def _read_inside(self, window: Window, bands: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
        data: Optional[np.ndarray] = None
        valid: Optional[np.ndarray] = None
        for index in self._index.near(window):
            member = self._members[index]
            part = intersection(window, member.window)
            if part is None:
                continue
            own = Window(part.col_off - member.column, part.row_off - member.row, part.width, part.height)
            piece, piece_valid = self._reader(index).read(own, bands)
            if data is None:
                if part == window:
                    data, valid = piece.astype(self.dtype, copy=False), piece_valid
                    if len(self._members) == 1 or valid.all():
                        break
                    continue
                data, valid = self._nothing(window, len(bands))
            rows, columns = slices_in(part, window)
            fresh = piece_valid & ~valid[rows, columns]
            np.copyto(data[:, rows, columns], piece, where=fresh, casting="safe")
            valid[rows, columns] |= fresh
        return self._nothing(window, len(bands)) if data is None else (data, valid)

    def _reader(self, index: int) -> MemberReader:
        if index in self._readers:
            self._readers.move_to_end(index)
        else:
            while len(self._readers) >= _OPEN_FILES:
                self._readers.popitem(last=False)[1].close()
            self._readers[index] = self._members[index].open()
        return self._readers[index]


class _MemberIndex:
    """Finds the members of a mosaic that a window can touch, in their order."""

    def __init__(self, members: Sequence[Member]) -> None:
        self._count = len(members)
        if self._count > 1:
            self._left, self._top = (
                np.array([getattr(m, side) for m in members]) for side in ("column", "row")
            )
            self._right = self._left + [member.grid.width for member in members]
            self._bottom = self._top + [member.grid.height for member in members]

    def near(self, window: Window) -> Sequence[int]:
        if self._count == 1:
            return (0,)
        touched = (self._left < window.col_off + window.width) & (self._right > window.col_off)
        touched &= (self._top < window.row_off + window.height) & (self._bottom > window.row_off)
        return np.flatnonzero(touched).tolist()


def open_source(
    paths: Union[str, Sequence[str]],
    *,
    extent: Optional[dict[str, Any]] = None,
    cell_size: Optional[float] = None,
    north_up: bool = False,
    skip_damaged: bool = False,
) -> RasterSource:
    """Open a raster, or several as a mosaic on the first one's grid.

    Args:
        paths: Files or GDAL names. Rasters that do not lie on the first one's lattice are
            resampled to it: bilinear, nearest where values are classes.
        extent: ``{"bounds": [xmin, ymin, xmax, ymax], "crs": text}``, in any system; snapped
            outwards to whole pixels. ``crs`` "" means the raster's own.
        cell_size: In units of the raster's system; None keeps the raster's own pixels.
        north_up: Whether a rotated or south-up raster is resampled to rows that run west to east
            and down from the north. Rasters without georeference stay as they are.
        skip_damaged: Whether parts that cannot be read become invalid and are listed in
            :attr:`RasterSource.damage`, rather than ending the run.

    Raises:
        DataError: Naming the raster and what is wrong with it.
    """
    names = [paths] if isinstance(paths, (str, os.PathLike)) else list(paths)
    if not names:
        raise DataError("No raster is given.", "Give at least one.")
    infos = [inspect_raster(os.fspath(name)) for name in names]
    check_alike(infos)
    base = infos[0].grid
    if north_up and base.is_georeferenced and (base.is_rotated or base.transform.e > 0):
        base = base.north_up()
    if cell_size is not None:
        if not cell_size > 0:
            raise DataError(f"The cell size {cell_size:g} is not a size.", "Give a number above 0.")
        if max(abs(side / cell_size - 1) * max(base.width, base.height) for side in base.cell_size) > 0.05:
            base = base.with_cell_size(cell_size)
    damage = DamageLog() if skip_damaged else None
    members = [replace(place(info, base), damage=damage) for info in infos]
    return _cropped(base, members, extent)


def open_on(
    paths: Sequence[str], grid: Grid, whole: Optional[Grid] = None, *, skip_damaged: bool = False
) -> RasterSource:
    """Open rasters on the lattice of another one, resampled where their pixels do not lie on it.

    Args:
        paths: Files or GDAL names; several form a mosaic.
        grid: The lattice to see them on.
        whole: The lattice of the other one in whole, where ``grid`` is a part of it.
        skip_damaged: See :func:`open_source`.

    Raises:
        DataError: Where they cannot be laid over it.
    """
    infos = [inspect_raster(os.fspath(name)) for name in paths]
    check_alike(infos)
    damage = DamageLog() if skip_damaged else None
    members = [replace(_laid_on(info, grid, whole or grid), damage=damage) for info in infos]
    return RasterSource(grid, members, _around(members))


def _laid_on(info: RasterInfo, grid: Grid, whole: Grid) -> Member:
    """A raster on the lattice of another one; without georeference it lies pixel on pixel."""
    own = info.grid
    if own.is_georeferenced:
        return place(info, grid)
    if (own.width, own.height) != (whole.width, whole.height):
        raise DataError(
            f"{info.path} ({own.width} x {own.height} pixels, no georeference) does not cover the same "
            f"pixels as the first raster ({whole.width} x {whole.height}).",
            "Give images of one size, or a coordinate system to both.",
        )
    offset = grid.offset_of(whole)
    if offset is None:
        raise DataError(
            f"{info.path} has no georeference and cannot be brought to another cell size.",
            "Leave the cell size out, or give the raster a coordinate system.",
        )
    return Member(info, own, *offset)


def _around(members: Sequence[Member]) -> Window:
    """The window that holds all members."""
    left, top = min(member.column for member in members), min(member.row for member in members)
    right = max(member.column + member.grid.width for member in members)
    bottom = max(member.row + member.grid.height for member in members)
    return Window(left, top, right - left, bottom - top)


def _cropped(base: Grid, members: list[Member], extent: Optional[dict[str, Any]]) -> RasterSource:
    """The source on the smallest part of the lattice that holds its rasters, or the extent's part."""
    everything = whole = _around(members)
    left, top = whole.col_off, whole.row_off
    if extent is not None:
        wanted = base.window_of_bounds(extent_bounds(base, extent))
        part = intersection(wanted, whole)
        if part is None:
            raise OutsideExtentError(
                f"The extent {bounds_text(extent['bounds'])} does not touch {members[0].info.path}, "
                f"which covers {bounds_text(base.subgrid(whole).bounds)} in its own coordinates.",
                "Draw the extent over the raster, and check its coordinate reference system.",
            )
        whole = part
    moved = [replace(m, column=m.column - whole.col_off, row=m.row - whole.row_off) for m in members]
    frame = Window(left - whole.col_off, top - whole.row_off, everything.width, everything.height)
    return RasterSource(base.subgrid(whole), moved, frame)
