"""Labels that are pixels, whatever says which class a pixel is of."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
from rasterio.windows import Window

from ..imagery.grid import Grid
from ..imagery.source import RasterSource
from .geometry import outline_on
from .objects import LabelObjects, regions
from .sampling import sample_nearest
from .source import label_dtype


class PixelLabels(ABC):
    """An image as labels; objects are its connected regions. Subclasses tell the class of a pixel.

    Args:
        source: The opened image; closed by :meth:`close`.
        placed: Where it lies (see :func:`imagerydl.labels.rasters.place`).

    Attributes:
        max_value: The largest class value.
        is_vector: False: what lies in a chip is pixels, not features.
    """

    is_vector = False
    max_value: int

    def __init__(self, source: RasterSource, placed: Grid) -> None:
        self._source = source
        self._placed = placed
        self.name = source.name
        self.bounds = placed.bounds
        self.crs_name = placed.crs.to_string() if placed.crs else "no coordinate system"

    @abstractmethod
    def values_of(self, data: np.ndarray, valid: np.ndarray) -> np.ndarray:
        """Class values ``[height, width]`` of pixels ``[bands, height, width]``, 0 = background."""

    def rasterise(self, grid: Grid, window: Window) -> np.ndarray:
        """Class values of ``window``: ``[height, width]``, uint8 or uint16, 0 = background."""
        values = self.values_of(*sample_nearest(self._source, self._placed, grid, window))
        return values.astype(label_dtype(self.max_value), copy=False)

    def objects(self, grid: Grid, window: Window) -> LabelObjects:
        """The connected regions of ``window``."""
        return regions(self.rasterise(grid, window))

    def objects_of_each(self, grid: Grid, windows: Sequence[Window]) -> list[LabelObjects]:
        """:meth:`objects` of each window."""
        return [self.objects(grid, window) for window in windows]

    def has_features(self, grid: Grid, window: Window) -> bool:
        """Whether any pixel of ``window`` has a class."""
        return bool(self.rasterise(grid, window).any())

    def overlaps(self, grid: Grid) -> bool:
        """Whether the image and ``grid`` share ground."""
        return bool(outline_on(self._placed, grid.crs).intersects(outline_on(grid, grid.crs)))

    def close(self) -> None:
        """Close the image."""
        self._source.close()
