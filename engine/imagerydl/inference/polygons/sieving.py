"""Small regions of a class raster into their neighbours, strip by strip.

The smallest region goes first (of equal ones that with the first pixel, row by row): it takes the
class it shares the longest border with, the lower one of equals, and so becomes one with the
neighbours of that class. This is repeated until no small region has a neighbour; one without is
dropped.

What a region does depends on the classes of its neighbours alone, and only the smaller ones of them
change before it. So it may go as soon as it is complete and smaller than all its small neighbours,
whatever happens elsewhere: the result is that of the whole raster. Held in memory: runs of the strips
that hold a small region whose class is not settled, and those regions. A region waits only for smaller
ones, so these are as a rule the last two strips, and in no case more rows than the square of the
limit in pixels.
"""

from __future__ import annotations

import heapq
from collections import deque
from dataclasses import dataclass, field
from typing import NamedTuple, Optional

import numpy as np

#: What stands in the place of a region's number: nothing there, and a region that keeps its class.
_NOTHING, _SETTLED = -1, -2


class Strip(NamedTuple):
    """Rows of a class raster.

    Attributes:
        first_row: Row of the raster they begin at.
        values: Class values ``[rows, columns]``.
        valid: Pixels ``[rows, columns]`` that have a class.
    """

    first_row: int
    values: np.ndarray
    valid: np.ndarray


@dataclass
class _HeldStrip:
    """Runs of equal pixels, and what becomes of the regions they belong to."""

    first_row: int
    shape: tuple[int, int]
    dtype: np.dtype
    lengths: np.ndarray
    region_of: np.ndarray
    values: np.ndarray
    valid: np.ndarray
    unsettled: int = 0

    def strip(self) -> Strip:
        values = np.repeat(self.values.astype(self.dtype)[self.region_of], self.lengths)
        valid = np.repeat(self.valid[self.region_of], self.lengths)
        return Strip(self.first_row, values.reshape(self.shape), valid.reshape(self.shape))


@dataclass
class _Region:
    """A region below the limit, as far as it has been seen.

    Attributes:
        value: Its class.
        area: In the unit of the limit.
        first: Its first pixel, counted row by row.
        small: Border with other regions below the limit, by their number.
        settled: Border with all others, by class.
        members: Where its pixels are: strips, and numbers in them.
        is_open: Whether it reaches the last row seen.
    """

    value: int
    area: int
    first: int
    members: list
    small: dict = field(default_factory=dict)
    settled: dict = field(default_factory=dict)
    is_open: bool = False

    @property
    def rank(self) -> tuple[int, int]:
        return self.area, self.first


