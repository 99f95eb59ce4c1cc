"""One raster of a source: placed on the source's lattice, read with the validity of its pixels."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Optional

import numpy as np
import rasterio
from rasterio.crs import CRS
from rasterio.enums import Resampling
from rasterio.errors import RasterioError, RasterioIOError
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window

from ..errors import DataError
from .grid import Grid, intersection
from .inspection import RasterInfo

#: Stands in for the missing system of a raster without georeference while it is resampled: GDAL
#: wants one on both sides, and with the same one it leaves coordinates alone.
_PIXEL_SPACE_CRS = CRS.from_epsg(3857)


class DamageLog:
    """Which parts of which files could not be read; shared by all handles of a source."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._blocks: dict[str, set[tuple[int, int]]] = {}

    def add(self, path: str, column: int, row: int) -> None:
        """Note the block whose upper left pixel is at ``column``, ``row``."""
        with self._lock:
            self._blocks.setdefault(path, set()).add((column, row))

    def summary(self) -> dict[str, int]:
        """Number of unreadable blocks by file."""
        with self._lock:
            return {path: len(blocks) for path, blocks in sorted(self._blocks.items())}


@dataclass(frozen=True)
class Member:
    """A raster placed on the lattice of a source.

    Attributes:
        info: What it holds.
        grid: The part of the source's lattice it fills.
        column: Column of its upper left corner on the source's grid (may be negative).
        row: Row of its upper left corner there.
        resampling: How it is brought onto the lattice; None where its pixels already lie there.
    """

    info: RasterInfo
    grid: Grid
    column: int
    row: int
    resampling: Optional[Resampling] = None
    damage: Optional[DamageLog] = field(default=None, compare=False)

    @property
    def window(self) -> Window:
        """Where it lies on the source's grid."""
        return Window(self.column, self.row, self.grid.width, self.grid.height)

    def open(self) -> MemberReader:
        """An open handle, for one thread."""
        return MemberReader(self)


