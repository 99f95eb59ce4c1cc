"""Between the tiles of the pipeline and what a network takes and gives."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Optional

import numpy as np

from ...errors import ModelError


def run_in_batches(
    batch: np.ndarray, size: Optional[int], run: Callable[[np.ndarray], np.ndarray]
) -> np.ndarray:
    """``run`` over ``batch`` in pieces of exactly ``size``, the last one filled up with zeros.

    Args:
        batch: ``[n, ...]``.
        size: The only number of tiles that ``run`` takes; None where it takes any.
        run: From ``[size, ...]`` to ``[size, ...]``.
    """
    if size is None or size == len(batch):
        return run(batch)
    results = []
    for start in range(0, len(batch), size):
        piece = batch[start : start + size]
        missing = size - len(piece)
        if missing:
            filling = np.zeros((missing, *piece.shape[1:]), piece.dtype)
            results.append(run(np.concatenate([piece, filling]))[: len(piece)])
        else:
            results.append(run(piece))
    return np.concatenate(results)


def margin_of(name: str, tile: Sequence[int], given: Sequence[int]) -> int:
    """Pixels along each border for which a network gives nothing.

    Args:
        name: What to call the network.
        tile: (height, width) of its input.
        given: (height, width) of its output.

    Raises:
        ModelError: If its output is not the middle of its input, pixel by pixel.
    """
    lost = [side - left for side, left in zip(tile, given)]
    # A half or less is another resolution, not a margin.
    if lost[0] != lost[1] or lost[0] % 2 or lost[0] < 0 or any(2 * b <= a for a, b in zip(tile, given)):
        raise ModelError(
            f"{name} gives {given[1]} x {given[0]} pixels for a tile of {tile[1]} x {tile[0]}.",
            "Add a last layer that brings its output to the size of its input.",
        )
    return lost[0] // 2


def refuse_shape(name: str, rank: int, shape: str) -> ModelError:
    """The error for a network whose only output is no picture."""
    return ModelError(
        f"{name} gives {shape} for a tile, not a picture: it does not classify pixels.",
        "A model that gives one class for a whole tile belongs to the tool Classify Objects."
        if rank == 2
        else "A pixel classifier gives [batch, height, width, classes].",
    )


def shape_text(shape: Sequence[Optional[int]]) -> str:
    """A shape for messages: ``[any, 64, 64, 3]``."""
    return "[" + ", ".join("any" if side is None else str(side) for side in shape) + "]"
