"""What the pipeline asks of a detector, whatever library computes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

import numpy as np

from .protocol import ModelInput


@dataclass(frozen=True)
class Detections:
    """The objects in one tile; those of one class do not overlap by more than the model allows.

    Attributes:
        boxes: Float32 ``[n, 4]``: x1 y1 x2 y2 in pixels of the tile; they may reach beyond it.
        scores: Float32 ``[n]``, 0 to 1.
        positions: Int64 ``[n]``: which of :attr:`DetectionModel.class_values`, from 0.
        masks: ``[n, h, w]`` of True and False over the tile, from models that outline objects.
    """

    boxes: np.ndarray
    scores: np.ndarray
    positions: np.ndarray
    masks: Optional[np.ndarray] = None


class DetectionModel:
    """A network that finds objects in a tile. Subclass it.

    Attributes:
        device: Where it runs: "CPU", "CUDA:0"...
        description: Runtime, device and threads, as a phrase for messages.
        input: What it is fed with.
        tile_size: (height, width) it is bound to; None where it takes any.
        padding: Pixels by which neighbouring tiles overlap on each side, as asked or its own default.
        class_values: Value of each class, in the order of its outputs.
        class_names: Name of each class, in the same order.
        threshold: Lowest score it reports.
        nms_overlap: Largest intersection over union of two objects it reports.
        has_masks: Whether it outlines objects.
    """

    device: str
    description: str
    input: ModelInput = ModelInput()
    tile_size: Optional[tuple[int, int]] = None
    padding: int = 0
    class_values: tuple[int, ...] = ()
    class_names: tuple[str, ...] = ()
    threshold: float = 0.5
    nms_overlap: float = 0.1
    has_masks: bool = False

    def detect(self, batch: np.ndarray, valid: np.ndarray) -> list[Detections]:
        """Find the objects of each tile.

        Args:
            batch: Input as :attr:`input` says, float32 ``[n, bands, h, w]``.
            valid: ``[n, h, w]``, True where the raster has a value.

        Returns:
            One for each tile.

        Raises:
            MemoryError: If the device has no room for the batch; a smaller one may fit.
            ModelError: If the network cannot run on it or gives something else.
        """
        raise NotImplementedError

    def close(self) -> None:
        """Release what it holds."""
