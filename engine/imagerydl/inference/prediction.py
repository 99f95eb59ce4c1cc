"""Running a model on batches: out of memory halves the batch, bad output is an error, views average."""

from __future__ import annotations

from collections.abc import Callable
from typing import Optional

import numpy as np

from ..errors import ModelError, OutOfMemoryError
from ..models.runtimes.protocol import PixelModel, softmax


class Predictor:
    """Runs a model on batches of tiles of any number.

    Args:
        model: The model.
        outputs: Output channels it must have.
        tell: Receives a sentence when the batch has to shrink.
        average_views: Whether to average the probabilities over flipped and turned views of
            each tile: all eight of a square one, four (no quarter turns) of another.
        excluded: A channel that must not win. It leaves the competition before probabilities
            are made: beside a certain background the others would all round to nothing.
    """

    def __init__(
        self,
        model: PixelModel,
        outputs: int,
        tell: Callable[[str], None],
        *,
        average_views: bool = False,
        excluded: Optional[int] = None,
    ) -> None:
        self._model = model
        self._outputs = outputs
        self._tell = tell
        self._average_views = average_views
        self._excluded = excluded
        self._limit = 0  # tiles that fit the device; 0: not known to be limited

    def scores(self, batch: np.ndarray, valid: np.ndarray) -> np.ndarray:
        """Scores ``[n, outputs, h, w]``; probabilities where views are averaged."""
        return self._in_parts(batch, valid, self._averaged if self._average_views else self._competing)

    def probabilities(self, scores: np.ndarray) -> np.ndarray:
        """Probabilities of what :meth:`scores` gave, in place."""
        return scores if self._average_views else softmax(scores)

    def _competing(self, batch: np.ndarray, valid: np.ndarray) -> np.ndarray:
        scores = self._model.scores(batch, valid)
        if self._excluded is not None:
            self._check_channels(scores)
            scores[:, self._excluded] = -np.inf
        return scores

    def _check_channels(self, scores: np.ndarray) -> None:
        if scores.shape[1] != self._outputs:
            raise ModelError(
                f"The model gives {scores.shape[1]} channels, its definition lists {self._outputs} classes.",
                "Correct Classes in the definition: one for each output channel, in its order.",
            )

    def check(self, scores: np.ndarray) -> None:
        """Raise :class:`ModelError` for scores that cannot be the model's classes."""
        self._check_channels(scores)
        # One pass: a single NaN makes the sum one.
        if np.isnan(scores.sum(dtype=np.float32)):
            raise ModelError(
                "The model's output is not a number (NaN).",
                "Check the model's normalisation against the raster's values, or train it again.",
            )

    def _in_parts(
        self, batch: np.ndarray, valid: np.ndarray, run: Callable[[np.ndarray, np.ndarray], np.ndarray]
    ) -> np.ndarray:
        while True:
            size = min(self._limit or len(batch), len(batch))
            try:
                if size == len(batch):
                    return run(batch, valid)
                parts = (slice(i, i + size) for i in range(0, len(batch), size))
                return np.concatenate([run(batch[part], valid[part]) for part in parts])
            except MemoryError as error:
                if size == 1:
                    raise OutOfMemoryError(
                        f"{self._model.device} has not enough memory for a single tile "
                        f"of {batch.shape[3]} x {batch.shape[2]} pixels.",
                        "Close other programs that use it, or choose DEVICE CPU.",
                    ) from error
                self._limit = size // 2
                self._tell(
                    f"{self._model.device} is out of memory with {size} tiles at a time: going on with "
                    f"{self._limit}. Set batch_size {self._limit} to spare the attempt."
                )

    def _averaged(self, batch: np.ndarray, valid: np.ndarray) -> np.ndarray:
        total = None
        square = batch.shape[2] == batch.shape[3]
        for turns, flipped in _VIEWS if square else _VIEWS_OF_RECTANGLES:
            view = np.rot90(batch, turns, axes=(2, 3))
            view = np.ascontiguousarray(view[..., ::-1] if flipped else view)
            view_valid = np.rot90(valid, turns, axes=(1, 2))
            view_valid = view_valid[..., ::-1] if flipped else view_valid
            result = softmax(self._competing(view, view_valid))
            result = result[..., ::-1] if flipped else result
            result = np.rot90(result, -turns, axes=(2, 3))
            if total is None:
                total = np.ascontiguousarray(result)
            else:
                total += result
        total /= len(_VIEWS if square else _VIEWS_OF_RECTANGLES)
        return total


#: (quarter turns, mirrored) of the symmetries of a square, and of those a rectangle keeps.
_VIEWS = tuple((turns, flipped) for turns in range(4) for flipped in (False, True))
_VIEWS_OF_RECTANGLES = tuple((turns, flipped) for turns in (0, 2) for flipped in (False, True))
