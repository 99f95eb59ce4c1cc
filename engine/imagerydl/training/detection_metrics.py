"""How good a detector is, after the COCO evaluation: greedy matches of boxes, surest first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from ..average_precision import OVERLAPS, average_precision, precision_and_recall


@dataclass(frozen=True)
class ImageObjects:
    """Objects of one image, true or found.

    Attributes:
        boxes: ``[m, 4]``: left, top, right, bottom.
        labels: ``[m]``, positions of classes.
        scores: ``[m]``; ones for true objects.
    """

    boxes: np.ndarray
    labels: np.ndarray
    scores: np.ndarray


@dataclass(frozen=True)
class ClassResult:
    """What a detector makes of one class.

    Attributes:
        truths: Number of true objects.
        precisions: Average precision at each of COCO's overlaps; NaN without true objects.
        recall_curve: Recall after each detection at an overlap of 0.5, by falling score.
        precision_curve: Precision likewise.
        scores: Their scores.
    """

    truths: int
    precisions: np.ndarray
    recall_curve: np.ndarray
    precision_curve: np.ndarray
    scores: np.ndarray

    @property
    def ap50(self) -> float:
        """Average precision at an overlap of 0.5."""
        return float(self.precisions[0])

    def at(self, threshold: float) -> tuple[float, float, float]:
        """Precision, recall and F1 of the detections with at least that score; NaN where undefined."""
        count = int((self.scores >= threshold).sum())
        if not count:
            return float("nan"), 0.0 if self.truths else float("nan"), float("nan")
        precision, recall = float(self.precision_curve[count - 1]), float(self.recall_curve[count - 1])
        both = precision + recall
        return precision, recall, 2 * precision * recall / both if both else 0.0


@dataclass(frozen=True)
class DetectionScores:
    """What a detector achieves.

    Attributes:
        classes: One result a class.
        confusion: Objects ``[classes + 1, classes + 1]`` at an overlap of 0.5, rows truth, columns found;
            the last row is found where nothing is, the last column missed.
    """

    classes: tuple[ClassResult, ...]
    confusion: np.ndarray = field(repr=False)

    @property
    def ap50(self) -> np.ndarray:
        """Average precision of each class at an overlap of 0.5."""
        return np.array([result.ap50 for result in self.classes])

    @property
    def map50(self) -> float:
        """Mean of :attr:`ap50` over the classes that occur; 0 where none does."""
        return _mean(self.ap50)

    @property
    def map(self) -> float:
        """Mean over the classes that occur and over COCO's overlaps."""
        return _mean(np.array([result.precisions.mean() for result in self.classes]))


def score_detections(
    truths: Sequence[ImageObjects], found: Sequence[ImageObjects], classes: int, threshold: float
) -> DetectionScores:
    """Compare what was found with what is there.

    Args:
        truths: One an image.
        found: One an image, with every score there is: a threshold would cut the curves off.
        classes: Number of classes.
        threshold: Score from which on a detection counts in the confusion matrix.
    """
    results = tuple(_score_class(truths, found, number) for number in range(classes))
    return DetectionScores(results, _confusion(truths, found, classes, threshold))


def overlaps(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Intersection over union of boxes ``[m, 4]`` with boxes ``[n, 4]``, ``[m, n]``."""
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(axis=2)
    areas = [(boxes[:, 2:] - boxes[:, :2]).prod(axis=1) for boxes in (first, second)]
    union = areas[0][:, None] + areas[1][None] - shared
    return np.divide(shared, union, out=np.zeros(shared.shape), where=union > 0)


def _score_class(truths: Sequence[ImageObjects], found: Sequence[ImageObjects], number: int) -> ClassResult:
    scores, hits, total = [], [], 0
    for true, seen in zip(truths, found):
        own = true.boxes[true.labels == number]
        chosen = np.flatnonzero(seen.labels == number)
        chosen = chosen[np.argsort(-seen.scores[chosen], kind="stable")]
        total += len(own)
        scores.append(seen.scores[chosen])
        hits.append(_matches(overlaps(seen.boxes[chosen], own)))
    all_scores, all_hits = np.concatenate(scores), np.concatenate(hits)
    order = np.argsort(-all_scores, kind="stable")
    all_scores, all_hits = all_scores[order], all_hits[order]
    precision, recall = precision_and_recall(all_hits, total)
    if total:
        values = np.array([average_precision(*curve) for curve in zip(precision.T, recall.T)])
    else:
        values = np.full(len(OVERLAPS), np.nan)
    return ClassResult(total, values, recall[:, 0], precision[:, 0], all_scores)


def _matches(table: np.ndarray) -> np.ndarray:
    """Which detections (rows, best first) hit a true object nobody hit before, at each overlap."""
    hits = np.zeros((len(table), len(OVERLAPS)), bool)
    for column, least in enumerate(OVERLAPS):
        free = np.ones(table.shape[1], bool)
        for row in np.flatnonzero(table.max(axis=1, initial=0) >= least):
            candidates = np.where(free, table[row], -1.0)
            if candidates.max() >= least:
                free[candidates.argmax()] = False
                hits[row, column] = True
    return hits


def _confusion(
    truths: Sequence[ImageObjects], found: Sequence[ImageObjects], classes: int, threshold: float
) -> np.ndarray:
    """Each object with what lies best on it, whatever its class."""
    table = np.zeros((classes + 1, classes + 1), np.int64)
    for true, seen in zip(truths, found):
        chosen = np.flatnonzero(seen.scores >= threshold)
        chosen = chosen[np.argsort(-seen.scores[chosen], kind="stable")]
        shares = overlaps(seen.boxes[chosen], true.boxes)
        free = np.ones(len(true.boxes), bool)
        for row, position in enumerate(chosen):
            candidates = np.where(free, shares[row], -1.0)
            hit = candidates.size and candidates.max() >= OVERLAPS[0]
            truth = classes
            if hit:
                free[candidates.argmax()] = False
                truth = int(true.labels[candidates.argmax()])
            table[truth, int(seen.labels[position])] += 1
        for label in true.labels[free]:
            table[int(label), classes] += 1
    return table


def _mean(values: np.ndarray) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else 0.0
