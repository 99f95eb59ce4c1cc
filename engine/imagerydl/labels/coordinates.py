"""From one coordinate system to another, with infinity where a projection is not defined."""

from __future__ import annotations

import numpy as np
from rasterio._err import CPLE_BaseError, CPLE_NotSupportedError  # rasterio has no public names for them
from rasterio.crs import CRS
from rasterio.errors import RasterioError
from rasterio.warp import transform, transform_bounds

from ..errors import DataError

_ERRORS = (RasterioError, CPLE_BaseError)

#: Points given up together once that few are left around one that cannot be transformed.
_SMALLEST = 8


def transform_points(
    source: CRS, target: CRS, xs: np.ndarray, ys: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates ``xs``, ``ys`` ``[points]`` of ``source`` in ``target``.

    Points that ``target`` cannot show become infinite, and so may their closest neighbours in
    the list: the library gives up on a whole list for one bad point.

    Raises:
        DataError: If the systems have nothing to do with each other.
    """
    return _transform(source, target, np.asarray(xs, dtype=float), np.asarray(ys, dtype=float))


def transform_box(
    source: CRS, target: CRS, bounds: tuple[float, float, float, float]
) -> tuple[float, float, float, float]:
    """A box (xmin, ymin, xmax, ymax) around ``bounds`` of ``source`` in ``target``.

    Raises:
        DataError: If the systems have nothing to do with each other.
    """
    try:
        return transform_bounds(source, target, *bounds, densify_pts=21)
    except CPLE_NotSupportedError as error:
        raise _no_path(source, target) from error
    except _ERRORS:
        return (np.inf,) * 4


def _transform(source: CRS, target: CRS, xs: np.ndarray, ys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    try:
        moved = transform(source, target, xs, ys)
        return np.asarray(moved[0]), np.asarray(moved[1])
    except CPLE_NotSupportedError as error:
        raise _no_path(source, target) from error
    except _ERRORS:
        if len(xs) <= _SMALLEST:
            return np.full(len(xs), np.inf), np.full(len(xs), np.inf)
        middle = len(xs) // 2
        halves = [
            _transform(source, target, xs[part], ys[part]) for part in (slice(middle), slice(middle, None))
        ]
        return np.concatenate([h[0] for h in halves]), np.concatenate([h[1] for h in halves])


def _no_path(source: CRS, target: CRS) -> DataError:
    return DataError(
        f"Coordinates cannot be changed from {source.to_string()[:80]} to {target.to_string()[:80]}.",
        "Give labels in a coordinate system on the same planet as the image.",
    )
