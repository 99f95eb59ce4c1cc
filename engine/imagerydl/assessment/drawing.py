"""Drawing a random sample of pixels, exactly, in one pass over a raster of any size."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

#: Least pixels of a class in a stratified sample: a variance needs two.
_LEAST = 2


def allocate(sampling: str, count: int, pixels: Mapping[int, int]) -> dict[int, int]:
    """How many pixels of each class are drawn; never more than there are.

    Args:
        sampling: STRATIFIED_RANDOM (in proportion to the classes' areas, at least two of each) or
            EQUALIZED_STRATIFIED_RANDOM (as many of each).
        count: Wanted in all; rounding up may give a few more.
        pixels: Pixels of each class.
    """
    total = sum(pixels.values())
    if sampling == "EQUALIZED_STRATIFIED_RANDOM":
        wanted = {value: -(-count // len(pixels)) for value in pixels}
    else:
        wanted = {value: max(_LEAST, -(-count * n // total)) for value, n in pixels.items()}
    return {value: min(wanted[value], n) for value, n in pixels.items()}


class Draw:
    """Pixels drawn without replacement from those that pass by, all equally likely.

    Args:
        population: How many will pass by.
        count: How many to draw.
        random: Source of chance.
    """

    def __init__(self, population: int, count: int, random: np.random.Generator) -> None:
        self._chosen = np.sort(random.choice(population, min(count, population), replace=False))
        self._passed = 0

    def take(self, passing: int) -> np.ndarray:
        """Positions of the chosen ones among the next ``passing`` pixels."""
        start, end = np.searchsorted(self._chosen, [self._passed, self._passed + passing])
        taken = self._chosen[start:end] - self._passed
        self._passed += passing
        return taken
