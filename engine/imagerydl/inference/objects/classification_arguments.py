"""The ``MODEL_ARGUMENTS`` of Classify Objects that every classifier takes. Standard library only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Optional

from ...models.arguments import BOOLEAN, NUMBER, ModelArgument
from ..arguments import read_arguments
from .arguments import KEY

#: What every classifier takes, each with a field of :class:`ClassificationArguments`.
CLASSIFICATION_ARGUMENTS = (
    ModelArgument(
        "padding",
        NUMBER,
        "0",
        label="Padding",
        help="Pixels added on every side of an object that is cropped to its bounding box.",
        minimum=0,
        whole=True,
    ),
    ModelArgument(
        "batch_size",
        NUMBER,
        "16",
        label="Batch size",
        help="Objects classified together. It is halved by itself when memory runs out.",
        minimum=1,
        whole=True,
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

#: What a model and the run both need to know where the model declares it.
_SHARED = frozenset({"padding", "batch_size"})


@dataclass(frozen=True)
class ClassificationArguments:
    """The values of :data:`CLASSIFICATION_ARGUMENTS`."""

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
        return cls(**read_arguments(arguments, CLASSIFICATION_ARGUMENTS, declared, _SHARED, KEY))
