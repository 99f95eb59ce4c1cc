"""The ``ARGUMENTS`` of Classify Pixels: names, forms, defaults. Standard library only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Optional

from ..errors import ParameterError
from ..models.arguments import BOOLEAN, CHOICE, NUMBER, ModelArgument

#: Pixels in a batch when none is given; the number of tiles follows from their size.
_BATCH_PIXELS = 2**19
_BATCH_LIMITS = (4, 16)


#: How the predictions of overlapping tiles become one.
MEAN, MAXIMUM, MINIMUM, CROP = MERGE_POLICIES = ("mean", "max", "min", "crop")

#: What every pixel classifier takes.
PIXEL_ARGUMENTS = (
    ModelArgument(
        "padding",
        NUMBER,
        label="Padding",
        help="Pixels along each border of a tile that it shares with its neighbour; at least 0 and less than "
        "half a tile. Left out, a quarter of the tile. 0 is fastest and may show seams.",
        minimum=0,
    ),
    ModelArgument(
        "overlap",
        NUMBER,
        label="Overlap",
        help="In place of padding: the part of a tile, 0 to less than 1, that it shares with the next one.",
        minimum=0,
        maximum=0.999,
    ),
    ModelArgument(
        "batch_size",
        NUMBER,
        label="Batch size",
        help="Tiles predicted together. It is halved by itself when memory runs out.",
        minimum=1,
    ),
    ModelArgument(
        "tile_size",
        NUMBER,
        label="Tile size",
        help="Side of a tile in pixels. Left out, the model's own; models bound to one size take no other.",
        minimum=1,
    ),
    ModelArgument(
        "predict_background",
        BOOLEAN,
        "True",
        label="Predict background",
        help="Whether the class of value 0 may win.",
    ),
    ModelArgument(
        "test_time_augmentation",
        BOOLEAN,
        "False",
        label="Test time augmentation",
        help="Whether the predictions of flipped and turned views of each tile are averaged: eight times "
        "slower.",
    ),
    ModelArgument(
        "threshold",
        NUMBER,
        label="Threshold",
        help="With one class beside the background: the probability above which a pixel is of that class. "
        "Otherwise the least probability of a pixel's class; pixels below become background, or have no data "
        "where there is no background.",
        minimum=0,
        maximum=1,
    ),
    ModelArgument(
        "merge_policy",
        CHOICE,
        MEAN,
        label="Merge policy",
        help="How overlapping tiles become one: mean blends them with weights that fall towards the border, "
        "max and min take the largest or smallest probability of each class, crop cuts the padding off.",
        choices=MERGE_POLICIES,
    ),
)


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
