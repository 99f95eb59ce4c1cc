"""Precision, recall, F1 and average precision of detections, for each class and for all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Optional

import numpy as np

from ..average_precision import OVERLAPS, average_precision, precision_and_recall
from .matching import Candidates, match


@dataclass(frozen=True)
class ObjectScores:
    """Counts and measures of a class, or of all.

    Attributes:
        name: The class.
        true_positives: Detections that find an object.
        false_positives: Detections that find none.
        false_negatives: Objects that no detection finds.
        average_precision: At the overlap asked for; NaN without true objects.
        coco_map: Mean over COCO's overlaps; NaN without true objects.
    """

    name: str
    true_positives: int
    false_positives: int
    false_negatives: int
    average_precision: float
    coco_map: float

    @property
    def precision(self) -> float:
        """Share of the detections that are right; NaN without detections."""
        detections = self.true_positives + self.false_positives
        return self.true_positives / detections if detections else float("nan")

    @property
    def recall(self) -> float:
        """Share of the objects that are found; NaN without objects."""
        objects = self.true_positives + self.false_negatives
        return self.true_positives / objects if objects else float("nan")

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall; 0 where one is 0 or missing."""
        return (
            2 * self.true_positives / (2 * self.true_positives + self.false_positives + self.false_negatives)
        )


@dataclass(frozen=True)
class Curve:
    """What precision and recall become as less sure detections are taken in.

    Attributes:
        name: The class, or "All classes".
        recall: After each detection, from the surest on ``[detections]``.
        precision: Likewise.
        confidence: Of that detection.
    """

    name: str
    recall: np.ndarray
    precision: np.ndarray
    confidence: np.ndarray


def precision_of_class(hits: np.ndarray, objects: int, ranked: bool = True) -> float:
    """Average precision of a class.

    Args:
        hits: Which detections are right, bool ``[n]``, from the surest to the least sure.
        objects: Number of true objects.
        ranked: False where detections have no confidence: the curve is then the one point all
            of them make together.

    Returns:
        0 to 1; NaN where there are no objects.
    """
    if not objects:
        return float("nan")
    precision, recall = precision_and_recall(hits, objects)
    return average_precision(precision, recall) if ranked else average_precision(precision[-1:], recall[-1:])


def score_objects(
    candidates: Candidates,
    classes: tuple[np.ndarray, np.ndarray],
    names: Sequence[str],
    min_iou: float,
    ranked: bool = True,
) -> tuple[list[ObjectScores], np.ndarray]:
    """The measures of each class and, last, of all.

    For all classes together the counts are summed, and average precision is the mean over the classes
    that have true objects.

    Args:
        candidates: What can be matched.
        classes: Class numbers of detections and true objects.
        names: Names by class number.
        min_iou: Overlap from which a detection counts as right.
        ranked: Whether detections have confidences.

    Returns:
        The measures, and what :func:`match` gives at ``min_iou``.
    """
    found, truth = classes
    objects = np.bincount(truth, minlength=len(names))
    detections = np.bincount(found, minlength=len(names))
    members = _members(found[candidates.order], len(names))
    matched = match(candidates, min_iou)

    def precisions(pairs: np.ndarray) -> list[float]:
        hits = pairs[candidates.order] >= 0
        return [precision_of_class(hits[rows], int(n), ranked) for rows, n in zip(members, objects)]

    at_overlap = precisions(matched)
    coco = np.array([precisions(match(candidates, overlap)) for overlap in OVERLAPS])
    right = np.bincount(found[matched >= 0], minlength=len(names))
    rows = [
        ObjectScores(
            name, int(right[k]), int(detections[k] - right[k]), int(objects[k] - right[k]),
            at_overlap[k], float(coco[:, k].mean()),
        )
        for k, name in enumerate(names)
    ]  # fmt: skip
    return [*rows, _summed(rows)], matched


def _summed(rows: Sequence[ObjectScores]) -> ObjectScores:
    def mean(values: list[float]) -> float:
        known = [value for value in values if value == value]
        return sum(known) / len(known) if known else float("nan")

    return ObjectScores(
        "All classes",
        sum(row.true_positives for row in rows),
        sum(row.false_positives for row in rows),
        sum(row.false_negatives for row in rows),
        mean([row.average_precision for row in rows]),
        mean([row.coco_map for row in rows]),
    )


def _members(classes: np.ndarray, count: int) -> list[np.ndarray]:
    """Positions of the members of each class, ascending."""
    order = np.argsort(classes, kind="stable")
    return np.split(order, np.searchsorted(classes[order], np.arange(1, count)))


def curves(
    candidates: Candidates,
    classes: tuple[np.ndarray, np.ndarray],
    names: Sequence[str],
    matched: np.ndarray,
    scores: Optional[np.ndarray],
) -> list[Curve]:
    """The curve of each class that has objects and detections, and last that of all; none without scores."""
    if scores is None or not len(scores):
        return []
    found, truth = classes
    hits, ordered = matched[candidates.order] >= 0, scores[candidates.order]
    objects = np.bincount(truth, minlength=len(names))
    groups = [*zip(names, _members(found[candidates.order], len(names)), objects.tolist())]
    groups.append(("All classes", np.arange(len(hits)), len(truth)))
    result = []
    for name, rows, count in groups:
        if count and len(rows):
            precision, recall = precision_and_recall(hits[rows], count)
            result.append(Curve(name, recall, precision, ordered[rows]))
    return result
