"""Non maximum suppression: of polygons that overlap too much the surest one stays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Optional

import numpy as np

from ..labels.box_index import tile_order
from ..labels.overlap import Polygons, overlaps_of

#: Share of the polygons, the surest ones, decided first. Of many crowded ones they remove most
#: before these are compared with each other; where few overlap it costs one more index.
_FIRST_SHARE = 16

#: Fewer than this many are decided in one go.
_SMALL = 20_000

#: Share of the rest removed by the surest ones above which they lie crowded.
_CROWDED = 0.2


def suppress(
    geometries: np.ndarray,
    scores: np.ndarray,
    classes: Optional[np.ndarray] = None,
    max_overlap: float = 0.0,
    check: Callable[[], None] = lambda: None,
) -> np.ndarray:
    """Which of the polygons stay.

    From the surest to the least sure, each one that is still there removes all less sure ones of which
    the intersection over union with it is greater than ``max_overlap``; first among the polygons of
    each class, then among what is left of all classes. Of two with the same score the larger one is
    the surer; then the one further west, then further south, then the first: what stays depends on the
    order of the polygons only where two are equal in all this.

    Args:
        geometries: Valid polygons ``[n]``.
        scores: Their confidences ``[n]``, numbers.
        classes: Class of each ``[n]``, of any type that sorts; None for one class.
        max_overlap: 0 to 1.
        check: Called now and then; it may raise to end the search.

    Returns:
        bool ``[n]``.
    """
    polygons = Polygons(geometries)
    ranks = np.empty(len(polygons), dtype=np.int64)
    ranks[ranking(polygons, scores)] = np.arange(len(polygons))
    # Neighbours on the map become neighbours in memory: at a million that halves the time.
    order = tile_order(polygons.boxes)
    polygons, ranks = polygons.take(order), ranks[order]
    keep = np.ones(len(order), dtype=bool)
    groups = [] if classes is None else _groups(np.asarray(classes)[order])
    if len(groups) > 1:
        for members in groups:
            keep[members] = _greedy(polygons.take(members), ranks[members], max_overlap, check)
    left = np.flatnonzero(keep)
    keep[left] = _greedy(polygons.take(left), ranks[left], max_overlap, check)
    result = np.empty_like(keep)
    result[order] = keep
    return result


def ranking(polygons: Polygons, scores: np.ndarray) -> np.ndarray:
    """Positions from the surest polygon to the least sure one (see :func:`suppress` for ties)."""
    west, south = polygons.boxes[:, 0], polygons.boxes[:, 1]
    return np.lexsort((south, west, -polygons.areas, -np.asarray(scores, dtype=float)))


def _groups(classes: np.ndarray) -> list[np.ndarray]:
    """Positions of the members of each class, ascending."""
    if not len(classes):
        return []
    _, numbers = np.unique(classes, return_inverse=True)
    members = np.argsort(numbers, kind="stable")
    return np.split(members, np.flatnonzero(np.diff(numbers[members])) + 1)


def _greedy(
    polygons: Polygons, ranks: np.ndarray, max_overlap: float, check: Callable[[], None]
) -> np.ndarray:
    """Which of the polygons stay, where all are of one class; those of lower rank are the surer ones."""
    keep = np.ones(len(polygons), dtype=bool)
    waiting = np.arange(len(polygons))
    size = max(_SMALL, len(polygons) // _FIRST_SHARE)
    while len(waiting):
        block = waiting
        if size < len(waiting):
            limit = np.partition(ranks[waiting], size)[size]
            chosen = ranks[waiting] < limit
            block, waiting = waiting[chosen], waiting[~chosen]
        else:
            waiting = waiting[:0]
        members = polygons.take(block)
        stays = _decided(members, ranks[block], max_overlap, check)
        keep[block[~stays]] = False
        if len(waiting):
            removed = _removed(
                members.take(np.flatnonzero(stays)), polygons.take(waiting), max_overlap, check
            )
            keep[waiting[removed]] = False
            waiting = waiting[~removed]
            # Once they lie thinly, comparing all at once is quickest.
            size = size * 4 if removed.mean() > _CROWDED else len(polygons)
    return keep


def _decided(
    polygons: Polygons, ranks: np.ndarray, max_overlap: float, check: Callable[[], None]
) -> np.ndarray:
    """The same for few enough polygons to compare all that touch."""
    surer, others = [np.empty(0, np.intp)], [np.empty(0, np.intp)]
    for left, right, iou in overlaps_of(polygons, at_least=max_overlap, check=check):
        conflict = iou > max_overlap
        left, right = left[conflict], right[conflict]
        first = ranks[left] < ranks[right]
        surer.append(np.where(first, left, right))
        others.append(np.where(first, right, left))
    left, right = np.concatenate(surer), np.concatenate(others)
    order = np.argsort(ranks[left], kind="stable")
    stays = bytearray(b"\x01") * len(polygons)
    # By the surer one: when its turn comes, all that could remove it have had theirs.
    for high, low in zip(left[order].tolist(), right[order].tolist()):
        if stays[high]:
            stays[low] = 0
    return np.frombuffer(stays, dtype=bool)


def _removed(kept: Polygons, waiting: Polygons, max_overlap: float, check: Callable[[], None]) -> np.ndarray:
    """Which of the waiting polygons one of the kept ones removes, bool ``[waiting]``."""
    removed = np.zeros(len(waiting), dtype=bool)
    for _, right, iou in overlaps_of(kept, waiting, at_least=max_overlap, check=check):
        removed[right[iou > max_overlap]] = True
    return removed
