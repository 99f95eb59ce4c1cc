"""A few tiles from all over a raster, for what has to look at real imagery before a run."""

from __future__ import annotations

import numpy as np

from .classification import View
from .layout import Run
from .reading import TileReader
from .tiles import TilePlan

#: Places a side of the grid that tiles are taken from.
_PLACES = 4


def sample_tiles(view: View, plan: TilePlan) -> list[np.ndarray]:
    """Input of single tiles ``[1, bands, h, w]`` from a grid of places; those without data are left out."""
    layout = plan.layout
    rows = _spread(layout.y.count)
    columns = _spread(layout.x.count)
    runs = [Run(row, range(column, column + 1), True) for row in rows for column in columns]
    with TileReader(view.source, view.bands, view.feed, plan.context, 1, view.area) as reader:
        return [batch.tiles for batch in reader.batches(layout, runs) if batch.columns]


def _spread(count: int) -> list[int]:
    return sorted({int(place) for place in np.linspace(0, count - 1, min(count, _PLACES))})
