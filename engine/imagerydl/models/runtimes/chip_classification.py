"""What the pipeline asks of a classifier of whole chips, whatever library computes it."""

from __future__ import annotations

from typing import Optional

import numpy as np

from .protocol import ModelInput


class ChipClassifier:
    """A network that names what a chip shows. Subclass it.

    Attributes:
        device: Where it runs: "CPU", "CUDA:0"...
        description: Runtime, device and threads, as a phrase for messages.
        input: What it is fed with.
        tile_size: (height, width) of chips it was trained with.
        class_values: Value of each class, in the order of its outputs.
        class_names: Name of each class, in the same order.
        is_multi_label: Whether a chip has every class whose score reaches :attr:`threshold`, or the
            best one alone.
        threshold: For models of several labels.
    """

    device: str
    description: str
    input: ModelInput = ModelInput()
    tile_size: Optional[tuple[int, int]] = None
    class_values: tuple[int, ...] = ()
    class_names: tuple[str, ...] = ()
    is_multi_label: bool = False
    threshold: float = 0.5

    def classify(self, batch: np.ndarray) -> np.ndarray:
        """Scores, 0 to 1, of chips.

        Args:
            batch: Input as :attr:`input` says, float32 ``[n, bands, h, w]``.

        Returns:
            Float32 ``[n, classes]``. Those of a chip sum to one, unless it may have several labels.

        Raises:
            MemoryError: If the device has no room for the batch; a smaller one may fit.
            ModelError: If the network cannot run on it.
        """
        raise NotImplementedError

    def labels(self, scores: np.ndarray) -> list[str]:
        """The name of each chip's class; names of several, joined by ``;``, in the order of classes."""
        if self.is_multi_label:
            return [
                ";".join(name for name, score in zip(self.class_names, row) if score >= self.threshold)
                for row in scores
            ]
        return [self.class_names[position] for position in scores.argmax(axis=1)]

    def close(self) -> None:
        """Release what it holds."""