class Sieve:
    """Takes strips of a class raster from the top down and gives them back without small regions.

    Args:
        width: Columns of the raster.
        limit: Regions of less are small: pixels, or what the areas of pixels count in.
    """

    def __init__(self, width: int, limit: int) -> None:
        self._width, self._limit = width, limit
        self._row = 0
        self._held: deque[_HeldStrip] = deque()
        self._regions: dict[int, _Region] = {}
        self._next = 0
        # Regions that may be next; entries that no longer hold are passed over.
        self._queue: list[tuple[tuple[int, int], int]] = []
        # Along the last row seen: class, and number of the region, as it was when the row was read.
        self._last_values = np.zeros(width, dtype=np.int64)
        self._last_regions = np.full(width, _NOTHING, dtype=np.int64)
        # Regions of that row that became part of another since, or settled.
        self._moved: dict[int, int] = {}

    def add(self, values: np.ndarray, valid: np.ndarray, areas: Optional[np.ndarray] = None) -> list[Strip]:
        """Take the next rows.

        Args:
            values: Class values ``[rows, columns]``.
            valid: Pixels ``[rows, columns]`` that have a class.
            areas: Whole numbers ``[rows, 1]`` or ``[rows, columns]``, what each pixel counts; None: 1.

        Returns:
            Strips, as they were given, whose classes are settled; they come in order.
        """
        runs = _Runs(values, valid, areas)
        own_first = self._row * self._width + runs.first_pixel
        held = _HeldStrip(
            self._row,
            values.shape,
            values.dtype,
            runs.lengths,
            runs.region_of,
            runs.values.copy(),
            runs.valid,
        )
        is_small = runs.valid & (runs.areas < self._limit)
        borders = _Borders(runs, is_small)
        edge = np.zeros(len(runs.values), dtype=bool)
        edge[runs.top] = edge[runs.bottom] = True
        # Most small regions lie amid large ones: they need no look at anything else.
        alone = is_small & ~edge
        alone[borders.small_pairs[:, :2].ravel()] = False
        borders.settle(alone, held)

        # Number of the region each one of the strip is part of.
        numbers = np.where(runs.valid, _SETTLED, _NOTHING)
        waiting = np.flatnonzero(is_small & ~alone)
        numbers[waiting] = np.arange(self._next, self._next + len(waiting))
        self._next += len(waiting)
        held.unsettled = len(waiting)
        for own in waiting.tolist():
            self._regions[int(numbers[own])] = _Region(
                int(runs.values[own]), int(runs.areas[own]), int(own_first[own]), [(held, own)]
            )
        for one, other, length in borders.small_pairs.tolist():
            self._add_border(int(numbers[one]), int(numbers[other]), length)
        for own, value, length in borders.settled.tolist():
            if numbers[own] >= 0:
                self._add_settled(int(numbers[own]), value, length)
        self._held.append(held)
        self._row += len(values)
        was_open = self._join_seam(runs, numbers)
        self._open(runs, numbers, was_open)
        for number in numbers[waiting].tolist():
            self._enqueue(number)
        self._settle()
        return self._finished()

    def finish(self) -> list[Strip]:
        """The strips that are left: nothing follows."""
        for number, region in self._regions.items():
            region.is_open = False
            self._enqueue(number)
        self._settle()
        return self._finished()

    def _finished(self) -> list[Strip]:
        strips = []
        while self._held and not self._held[0].unsettled:
            strips.append(self._held.popleft().strip())
        return strips

    def _join_seam(self, runs: _Runs, numbers: np.ndarray) -> set[int]:
        """Regions on both sides of the upper edge of a strip; returns those that reached it from above."""
        known, which = np.unique(self._last_regions, return_inverse=True)
        above = np.array([self._now(number) for number in known.tolist()], dtype=np.int64)[which]
        below, below_values = numbers[runs.top], runs.values[runs.top]
        both = np.flatnonzero((above != _NOTHING) & (below != _NOTHING))
        unsettled = both[(above[both] >= 0) | (below[both] >= 0)]
        pairs = np.column_stack([above, self._last_values, below, below_values])[unsettled]
        pairs, lengths = np.unique(pairs, axis=0, return_counts=True)
        same = pairs[:, 1] == pairs[:, 3]
        for (upper, upper_value, lower, lower_value), length in zip(
            pairs[~same].tolist(), lengths[~same].tolist()
        ):
            if upper >= 0 and lower >= 0:
                self._add_border(upper, lower, length)
            elif upper >= 0:
                self._add_settled(upper, lower_value, length)
            else:
                self._add_settled(lower, upper_value, length)
        for upper, _, lower, _ in pairs[same].tolist():
            self._unite(self._now(upper), self._now(lower))
        return {int(number) for number in above[above >= 0]}

    def _open(self, runs: _Runs, numbers: np.ndarray, was_open: set[int]) -> None:
        """Note which regions reach the last row; those that did before and no longer do may go."""
        for number in was_open:
            now = self._now(number)
            if now >= 0:
                self._regions[now].is_open = False
        self._last_values, self._last_regions = runs.values[runs.bottom], numbers[runs.bottom]
        for number in np.unique(self._last_regions[self._last_regions >= 0]).tolist():
            now = self._now(number)
            if now >= 0:
                self._regions[now].is_open = True
        for number in was_open:
            now = self._now(number)
            if now >= 0:
                self._enqueue_around(now)
        on_last_row = set(self._last_regions.tolist())
        self._moved = {number: self._now(number) for number in on_last_row & set(self._moved)}

    def _now(self, number: int) -> int:
        """Number of the region that ``number`` is part of by now."""
        while number in self._moved:
            number = self._moved[number]
        return number

    def _add_border(self, one: int, other: int, length: int) -> None:
        for number, neighbour in ((one, other), (other, one)):
            borders = self._regions[number].small
            borders[neighbour] = borders.get(neighbour, 0) + length

    def _add_settled(self, number: int, value: int, length: int) -> None:
        borders = self._regions[number].settled
        borders[value] = borders.get(value, 0) + length

    def _enqueue(self, number: int) -> None:
        region = self._regions.get(number)
        if region is not None and not region.is_open:
            heapq.heappush(self._queue, (region.rank, number))

    def _enqueue_around(self, number: int) -> None:
        """Enqueue a region that changed, and those that may have waited for it."""
        self._enqueue(number)
        for neighbour in self._regions[number].small:
            self._enqueue(neighbour)

    def _settle(self) -> None:
        """Let every region go that waits for none."""
        while self._queue:
            rank, number = heapq.heappop(self._queue)
            region = self._regions.get(number)
            if region is None or region.is_open or region.rank != rank:
                continue
            # A neighbour that goes before this one enqueues it again.
            if all(self._regions[neighbour].rank > rank for neighbour in region.small):
                self._go(number, region)

    def _go(self, number: int, region: _Region) -> None:
        shares = dict(region.settled)
        for neighbour, length in region.small.items():
            value = self._regions[neighbour].value
            shares[value] = shares.get(value, 0) + length
        if not shares:
            self._keep(number, valid=False)
            return
        region.value = min(shares, key=lambda value: (-shares[value], value))
        joins_settled = region.value in region.settled
        for neighbour in list(region.small):
            if self._regions[neighbour].value == region.value:
                number = self._merge(neighbour, number)
        if joins_settled or self._regions[number].area >= self._limit:
            self._keep(number)
        else:
            self._enqueue_around(number)

    def _unite(self, one: int, other: int) -> None:
        """Make parts of one class one region."""
        if one == other:
            return
        number = max(one, other) if min(one, other) < 0 else self._merge(one, other)
        if min(one, other) < 0 or self._regions[number].area >= self._limit:
            self._keep(number)

    def _merge(self, one: int, other: int) -> int:
        """Make two small regions of one class one; returns its number."""
        if len(self._regions[one].members) < len(self._regions[other].members):
            one, other = other, one
        region, gone = self._regions[one], self._regions.pop(other)
        self._moved[other] = one
        region.area += gone.area
        region.first = min(region.first, gone.first)
        region.is_open |= gone.is_open
        region.members += gone.members
        region.small.pop(other, None)
        gone.small.pop(one, None)
        for neighbour, length in gone.small.items():
            region.small[neighbour] = region.small.get(neighbour, 0) + length
            borders = self._regions[neighbour].small
            borders[one] = borders.get(one, 0) + borders.pop(other)
        for value, length in gone.settled.items():
            region.settled[value] = region.settled.get(value, 0) + length
        return one

    def _keep(self, number: int, valid: bool = True) -> None:
        """Settle the class of a region: it is small no longer, or alone."""
        region = self._regions.pop(number)
        self._moved[number] = _SETTLED if valid else _NOTHING
        for held, own in region.members:
            held.values[own], held.valid[own] = region.value, valid
            held.unsettled -= 1
        for neighbour, length in region.small.items():
            del self._regions[neighbour].small[number]
            self._add_settled(neighbour, region.value, length)
        for neighbour in region.small:
            self._enqueue(neighbour)


