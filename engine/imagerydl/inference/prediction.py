"""Running a model on batches: out of memory halves the batch, bad output is an error, views average."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

import numpy as np

from ..errors import ModelError
from ..models.runtimes.protocol import Gives, PixelModel, Position, softmax
from .decision import not_a_number
from .shrinking import ShrinkingBatches


class Predictor:
    """Runs a model on batches of tiles of any number.

    Args:
        model: The model.
        outputs: Output channels it must have.
        tell: Receives a sentence when the batch has to shrink.
        average_views: Whether to average the probabilities over flipped and turned views of
            each tile: all eight of a square one, four (no quarter turns) of another.
        excluded: Channels that must not win. They leave the competition before probabilities
            are made: beside a certain background the others would all round to nothing.
        crop: Pixels cut off the output on every side.
    """

    def __init__(
        self,
        model: PixelModel,
        outputs: int,
        tell: Callable[[str], None],
        *,
        average_views: bool = False,
        excluded: Collection[int] = (),
        crop: int = 0,
    ) -> None:
        self._model = model
        self._outputs = outputs
        self._average_views = average_views
        self._competitors = [channel for channel in range(outputs) if channel not in excluded]
        self._crop = crop
        self._batches = ShrinkingBatches(model.device, tell, at_once=model.at_once)

    def scores(
        self, batch: np.ndarray, valid: np.ndarray, positions: Sequence[Position] = ()
    ) -> list[np.ndarray]:
        """Scores of the channels that compete, cropped: ``[n, channels, h, w]`` of each call of the model.

        They are probabilities where views are averaged.

        Args:
            batch: Tiles ``[n, bands, h, w]``.
            valid: ``[n, h, w]``.
            positions: Where they lie on the raster; only models that want positions need them.
        """
        return self._batches.run(
            len(batch), batch.shape[2:], lambda part: self._run(batch[part], valid[part], positions[part])
        )

    def _run(self, batch: np.ndarray, valid: np.ndarray, positions: Sequence[Position]) -> np.ndarray:
        if self._average_views:
            return self._averaged(batch, valid)
        return self._competing(batch, valid, positions)

    def probabilities(self, scores: np.ndarray) -> np.ndarray:
        """Probabilities of what :meth:`scores` gave, in place.

        Raises:
            ModelError: If they are not numbers.
        """
        # One pass: a single NaN makes the sum one.
        if scores.dtype.kind == "f" and np.isnan(scores.sum(dtype=np.float32)):
            raise not_a_number()
        is_logits = self._model.gives is Gives.LOGITS and not self._average_views
        return softmax(scores) if is_logits else scores

    def _competing(
        self, batch: np.ndarray, valid: np.ndarray, positions: Sequence[Position] = ()
    ) -> np.ndarray:
        more = (positions,) if self._model.wants_positions else ()
        scores = self._model.scores(batch, valid, *more)
        self._check_shape(scores, batch)
        if self._crop:
            inner = slice(self._crop, -self._crop)
            scores = scores[:, :, inner, inner]
        if len(self._competitors) < self._outputs:
            scores = scores[:, self._competitors]
            if self._model.gives is Gives.PROBABILITIES:
                scores /= np.maximum(scores.sum(axis=1, keepdims=True), np.float32(1e-12))
        return scores

    def _check_shape(self, scores: np.ndarray, batch: np.ndarray) -> None:
        margin = 2 * self._model.margin
        expected = (len(batch), batch.shape[2] - margin, batch.shape[3] - margin)
        if scores.ndim != 4 or (scores.shape[0], *scores.shape[2:]) != expected:
            raise ModelError(
                f"The model gives {list(scores.shape)} for a batch of {list(batch.shape)}.",
                "A pixel classifier gives [batch, classes, height, width] of the input's size.",
            )
        if scores.shape[1] != self._outputs:
            raise ModelError(
                f"The model gives {scores.shape[1]} channels, its definition lists {self._outputs} classes.",
                "Correct Classes in the definition: one for each output channel, in its order.",
            )

    def _averaged(self, batch: np.ndarray, valid: np.ndarray) -> np.ndarray:
        total = None
        square = batch.shape[2] == batch.shape[3]
        for turns, flipped in _VIEWS if square else _VIEWS_OF_RECTANGLES:
            view = np.rot90(batch, turns, axes=(2, 3))
            view = np.ascontiguousarray(view[..., ::-1] if flipped else view)
            view_valid = np.rot90(valid, turns, axes=(1, 2))
            view_valid = view_valid[..., ::-1] if flipped else view_valid
            scores = self._competing(view, view_valid)
            result = softmax(scores) if self._model.gives is Gives.LOGITS else scores
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
