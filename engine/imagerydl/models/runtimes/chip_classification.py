"""What the pipeline asks of a classifier of whole chips, whatever library computes it."""

from __future__ import annotations

from typing import Optional, Union

import numpy as np

from ...labels.classes import ClassSchema
from ..arguments import ModelArgument
from .protocol import ModelInput


class ChipClassifier:
    """A network that says what a chip shows. Subclass it.

    Attributes:
        device: Where it runs: "CPU", "CUDA:0"...
        description: Runtime, device and threads, as a phrase for messages.
        input: What it is fed with.
        chip_size: (height, width) of the chips it takes.
        classes: Its classes, in the order of the channels it gives.
        extract_bands: As for a :class:`.protocol.PixelModel`.
        data_range: As for a :class:`.protocol.PixelModel`.
        is_multi_label: Whether a chip may be of several classes, or of none: probabilities are then
            independent of each other.
        arguments: What the model itself declares.
    """

    device: str
    description: str
    input: ModelInput = ModelInput()
    chip_size: Optional[tuple[int, int]] = None
    classes: ClassSchema
    extract_bands: Optional[tuple[Union[int, str], ...]] = None
    data_range: Optional[tuple[float, float]] = None
    is_multi_label: bool = False
    arguments: tuple[ModelArgument, ...] = ()

    def probabilities(self, batch: np.ndarray, valid: np.ndarray) -> np.ndarray:
        """Classify chips.

        Args:
            batch: Input as :attr:`input` says, ``[n, bands, h, w]``.
            valid: ``[n, h, w]``, True where the raster has a value.

        Returns:
            Float32 ``[n, classes]``, 0 to 1.

        Raises:
            MemoryError: If the device has no room for the batch; a smaller one may fit.
            ModelError: If the network cannot run on it or gives something else.
        """
        raise NotImplementedError

    def close(self) -> None:
        """Release what it holds."""
