"""Average precision as the COCO evaluation takes it (Lin et al. 2014), for every measure of detections."""

from __future__ import annotations

import numpy as np

#: Overlaps (intersection over union) over which COCO averages: 0.50, 0.55 ... 0.95.
OVERLAPS = np.linspace(0.5, 0.95, 10)

#: Recalls at which the precision is read.
_RECALLS = np.linspace(0.0, 1.0, 101)


def precision_and_recall(hits: np.ndarray, objects: int) -> tuple[np.ndarray, np.ndarray]:
    """What precision and recall become as less sure detections are taken in.

    Args:
        hits: Which detections are right, bool ``[n]`` from the surest to the least sure, or ``[n, m]`` for
            several ways to judge them.
        objects: Number of true objects.

    Returns:
        Both after each detection, in the shape of ``hits``; all recalls are 0 where there are no objects.
    """
    right = np.cumsum(hits, axis=0)
    taken = np.arange(1, len(hits) + 1).reshape(-1, *[1] * (right.ndim - 1))
    return right / taken, right / max(objects, 1)


def average_precision(precision: np.ndarray, recall: np.ndarray) -> float:
    """Area under a precision-recall curve, read at 101 recalls.

    The precision at a recall is the best one at this or any higher recall.

    Args:
        precision: After each detection, from the surest on ``[n]``.
        recall: Likewise, never falling.

    Returns:
        0 to 1; 0 without detections.
    """
    if not len(precision):
        return 0.0
    best = np.maximum.accumulate(precision[::-1])[::-1]
    places = np.searchsorted(recall, _RECALLS, side="left")
    return float(np.append(best, 0.0)[places].mean())
