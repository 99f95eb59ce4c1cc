"""What the arrays that a network gives mean, whichever library ran it: one score a pixel and class.

Networks give their result in many forms: channels first or last, no channel axis, one channel for two
classes, several outputs, whole class numbers, smaller than the picture. Which form it is, is decided
once, from the arrays that tiles of noise give: declared shapes are often open, and sometimes wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Optional

import numpy as np

from ...errors import ModelError
from .protocol import Gives

#: How much the sum over channels may differ from 1 where they are probabilities (float16 included).
_SUM_TOLERANCE = 2e-3


@dataclass(frozen=True)
class Output:
    """An array that a network gave for tiles of noise.

    Attributes:
        array: The array.
        name: Its name.
        ending: The operator that gave it its meaning ("Softmax", "Sigmoid", "ArgMax"), "" where unknown.
    """

    array: np.ndarray
    name: str = ""
    ending: str = ""


@dataclass(frozen=True)
class PixelOutput:
    """How scores are made of what a network gives.

    Attributes:
        chosen: Positions of the outputs that count.
        channels: Output channels of the scores, a background that stands for a single channel included.
        gives: What the scores mean.
        margin: Pixels along each border for which there is nothing.
        layout: "NCHW", "NHWC" or "NHW".
        scale: By how much the map is smaller than the picture.
        is_class_map: Whether it holds class numbers.
        model: What to call the model in errors.
    """

    chosen: tuple[int, ...]
    channels: int
    gives: Gives
    margin: int
    layout: str
    scale: int
    is_class_map: bool
    model: str

    def scores(self, arrays: Sequence[np.ndarray], batch: tuple[int, ...]) -> np.ndarray:
        """Scores of a batch.

        Args:
            arrays: The chosen outputs.
            batch: Shape of the batch ``[n, bands, h, w]``.

        Returns:
            Float32 ``[n, channels, h - 2 * margin, w - 2 * margin]``: ``arrays[0]`` itself where nothing
            is to be done.

        Raises:
            ModelError: For another shape than the network's form has, or class numbers beyond its classes.
        """
        maps = [self._map(array, batch) for array in arrays]
        if self.is_class_map:
            return self._one_hot(maps[0])
        if len(maps) > 1:
            return self._beside_each_other(maps)
        (scores,) = maps
        if scores.shape[1] > 1:
            return scores
        if self.gives is Gives.PROBABILITIES:
            return np.concatenate([1 - scores, scores], axis=1)
        # Softmax over (0, z) gives (1 - sigmoid(z), sigmoid(z)).
        return np.concatenate([np.zeros_like(scores), scores], axis=1)

    def _map(self, array: np.ndarray, batch: tuple[int, ...]) -> np.ndarray:
        """``[n, channels, h, w]`` in the size of the picture without its margin."""
        result = array[:, None] if self.layout == "NHW" and array.ndim == 3 else array
        if self.layout == "NHWC" and array.ndim == 4:
            result = array.transpose(0, 3, 1, 2)
        single = len(self.chosen) > 1 or self.is_class_map or self.layout == "NHW"
        channels = {1} if single else {self.channels, 1} if self.channels == 2 else {self.channels}
        sides = tuple((side - 2 * self.margin) / self.scale for side in batch[2:])
        if (
            result.ndim != 4
            or result.shape[1] not in channels
            or (len(array), *result.shape[2:])
            != (
                batch[0],
                *sides,
            )
        ):
            raise ModelError(
                f"{self.model} gives {list(array.shape)} for a batch of {list(batch)}.",
                "A pixel classifier gives one number a pixel and class, in the same way for every tile.",
            )
        if self.is_class_map:
            return result.repeat(self.scale, axis=2).repeat(self.scale, axis=3)
        result = np.ascontiguousarray(result, dtype=np.float32)
        return enlarge(result, self.scale) if self.scale > 1 else result

    def _one_hot(self, numbers: np.ndarray) -> np.ndarray:
        numbers = numbers[:, 0]
        if numbers.dtype.kind == "f":
            numbers = np.rint(numbers)
        if numbers.size and not 0 <= numbers.min() <= numbers.max() < self.channels:
            raise ModelError(
                f"{self.model} gives class numbers from {numbers.min():g} to {numbers.max():g}, and its "
                f"definition lists {self.channels} classes.",
                "Correct Classes in the definition: one for each class number, counted from 0.",
            )
        wanted = np.arange(self.channels, dtype=numbers.dtype).reshape(1, -1, 1, 1)
        return (numbers[:, None] == wanted).astype(np.float32)

    def _beside_each_other(self, maps: Sequence[np.ndarray]) -> np.ndarray:
        """Independent classes, each by itself against the rest: the background is what none of them is."""
        count, _, height, width = maps[0].shape
        scores = np.empty((count, self.channels, height, width), np.float32)
        np.concatenate(maps, axis=1, out=scores[:, 1:])
        if self.gives is Gives.LOGITS:
            # The most likely class is the one of the largest logit, against a background of 0.
            scores[:, 0] = 0
            return scores
        np.subtract(1, scores[:, 1:].max(axis=1), out=scores[:, 0])
        return scores


def find_output(
    outputs: Sequence[Output], tile: tuple[int, int], layout: str, classes: int, model: str
) -> PixelOutput:
    """Decide what a network's outputs mean, from those of tiles of noise.

    Args:
        outputs: What it gave.
        tile: Height and width of the tile in pixels.
        layout: Of the network's input, "NCHW" or "NHWC"; it settles maps of a shape that leaves it open.
        classes: Classes of the definition; 0 where it lists none.
        model: What to call the model in errors.

    Raises:
        ModelError: If no output has one number, or one for each class, for each pixel.
    """
    forms = [_form(output.array.shape, tile, layout, classes) for output in outputs]
    found = [(i, form) for i, form in enumerate(forms) if form is not None]
    if not found:
        raise _not_pixels(outputs, tile, model)
    maps = {i: form for i, form in found if _is_class_map(outputs[i], form)}
    scored = [(i, form) for i, form in found if i not in maps]
    singles = [(i, form) for i, form in scored if form.channels == 1]
    if len(singles) > 1 and len(singles) == len(scored) and classes in (0, len(singles), len(singles) + 1):
        first = singles[0][1]
        if all(form == first for _, form in singles):
            gives = _meaning([outputs[i] for i, _ in singles], first)
            chosen = tuple(i for i, _ in singles)
            return _pixel_output(chosen, len(singles) + 1, gives, first, False, model)
    if scored:
        index, form = min(scored, key=lambda item: _preference(item[1], classes))
        gives = _meaning([outputs[index]], form)
        return _pixel_output((index,), max(form.channels, 2), gives, form, False, model)
    index, form = found[0]
    if not classes:
        raise ModelError(
            f"{model} gives class numbers and its definition lists no classes.",
            "List them under Classes, one for each class number, counted from 0.",
        )
    return _pixel_output((index,), classes, Gives.PROBABILITIES, form, True, model)


@dataclass(frozen=True)
class _Form:
    """Layout, channels, scale and margin of a map."""

    layout: str
    channels: int
    scale: int
    margin: int


def _pixel_output(
    chosen: tuple[int, ...], channels: int, gives: Gives, form: _Form, is_class_map: bool, model: str
) -> PixelOutput:
    return PixelOutput(chosen, channels, gives, form.margin, form.layout, form.scale, is_class_map, model)


def _form(shape: tuple[int, ...], tile: tuple[int, int], layout: str, classes: int) -> Optional[_Form]:
    if len(shape) == 3:
        fit = _fit(shape[1:], tile)
        return _Form("NHW", 1, *fit) if fit == (1, 0) else None
    if len(shape) != 4:
        return None
    candidates = []
    for name, sides, channels in (("NCHW", shape[2:], shape[1]), ("NHWC", shape[1:3], shape[3])):
        fit = _fit(sides, tile)
        if fit is not None:
            candidates.append(_Form(name, channels, *fit))
    # Whole size before scaled or cropped; the number of classes before the layout of the input.
    return min(
        candidates,
        key=lambda form: (
            (form.scale, form.margin) != (1, 0),
            _preference(form, classes),
            form.layout != layout,
        ),
        default=None,
    )


def _fit(sides: tuple[int, ...], tile: tuple[int, int]) -> Optional[tuple[int, int]]:
    """(scale, margin) that make a map of a tile: its size, an exact fraction, or its centre."""
    (height, width), (whole_height, whole_width) = sides, tile
    if height < 1 or width < 1 or height > whole_height or width > whole_width:
        return None
    scale = whole_height // height
    if (height * scale, width * scale) == tile and scale > 0:
        return scale, 0
    margin = whole_height - height
    if margin % 2 == 0 and margin == whole_width - width:
        return 1, margin // 2
    return None


def _preference(form: _Form, classes: int) -> int:
    """0 for as many channels as there are classes, 1 for one more or less, 2 for others."""
    channels = max(form.channels, 2)
    return min(abs(channels - classes), 2) if classes else 0


def _is_class_map(output: Output, form: _Form) -> bool:
    return form.channels == 1 and (output.array.dtype.kind in "iub" or output.ending == "ArgMax")


def _meaning(outputs: Sequence[Output], form: _Form) -> Gives:
    endings = {output.ending for output in outputs}
    if endings and endings <= {"Softmax", "Sigmoid", "HardSigmoid"}:
        return Gives.PROBABILITIES
    if endings != {"LogSoftmax"} and form.channels > 1 and _sums_to_one(outputs[0].array, form):
        # A softmax in other words; scores of noise that happen to do so everywhere are none.
        return Gives.PROBABILITIES
    return Gives.LOGITS


def _sums_to_one(array: np.ndarray, form: _Form) -> bool:
    totals = array.sum(axis=1 if form.layout == "NCHW" else 3, dtype=np.float64)
    return bool(array.min() >= 0 and np.abs(totals - 1).max() <= _SUM_TOLERANCE)


def _not_pixels(outputs: Sequence[Output], tile: tuple[int, int], model: str) -> ModelError:
    shapes = ", ".join(str(list(output.array.shape)) for output in outputs)
    message = (
        f"{model} gives {shapes} for a tile of {tile[1]} x {tile[0]} pixels, and no number for each pixel."
    )
    ranks = {output.array.ndim for output in outputs}
    if ranks == {2} and len(outputs) == 1:
        return ModelError(message, "It looks like a classifier of whole pictures: use Classify Objects.")
    if ranks <= {1, 2, 3}:
        return ModelError(message, "It looks like a detector: use Detect Objects.")
    return ModelError(message, "A pixel classifier gives [batch, classes, height, width].")


def enlarge(maps: np.ndarray, scale: int) -> np.ndarray:
    """Bilinear enlargement of float32 ``[n, channels, h, w]`` by a whole number.

    Pixel centres keep their place (what PyTorch calls ``align_corners=False``).
    """
    for axis in (2, 3):
        size = maps.shape[axis]
        positions = np.clip((np.arange(size * scale) + 0.5) / scale - 0.5, 0, size - 1)
        low = np.floor(positions).astype(np.intp)
        share = (positions - low).astype(np.float32).reshape((-1, 1) if axis == 2 else (1, -1))
        lower = maps.take(low, axis=axis)
        maps = lower + (maps.take(np.minimum(low + 1, size - 1), axis=axis) - lower) * share
    return maps


def noise(shape: tuple[int, ...], *, raw: bool) -> np.ndarray:
    """The tile of noise that shows a network's form: pixel values 0 to 255, or normalised ones."""
    random = np.random.default_rng(0)
    if raw:
        return random.integers(0, 256, shape).astype(np.float32)
    return random.standard_normal(shape, dtype=np.float32)
