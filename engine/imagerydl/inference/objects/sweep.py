"""Non maximum suppression while objects come in from the top of a raster down.

What stays is what :func:`..suppression.suppress` leaves of all objects together. An object is decided as
soon as all surer ones that conflict with it are, and forgotten once nothing that comes could touch it:
memory holds the objects near the row at which things are, and chains of conflicts that reach it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Optional

import numpy as np

from ...labels.overlap import Polygons, overlaps_of
from .found import Objects


class Suppressor:
    """Removes duplicates: first among the objects of a class, then among those of all.

    Args:
        max_overlap: Intersection over union above which the less sure of two objects goes, 0 to 1.
    """

    def __init__(self, max_overlap: float) -> None:
        self._phases = [_Phase(max_overlap, by_class=True), _Phase(max_overlap, by_class=False)]

    def add(self, objects: Objects, watermark: float) -> Objects:
        """Take objects; give those that are decided to stay.

        Args:
            objects: Found since the last call.
            watermark: No object that comes later reaches above this row; infinity when none comes.
        """
        for phase in self._phases:
            objects = phase.add(objects, watermark)
            watermark = phase.watermark
        return objects.in_order()


@dataclass
class _Entry:
    """An object on its way."""

    rank: tuple[float, ...]
    top: float
    bottom: float
    rivals: list[int] = field(default_factory=list)  # surer ones that are not decided yet
    kept: Optional[bool] = None


class _Phase:
    """One pass, within classes or across them."""

    def __init__(self, max_overlap: float, by_class: bool) -> None:
        self._max_overlap = max_overlap
        self._by_class = by_class
        self._numbers = np.empty(0, np.int64)
        self._objects = Objects.none()
        self._entries: dict[int, _Entry] = {}
        self._next = 0
        self.watermark = 0.0

    def add(self, objects: Objects, watermark: float) -> Objects:
        fresh = self._taken_in(objects)
        self._compare(fresh)
        decided = self._decide(watermark)
        at = np.isin(self._numbers, np.array(decided, np.int64))
        result = self._objects.take(at)
        self._forget(watermark)
        tops = [entry.top for entry in self._entries.values() if entry.kept is None]
        self.watermark = min([watermark, *tops])
        return result

    def _taken_in(self, objects: Objects) -> int:
        """Add objects; returns the position of the first new one."""
        before = len(self._objects)
        numbers = np.arange(self._next, self._next + len(objects))
        self._next += len(objects)
        polygons = Polygons(objects.shapes)
        left, top, _, bottom = polygons.boxes.T
        # The order of ``suppress``: surer, larger, further west, further south; the last two by the tile.
        ranks = np.column_stack(
            [-objects.scores.astype(float), -polygons.areas, left, -bottom, objects.origins]
        ).tolist()
        for number, rank, first, last in zip(numbers.tolist(), ranks, top.tolist(), bottom.tolist()):
            self._entries[number] = _Entry(tuple(rank), first, last)
        self._objects = Objects.joined([self._objects, objects])
        self._numbers = np.concatenate([self._numbers, numbers])
        return before

    def _compare(self, fresh: int) -> None:
        """Note who conflicts with whom, of pairs with at least one new object."""
        polygons = Polygons(self._objects.shapes)
        new = np.arange(fresh, len(self._objects))
        old = np.arange(fresh)
        members = polygons.take(new)
        pairs = [
            (new[left], new[right], iou) for left, right, iou in overlaps_of(members, None, self._max_overlap)
        ]
        pairs += [
            (old[left], new[right], iou)
            for left, right, iou in overlaps_of(polygons.take(old), members, self._max_overlap)
        ]
        classes = self._objects.classes
        for left, right, iou in pairs:
            conflict = iou > self._max_overlap
            if self._by_class:
                conflict &= classes[left] == classes[right]
            for one, other in zip(
                self._numbers[left[conflict]].tolist(), self._numbers[right[conflict]].tolist()
            ):
                self._note(one, other)

    def _note(self, one: int, other: int) -> None:
        first, second = (self._entries[number] for number in (one, other))
        if first.rank > second.rank:
            one, other, first, second = other, one, second, first
        if second.kept is not None or first.kept is False:
            return
        if first.kept:
            second.kept = False
        else:
            second.rivals.append(one)

    def _decide(self, watermark: float) -> list[int]:
        """Decide what can be; returns those that stay."""
        kept: list[int] = []
        waiting = sorted(
            (number for number, entry in self._entries.items() if entry.kept is None),
            key=lambda number: self._entries[number].rank,
        )
        # By rank: all that could remove an object have had their turn.
        for number in waiting:
            entry = self._entries[number]
            rivals = [self._entries[rival] for rival in entry.rivals]
            if any(rival.kept for rival in rivals):
                entry.kept = False
            elif entry.bottom <= watermark and all(rival.kept is False for rival in rivals):
                entry.kept = True
                kept.append(number)
        return kept

    def _forget(self, watermark: float) -> None:
        """Let go of what is decided and out of reach."""
        needed = {rival for entry in self._entries.values() if entry.kept is None for rival in entry.rivals}
        gone = [
            number
            for number, entry in self._entries.items()
            if entry.kept is not None
            and number not in needed
            and (entry.kept is False or entry.bottom <= watermark)
        ]
        for number in gone:
            del self._entries[number]
        stays = ~np.isin(self._numbers, np.array(gone, np.int64))
        self._objects, self._numbers = self._objects.take(stays), self._numbers[stays]
