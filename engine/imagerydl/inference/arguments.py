"""The ``ARGUMENTS`` of a run: those every model takes, and what is left for the model itself.

Standard library only.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Optional

from ..errors import ParameterError
from ..models.arguments import BOOLEAN, CHOICE, NUMBER, ModelArgument

#: Pixels in a batch when none is given; the number of tiles follows from their size.
_BATCH_PIXELS = 2**19
_BATCH_LIMITS = (4, 16)

_WORDS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}

#: How the predictions of overlapping tiles become one.
MEAN, MAXIMUM, MINIMUM, CROP = MERGE_POLICIES = ("mean", "max", "min", "crop")

TILE_SIZE = ModelArgument(
    "tile_size",
    NUMBER,
    label="Tile size",
    help="Side of a tile in pixels. Left out, the model's own; models bound to one size take no other.",
    minimum=1,
    whole=True,
)

#: What every pixel classifier takes, each with a field of :class:`PixelArguments`.
PIXEL_ARGUMENTS = (
    ModelArgument(
        "padding",
        NUMBER,
        label="Padding",
        help="Pixels along each border of a tile that it shares with its neighbour; at least 0 and less than "
        "half a tile. Left out, a quarter of the tile. 0 is fastest and may show seams.",
        minimum=0,
        whole=True,
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
        whole=True,
    ),
    TILE_SIZE,
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

#: What a model and the run both need to know where the model declares it.
_SHARED = frozenset({"padding", "batch_size", "tile_size", "predict_background", "test_time_augmentation"})


@dataclass(frozen=True)
class PixelArguments:
    """The values of :data:`PIXEL_ARGUMENTS`; None where the model, or its size, decides."""

    padding: Optional[int] = None
    overlap: Optional[float] = None
    batch_size: Optional[int] = None
    tile_size: Optional[int] = None
    predict_background: Optional[bool] = None
    test_time_augmentation: bool = False
    threshold: Optional[float] = None
    merge_policy: str = MEAN

    @classmethod
    def parse(
        cls, arguments: Optional[Mapping[str, str]], declared: Optional[Sequence[ModelArgument]] = None
    ) -> PixelArguments:
        """Read arguments as an ``ARGUMENTS`` parameter holds them.

        Args:
            arguments: Texts by name.
            declared: What the model declares itself, which is the model's to read; None while no model
                is known: then any name goes, and values are taken for the run's own.

        Raises:
            ParameterError: Naming the argument that has no usable value, or that nobody knows.
        """
        read = read_arguments(arguments, PIXEL_ARGUMENTS, declared, _SHARED)
        if "padding" in read and "overlap" in read:
            raise ParameterError(
                "The arguments padding and overlap say the same in two ways.", "Give one of them."
            )
        return cls(**read)

    def completed(
        self, padding: Optional[int], batch_size: Optional[int], threshold: Optional[float]
    ) -> PixelArguments:
        """With what a definition says in place of what was not given."""
        return replace(
            self,
            padding=padding if self.padding is None and self.overlap is None else self.padding,
            batch_size=self.batch_size or batch_size,
            threshold=threshold if self.threshold is None else self.threshold,
        )

    def padding_for(self, tile: tuple[int, int]) -> int:
        """Padding in pixels for tiles of (height, width)."""
        if self.padding is not None:
            return self.padding
        if self.overlap is not None:
            return int(self.overlap * min(tile) / 2)
        return min(tile) // 4

    def batch_size_for(self, tile: tuple[int, int]) -> int:
        """Tiles predicted together for tiles of (height, width)."""
        return self.batch_size or default_batch(tile)


def read_arguments(
    arguments: Optional[Mapping[str, str]],
    known: Sequence[ModelArgument],
    declared: Optional[Sequence[ModelArgument]],
    shared: Collection[str],
    key: str = "ARGUMENTS",
    hints: Mapping[str, str] = MappingProxyType({}),
) -> dict[str, Any]:
    """The values of a run's own arguments, by name, of those that are given.

    Args:
        arguments: Texts by name, in any case.
        known: The run's own arguments.
        declared: What the model declares itself, which is the model's to read; None while no model is known:
            then any name goes, and values are taken for the run's own.
        shared: Names that model and run both need to know where the model declares them.
        key: Parameter they come from, for errors.
        hints: What is added to the way out, by name, where a value cannot be used.

    Raises:
        ParameterError: Naming the argument that has no usable value, or that nobody knows.
    """
    given = {
        name.strip().lower(): str(text).strip()
        for name, text in (arguments or {}).items()
        if str(text).strip()
    }
    own = {argument.name: argument for argument in known}
    of_model = {argument.name.lower() for argument in declared or ()}
    unknown = [name for name in given if name not in own and name not in of_model]
    if declared is not None and unknown:
        names = dict.fromkeys(argument.name for argument in (*known, *declared))
        raise ParameterError(
            f"{key} has no argument {unknown[0]!r} with this model.",
            f"There are {', '.join(names)}.",
        )
    # A model's own threshold may run to 100, its policies may be others.
    readable = own.keys() - (of_model - set(shared))
    return {
        name: _read(own[name], text, hints.get(name, "")) for name, text in given.items() if name in readable
    }


def default_batch(tile: tuple[int, int]) -> int:
    """Tiles of (height, width) predicted together where nobody says."""
    low, high = _BATCH_LIMITS
    return max(low, min(high, _BATCH_PIXELS // (tile[0] * tile[1])))


def _read(argument: ModelArgument, text: str, hint: str) -> Any:
    """What an argument's text says; ParameterError where it is not of the argument's kind."""
    if argument.kind == NUMBER:
        value, wanted = _read_number(argument, text), _wanted_number(argument)
    elif argument.kind == BOOLEAN:
        value, wanted = _WORDS.get(text.lower()), "True or False"
    else:
        value = text.lower() if text.lower() in argument.choices else None
        wanted = f"one of {', '.join(argument.choices)}"
    if value is None:
        raise ParameterError(
            f"The argument {argument.name} cannot be {text!r}.", f"Give {wanted}.{hint and ' ' + hint}"
        )
    return value


def _read_number(argument: ModelArgument, text: str) -> Optional[float]:
    low, high = _limits(argument)
    try:
        number = float(text)
    except ValueError:
        return None
    if not low <= number <= high or math.isinf(number):
        return None
    if argument.whole:
        return int(number) if number == int(number) else None
    return number


def _wanted_number(argument: ModelArgument) -> str:
    low, high = _limits(argument)
    limits = f"of at least {low:g}" + ("" if math.isinf(high) else f" and at most {high:g}")
    return f"a {'whole ' if argument.whole else ''}number {limits}"


def _limits(argument: ModelArgument) -> tuple[float, float]:
    return (
        -math.inf if argument.minimum is None else argument.minimum,
        math.inf if argument.maximum is None else argument.maximum,
    )
