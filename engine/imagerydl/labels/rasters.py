"""Labels from a class raster: of any grid and system, with or without an attribute table."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Optional

import numpy as np
from rasterio.windows import Window

from ..errors import DataError
from ..imagery.grid import Grid
from ..imagery.source import RasterSource
from .class_pixels import PixelLabels
from .classes import MAX_CLASS_VALUE, ClassEntry, ClassSchema, lenient_schema

#: Pixels looked at in one go when a whole raster is surveyed.
_SURVEY_PIXELS = 4_000_000


class RasterLabels(PixelLabels):
    """A one-band raster of class values as labels.

    Args:
        source: The opened class raster; closed by :meth:`close`.
        placed: Where it lies (see :func:`place`).
        schema: Names and colours given by the user; they win over those in the file.
        max_value: The largest value, where it is known; else the raster is looked through.

    Attributes:
        classes: The schema, or the classes of the attribute table; empty for bare integers.
        max_value: 255 for 8-bit rasters, else the largest value that occurs.

    Raises:
        DataError: If a pixel cannot be a class value.
    """

    def __init__(
        self,
        source: RasterSource,
        placed: Grid,
        schema: Optional[ClassSchema] = None,
        max_value: Optional[int] = None,
    ) -> None:
        if source.count != 1:
            raise DataError(
                f"The class raster {source.name} has {source.count} bands.",
                "Give a raster of one band, or CLASS_SCHEMA with colours for an RGB label image.",
            )
        super().__init__(source, placed)
        self.classes = schema if schema else lenient_schema(_listed(source))
        if max_value is None:
            max_value = 255 if source.dtype == np.uint8 else _largest_value(source)
        self.max_value = max_value

    def values_of(self, data: np.ndarray, valid: np.ndarray) -> np.ndarray:
        """The stored values."""
        values = data[0]
        return values if valid.all() else np.where(valid, values, values.dtype.type(0))

    def describe(self, value: int) -> ClassEntry:
        """Name from the attribute table, else the value; colour from table or palette."""
        if value in self.classes:
            return self.classes[value]
        names, colors = self._source.categories or {}, self._source.colormap or {}
        return ClassEntry(value, names.get(value, str(value)), colors.get(value))


def _listed(source: RasterSource) -> list[ClassEntry]:
    """The classes of the attribute table or category names, by value."""
    colors = source.colormap or {}
    return [
        ClassEntry(value, name or str(value), colors.get(value))
        for value, name in sorted((source.categories or {}).items())
        if 0 <= value <= MAX_CLASS_VALUE
    ]


def place(
    source: RasterSource,
    image: Grid,
    image_name: str,
    say: Callable[[str], None] = lambda text: None,
) -> Grid:
    """Where a class raster lies: its own grid, or the image's for a label without georeference.

    Args:
        source: The class raster.
        image: The image's own grid, before any extent or cell size is applied.
        image_name: The image, for errors.
        say: Receives assumptions made.

    Raises:
        DataError: If there is no telling which label pixel belongs to which image pixel.
    """
    own = source.grid
    if own.crs is not None and image.crs is not None:
        return own
    if own.crs is None and image.crs is None and own.is_georeferenced and image.is_georeferenced:
        return own
    if (own.width, own.height) != (image.width, image.height):
        raise DataError(
            f"The image {image_name} ({_described(image)}) and its labels {source.name} ({_described(own)}) "
            "differ in size.",
            "Give labels of the image's size, or a coordinate system to both.",
        )
    if own.is_georeferenced or image.is_georeferenced:
        say("Images and labels of which one has no coordinate system are matched pixel by pixel.")
    return image


def _described(grid: Grid) -> str:
    system = grid.crs.to_string() if grid.crs else "no coordinate system"
    return f"{grid.width} x {grid.height} pixels, {system}"


def strips(grid: Grid, pixels: int = _SURVEY_PIXELS) -> Iterator[Window]:
    """Windows over whole rows that together cover ``grid``, each of about ``pixels``."""
    rows = max(1, pixels // grid.width)
    for top in range(0, grid.height, rows):
        yield Window(0, top, grid.width, min(rows, grid.height - top))


def _largest_value(source: RasterSource) -> int:
    """The largest class value of a raster that is not 8-bit; checks that all are class values."""
    largest = 0
    for window in strips(source.grid):
        data, valid = source.read(window)
        values = data[0][valid]
        if not values.size:
            continue
        low, high = values.min(), values.max()
        fractional = values.dtype.kind == "f" and bool((values != np.floor(values)).any())
        if fractional or not (low >= 0 and high <= MAX_CLASS_VALUE):
            wrong = values[values != np.floor(values)][0] if fractional else (low if low < 0 else high)
            raise DataError(
                f"The class raster {source.name} holds {wrong:g}, which cannot be a class value.",
                f"Class values are whole numbers from 0 to {MAX_CLASS_VALUE}.",
            )
        largest = max(largest, int(high))
    return largest
