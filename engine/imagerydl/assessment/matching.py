"""Which detection finds which true object: one to one, the surest detection first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Optional

import numpy as np

from ..labels.overlap import Polygons, overlaps_of

#: An overlap of 1 is never exact: pycocotools asks for this much in its place.
_WHOLE = 1 - 1e-10


@dataclass(frozen=True)
class Candidates:
    """Detections and true objects of the same class that overlap, the surest detections first.

    For one detection, the true object it overlaps most comes first; of several it overlaps equally,
    the last one, as in pycocotools.

    Attributes:
        order: Positions of the detections from the surest to the least sure ``[detections]``.
        detections: Position of the detection of each pair ``[pairs]``.
        truths: Position of the true object ``[pairs]``.
        iou: Intersection over union ``[pairs]``.
    """

    order: np.ndarray
    detections: np.ndarray
    truths: np.ndarray
    iou: np.ndarray


def find_candidates(
    detections: Polygons,
    truths: Polygons,
    classes: tuple[np.ndarray, np.ndarray],
    scores: Optional[np.ndarray],
    at_least: float,
    check: Callable[[], None] = lambda: None,
) -> Candidates:
    """Everything that could be matched.

    Args:
        detections: The detections.
        truths: The true objects.
        classes: Class numbers of both.
        scores: Confidences of the detections; equal ones keep the order of the layer, as in
            pycocotools. None: the detection with the largest overlap is the surest.
        at_least: Smallest intersection over union that will be asked for.
        check: Called now and then; it may raise to end the search.
    """
    parts = [(np.empty(0, np.intp), np.empty(0, np.intp), np.empty(0))]
    for left, right, iou in overlaps_of(detections, truths, min(at_least, _WHOLE), check):
        same = classes[0][left] == classes[1][right]
        parts.append((left[same], right[same], iou[same]))
    left, right, iou = (np.concatenate(column) for column in zip(*parts))
    if scores is None:
        scores = np.zeros(len(detections))
        np.maximum.at(scores, left, iou)
    order = np.argsort(-scores, kind="stable")
    ranks = np.empty_like(order)
    ranks[order] = np.arange(len(order))
    sequence = np.lexsort((-right, -iou, ranks[left]))
    return Candidates(order, left[sequence], right[sequence], iou[sequence])


def match(candidates: Candidates, min_iou: float) -> np.ndarray:
    """The true object each detection finds.

    From the surest detection on, each takes the object it overlaps most among those of its class that
    are not taken yet and of which the intersection over union is at least ``min_iou``. COCO and
    ArcGIS match the same way.

    Returns:
        Position in ``candidates`` of the pair of each detection, int64 ``[detections]``; -1 for none.
    """
    result = np.full(len(candidates.order), -1, dtype=np.int64)
    pairs = np.flatnonzero(candidates.iou >= min(min_iou, _WHOLE))
    found, truths = candidates.detections[pairs], candidates.truths[pairs]
    if not len(pairs):
        return result
    # Most have one possible partner, and that has no other.
    alone = (np.bincount(found)[found] == 1) & (np.bincount(truths)[truths] == 1)
    result[found[alone]] = pairs[alone]
    taken: set[int] = set()
    done: set[int] = set()
    rest = ~alone
    for pair, detection, truth in zip(pairs[rest].tolist(), found[rest].tolist(), truths[rest].tolist()):
        if detection not in done and truth not in taken:
            done.add(detection)
            taken.add(truth)
            result[detection] = pair
    return result
