"""The ``MODEL_ARGUMENTS`` of Detect Objects that every detector takes. Standard library only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Optional

from ...models.arguments import BOOLEAN, NUMBER, ModelArgument
from ..arguments import TILE_SIZE, default_batch, read_arguments

KEY = "MODEL_ARGUMENTS"

#: What every detector takes, each with a field of :class:`DetectionArguments`.
DETECTION_ARGUMENTS = (
    ModelArgument(
        "padding",
        NUMBER,
        label="Padding",
        help="Pixels along each border of a tile that it shares with its neighbour; at least 0 and less than "
        "half a tile. Left out, a quarter of the tile. Best at least half as wide as the objects are large: "
        "larger ones are put together from parts.",
        minimum=0,
        whole=True,
    ),
    ModelArgument(
        "threshold",
        NUMBER,
        label="Threshold",
        help="Least confidence, 0 to 1, of what is reported. Left out, the model's own.",
        minimum=0,
        maximum=1,
    ),
    ModelArgument(
        "nms_overlap",
        NUMBER,
        label="NMS overlap",
        help="Of two objects of one class in a tile of which the intersection over union is greater, the "
        "model reports the surer one. Left out, the model's own.",
        minimum=0,
        maximum=1,
    ),
    ModelArgument(
        "batch_size",
        NUMBER,
        label="Batch size",
        help="Tiles run together. It is halved by itself when memory runs out.",
        minimum=1,
        whole=True,
    ),
    ModelArgument(
        "exclude_pad_detections",
        BOOLEAN,
        "True",
        label="Exclude pad detections",
        help="Whether objects that several tiles see come once, and whole. False reports everything that "
        "each tile finds, in its padding and cut by its border, too.",
    ),
    ModelArgument(
        "test_time_augmentation",
        BOOLEAN,
        "False",
        label="Test time augmentation",
        help="Whether each tile is looked at in eight views, flipped and turned: finds more, and is eight "
        "times slower.",
    ),
    TILE_SIZE,
    ModelArgument(
        "return_bboxes",
        BOOLEAN,
        "False",
        label="Return bounding boxes",
        help="Whether objects are reported by their bounding boxes where the model gives outlines.",
    ),
)

#: What a model and the run both need to know where the model declares it.
_SHARED = frozenset(argument.name for argument in DETECTION_ARGUMENTS) - {"threshold", "nms_overlap"}


@dataclass(frozen=True)
class DetectionArguments:
    """The values of :data:`DETECTION_ARGUMENTS`; None where the model, or its size, decides."""

    padding: Optional[int] = None
    threshold: Optional[float] = None
    nms_overlap: Optional[float] = None
    batch_size: Optional[int] = None
    exclude_pad_detections: bool = True
    test_time_augmentation: bool = False
    tile_size: Optional[int] = None
    return_bboxes: bool = False

    @classmethod
    def parse(
        cls, arguments: Optional[Mapping[str, str]], declared: Optional[Sequence[ModelArgument]] = None
    ) -> DetectionArguments:
        """Read arguments as ``MODEL_ARGUMENTS`` holds them.

        Args:
            arguments: Texts by name.
            declared: What the model declares itself; None while no model is known.

        Raises:
            ParameterError: Naming the argument that has no usable value, or that nobody knows.
        """
        hints = {"threshold": "Confidences of the result are percent; here 50 % is 0.5."}
        return cls(**read_arguments(arguments, DETECTION_ARGUMENTS, declared, _SHARED, KEY, hints))

    def completed(self, padding: Optional[int], batch_size: Optional[int]) -> DetectionArguments:
        """With what a definition says in place of what was not given."""
        return replace(
            self,
            padding=padding if self.padding is None else self.padding,
            batch_size=self.batch_size or batch_size,
        )

    def padding_for(self, tile: tuple[int, int]) -> int:
        """Padding in pixels for tiles of (height, width)."""
        return min(tile) // 4 if self.padding is None else self.padding

    def batch_size_for(self, tile: tuple[int, int]) -> int:
        """Tiles run together for tiles of (height, width)."""
        return self.batch_size or default_batch(tile)
