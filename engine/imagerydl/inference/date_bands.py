"""The bands of a model that takes two dates, told apart by date."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Union

Bands = tuple[Union[int, str], ...]


def bands_by_date(bands: Sequence[Union[int, str]]) -> tuple[Bands, Bands]:
    """The bands taken of the first and of the second date.

    The second half is either positions in the second raster, or positions in a stack of both rasters.
    It is a stack where each lies the same number behind its counterpart and that number is beyond
    every band of the first half: 0, 1, 2, 3, 4, 5 are three bands and the same three again.

    Args:
        bands: As many of the second date as of the first: 0-based positions or names.
    """
    half = len(bands) // 2
    first, second = tuple(bands[:half]), tuple(bands[half:])
    if not all(isinstance(band, int) for band in bands):
        return first, second
    steps = {later - earlier for earlier, later in zip(first, second)}
    return (first, first) if len(steps) == 1 and min(steps) > max(first) else (first, second)
