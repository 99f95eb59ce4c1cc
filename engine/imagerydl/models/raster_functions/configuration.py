"""How a raster function wants its pixels: ``getConfiguration``, and the blocks that follow from it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Optional, Union

from ...errors import ModelError, ParameterError


@dataclass(frozen=True)
class BlockConfiguration:
    """What the host goes by when it cuts blocks.

    A block holds ``inner`` pixels, which the function answers for, and the padding around them. A function
    that runs its network on several tiles at once asks for blocks of as many: the batch is a grid within
    the block.

    Attributes:
        inner: (height, width) of the pixels a block is answered for: ``ty`` and ``tx``.
        padding: Further pixels on every side.
        extract_bands: Bands it takes, 0-based indices or names; None for those of the definition.
        data_range: Range it wants pixel values brought to; None for pixel values as they are.
    """

    inner: tuple[int, int]
    padding: int
    extract_bands: Optional[tuple[Union[int, str], ...]] = None
    data_range: Optional[tuple[float, float]] = None

    @property
    def outer(self) -> tuple[int, int]:
        """(height, width) of a block with its padding."""
        return self.inner[0] + 2 * self.padding, self.inner[1] + 2 * self.padding

    @classmethod
    def read(
        cls, name: str, answer: Any, values: Mapping[str, str], image_size: Optional[tuple[int, int]]
    ) -> BlockConfiguration:
        """Read what ``getConfiguration`` gave.

        Args:
            name: File name of the function, for messages.
            answer: What it gave; None where it has no such method.
            values: What it was called with.
            image_size: (height, width) of the model's tiles, for a function that says nothing; None where
                the definition does not say either.

        Raises:
            ModelError: If the answer is no dictionary, or has no usable value for a key.
            ParameterError: If the padding leaves nothing of a tile.
        """
        if answer is not None and not isinstance(answer, Mapping):
            raise ModelError(
                f"getConfiguration of {name} gives {type(answer).__name__}.", "It must give a dictionary."
            )
        said = answer or {}
        padding = _whole(name, said, "padding", values.get("padding") or 0)
        if padding < 0:
            raise ModelError(f"getConfiguration of {name} gives a padding of {padding}.", "Give 0 or more.")
        if image_size is None:
            if said.get("tx") is None or said.get("ty") is None:
                raise ModelError(
                    f"getConfiguration of {name} gives no tx and ty, and the definition states no size.",
                    "Add ImageWidth and ImageHeight to the definition.",
                )
            image_size = (
                _whole(name, said, "ty", 0) + 2 * padding,
                _whole(name, said, "tx", 0) + 2 * padding,
            )
        inner = (
            _whole(name, said, "ty", image_size[0] - 2 * padding),
            _whole(name, said, "tx", image_size[1] - 2 * padding),
        )
        if min(inner) < 1:
            height, width = image_size
            raise ParameterError(
                f"With a padding of {padding} nothing is left of tiles of {width} x {height} pixels.",
                f"Give a padding below {min(image_size) / 2:g}.",
            )
        return cls(inner, padding, _bands(name, said), _range(name, said))


def square_batch(values: Mapping[str, str]) -> dict[str, str]:
    """The same arguments with a batch that fills a square grid: the largest one not above it.

    6 becomes 4, 17 becomes 16.
    """
    floored = dict(values)
    for name, text in values.items():
        if name.lower() == "batch_size" and text.isdigit():
            floored[name] = str(math.isqrt(int(text)) ** 2)
    return floored


def _whole(name: str, said: Mapping[str, Any], key: str, otherwise: Any) -> int:
    value = said.get(key)
    try:
        return int(otherwise if value is None else value)
    except (TypeError, ValueError) as error:
        raise _unusable(name, key, value, "a whole number") from error


def _bands(name: str, said: Mapping[str, Any]) -> Optional[tuple[Union[int, str], ...]]:
    bands = said.get("extractBands")
    if bands is None or (isinstance(bands, (list, tuple)) and not bands):
        return None
    if not isinstance(bands, (list, tuple)):
        raise _unusable(name, "extractBands", bands, "band numbers counted from 0, or names")
    try:
        read = tuple(band if isinstance(band, str) else int(band) for band in bands)
    except (TypeError, ValueError) as error:
        raise _unusable(name, "extractBands", bands, "band numbers counted from 0, or names") from error
    if any(isinstance(band, int) and band < 0 for band in read):
        raise _unusable(name, "extractBands", bands, "band numbers counted from 0, or names")
    return read


def _range(name: str, said: Mapping[str, Any]) -> Optional[tuple[float, float]]:
    value = said.get("dataRange")
    is_unfilled = isinstance(value, str) and (not value or value.startswith("e.g."))
    if value is None or is_unfilled or (isinstance(value, (list, tuple)) and not value):
        return None
    try:
        low, high = (float(bound) for bound in value)
    except (TypeError, ValueError) as error:
        raise _unusable(name, "dataRange", value, "two numbers") from error
    if not -math.inf < low < high < math.inf:
        raise _unusable(name, "dataRange", value, "two numbers, the smaller first")
    return low, high


def _unusable(name: str, key: str, value: Any, what: str) -> ModelError:
    return ModelError(f"getConfiguration of {name} gives {value!r} as {key}.", f"{key} must be {what}.")
