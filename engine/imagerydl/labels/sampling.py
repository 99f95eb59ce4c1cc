"""Class values of one raster at the pixel centres of another: nearest neighbour, never a blend."""

from __future__ import annotations

import numpy as np
from rasterio.windows import Window

from ..imagery.grid import Grid
from ..imagery.source import RasterSource
from ..imagery.transforms import apply, compose
from .coordinates import transform_points

#: Most pixels read at once; finer labels under a coarse image are read in parts.
MAX_READ = 16_000_000

#: Side of the lattice on which coordinates are transformed exactly; between its nodes they are
#: interpolated. Over one chip a map projection is far smoother than that.
_NODES = 17


def sample_nearest(
    source: RasterSource, placed: Grid, grid: Grid, window: Window
) -> tuple[np.ndarray, np.ndarray]:
    """Values of ``source`` at the pixel centres of ``window`` on ``grid``.

    Args:
        source: The raster read.
        placed: Where it lies; its own grid, unless it has no georeference of its own.
        grid: The lattice asked for.
        window: Part of ``grid``, in its pixels.

    Returns:
        Data ``[bands, height, width]`` in the raster's type, and valid ``[height, width]``.
    """
    offset = placed.offset_of(grid)
    if offset is not None:
        column, row = offset
        moved = Window(window.col_off + column, window.row_off + row, window.width, window.height)
        return source.read(moved, border="zero")
    columns, rows = _positions(placed, grid, window)
    return _gather(source, placed, columns, rows)


def _positions(placed: Grid, grid: Grid, window: Window) -> tuple[np.ndarray, np.ndarray]:
    """Fractional (column, row) on ``placed`` of each pixel centre: two float arrays ``[h, w]``."""
    x, y = np.arange(window.width) + 0.5, np.arange(window.height) + 0.5
    to_map, to_placed = grid.window_transform(window), ~placed.transform
    if placed.crs == grid.crs:
        return apply(compose(to_placed, to_map), x[None, :], y[:, None])
    node_x, node_y = np.linspace(0, window.width, _NODES), np.linspace(0, window.height, _NODES)
    map_x, map_y = apply(to_map, node_x[None, :], node_y[:, None])
    xs, ys = transform_points(grid.crs, placed.crs, map_x.ravel(), map_y.ravel())
    xs, ys = np.reshape(xs, map_x.shape), np.reshape(ys, map_x.shape)
    columns, rows = apply(to_placed, xs, ys)
    weights_y, weights_x = _weights(y, node_y), _weights(x, node_x)
    return weights_y @ columns @ weights_x.T, weights_y @ rows @ weights_x.T


def _weights(positions: np.ndarray, nodes: np.ndarray) -> np.ndarray:
    """Matrix ``[positions, nodes]`` that interpolates linearly between ``nodes``."""
    step = nodes[1] - nodes[0]
    left = np.minimum((positions / step).astype(int), len(nodes) - 2)
    share = positions / step - left
    matrix = np.zeros((len(positions), len(nodes)))
    index = np.arange(len(positions))
    matrix[index, left] = 1 - share
    matrix[index, left + 1] = share
    return matrix


def _gather(
    source: RasterSource, placed: Grid, columns: np.ndarray, rows: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    with np.errstate(invalid="ignore"):
        inside = (columns >= 0) & (columns < placed.width) & (rows >= 0) & (rows < placed.height)
    data = np.zeros((source.count, *columns.shape), dtype=source.dtype)
    valid = np.zeros(columns.shape, dtype=bool)
    if not inside.any():
        return data, valid
    column, row = columns[inside].astype(int), rows[inside].astype(int)
    left, top = int(column.min()), int(row.min())
    width, height = int(column.max()) - left + 1, int(row.max()) - top + 1
    if width * height > MAX_READ and columns.size > 1:
        axis = int(columns.shape[1] > columns.shape[0])
        middle = columns.shape[axis] // 2
        for part in (slice(None, middle), slice(middle, None)):
            where = (slice(None), part) if axis else (part, slice(None))
            data[(slice(None), *where)], valid[where] = _gather(source, placed, columns[where], rows[where])
        return data, valid
    block, block_valid = source.read(Window(left, top, width, height), border="zero")
    data[:, inside] = block[:, row - top, column - left]
    valid[inside] = block_valid[row - top, column - left]
    return data, valid
