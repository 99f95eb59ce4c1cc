"""Groups of things of which some are linked in pairs."""

from __future__ import annotations

import numpy as np


def linked_groups(count: int, pairs: np.ndarray) -> np.ndarray:
    """The group of each of ``count`` things, int64 ``[count]``: the smallest member's number.

    Args:
        count: How many there are.
        pairs: Which are linked, ``[k, 2]``.
    """
    groups = np.arange(count, dtype=np.int64)
    if not len(pairs):
        return groups
    left, right = np.asarray(pairs).T
    while True:
        # The smallest label spreads along the links; chains are halved by pointing past the neighbour.
        low = np.minimum(groups[left], groups[right])
        before = groups.copy()
        np.minimum.at(groups, left, low)
        np.minimum.at(groups, right, low)
        np.minimum.at(groups, before[left], low)
        np.minimum.at(groups, before[right], low)
        groups = groups[groups]
        if np.array_equal(groups, before):
            return groups
