"""From tile scores to finished rows: overlaps become one, exactly, and pixels are decided.

Accumulators hold whole numbers, whose sum does not depend on the order of the summands (nor do
maximum and minimum): tiles may come in any order within a strip, from any number of readers, in
batches of any size.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from .arguments import MAXIMUM, MEAN, MINIMUM
from .decision import FORMS, Decided, Decider
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
        valid: Where the raster has a value ``[rows, width]``.
        decided: What is known of the pixels.
    """

    row: int
    valid: np.ndarray
    decided: Decided


class Assembler:
    """Puts the tiles of a layout together, one tile row after the other.

    Args:
        layout: Which tiles, which columns.
        decider: Decides finished pixels.
    """

    def __init__(self, layout: TileLayout, decider: Decider) -> None:
        self._layout = layout
        self._decider = decider
        shape = (layout.y.size, layout.width)
        self._valid = np.zeros(shape, dtype=bool)
        self._setup(shape)

    def _setup(self, shape: tuple[int, int]) -> None:
        raise NotImplementedError

    def add(self, column: int, scores: np.ndarray, valid: np.ndarray) -> None:
        """Take in the tile of the current row at tile column ``column``.

        Args:
            column: Tile column.
            scores: ``[channels, h, w]``: probabilities; any scores where nothing overlaps and the
                decider does not need them.
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
            rows = slice(low - start, high - start)
            yield Strip(low, self._valid[rows].copy(), self._decided(low, rows))
        self._forget(done)

    def _decided(self, row: int, rows: slice) -> Decided:
        raise NotImplementedError

    def _forget(self, rows: int) -> None:
        raise NotImplementedError


class _Accumulating(Assembler):
    """Holds one whole number per channel and pixel."""

    _empty = 0

    def _setup(self, shape: tuple[int, int]) -> None:
        self._planes = np.full((self._decider.channels, *shape), self._empty, dtype=self._dtype())

    def _dtype(self) -> type:
        raise NotImplementedError

    def _forget(self, rows: int) -> None:
        for plane in (self._valid, *self._planes):  # plane by plane: no copy of them all
            plane[: len(plane) - rows] = plane[rows:].copy()
            plane[len(plane) - rows :] = self._empty if plane is not self._valid else False


class BlendingAssembler(_Accumulating):
    """Adds up weighted probabilities of overlapping tiles.

    A contribution is ``int(probability * weight * scale)``, a function of the tile alone; it
    grows with the probability, so that tiles which agree on a class agree after adding too.
    """

    def _dtype(self) -> type:
        layout = self._layout
        # The borders of the raster are inside every tile row's pattern; the widest overlap of an
        # axis is found on any stretch of a tile and its neighbours.
        self._totals_x = layout.x.total_weights(layout.first_column, layout.last_column)
        self._totals_y = layout.y.total_weights(0, layout.y.length)
        heaviest = int(self._totals_x.max()) * int(self._totals_y.max())
        scale = _BUDGET_32 // heaviest
        fits = scale >= _FINEST_NEEDED
        self._scale = min(scale, _SCALE_64) if fits else _SCALE_64
        weights = np.outer(layout.y.weights(), layout.x.weights()) * self._scale
        self._weights = weights.astype(np.float32)
        return np.int32 if fits else np.int64

    def _take(self, scores: np.ndarray, part: slice, target: slice) -> None:
        weighted = scores[:, :, part] * self._weights[:, part]
        self._planes[:, :, target] += weighted.astype(self._planes.dtype)

    def _decided(self, row: int, rows: slice) -> Decided:
        totals = None
        if self._decider.needs_probabilities:
            count = rows.stop - rows.start
            totals = np.outer(self._totals_y[row : row + count] * self._scale, self._totals_x)
        return self._decider.decide(self._planes[:, rows], totals)


class ExtremeAssembler(_Accumulating):
    """Keeps the largest, or smallest, probability of each class where tiles overlap."""

    _extreme = np.maximum

    def _dtype(self) -> type:
        return np.int32

    def _take(self, scores: np.ndarray, part: slice, target: slice) -> None:
        held = self._planes[:, :, target]
        self._extreme(held, (scores[:, :, part] * _SCALE_64).astype(np.int32), out=held)

    def _decided(self, row: int, rows: slice) -> Decided:
        planes = self._planes[:, rows]
        totals = None
        if self._decider.needs_probabilities:
            totals = np.full(planes.shape[1:], float(_SCALE_64))
        return self._decider.decide(planes, totals)


class SmallestAssembler(ExtremeAssembler):
    """Keeps the smallest probability."""

    _empty = _SCALE_64
    _extreme = np.minimum


class PlainAssembler(Assembler):
    """Tiles that only touch: each pixel is decided by its one tile, nothing is added up."""

    def _setup(self, shape: tuple[int, int]) -> None:
        decider = self._decider
        self._classes = np.zeros(shape, dtype=decider.dtype)
        self._layers = {
            layer: np.zeros(decider.shape_of(layer, shape), dtype=FORMS[layer].dtype)
            for layer in decider.layers
        }

    def _take(self, scores: np.ndarray, part: slice, target: slice) -> None:
        decided = self._decider.decide(scores[:, :, part])
        self._classes[:, target] = decided.classes
        for layer, values in decided.layers.items():
            self._layers[layer][..., target] = values

    def _decided(self, row: int, rows: slice) -> Decided:
        layers = {layer: values[..., rows, :].copy() for layer, values in self._layers.items()}
        return Decided(self._classes[rows].copy(), layers)

    def _forget(self, rows: int) -> None:
        # Every pixel is set again by the next row; only validity is gathered.
        self._valid[:] = False


_KINDS = {MEAN: BlendingAssembler, MAXIMUM: ExtremeAssembler, MINIMUM: SmallestAssembler}


def overlaps(layout: TileLayout) -> bool:
    """Whether tiles share pixels."""
    return layout.x.padding > 0 or layout.y.padding > 0


def make_assembler(layout: TileLayout, decider: Decider, policy: str = MEAN) -> Assembler:
    """The assembler that suits a layout.

    Args:
        layout: Its tiles.
        decider: Decides finished pixels.
        policy: How overlapping tiles become one: ``mean``, ``max`` or ``min``.
    """
    return (_KINDS[policy] if overlaps(layout) else PlainAssembler)(layout, decider)
