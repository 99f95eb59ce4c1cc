"""Feeding networks that are bound to a number of tiles."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np


def filled_up(batch: np.ndarray, size: int) -> np.ndarray:
    """The batch with blank tiles behind it, until there are ``size``; itself where there are."""
    missing = size - len(batch)
    if missing <= 0:
        return batch
    return np.concatenate([batch, np.zeros((missing, *batch.shape[1:]), batch.dtype)])


def run_in_batches(batch: np.ndarray, size: int, run: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Run a network on pieces of exactly ``size`` tiles, the last one filled up."""
    if len(batch) == size:
        return run(batch)
    pieces = []
    for start in range(0, len(batch), size):
        piece = batch[start : start + size]
        pieces.append(run(filled_up(piece, size))[: len(piece)])
    return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)