class _Runs:
    """The 4-connected regions of a strip, by runs of equal pixels in a row.

    Attributes:
        lengths: Pixels of each run ``[runs]``, in the order of the raster.
        region_of: Number of its region ``[runs]``.
        values, valid, areas: Of each region ``[regions]``.
        first_pixel: Of each region, counted from the first pixel of the strip.
        top, bottom: Number of the region along the first and the last row ``[columns]``.
        pairs: Neighbouring regions and the length of a piece of border ``[n, 3]``; valid ones only.
    """

    def __init__(self, values: np.ndarray, valid: np.ndarray, areas: Optional[np.ndarray]) -> None:
        rows, width = values.shape
        begins = np.ones((rows, width), dtype=bool)
        begins[:, 1:] = values[:, 1:] != values[:, :-1]
        begins[:, 1:] &= valid[:, 1:] | valid[:, :-1]
        begins[:, 1:] |= valid[:, 1:] != valid[:, :-1]
        starts = np.flatnonzero(begins)
        run_values = values.ravel()[starts].astype(np.int64)
        run_valid = valid.ravel()[starts]
        self.lengths = np.diff(starts, append=rows * width)

        # Borders between rows, in pieces along which neither run changes.
        meets = np.flatnonzero(begins[:-1] | begins[1:])
        pieces = np.diff(meets, append=(rows - 1) * width)
        run_at = (np.cumsum(begins.ravel()) - 1).astype(np.int32)
        upper, lower = run_at[meets], run_at[meets + width]
        both = run_valid[upper] & run_valid[lower]
        same = both & (run_values[upper] == run_values[lower])
        roots = _connected(len(starts), upper[same], lower[same])
        firsts, self.region_of = np.unique(roots, return_inverse=True)
        count = len(firsts)
        self.values, self.valid, self.first_pixel = run_values[firsts], run_valid[firsts], starts[firsts]
        if areas is None:
            run_areas = self.lengths
        elif areas.shape[1] == 1:
            run_areas = self.lengths * areas[starts // width, 0]
        else:
            run_areas = np.add.reduceat(areas.ravel(), starts)
        # Sums of whole numbers below 2**53, those of small regions among them, are exact.
        self.areas = np.bincount(self.region_of, weights=run_areas, minlength=count)
        self.top = self.region_of[run_at[:width]]
        self.bottom = self.region_of[run_at[-width:]]

        across = both & ~same
        right = np.flatnonzero(starts % width)
        right = right[run_valid[right] & run_valid[right - 1]]
        self.pairs = np.column_stack(
            [
                np.r_[self.region_of[upper[across]], self.region_of[right - 1]],
                np.r_[self.region_of[lower[across]], self.region_of[right]],
                np.r_[pieces[across], np.ones(len(right), dtype=np.int64)],
            ]
        )


class _Borders:
    """Borders of the small regions of a strip.

    Attributes:
        small_pairs: Two small regions and the length of their border ``[n, 3]``.
        settled: A small region, the class of larger neighbours, the length of the border ``[n, 3]``.
    """

    def __init__(self, runs: _Runs, is_small: np.ndarray) -> None:
        one, other, length = runs.pairs.T
        small_one, small_other = is_small[one], is_small[other]
        both = small_one & small_other
        low, high = np.minimum(one, other)[both], np.maximum(one, other)[both]
        self.small_pairs = _summed(low, high, length[both])
        left, right = small_one & ~small_other, small_other & ~small_one
        self.settled = _summed(
            np.r_[one[left], other[right]],
            runs.values[np.r_[other[left], one[right]]],
            np.r_[length[left], length[right]],
        )

    def settle(self, alone: np.ndarray, held: _HeldStrip) -> None:
        """Give regions that have large neighbours only, or none, the class they get."""
        held.valid[alone] = False
        own, value, length = self.settled[alone[self.settled[:, 0]]].T
        order = np.lexsort((value, -length, own))
        own, value = own[order], value[order]
        longest = np.r_[True, own[1:] != own[:-1]][: len(own)]
        held.values[own[longest]] = value[longest]
        held.valid[own[longest]] = True


def _summed(one: np.ndarray, other: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Rows ``[n, 3]``: each different pair and the sum of its lengths."""
    order = np.lexsort((other, one))
    one, other, lengths = one[order], other[order], lengths[order]
    first = np.flatnonzero(np.r_[True, (one[1:] != one[:-1]) | (other[1:] != other[:-1])][: len(one)])
    if not len(first):
        return np.empty((0, 3), dtype=np.int64)
    return np.column_stack([one[first], other[first], np.add.reduceat(lengths, first)])


def _connected(count: int, one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """For each of ``count`` things the lowest number of those it is connected with."""
    roots = np.arange(count)
    while len(one):
        low, high = np.minimum(one, other), np.maximum(one, other)
        np.minimum.at(roots, high, low)
        while True:
            further = roots[roots]
            if np.array_equal(further, roots):
                break
            roots = further
        one, other = roots[one], roots[other]
        apart = one != other
        one, other = one[apart], other[apart]
    return roots
