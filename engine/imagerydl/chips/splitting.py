"""Divides chips into training, validation and test so that neighbours do not leak.

Chips of one image, or of one block of ground, go to the same part; a chip that lies on blocks of
different parts goes to none.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Optional

import numpy as np

from ..imagery.frame import Frame
from ..imagery.grid import Grid
from ..labels.geometry import is_pixel_space

#: Folders of the parts.
PARTS = ("train", "validation", "test")


@dataclass(frozen=True)
class Split:
    """How to divide.

    Attributes:
        by_image: Whether whole images stay together, rather than blocks of ground.
        shares: Of training, validation and test; they sum to 1.
        block: Side of a block in pixels.
        seed: Another one gives another division.
    """

    by_image: bool
    shares: tuple[float, float, float]
    block: int
    seed: int


#: What stays together: an image by its number, or a block by its place.
_Unit = tuple


class Splitter:
    """Says which part a chip goes to.

    Args:
        split: How to divide.
        grids: Those of all items of the export.
    """

    def __init__(self, split: Split, grids: Sequence[Grid]) -> None:
        self._split = split
        self._grids = grids
        # Blocks lie on one lattice for all images of a system: overlapping images share them.
        self._sides = _block_sides(split.block, grids)
        units = sorted(
            {unit for number, grid in enumerate(grids) for unit in self._units_of_item(number, grid)}
        )
        self.unit_count = len(units)
        self._part = _divide(units, split)

    def part(self, item: int, frame: Frame) -> Optional[str]:
        """The folder for a chip, or None where it lies between two parts."""
        parts = {self._part[unit] for unit in self._units(item, frame) if unit in self._part}
        return parts.pop() if len(parts) == 1 else None

    def _units_of_item(self, number: int, grid: Grid) -> list[_Unit]:
        if self._split.by_image:
            return [(number,)]
        return self._blocks(number, grid.corners)

    def _units(self, item: int, frame: Frame) -> list[_Unit]:
        if self._split.by_image:
            return [(item,)]
        return self._blocks(item, frame.grid.corners)

    def _blocks(self, number: int, corners: Sequence[tuple[float, float]]) -> list[_Unit]:
        grid = self._grids[number]
        # Ground of images without georeference has nothing in common.
        place = f"image {number:09}" if is_pixel_space(grid) or grid.crs is None else grid.crs.to_string()
        side_x, side_y = self._sides[grid.crs]
        xs, ys = zip(*corners)
        origin_x, origin_y = self._origin(grid.crs)
        columns = _span((min(xs) - origin_x) / side_x, (max(xs) - origin_x) / side_x)
        rows = _span((origin_y - max(ys)) / side_y, (origin_y - min(ys)) / side_y)
        return [(place, row, column) for row in rows for column in columns]

    def _origin(self, crs: object) -> tuple[float, float]:
        """Upper left corner of the first image of a system: blocks line up with its tiles."""
        first = next(grid for grid in self._grids if grid.crs == crs)
        xmin, _, _, ymax = first.bounds
        return (xmin, 0.0) if is_pixel_space(first) else (xmin, ymax)


def _block_sides(block: int, grids: Sequence[Grid]) -> dict[object, tuple[float, float]]:
    sides: dict[object, tuple[float, float]] = {}
    for grid in grids:
        x, y = grid.cell_size
        sides.setdefault(grid.crs, (block * x, block * y))
    return sides


def _span(low: float, high: float) -> range:
    """Blocks between two places; an edge on a block's border does not touch the next one."""
    first = math.floor(low + 1e-6)
    return range(first, max(first + 1, math.ceil(high - 1e-6)))


def _divide(units: Sequence[_Unit], split: Split) -> dict[_Unit, str]:
    """Units shuffled by the seed, then cut by the shares; a wanted part gets one unit at least."""
    order = np.random.default_rng(split.seed).permutation(len(units)).tolist()
    counts = [int(share * len(units)) for share in split.shares]
    counts = [max(1, count) if share > 0 else 0 for count, share in zip(counts, split.shares)]
    largest = split.shares.index(max(split.shares))
    counts[largest] = max(0, counts[largest] + len(units) - sum(counts))
    parts = [part for part, count in zip(PARTS, counts) for _ in range(count)]
    return {units[index]: part for index, part in zip(order, parts)}
