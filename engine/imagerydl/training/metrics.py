"""Accuracy measures from a confusion matrix."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .channels import IGNORED


def count_confusion(logits: Tensor, target: Tensor) -> Tensor:
    """Confusion matrix of a batch, pixels, int64 ``[channels, channels]``: rows truth, columns predicted.

    Args:
        logits: ``[n, channels, h, w]``.
        target: Channels ``[n, h, w]``; :data:`IGNORED` pixels are not counted.
    """
    channels = logits.shape[1]
    # Ignored pixels fall into a row of their own, which is cut off.
    rows = torch.where(target == IGNORED, channels, target)
    cells = (rows * channels + logits.argmax(dim=1)).flatten()
    counts = torch.bincount(cells, minlength=(channels + 1) * channels)
    return counts[: channels * channels].reshape(channels, channels)


@dataclass(frozen=True)
class PixelScores:
    """What a confusion matrix says. Measures are NaN for a class that is neither true nor predicted.

    Attributes:
        confusion: Pixels ``[channels, channels]``, rows truth, columns predicted.
    """

    confusion: np.ndarray

    @property
    def accuracy(self) -> float:
        """Share of pixels that are right."""
        return float(_ratio(np.trace(self.confusion), self.confusion.sum()))

    @property
    def iou(self) -> np.ndarray:
        """Intersection over union of each class."""
        right = np.diag(self.confusion)
        return _ratio(right, self._true + self._predicted - right)

    @property
    def precision(self) -> np.ndarray:
        """Share of each class's predicted pixels that are right."""
        return _ratio(np.diag(self.confusion), self._predicted)

    @property
    def recall(self) -> np.ndarray:
        """Share of each class's true pixels that are found."""
        return _ratio(np.diag(self.confusion), self._true)

    @property
    def f1(self) -> np.ndarray:
        """Harmonic mean of precision and recall of each class (the Dice coefficient)."""
        return _ratio(2 * np.diag(self.confusion), self._true + self._predicted)

    @property
    def mean_iou(self) -> float:
        """Mean over the classes that occur."""
        return mean_of(self.iou)

    @property
    def _true(self) -> np.ndarray:
        return self.confusion.sum(axis=1)

    @property
    def _predicted(self) -> np.ndarray:
        return self.confusion.sum(axis=0)


def mean_of(values: np.ndarray) -> float:
    """Mean of the values that are numbers; NaN where there is none."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else float("nan")


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    part, whole = np.asarray(part, np.float64), np.asarray(whole, np.float64)
    return np.divide(part, whole, out=np.full(whole.shape, np.nan), where=whole > 0)
