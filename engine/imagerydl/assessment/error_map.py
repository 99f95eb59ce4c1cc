"""The error map: right pixels, and each kind of mistake, as classes of a raster."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..labels.classes import ClassEntry, ClassSchema
from .confusion import ConfusionMatrix

#: Value of pixels that cannot be judged, and of right ones; mistakes follow.
NOT_JUDGED, RIGHT = 0, 1

_RIGHT_COLOR = (214, 230, 214)


class ErrorCodes:
    """The value of each kind of pixel in an error map.

    Mistakes that occur are numbered from 2, by classified value, then reference value.

    Attributes:
        classes: All values with names such as "Forest, is Water".
        dtype: uint8, or uint16 for very many kinds.
    """

    def __init__(self, matrix: ConfusionMatrix, name: Callable[[int], str]) -> None:
        self._values = np.array(matrix.values)
        mistakes = matrix.counts.copy()
        np.fill_diagonal(mistakes, 0)
        pairs = np.argwhere(mistakes > 0)
        self.dtype = np.dtype(np.uint8 if len(pairs) < 250 else np.uint16)
        self._codes = np.full(matrix.counts.shape, RIGHT, dtype=self.dtype)
        entries = [ClassEntry(RIGHT, "Right", _RIGHT_COLOR)]
        for code, (row, column) in enumerate(pairs.tolist(), start=2):
            self._codes[row, column] = code
            label = f"{name(matrix.values[row])}, is {name(matrix.values[column])}"
            entries.append(ClassEntry(code, label))
        self.classes = ClassSchema(entries)

    def encode(self, classified: np.ndarray, reference: np.ndarray, judged: np.ndarray) -> np.ndarray:
        """The error map ``[h, w]`` of a window: of the judged pixels the two values ``[n]`` are given."""
        result = np.full(judged.shape, NOT_JUDGED, dtype=self.dtype)
        rows = np.searchsorted(self._values, classified)
        result[judged] = self._codes[rows, np.searchsorted(self._values, reference)]
        return result
