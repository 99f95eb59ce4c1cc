"""The ``MODEL_ARGUMENTS`` of Classify Objects that every classifier takes. Standard library only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Optional

from ...models.arguments import BOOLEAN, NUMBER, ModelArgument
from ..arguments import read_arguments, read_number, read_truth
from .arguments import KEY

#: What every classifier takes.
CLASSIFICATION_ARGUMENTS = (
    ModelArgument(
        "padding",
        NUMBER,
        "0",
        label="Padding",
        help="Pixels added on every side of an object that is cropped to its bounding box.",
        minimum=0,
    ),
    ModelArgument(
        "batch_size",
        NUMBER,
        "16",
        label="Batch size",
        help="Objects classified together. It is halved by itself when memory runs out.",
        minimum=1,
    ),
    ModelArgument(
        "threshold",
        NUMBER,
        "0.5",
        label="Threshold",
        help="Where an object may be of several classes: least probability, 0 to 1, of a class it gets.",
        minimum=0,
        maximum=1,
    ),
    ModelArgument(
        "test_time_augmentation",
        BOOLEAN,
        "False",
        label="Test time augmentation",
        help="Whether the probabilities of flipped and turned views of each object are averaged: eight times "
        "slower.",
    ),
)

_INFINITY = float("inf")
_READERS = {
    "padding": lambda name, text: read_number(name, text, 0, _INFINITY, whole=True),
    "batch_size": lambda name, text: read_number(name, text, 1, _INFINITY, whole=True),
    "threshold": lambda name, text: read_number(name, text, 0, 1, whole=False),
    "test_time_augmentation": read_truth,
}

#: What a model and the run both need to know where the model declares it.
_SHARED = frozenset({"padding", "batch_size"})


@dataclass(frozen=True)
class ClassificationArguments:
    """How objects are classified.

    Attributes:
        padding: Pixels around an object that is cropped to its bounding box.
        batch_size: Objects classified together.
        threshold: Least probability of a class, of several.
        test_time_augmentation: Whether flipped and turned views are averaged.
    """

    padding: int = 0
    batch_size: int = 16
    threshold: float = 0.5
    test_time_augmentation: bool = False

    @classmethod
    def parse(
        cls, arguments: Optional[Mapping[str, str]], declared: Optional[Sequence[ModelArgument]] = None
    ) -> ClassificationArguments:
        """Read arguments as ``MODEL_ARGUMENTS`` holds them.

        Args:
            arguments: Texts by name.
            declared: What the model declares itself; None while no model is known.

        Raises:
            ParameterError: Naming the argument that has no usable value, or that nobody knows.
        """
        return cls(**read_arguments(arguments, _READERS, CLASSIFICATION_ARGUMENTS, declared, _SHARED, KEY))
