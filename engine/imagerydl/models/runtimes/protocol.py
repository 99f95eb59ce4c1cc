"""What the pipeline asks of a pixel classifier, whatever library computes it."""

from __future__ import annotations

from typing import Optional, Protocol

import numpy as np


class PixelModel(Protocol):
    """A network that gives every pixel of a tile one score per output channel.

    Attributes:
        outputs: Number of output channels; a network with a single (binary) one counts as two,
            background first. 0 where only running it can tell.
        device: Where it runs: "CPU", "CUDA:0"...
        description: Runtime, device and threads, as a phrase for messages.
        tile_size: (height, width) it is bound to; None where it takes any.
    """

    outputs: int
    device: str
    description: str
    tile_size: Optional[tuple[int, int]]

    def scores(self, batch: np.ndarray) -> np.ndarray:
        """Run the network.

        Args:
            batch: Normalised float32 ``[n, bands, h, w]``.

        Returns:
            Logits, float32 ``[n, outputs, h, w]``: the channel with the largest one is the class,
            and their softmax is the probability. The array is the caller's to change.

        Raises:
            MemoryError: If the device has no room for the batch; a smaller one may fit.
            ModelError: If the network cannot run on it or gives something else.
        """

    def predict(self, batch: np.ndarray) -> np.ndarray:
        """Probabilities ``[n, outputs, h, w]`` of a normalised batch, in one call."""


def softmax(scores: np.ndarray) -> np.ndarray:
    """Softmax over axis 1 of float32 ``[n, channels, h, w]``, in place."""
    scores -= scores.max(axis=1, keepdims=True)
    np.exp(scores, out=scores)
    scores /= scores.sum(axis=1, keepdims=True)
    return scores


def two_channels(scores: np.ndarray) -> np.ndarray:
    """The logit of a binary network as two logits, background first.

    Softmax over (0, z) gives (1 - sigmoid(z), sigmoid(z)).
    """
    return np.concatenate([np.zeros_like(scores), scores], axis=1) if scores.shape[1] == 1 else scores


def looks_like_out_of_memory(error: BaseException) -> bool:
    """Whether a library's own error says that memory ran out: they agree on words, not on types."""
    text = str(error).lower()
    return isinstance(error, MemoryError) or any(
        phrase in text
        for phrase in (
            "out of memory",
            "failed to allocate",
            "bad_alloc",
            "bad allocation",
            "can't allocate memory",
        )
    )
