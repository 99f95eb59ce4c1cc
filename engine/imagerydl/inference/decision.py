"""From scores to what is written of a pixel: its class, and how sure the model is of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Optional

import numpy as np

from ..errors import ModelError

#: Layers beside the class raster.
CONFIDENCE, MARGIN, ENTROPY, PROBABILITIES = LAYERS = ("confidence", "margin", "entropy", "probabilities")

#: Steps of a stored class probability: 0 to 1 in 0.4 % steps fits a byte, with room for no-data.
PROBABILITY_STEPS = 250

#: Rows decided in one go where every channel has to be looked at in floating point.
_ROWS = 32


@dataclass(frozen=True)
class LayerForm:
    """How a layer is stored.

    Attributes:
        dtype: Pixel type.
        nodata: Value of pixels without data.
        scale: Stored value to true value.
    """

    dtype: str
    nodata: float
    scale: float = 1.0


FORMS: Mapping[str, LayerForm] = {
    CONFIDENCE: LayerForm("float32", -1.0),
    MARGIN: LayerForm("float32", -1.0),
    ENTROPY: LayerForm("float32", -1.0),
    PROBABILITIES: LayerForm("uint8", 255, 1 / PROBABILITY_STEPS),
}


@dataclass(frozen=True)
class Decided:
    """What is known of some pixels.

    Attributes:
        classes: Value to write ``[h, w]``.
        layers: Layers asked for: ``[h, w]``, probabilities ``[channels, h, w]``.
    """

    classes: np.ndarray
    layers: dict[str, np.ndarray]


class Decider:
    """Chooses the class of each pixel.

    Args:
        values: Class value of each channel, in the pixel type of the class raster.
        nodata: Value of pixels without a class.
        layers: Which of :data:`LAYERS` are wanted.
        threshold: With two channels, one of value 0: the probability above which the other one
            wins. Otherwise the least probability of a winner; below it a pixel is of class 0, or
            has no data where there is none.
    """

    def __init__(
        self,
        values: np.ndarray,
        nodata: float,
        layers: Sequence[str] = (),
        threshold: Optional[float] = None,
    ) -> None:
        self.values = values
        self.nodata = nodata
        self.layers = tuple(layers)
        self._threshold = threshold
        self._is_identity = values.dtype == np.uint8 and np.array_equal(values, np.arange(len(values)))
        found = np.flatnonzero(values == 0)
        self._background = int(found[0]) if len(found) else None

    @property
    def channels(self) -> int:
        """Number of channels it decides between."""
        return len(self.values)

    @property
    def dtype(self) -> np.dtype:
        """Pixel type of the class raster."""
        return self.values.dtype

    @property
    def needs_probabilities(self) -> bool:
        """Whether any scores will not do."""
        return bool(self.layers) or self._threshold is not None

    def shape_of(self, layer: str, shape: tuple[int, int]) -> tuple[int, ...]:
        """Shape of a layer over ``shape`` pixels."""
        return (self.channels, *shape) if layer == PROBABILITIES else shape

    def decide(self, scores: np.ndarray, totals: Optional[np.ndarray] = None) -> Decided:
        """Decide pixels.

        Args:
            scores: ``[channels, h, w]``: the largest wins, the first of equal ones.
            totals: ``[h, w]`` what a probability of 1 is in ``scores``; None for 1.
        """
        second = MARGIN in self.layers
        index, best, runner_up = winners(scores, with_second=second)
        if best.dtype.kind == "f" and np.isnan(best.sum(dtype=np.float32)):
            raise not_a_number()  # a maximum keeps a NaN of any channel
        classes = index if self._is_identity else np.take(self.values, index, mode="clip")
        if self._threshold is not None:
            index, classes, best = self._held_to_threshold(scores, totals, index, classes, best)
        if not self.layers:
            return Decided(classes, {})
        one = np.ones(best.shape, np.float64) if totals is None else totals
        layers: dict[str, np.ndarray] = {}
        if CONFIDENCE in self.layers:
            layers[CONFIDENCE] = (best / one).astype(np.float32)
        if MARGIN in self.layers:
            layers[MARGIN] = ((best - runner_up) / one).astype(np.float32)
        if ENTROPY in self.layers:
            layers[ENTROPY] = _by_rows(_entropy, scores, one, np.float32, best.shape)
        if PROBABILITIES in self.layers:
            layers[PROBABILITIES] = _by_rows(_stored, scores, one, np.uint8, scores.shape)
        return Decided(classes, layers)

    def _held_to_threshold(
        self,
        scores: np.ndarray,
        totals: Optional[np.ndarray],
        index: np.ndarray,
        classes: np.ndarray,
        best: np.ndarray,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        limit = self._threshold if totals is None else self._threshold * totals
        if self.channels == 2 and self._background is not None:
            object_channel = 1 - self._background
            index = np.where(scores[object_channel] > limit, object_channel, self._background)
            best = np.take_along_axis(scores, index[np.newaxis], axis=0)[0]
            return index, self.values[index], best
        unsure = best < limit
        classes[unsure] = self.nodata if self._background is None else 0
        if self._background is not None:
            best = np.where(unsure, scores[self._background], best)
        return index, classes, best


class ValueDecider(Decider):
    """Takes over the value that a model has decided on itself.

    Args:
        dtype: Pixel type of the raster.
        nodata: Value of pixels without data.
        no_value: The value by which the model says that it has none.
    """

    def __init__(self, dtype: Any, nodata: float, no_value: Optional[float] = None) -> None:
        super().__init__(np.zeros(1, dtype=dtype), nodata)
        self._no_value = no_value

    def decide(self, scores: np.ndarray, totals: Optional[np.ndarray] = None) -> Decided:
        """The one channel, in the pixel type of the raster.

        Raises:
            ModelError: For a value that the pixel type does not hold.
        """
        given = scores[0]
        without = None if self._no_value is None else given == self._no_value
        values = given.astype(self.dtype)
        wrong = values != given
        if values.dtype.kind in "iu" and wrong.any():
            unlisted = wrong if without is None else wrong & ~without
            if unlisted.any():
                raise ModelError(
                    f"The model gives the value {given[unlisted][0]:g}, which is none of its classes.",
                    "List every class in the model's class table.",
                )
        if without is not None:
            values[without] = self.nodata
        return Decided(values, {})


def not_a_number() -> ModelError:
    """What to say of a model that gives no numbers."""
    return ModelError(
        "The model's output is not a number (NaN).",
        "Check the model's normalisation against the raster's values, or train it again.",
    )


def winners(
    scores: np.ndarray, with_second: bool = False
) -> tuple[np.ndarray, np.ndarray, Optional[np.ndarray]]:
    """Index and score of the largest channel; the lower index wins a draw.

    Args:
        scores: ``[channels, h, w]``.
        with_second: Whether the second largest score is wanted, too (0 where there is one channel).

    Returns:
        Indices (uint8, or uint16 beyond 256 channels), scores, and second scores or None, ``[h, w]``.
    """
    # A running maximum over planes is several times faster than argmax over the first axis.
    best = scores[0].copy()
    second = None
    if with_second:
        lowest = -np.inf if scores.dtype.kind == "f" else np.iinfo(scores.dtype).min
        second = np.full_like(best, lowest if len(scores) > 1 else 0)
    number = np.uint8 if len(scores) <= 256 else np.uint16
    index = np.zeros(best.shape, dtype=number)
    better, numbered = np.empty(best.shape, dtype=bool), np.empty_like(index)
    for channel in range(1, len(scores)):
        plane = scores[channel]
        np.greater(plane, best, out=better)
        # The latest channel that was better has the largest number: no selecting, which is slow where
        # neighbours differ.
        np.multiply(better.view(np.uint8), number(channel), out=numbered)
        np.maximum(index, numbered, out=index)
        if second is not None:
            np.maximum(second, np.minimum(best, plane), out=second)
        np.maximum(best, plane, out=best)
    return index, best, second


def _by_rows(
    compute: Any, scores: np.ndarray, totals: np.ndarray, dtype: Any, shape: tuple[int, ...]
) -> np.ndarray:
    result = np.empty(shape, dtype=dtype)
    for start in range(0, scores.shape[1], _ROWS):
        rows = slice(start, start + _ROWS)
        result[..., rows, :] = compute(scores[:, rows] / totals[rows])
    return result


def _entropy(probabilities: np.ndarray) -> np.ndarray:
    """Entropy of ``[channels, h, w]`` as a share of the largest one possible, 0 to 1."""
    if len(probabilities) < 2:
        return np.zeros(probabilities.shape[1:])
    shares = probabilities / np.maximum(probabilities.sum(axis=0), 1e-12)
    terms = shares * np.log(np.maximum(shares, 1e-12))
    return np.clip(-terms.sum(axis=0) / np.log(len(shares)), 0.0, 1.0)


def _stored(probabilities: np.ndarray) -> np.ndarray:
    return np.rint(np.clip(probabilities, 0.0, 1.0) * PROBABILITY_STEPS)
