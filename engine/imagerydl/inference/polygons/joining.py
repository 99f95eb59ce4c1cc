"""Regions across the seams of strips.

Held in memory: the outlines of the regions that reach the last row seen, from their first row on.
A region that runs through the whole raster is held whole.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import shapely

from .tracing import Pieces


@dataclass
class Region:
    """A 4-connected region of one class, as far as it has been seen."""

    value: int
    pieces: list = field(default_factory=list)
    confidence_sum: int = 0
    confidence_count: int = 0
    first_row: float = math.inf

    def absorb(self, other: Region) -> None:
        """Take over what belongs to ``other``."""
        self.pieces += other.pieces
        self.confidence_sum += other.confidence_sum
        self.confidence_count += other.confidence_count
        self.first_row = min(self.first_row, other.first_row)


class SeamJoiner:
    """Joins pieces of strips, given from the top down, to regions.

    Args:
        width: Columns of the raster.
    """

    def __init__(self, width: int) -> None:
        self._width = width
        self._row = 0
        self._open: list[Region] = []
        # Which open region each pixel of the last row belongs to; -1: none.
        self._last_row = np.full(width, -1, dtype=np.int64)

    @property
    def first_open_row(self) -> float:
        """First row of the regions that are not complete; infinite without any."""
        return min((region.first_row for region in self._open), default=math.inf)

    def add(self, pieces: Pieces, rows: int) -> list[Region]:
        """Take the next ``rows`` rows.

        Returns:
            The regions that are complete: nothing of them can follow. Those of a raster come in
            the order of their last row, and within it in that of their outlines.
        """
        regions = [
            Region(int(value), [outline], int(total), int(count), first_row)
            for outline, value, total, count, first_row in zip(
                pieces.outlines,
                pieces.values,
                pieces.confidence_sums,
                pieces.confidence_counts,
                shapely.bounds(pieces.outlines)[:, 1].tolist(),
            )
        ]
        top, bottom = self._row, self._row + rows
        above = len(self._open)
        owners = _Owners(above + len(regions))
        here = self._owners_along(pieces.outlines, top)
        touching = np.flatnonzero((self._last_row >= 0) & (here >= 0))
        if touching.size:
            pairs = np.unique(np.column_stack([self._last_row[touching], here[touching]]), axis=0)
            for upper, lower in pairs.tolist():
                if self._open[upper].value == regions[lower].value:
                    owners.join(upper, above + lower)
        joined: dict[int, Region] = {}
        for number, region in enumerate(self._open + regions):
            owner = owners.of(number)
            if owner in joined:
                joined[owner].absorb(region)
            else:
                joined[owner] = region

        ends = self._owners_along(pieces.outlines, bottom)
        still_open: dict[int, int] = {}
        # One entry more than there are pieces: -1, for no piece, is the last.
        opened_as = np.full(len(regions) + 1, -1, dtype=np.int64)
        for lower in np.unique(ends[ends >= 0]).tolist():
            opened_as[lower] = still_open.setdefault(owners.of(above + lower), len(still_open))
        last_row = opened_as[ends]
        self._open = [joined[owner] for owner in still_open]
        self._last_row, self._row = last_row, bottom
        return [region for owner, region in joined.items() if owner not in still_open]

    def finish(self) -> list[Region]:
        """The regions that reach the last row of the raster."""
        complete, self._open = self._open, []
        self._last_row[:] = -1
        return complete

    def _owners_along(self, outlines: np.ndarray, line: int) -> np.ndarray:
        """Number of the outline ``[width]`` that has an edge on the lattice line ``line``; -1: none."""
        owners = np.full(self._width, -1, dtype=np.int64)
        if not len(outlines):
            return owners
        bounds = shapely.bounds(outlines)
        for number in np.flatnonzero((bounds[:, 1] == line) | (bounds[:, 3] == line)).tolist():
            # Of an exterior only: a hole is closed by pixels of the strip on all sides.
            ring = shapely.get_coordinates(shapely.get_exterior_ring(outlines[number]))
            on_line = (ring[:-1, 1] == line) & (ring[1:, 1] == line)
            starts, ends = ring[:-1, 0][on_line], ring[1:, 0][on_line]
            for start, end in zip(np.minimum(starts, ends).astype(int), np.maximum(starts, ends).astype(int)):
                owners[start:end] = number
        return owners


class _Owners:
    """Which of a number of things belong together (union-find)."""

    def __init__(self, count: int) -> None:
        self._parents = list(range(count))

    def of(self, number: int) -> int:
        while self._parents[number] != number:
            self._parents[number] = self._parents[self._parents[number]]
            number = self._parents[number]
        return number

    def join(self, one: int, other: int) -> None:
        low, high = sorted((self.of(one), self.of(other)))
        self._parents[high] = low


def outlines(regions: Sequence[Region]) -> np.ndarray:
    """Polygons ``[n]`` of regions: a vertex at each corner and nowhere else, whatever the seams."""
    polygons = np.empty(len(regions), dtype=object)
    for number, region in enumerate(regions):
        polygons[number] = region.pieces[0] if len(region.pieces) == 1 else shapely.union_all(region.pieces)
    polygons = shapely.normalize(polygons)
    joined = np.array([len(region.pieces) > 1 for region in regions], dtype=bool)
    # Normalised rings begin at a corner, which simplifying keeps: only vertices on seams go.
    polygons[joined] = shapely.normalize(shapely.simplify(polygons[joined], 0, preserve_topology=False))
    return polygons


def in_order(regions: Sequence[Region]) -> tuple[list[Region], np.ndarray]:
    """Regions and their outlines by last row, then by outline: the same for every height of strips."""
    polygons = outlines(regions)
    last_rows, texts = shapely.bounds(polygons)[:, 3].tolist(), shapely.to_wkb(polygons).tolist()
    order = sorted(range(len(regions)), key=lambda number: (last_rows[number], texts[number]))
    ordered = [regions[number] for number in order]
    # The parts of a region are done with: its outline is all that is needed from here on.
    for region in ordered:
        region.pieces.clear()
    return ordered, polygons[order]
