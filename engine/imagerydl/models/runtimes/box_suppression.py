"""Non maximum suppression of the boxes of one tile."""

from __future__ import annotations

import numpy as np


def class_nms(boxes: np.ndarray, scores: np.ndarray, classes: np.ndarray, max_overlap: float) -> np.ndarray:
    """Positions of the boxes that stay, the surest first.

    From the surest to the least sure, each box that is still there removes those of its class of which the
    intersection over union with it is greater than ``max_overlap``. Of two equally sure ones the first
    stays.

    Args:
        boxes: ``[n, 4]`` left, top, right, bottom.
        scores: ``[n]``.
        classes: ``[n]``.
        max_overlap: 0 to 1.
    """
    order = np.argsort(-scores, kind="stable")
    boxes = boxes[order].astype(np.float64)
    classes = classes[order]
    areas = np.prod(np.clip(boxes[:, 2:] - boxes[:, :2], 0, None), axis=1)
    stays = np.ones(len(boxes), dtype=bool)
    for place in range(len(boxes)):
        if not stays[place]:
            continue
        rest = np.flatnonzero(stays[place + 1 :] & (classes[place + 1 :] == classes[place])) + place + 1
        low = np.maximum(boxes[place, :2], boxes[rest, :2])
        high = np.minimum(boxes[place, 2:], boxes[rest, 2:])
        shared = np.prod(np.clip(high - low, 0, None), axis=1)
        union = areas[place] + areas[rest] - shared
        stays[rest[shared > max_overlap * np.maximum(union, 1e-12)]] = False
    return order[stays]
