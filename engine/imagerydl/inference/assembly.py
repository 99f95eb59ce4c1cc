"""From tile scores to finished rows: blending overlaps exactly, and choosing the class.

Accumulators hold whole numbers, whose sum does not depend on the order of the summands: tiles may
come in any order within a strip, from any number of readers, in batches of any size.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Optional

import numpy as np

from .layout import TileLayout

#: Sums of weighted probabilities stay below this in 32 bits.
_BUDGET_32 = 2**30
#: Steps a probability must at least be resolved into; with fewer, accumulators take 64 bits.
_FINEST_NEEDED = 2**14
_SCALE_64 = 2**24


@dataclass(frozen=True)
class Strip:
    """Finished rows of a column block.

    Attributes:
        row: First raster row.
        channels: Winning output channel ``[rows, width]``.
        valid: Where the raster has a value.
        confidence: Probability of the winner, float32 0 to 1, where asked for.
    """

    row: int
    channels: np.ndarray
    valid: np.ndarray
    confidence: Optional[np.ndarray]


class Assembler:
    """Puts the tiles of a layout together, one tile row after the other.

    Args:
        layout: Which tiles, which columns.
        outputs: Number of output channels.
        with_confidence: Whether the winner's probability is wanted.
    """

    def __init__(self, layout: TileLayout, outputs: int, with_confidence: bool) -> None:
        self._layout = layout
        self._with_confidence = with_confidence
        shape = (layout.y.size, layout.width)
        self._valid = np.zeros(shape, dtype=bool)
        self._setup(outputs, shape)

    def _setup(self, outputs: int, shape: tuple[int, int]) -> None:
        raise NotImplementedError

    def add(self, column: int, scores: np.ndarray, valid: np.ndarray) -> None:
        """Take in the tile of the current row at tile column ``column``.

        Args:
            column: Tile column.
            scores: ``[outputs, h, w]``: probabilities; any scores where nothing is blended and
                no confidence is asked for.
            valid: ``[h, w]``.
        """
        start = self._layout.x.start(column)
        low = max(start, self._layout.first_column)
        high = min(start + self._layout.x.size, self._layout.last_column)
        target = slice(low - self._layout.first_column, high - self._layout.first_column)
        part = slice(low - start, high - start)
        self._valid[:, target] |= valid[:, part]
        self._take(scores, part, target)

    def _take(self, scores: np.ndarray, part: slice, target: slice) -> None:
        raise NotImplementedError

    def finish_row(self, row: int) -> Iterator[Strip]:
        """Give the rows that no later tile row touches; the next tile row may then be added."""
        axis = self._layout.y
        start = axis.start(row)
        is_last = row == axis.count - 1
        done = axis.size if is_last else axis.stride
        low, high = max(start, 0), min(start + done, axis.length)
        if high > low:
            yield self._strip(low, slice(low - start, high - start))
        self._forget(done)

    def _strip(self, row: int, rows: slice) -> Strip:
        raise NotImplementedError

    def _forget(self, rows: int) -> None:
        raise NotImplementedError


class BlendingAssembler(Assembler):
    """Adds up weighted probabilities of overlapping tiles.

    A contribution is ``int(probability * weight * scale)``, a function of the tile alone; it
    grows with the probability, so that tiles which agree on a class agree after adding too.
    """

    def _setup(self, outputs: int, shape: tuple[int, int]) -> None:
        layout = self._layout
        # The borders of the raster are inside every tile row's pattern; the widest overlap of an
        # axis is found on any stretch of a tile and its neighbours.
        self._totals_x = layout.x.total_weights(layout.first_column, layout.last_column)
        self._totals_y = layout.y.total_weights(0, layout.y.length)
        heaviest = int(self._totals_x.max()) * int(self._totals_y.max())
        scale = _BUDGET_32 // heaviest
        dtype = np.int32 if scale >= _FINEST_NEEDED else np.int64
        self._scale = min(scale, _SCALE_64) if dtype == np.int32 else _SCALE_64
        self._sums = np.zeros((outputs, *shape), dtype=dtype)
        weights = np.outer(layout.y.weights(), layout.x.weights()) * self._scale
        self._weights = weights.astype(np.float32)

    def _take(self, scores: np.ndarray, part: slice, target: slice) -> None:
        weighted = scores[:, :, part] * self._weights[:, part]
        self._sums[:, :, target] += weighted.astype(self._sums.dtype)

    def _strip(self, row: int, rows: slice) -> Strip:
        channels, best = winners(self._sums[:, rows])
        confidence = None
        if self._with_confidence:
            totals = np.outer(self._totals_y[row : row + best.shape[0]] * self._scale, self._totals_x)
            confidence = (best / totals).astype(np.float32)
        return Strip(row, channels, self._valid[rows].copy(), confidence)

    def _forget(self, rows: int) -> None:
        for plane in (self._valid, *self._sums):  # plane by plane: no copy of them all
            plane[: len(plane) - rows] = plane[rows:].copy()
            plane[len(plane) - rows :] = 0


class PlainAssembler(Assembler):
    """Tiles that only touch: each pixel is decided by its one tile, nothing is added up."""

    def _setup(self, outputs: int, shape: tuple[int, int]) -> None:
        self._channels = np.zeros(shape, dtype=np.uint8 if outputs <= 256 else np.uint16)
        self._confidence = np.zeros(shape, dtype=np.float32) if self._with_confidence else None

    def _take(self, scores: np.ndarray, part: slice, target: slice) -> None:
        channels, best = winners(scores[:, :, part])
        self._channels[:, target] = channels
        if self._confidence is not None:
            self._confidence[:, target] = best

    def _strip(self, row: int, rows: slice) -> Strip:
        confidence = None if self._confidence is None else self._confidence[rows].copy()
        return Strip(row, self._channels[rows].copy(), self._valid[rows].copy(), confidence)

    def _forget(self, rows: int) -> None:
        # Every pixel is set again by the next row; only validity is gathered.
        self._valid[:] = False


def make_assembler(layout: TileLayout, outputs: int, with_confidence: bool) -> Assembler:
    """The assembler that suits a layout."""
    blends = layout.x.padding > 0 or layout.y.padding > 0
    kind = BlendingAssembler if blends else PlainAssembler
    return kind(layout, outputs, with_confidence)


def winners(scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Index and score of the largest channel; the lower index wins a draw.

    Args:
        scores: ``[channels, h, w]``.

    Returns:
        Indices (uint8, or uint16 beyond 256 channels) and scores, both ``[h, w]``.
    """
    # A running maximum over planes is several times faster than argmax over the first axis.
    best = scores[0].copy()
    index = np.zeros(best.shape, dtype=np.uint8 if len(scores) <= 256 else np.uint16)
    for channel in range(1, len(scores)):
        better = scores[channel] > best
        np.copyto(index, channel, where=better)
        np.maximum(best, scores[channel], out=best)
    return index, best
