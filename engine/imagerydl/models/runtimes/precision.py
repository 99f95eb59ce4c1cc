"""Number formats a model may run in, and what one costs: how fast it is, how alike its classes are."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np

FLOAT32, AUTO, BF16, FP16, INT8 = "FLOAT32", "AUTO", "BF16", "FP16", "INT8"

#: Share of pixels that must keep their class for ``AUTO`` to take a lower precision.
LEAST_AGREEMENT = 0.995

#: How much faster it must be: less is within what two runs differ by anyway.
LEAST_SPEEDUP = 1.1

_ROUNDS = 3

Run = Callable[[np.ndarray], np.ndarray]


def agreement(exact: Run, other: Run, batches: Sequence[np.ndarray]) -> float:
    """Share of the pixels of ``batches`` to which both give the same class."""
    same = total = 0
    for batch in batches:
        equal = exact(batch).argmax(axis=1) == other(batch).argmax(axis=1)
        same += int(np.count_nonzero(equal))
        total += equal.size
    return same / total if total else 1.0


def speedup(exact: Run, other: Run, batch: np.ndarray) -> float:
    """How many times as fast ``other`` is: they take turns, and the fastest of each counts.

    Both have run before.
    """
    best = {exact: float("inf"), other: float("inf")}
    for _ in range(_ROUNDS):
        for run in best:
            start = time.perf_counter()
            run(batch)
            best[run] = min(best[run], time.perf_counter() - start)
    return best[exact] / best[other]


def is_worth_it(faster: float, alike: float) -> bool:
    """Whether ``AUTO`` takes a precision."""
    return faster >= LEAST_SPEEDUP and alike >= LEAST_AGREEMENT


def sentence(precision: str, faster: float, alike: float) -> str:
    """What was measured, for the user."""
    return (
        f"{precision.lower()} is {faster:.2f} times as fast as float32 here, and {100 * alike:.3f} % of the "
        "calibration pixels keep their class."
    )
