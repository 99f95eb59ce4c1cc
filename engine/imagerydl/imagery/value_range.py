"""The smallest and largest value of each band of a raster: one pass over it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from rasterio.windows import Window

from ..errors import DataError
from ..events import Reporter
from .pairs import AnySource

#: Side of the windows a raster is gone through in.
_SIDE = 1024


def value_range(source: AnySource, bands: Sequence[int], reporter: Reporter) -> tuple[np.ndarray, np.ndarray]:
    """Smallest and largest valid value of bands.

    Args:
        source: The raster.
        bands: 0-based.
        reporter: Hears about progress.

    Returns:
        Two float64 ``[bands]``.

    Raises:
        DataError: If the raster has no valid pixel.
    """
    low, high = np.full(len(bands), np.inf), np.full(len(bands), -np.inf)
    height, width = source.grid.height, source.grid.width
    rows = range(0, height, _SIDE)
    for number, top in enumerate(rows):
        reporter.check_cancelled()
        reporter.progress("Looking for the range of values", number, len(rows), "rows of windows")
        for left in range(0, width, _SIDE):
            window = Window(left, top, min(_SIDE, width - left), min(_SIDE, height - top))
            data, valid = source.read(window, bands)
            if valid.any():
                values = data[:, valid].astype(np.float64)
                low, high = np.fmin(low, np.nanmin(values, axis=1)), np.fmax(high, np.nanmax(values, axis=1))
    if not np.isfinite(low).all():
        raise DataError(f"{source.name} has no valid pixel.", "Check its no-data value.")
    return low, high
