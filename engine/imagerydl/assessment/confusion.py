"""Confusion matrices of class rasters: counting pairs of values, and the measures of Congalton and Cohen."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Optional

import numpy as np

from ..errors import DataError
from ..labels.classes import MAX_CLASS_VALUE

#: More distinct values than this are no classes.
_MOST_CLASSES = 1000


@dataclass(frozen=True)
class ConfusionMatrix:
    """How often each classified value meets each reference value.

    Attributes:
        values: The class values, ascending.
        counts: int64 ``[classified, reference]``.
    """

    values: tuple[int, ...]
    counts: np.ndarray

    @property
    def total(self) -> int:
        """Number of pairs."""
        return int(self.counts.sum())

    @property
    def classified(self) -> np.ndarray:
        """Pairs of each classified value."""
        return self.counts.sum(axis=1)

    @property
    def reference(self) -> np.ndarray:
        """Pairs of each reference value."""
        return self.counts.sum(axis=0)

    @property
    def users_accuracy(self) -> np.ndarray:
        """Share of the pixels classified as a class that are it (precision); NaN where there are none."""
        return _divided(np.diag(self.counts), self.classified)

    @property
    def producers_accuracy(self) -> np.ndarray:
        """Share of the pixels of a class that are classified as it (recall); NaN where there are none."""
        return _divided(np.diag(self.counts), self.reference)

    @property
    def iou(self) -> np.ndarray:
        """Intersection over union of each class."""
        right = np.diag(self.counts)
        return _divided(right, self.classified + self.reference - right)

    @property
    def f1(self) -> np.ndarray:
        """Harmonic mean of user's and producer's accuracy of each class."""
        return _divided(2 * np.diag(self.counts), self.classified + self.reference)

    @property
    def accuracy(self) -> float:
        """Share of the pairs that agree."""
        return float(np.trace(self.counts) / self.total) if self.total else float("nan")

    @property
    def kappa(self) -> float:
        """Cohen's kappa: agreement beyond chance; NaN where chance alone gives full agreement."""
        if not self.total:
            return float("nan")
        chance = float((self.classified / self.total) @ (self.reference / self.total))
        return (self.accuracy - chance) / (1 - chance) if chance < 1 else float("nan")


def _divided(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.full(len(part), np.nan), where=whole > 0)


class PairCounter:
    """Counts pairs of class values, array by array."""

    def __init__(self) -> None:
        self._places = np.full(MAX_CLASS_VALUE + 1, -1, dtype=np.int64)
        self._values: list[int] = []
        self._counts = np.zeros((0, 0), dtype=np.int64)

    def add(self, classified: np.ndarray, reference: np.ndarray) -> None:
        """Count the pairs of two arrays ``[n]`` of class values, unsigned integers of 8 or 16 bits."""
        if classified.dtype == np.uint8 and reference.dtype == np.uint8:
            # All pairs there can be are few: one pass, without looking values up.
            joint = np.bincount((classified.astype(np.uint16) << 8) | reference, minlength=65536)
            used = np.flatnonzero(joint)
            self._count(used >> 8, used & 255, joint[used])
        else:
            self._count(classified, reference, None)

    def _count(self, classified: np.ndarray, reference: np.ndarray, times: Optional[np.ndarray]) -> None:
        self._learn(classified)
        self._learn(reference)
        side = len(self._values)
        pairs = self._places[classified] * side + self._places[reference]
        counts = np.bincount(pairs, weights=times, minlength=side * side).astype(np.int64)
        self._counts += counts.reshape(side, side)

    def _learn(self, values: np.ndarray) -> None:
        present = np.flatnonzero(np.bincount(values, minlength=1))
        fresh = present[self._places[present] < 0]
        if not len(fresh):
            return
        self._places[fresh] = len(self._values) + np.arange(len(fresh))
        self._values += fresh.tolist()
        if len(self._values) > _MOST_CLASSES:
            raise DataError(
                f"There are more than {_MOST_CLASSES} different class values.",
                "Give rasters of classes, not of measurements.",
            )
        grown = np.zeros((len(self._values),) * 2, dtype=np.int64)
        side = len(self._counts)
        grown[:side, :side] = self._counts
        self._counts = grown

    def matrix(self, also: Iterable[int] = ()) -> ConfusionMatrix:
        """What was counted; ``also`` are values to list though they may not occur."""
        values = sorted({*self._values, *also})
        counts = np.zeros((len(values),) * 2, dtype=np.int64)
        if self._values:
            places = np.searchsorted(values, self._values)
            counts[np.ix_(places, places)] = self._counts
        return ConfusionMatrix(tuple(values), counts)


def class_values(data: np.ndarray, name: str) -> np.ndarray:
    """Pixels ``[n]`` as class values, uint8 or uint16.

    Raises:
        DataError: For one that cannot be a class value.
    """
    if data.dtype in (np.uint8, np.uint16) or not len(data):
        return data if data.dtype in (np.uint8, np.uint16) else data.astype(np.uint16)
    wrong = ~((data >= 0) & (data <= MAX_CLASS_VALUE) & (data == np.floor(data)))
    if wrong.any():
        raise DataError(
            f"{name} holds {data[wrong][0]:g}, which cannot be a class value.",
            f"Class values are whole numbers from 0 to {MAX_CLASS_VALUE}.",
        )
    return data.astype(np.uint16)
