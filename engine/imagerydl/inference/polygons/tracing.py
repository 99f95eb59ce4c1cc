"""Outlines of the regions in a strip of rows, in pixel coordinates of the whole raster."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

import numpy as np
import shapely
from affine import Affine
from rasterio.features import rasterize, shapes

#: Confidences are summed as whole numbers of this fraction, so that no order of adding matters.
FRACTION = 2**20


@dataclass(frozen=True)
class Pieces:
    """What of each region lies in one strip.

    Attributes:
        outlines: Polygons ``[n]``; x is the column, y the row (down) in the whole raster.
        values: Class values ``[n]``.
        confidence_sums: Whole numbers ``[n]``, in 1 / :data:`FRACTION`.
        confidence_counts: Pixels ``[n]`` that have a confidence.
    """

    outlines: np.ndarray
    values: np.ndarray
    confidence_sums: np.ndarray
    confidence_counts: np.ndarray


def trace(
    values: np.ndarray, chosen: np.ndarray, first_row: int, confidence: Optional[np.ndarray] = None
) -> Pieces:
    """Outline the 4-connected regions of equal value.

    Args:
        values: Class values ``[rows, columns]``, any integer type whose values fit 32 bits.
        chosen: Pixels ``[rows, columns]`` that belong to a region; the others are left out.
        first_row: Row of the raster the strip begins at.
        confidence: ``[rows, columns]``; not finite where there is none.
    """
    place = Affine.translation(0, first_row)
    found = shapes(values.astype(np.int32, copy=False), mask=chosen, connectivity=4, transform=place)
    points: list = []
    ring_lengths: list[int] = []
    ring_counts: list[int] = []
    own: list[int] = []
    for geometry, value in found:
        rings = geometry["coordinates"]
        for ring in rings:
            points.extend(ring)
            ring_lengths.append(len(ring))
        ring_counts.append(len(rings))
        own.append(int(value))
    outlines = np.empty(0, dtype=object)
    if own:
        rings = shapely.linearrings(
            np.array(points, dtype=float), indices=np.repeat(np.arange(len(ring_lengths)), ring_lengths)
        )
        outlines = shapely.polygons(rings, indices=np.repeat(np.arange(len(own)), ring_counts))
    sums, counts = _confidences(outlines, values.shape, place, confidence)
    return Pieces(outlines, np.array(own, dtype=np.int64), sums, counts)


def _confidences(
    outlines: np.ndarray, shape: tuple[int, ...], place: Affine, confidence: Optional[np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    count = len(outlines)
    if confidence is None or not count:
        return np.zeros(count, dtype=np.int64), np.zeros(count, dtype=np.int64)
    numbers = rasterize(
        zip(outlines, range(1, count + 1)), out_shape=shape, transform=place, fill=0, dtype=np.int32
    )
    known = np.isfinite(confidence)
    numbers = numbers[known]
    # Sums of whole numbers below 2**53 are exact in floating point.
    whole = np.rint(confidence[known].astype(float) * FRACTION)
    sums = np.bincount(numbers, weights=whole, minlength=count + 1)[1:].astype(np.int64)
    return sums, np.bincount(numbers, minlength=count + 1)[1:]
