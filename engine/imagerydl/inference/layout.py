"""Where tiles lie, how they overlap, and what each pixel of a tile weighs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from rasterio.windows import Window

from ..errors import ParameterError

#: Weight of a pixel in the middle of a tile; weights are whole numbers from 1 to this.
FULL_WEIGHT = 64

#: Bytes the strip of accumulators may take. Wider rasters are worked off in column blocks, which
#: keeps memory independent of their width at the price of predicting the tiles on block borders
#: twice (two tile columns per block).
STRIP_BYTES = 32 * 2**20

#: Column blocks start at multiples of this, so that every stored block of the output is written once.
_BLOCK_ALIGNMENT = 256


@dataclass(frozen=True)
class Axis:
    """Tiles along one axis of a raster.

    Tile ``k`` covers ``k * stride - padding`` up to ``size`` pixels further. The first tile
    starts ``padding`` pixels before the raster and the last ends at least ``padding`` pixels
    behind it, so that no pixel of the raster lies closer than that to the border of every tile.

    Attributes:
        length: Pixels of the raster.
        size: Pixels of a tile.
        padding: Margin on either side of a tile that neighbours share.
    """

    length: int
    size: int
    padding: int

    def __post_init__(self) -> None:
        if not 0 <= 2 * self.padding < self.size:
            raise ParameterError(
                f"padding is {self.padding} with tiles of {self.size} pixels.",
                f"Give at least 0 and less than half a tile ({(self.size - 1) // 2} at most).",
            )

    @property
    def stride(self) -> int:
        """Pixels from one tile to the next."""
        return self.size - 2 * self.padding

    @property
    def count(self) -> int:
        """Number of tiles."""
        return -(-self.length // self.stride)

    def start(self, tile: int) -> int:
        """First pixel of a tile; negative for the first one where there is padding."""
        return tile * self.stride - self.padding

    def tiles_over(self, start: int, stop: int) -> range:
        """Tiles that cover any pixel from ``start`` to ``stop - 1``."""
        first = (start + self.padding - self.size) // self.stride + 1
        last = (stop - 1 + self.padding) // self.stride
        return range(max(first, 0), min(last, self.count - 1) + 1)

    def weights(self) -> np.ndarray:
        """Whole-number weight of each pixel of a tile, ``[size]``.

        A raised cosine over the part shared with the neighbour: the weights of two neighbours
        add up to :data:`FULL_WEIGHT`, and no pixel weighs nothing.
        """
        if self.padding == 0:
            return np.full(self.size, FULL_WEIGHT, dtype=np.int64)
        position = np.arange(self.size) + 0.5
        inwards = np.minimum(position, self.size - position) / (2 * self.padding)
        ramp = np.sin(np.pi / 2 * np.minimum(inwards, 1.0)) ** 2
        return np.maximum(1, np.rint(ramp * FULL_WEIGHT)).astype(np.int64)

    def total_weights(self, start: int, stop: int) -> np.ndarray:
        """Sum of the weights of all tiles at each pixel from ``start`` to ``stop - 1``."""
        totals = np.zeros(stop - start, dtype=np.int64)
        weights = self.weights()
        for tile in self.tiles_over(start, stop):
            first = self.start(tile)
            low, high = max(first, start), min(first + self.size, stop)
            totals[low - start : high - start] += weights[low - first : high - first]
        return totals


@dataclass(frozen=True)
class Run:
    """Neighbouring tiles of one tile row, read and predicted together.

    Attributes:
        row: Tile row.
        columns: Tile columns.
        ends_row: Whether it is the last one of its row.
    """

    row: int
    columns: range
    ends_row: bool


@dataclass(frozen=True)
class TileLayout:
    """Tiles over a raster, or over one of its column blocks.

    Attributes:
        x: Tiles along a row.
        y: Tiles down the raster.
        first_column: First pixel column to fill.
        last_column: One behind the last pixel column to fill.
    """

    x: Axis
    y: Axis
    first_column: int
    last_column: int

    @property
    def width(self) -> int:
        """Pixel columns to fill."""
        return self.last_column - self.first_column

    @property
    def tile_columns(self) -> range:
        """Tile columns that reach into it."""
        return self.x.tiles_over(self.first_column, self.last_column)

    @property
    def tile_count(self) -> int:
        """Tiles to predict."""
        return len(self.tile_columns) * self.y.count

    def runs(self, batch: int, first_row: int = 0) -> Iterator[Run]:
        """All tiles from a tile row on, row by row, in runs of at most ``batch``."""
        columns = self.tile_columns
        for row in range(first_row, self.y.count):
            for start in range(0, len(columns), batch):
                part = columns[start : start + batch]
                yield Run(row, part, part[-1] == columns[-1])

    def window(self, run: Run) -> Window:
        """What a run covers; it may reach outside the raster."""
        left = self.x.start(run.columns[0])
        width = self.x.start(run.columns[-1]) + self.x.size - left
        return Window(left, self.y.start(run.row), width, self.y.size)

    def column_blocks(self, channels: int) -> list[TileLayout]:
        """The layout cut into blocks whose accumulators fit :data:`STRIP_BYTES`.

        Args:
            channels: Output channels that are accumulated; 0 where nothing is blended.
        """
        bytes_per_column = max(channels, 1) * 4 * self.y.size
        # Below some tiles a block the doubled tiles would cost more than the memory is worth.
        smallest = max(8 * self.x.size, _BLOCK_ALIGNMENT)
        widest = max(STRIP_BYTES // bytes_per_column, smallest) // _BLOCK_ALIGNMENT * _BLOCK_ALIGNMENT
        count = -(-self.width // widest)
        # Blocks of equal width rather than a small last one.
        width = -(-self.width // (count * _BLOCK_ALIGNMENT)) * _BLOCK_ALIGNMENT
        edges = [*range(self.first_column, self.last_column, width), self.last_column]
        return [TileLayout(self.x, self.y, start, stop) for start, stop in zip(edges, edges[1:])]


def whole_layout(width: int, height: int, tile: tuple[int, int], padding: int) -> TileLayout:
    """The tiles that fill a raster.

    Args:
        width: Pixels along x.
        height: Pixels along y.
        tile: (height, width) of a tile.
        padding: Margin shared with each neighbour, in pixels.

    Raises:
        ParameterError: If the padding is half a tile or more.
    """
    return TileLayout(Axis(width, tile[1], padding), Axis(height, tile[0], padding), 0, width)