class MemberReader:
    """An open handle on a member; belongs to one thread."""

    def __init__(self, member: Member) -> None:
        info = member.info
        self._member = member
        self._layers: list[Any] = []  # the file, and the warps on top of it
        with _explained(info.path):
            self._layers.append(rasterio.open(info.path))
            if info.needs_warp:
                self._warp({})
            if member.resampling is not None and not (info.needs_warp and member.grid == info.grid):
                self._warp(_target(member.grid))
        self._dataset = self._layers[-1]
        # A warp adds an alpha band behind the others: it also tells where the raster ends.
        self._alpha = self._dataset.count if len(self._layers) > 1 else info.alpha
        self._nodata = [_in_dtype(value, info.dtype) for value in info.nodata]

    def _warp(self, target: dict[str, Any]) -> None:
        """Put a warp on top; without a ``target`` the one GDAL suggests for control points."""
        info = self._member.info
        bottom = len(self._layers) == 1
        nodata = info.nodata[0] if bottom else None
        if nodata is None and info.dtype.kind == "f":
            nodata = float("nan")
        if not info.needs_warp:
            target["src_crs"] = info.grid.crs or _PIXEL_SPACE_CRS
        warped = WarpedVRT(
            self._layers[-1],
            resampling=self._member.resampling,
            src_nodata=nodata,
            add_alpha=bottom and info.alpha is None,
            **target,
        )
        self._layers.append(warped)

    def close(self) -> None:
        """Release the file."""
        while self._layers:
            self._layers.pop().close()

    def read(self, window: Window, bands: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
        """Read ``window`` (inside the member, in its own pixels).

        Args:
            window: Integer window.
            bands: 0-based data bands.

        Returns:
            Data ``[bands, h, w]`` and validity ``[h, w]``.
        """
        path = self._member.info.path
        try:
            return self._read(window, bands)
        except RasterioIOError as error:
            if self._member.damage is None:
                raise DataError(
                    f"{path} cannot be read at column {window.col_off}, row {window.row_off} ({error}).",
                    "The file is truncated or damaged; copy it again.",
                ) from error
        return self._read_what_is_left(window, bands)

    def _read(self, window: Window, bands: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
        info = self._member.info
        data = self._dataset.read([info.bands[i] for i in bands], window=window, out_dtype=info.dtype)
        valid = None
        if self._alpha is not None:
            valid = self._dataset.read(self._alpha, window=window) != 0
        elif info.has_mask:
            valid = self._dataset.read_masks(info.bands[0], window=window) != 0
        by_value = self._valid_by_value(data, window, bands)
        if by_value is not None:
            valid = by_value if valid is None else valid & by_value
        return data, np.ones(data.shape[1:], dtype=bool) if valid is None else valid

    def _valid_by_value(self, data: np.ndarray, window: Window, bands: Sequence[int]) -> Optional[np.ndarray]:
        """Valid where any band of the raster, read or not, holds a value; None: everywhere."""
        info = self._member.info
        if info.dtype.kind != "f" and all(value is None for value in self._nodata):
            return None
        valid = np.zeros(data.shape[1:], dtype=bool)
        for band, values in zip(bands, data):
            valid |= _has_value(values, self._nodata[band])
        others = [i for i in range(len(info.bands)) if i not in set(bands)]
        if others and not valid.all():
            # Validity belongs to the raster, whatever bands a model looks at.
            for band in others:
                values = self._dataset.read(info.bands[band], window=window, out_dtype=info.dtype)
                valid |= _has_value(values, self._nodata[band])
        return valid

    def _read_what_is_left(self, window: Window, bands: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
        """Read block by block; blocks that fail are invalid and noted."""
        shape = (int(window.height), int(window.width))
        data = np.zeros((len(bands), *shape), dtype=self._member.info.dtype)
        valid = np.zeros(shape, dtype=bool)
        for block in self._blocks(window):
            part = intersection(block, window)
            rows = slice(part.row_off - window.row_off, part.row_off - window.row_off + part.height)
            columns = slice(part.col_off - window.col_off, part.col_off - window.col_off + part.width)
            try:
                data[:, rows, columns], valid[rows, columns] = self._read(part, bands)
            except RasterioIOError:
                self._member.damage.add(self._member.info.path, block.col_off, block.row_off)
        return data, valid

    def _blocks(self, window: Window) -> Iterator[Window]:
        height, width = self._dataset.block_shapes[0]
        first_row, first_column = window.row_off // height, window.col_off // width
        last_row = (window.row_off + window.height - 1) // height
        last_column = (window.col_off + window.width - 1) // width
        for row in range(first_row, last_row + 1):
            for column in range(first_column, last_column + 1):
                yield Window(column * width, row * height, width, height)


def _target(grid: Grid) -> dict[str, Any]:
    return {
        "crs": grid.crs or _PIXEL_SPACE_CRS,
        "transform": grid.transform,
        "width": grid.width,
        "height": grid.height,
    }


def _in_dtype(value: Optional[float], dtype: np.dtype) -> Optional[float]:
    """A nodata value as pixels can hold it; None where no pixel can be equal to it."""
    if value is None:
        return None
    if dtype.kind == "f":
        return float(np.asarray(value).astype(dtype))
    limits = np.iinfo(dtype)
    return value if value == value and value == int(value) and limits.min <= value <= limits.max else None


def _has_value(values: np.ndarray, nodata: Optional[float]) -> np.ndarray:
    present = np.ones(values.shape, dtype=bool) if nodata is None or nodata != nodata else values != nodata
    return present & ~np.isnan(values) if values.dtype.kind == "f" else present


@contextmanager
def _explained(path: str) -> Iterator[None]:
    """Turn GDAL's errors while opening into a :class:`DataError` that names the file."""
    try:
        yield
    except RasterioError as error:
        raise DataError(f"{path} cannot be opened ({error}).", "Was it moved meanwhile?") from error
