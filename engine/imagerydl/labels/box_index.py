"""Finds the boxes near a chip among millions, in time that hardly depends on how many there are."""

from __future__ import annotations

from typing import Optional

import numpy as np

#: Boxes in a leaf, and nodes in a node.
_FANOUT = 32


class BoxIndex:
    """Boxes in a packed tree: sorted into tiles (Leutenegger's sort-tile-recursive order), 20 bytes each.

    Boxes are kept in single precision, rounded outwards, from an origin among them: a search finds
    every box that touches, and at most a few that come very close.
    """

    def __init__(self) -> None:
        self._parts: list[np.ndarray] = []
        self._origin: Optional[np.ndarray] = None
        self._tree: Optional[tuple[np.ndarray, np.ndarray, list[np.ndarray]]] = None
        self.total = (np.nan,) * 4

    def add(self, boxes: np.ndarray) -> None:
        """Add boxes ``[n, 4]`` (xmin, ymin, xmax, ymax); rows of NaN are never found."""
        known = boxes[np.isfinite(boxes).all(axis=1)]
        if len(known):
            low, high = known[:, :2].min(axis=0), known[:, 2:].max(axis=0)
            self.total = (
                *np.fmin(self.total[:2], low).tolist(),
                *np.fmax(self.total[2:], high).tolist(),
            )
            if self._origin is None:
                self._origin = np.tile(low, 2)
        origin = np.zeros(4) if self._origin is None else self._origin
        rounded = (boxes - origin).astype(np.float32)
        rounded[:, :2] = np.nextafter(rounded[:, :2], np.float32(-np.inf))
        rounded[:, 2:] = np.nextafter(rounded[:, 2:], np.float32(np.inf))
        self._parts.append(rounded)
        self._tree = None

    def near(self, bounds: tuple[float, float, float, float]) -> np.ndarray:
        """Positions of the boxes that touch ``bounds``, ascending."""
        return self.near_each(np.array([bounds]))[0]

    def near_each(self, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Positions of the boxes that touch any of several boxes ``[m, 4]``.

        Returns:
            Positions ``[k]``, and for each which of ``wanted`` it touches ``[k]``; sorted by the
            latter, then the former.
        """
        if self._origin is None:
            return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
        boxes, order, levels = self._built()
        wanted = wanted - self._origin
        top = len(levels[-1])
        nodes, owners = np.tile(np.arange(top), len(wanted)), np.repeat(np.arange(len(wanted)), top)
        for level, below in zip(
            reversed(levels), [len(level) for level in reversed(levels[:-1])] + [len(order)]
        ):
            hit = _touch(level[nodes], wanted[owners])
            nodes = (nodes[hit][:, None] * _FANOUT + np.arange(_FANOUT)).ravel()
            owners = np.repeat(owners[hit], _FANOUT)
            there = nodes < below
            nodes, owners = nodes[there], owners[there]
        found = order[nodes]
        hit = _touch(boxes[found], wanted[owners])
        found, owners = found[hit].astype(np.int64), owners[hit]
        by_owner = np.lexsort((found, owners))
        return found[by_owner], owners[by_owner]

    def _built(self) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
        tree = self._tree
        if tree is None:
            boxes = np.concatenate(self._parts)
            self._parts = [boxes]
            order = tile_order(boxes)
            levels = [_nodes(boxes[order])]
            while len(levels[-1]) > _FANOUT:
                levels.append(_nodes(levels[-1]))
            tree = self._tree = (boxes, order, levels)
        return tree


def _touch(boxes: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Which boxes ``[n, 4]`` touch the wanted one beside them, bool ``[n]``; False for NaN."""
    return (
        (boxes[:, 0] <= wanted[:, 2])
        & (boxes[:, 2] >= wanted[:, 0])
        & (boxes[:, 1] <= wanted[:, 3])
        & (boxes[:, 3] >= wanted[:, 1])
    )


def tile_order(boxes: np.ndarray) -> np.ndarray:
    """Positions of boxes in an order in which neighbours follow each other, int32 ``[n]``."""
    count = len(boxes)
    slices = max(1, round((count / _FANOUT) ** 0.5))
    ranks = np.empty(count, dtype=np.int32)
    ranks[np.argsort(boxes[:, 0] + boxes[:, 2])] = np.arange(count, dtype=np.int32)
    ranks //= max(1, -(-count // slices))
    return np.lexsort((boxes[:, 1] + boxes[:, 3], ranks)).astype(np.int32)


def _nodes(boxes: np.ndarray) -> np.ndarray:
    """The boxes around each run of neighbours."""
    starts = np.arange(0, len(boxes), _FANOUT)
    low = np.fmin.reduceat(boxes[:, :2], starts, axis=0)
    return np.hstack([low, np.fmax.reduceat(boxes[:, 2:], starts, axis=0)])
