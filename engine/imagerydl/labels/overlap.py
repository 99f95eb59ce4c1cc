"""Which polygons overlap, and by how much: intersection over union, found through a spatial index."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import Optional

import numpy as np
import shapely

#: Pairs of bounding boxes looked at in one go; each takes about 100 bytes.
_PAIRS = 2_000_000

#: Polygons asked for in the first go, before it is known how crowded they lie.
_FIRST = 8_192

#: Pairs up to which starting threads is not worth it, and the most threads.
_ONE_THREAD = 5_000
_MOST_THREADS = 8

#: Part of its bounding box by which an area may differ from it and still be that box: rounding.
_ROUNDING = 1e-12


class Polygons:
    """Polygons with what comparing them needs, each worked out once.

    Args:
        geometries: Valid polygons ``[n]``.

    Attributes:
        geometries: The same.
        areas: Their areas ``[n]``.
        boxes: Their bounds ``[n, 4]``: xmin, ymin, xmax, ymax.
        are_boxes: Which fill their bounds, bool ``[n]``: they are compared without geometry.
    """

    def __init__(self, geometries: np.ndarray) -> None:
        self.geometries = np.asarray(geometries, dtype=object)
        self.areas = shapely.area(self.geometries)
        self.boxes = shapely.bounds(self.geometries).reshape(-1, 4)
        width, height = (self.boxes[:, 2:] - self.boxes[:, :2]).T
        self.are_boxes = np.abs(width * height - self.areas) <= _ROUNDING * self.areas

    def __len__(self) -> int:
        return len(self.geometries)

    def take(self, positions: np.ndarray) -> Polygons:
        """Those at ``positions``, in that order."""
        taken = object.__new__(Polygons)
        for name in ("geometries", "areas", "boxes", "are_boxes"):
            setattr(taken, name, getattr(self, name)[positions])
        return taken

    @cached_property
    def tree(self) -> shapely.STRtree:
        """Finds them by their bounds."""
        return shapely.STRtree(self.geometries)


def overlaps_of(
    first: Polygons,
    second: Optional[Polygons] = None,
    at_least: float = 0.0,
    check: Callable[[], None] = lambda: None,
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """The pairs of polygons that share an area, part by part, in no particular order.

    Args:
        first: Polygons.
        second: Those to compare with; None for pairs within ``first``, each told once, the lower
            position first.
        at_least: Smallest intersection over union of interest, 0 to 1.
        check: Called now and then; it may raise to end the search.

    Yields:
        Positions in ``first`` ``[k]``, positions in ``second`` ``[k]``, and their intersection over
        union ``[k]``, above 0.
    """
    within = second is None
    other = first if second is None else second
    if not len(first) or not len(other):
        return
    start, size = 0, _FIRST
    while start < len(first):
        check()
        left, right = other.tree.query(first.geometries[start : start + size])
        left = left + start
        found = len(left)
        if within:
            once = left < right
            left, right = left[once], right[once]
        left, right, iou = _compared(first, other, left, right, at_least)
        if len(left):
            yield left, right, iou
        start += size
        # Where polygons lie crowded there are very many pairs: memory is what limits a go.
        size = max(1, min(100_000, size * _PAIRS // max(found, 1)))


def _shared_areas(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Areas that polygons ``[n]`` share with those beside them ``[n]``, on all cores where there are many."""

    def areas(part: slice) -> np.ndarray:
        return shapely.area(shapely.intersection(first[part], second[part]))

    workers = min(os.cpu_count() or 1, _MOST_THREADS)
    if len(first) < _ONE_THREAD or workers == 1:
        return areas(slice(None))
    step = -(-len(first) // workers)
    # The geometry library lets go of Python's lock while it works.
    with ThreadPoolExecutor(workers) as pool:
        parts = pool.map(areas, [slice(start, start + step) for start in range(0, len(first), step)])
        return np.concatenate(list(parts))


def _compared(
    first: Polygons, second: Polygons, left: np.ndarray, right: np.ndarray, at_least: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The pairs of which enough overlaps, and how much."""
    a, b = first.boxes[left], second.boxes[right]
    sides = np.minimum(a[:, 2:], b[:, 2:]) - np.maximum(a[:, :2], b[:, :2])
    shared = np.prod(np.clip(sides, 0, None), axis=1)
    areas, other = first.areas[left], second.areas[right]
    # What bounds share is the most that polygons can share: most pairs end here.
    most = np.minimum(shared, np.minimum(areas, other))
    union = areas + other - most
    boxes = first.are_boxes[left] & second.are_boxes[right]
    slack = np.where(boxes, 0.0, 1e-9)
    near = (most > 0) & (most >= (at_least - slack) * union)
    left, right, shared, areas, other, boxes = (
        part[near] for part in (left, right, shared, areas, other, boxes)
    )
    if not boxes.all():
        shaped = ~boxes
        shared[shaped] = _shared_areas(first.geometries[left[shaped]], second.geometries[right[shaped]])
    iou = shared / (areas + other - shared)
    enough = (shared > 0) & (iou >= at_least)
    return left[enough], right[enough], iou[enough]
