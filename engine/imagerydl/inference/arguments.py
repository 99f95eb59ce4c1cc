"""The ``ARGUMENTS`` of Classify Pixels: names, forms, defaults. Standard library only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Optional

from ..errors import ParameterError

#: Pixels in a batch when none is given; the number of tiles follows from their size.
_BATCH_PIXELS = 2**19
_BATCH_LIMITS = (4, 16)


@dataclass(frozen=True)
class ClassifyArguments:
    """How a raster is classified.

    Attributes:
        padding: Margin in pixels that a tile shares with each neighbour; None for a quarter of
            the tile.
        batch_size: Tiles predicted together; None for a number that suits their size.
        predict_background: Whether the class of value 0 may win.
        test_time_augmentation: Whether flipped and turned views are averaged.
    """

    padding: Optional[int] = None
    batch_size: Optional[int] = None
    predict_background: bool = True
    test_time_augmentation: bool = False

    @classmethod
    def parse(cls, arguments: Optional[Mapping[str, str]]) -> ClassifyArguments:
        """Read arguments as an ``ARGUMENTS`` parameter holds them.

        Raises:
            ParameterError: Naming the argument that is unknown or has no usable value.
        """
        values = {}
        for name, text in (arguments or {}).items():
            reader = _READERS.get(name.strip().lower())
            if reader is None:
                raise ParameterError(
                    f"ARGUMENTS has no argument {name!r}.", f"There are {', '.join(_READERS)}."
                )
            if str(text).strip():
                values[name.strip().lower()] = reader(name, str(text).strip())
        return cls(**values)

    def padding_for(self, tile: tuple[int, int]) -> int:
        """Padding in pixels for tiles of (height, width)."""
        return min(tile) // 4 if self.padding is None else self.padding

    def batch_size_for(self, tile: tuple[int, int]) -> int:
        """Tiles predicted together for tiles of (height, width)."""
        low, high = _BATCH_LIMITS
        return self.batch_size or max(low, min(high, _BATCH_PIXELS // (tile[0] * tile[1])))


def _whole(name: str, text: str, smallest: int) -> int:
    try:
        number = float(text)
    except ValueError:
        number = float("nan")
    if not smallest <= number < float("inf") or number != int(number):
        raise ParameterError(
            f"The argument {name} cannot be {text!r}.", f"Give a whole number of at least {smallest}."
        )
    return int(number)


def _truth(name: str, text: str) -> bool:
    word = text.lower()
    if word in ("true", "1", "yes"):
        return True
    if word in ("false", "0", "no"):
        return False
    raise ParameterError(f"The argument {name} cannot be {text!r}.", "Give True or False.")


_READERS = {
    "padding": lambda name, text: _whole(name, text, 0),
    "batch_size": lambda name, text: _whole(name, text, 1),
    "predict_background": _truth,
    "test_time_augmentation": _truth,
}
