"""What label sources have in common, and opening the right one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Optional, Protocol

import numpy as np
from rasterio.windows import Window

from ..errors import DataError
from ..imagery.grid import Grid
from .classes import ClassEntry, ClassSchema
from .objects import LabelObjects


class LabelSource(Protocol):
    """What lies in a window of an image.

    Attributes:
        classes: The classes known before any pixel is read: those of the schema, attribute table
            or class field. A raster of bare integers has none.
        max_value: The largest class value :meth:`rasterise` can return; decides the type of label
            chips.
        is_vector: Whether labels are features, which may overlap, rather than pixels.
        name: The labels, for messages.
        bounds: (xmin, ymin, xmax, ymax) in their own system.
        crs_name: That system, for messages.
    """

    classes: ClassSchema
    max_value: int
    is_vector: bool
    name: str
    bounds: tuple[float, float, float, float]
    crs_name: str

    def rasterise(self, grid: Grid, window: Window) -> np.ndarray:
        """Class values ``[height, width]`` (uint8 or uint16) of ``window`` on ``grid``; 0 = background."""

    def objects(self, grid: Grid, window: Window) -> LabelObjects:
        """What lies in ``window`` on ``grid``, object by object, in the order it is drawn in."""

    def objects_of_each(self, grid: Grid, windows: Sequence[Window]) -> list[LabelObjects]:
        """:meth:`objects` of several windows of one size."""

    def has_features(self, grid: Grid, window: Window) -> bool:
        """Whether any label lies in ``window``."""

    def overlaps(self, grid: Grid) -> bool:
        """Whether any label can lie on ``grid`` at all."""

    def describe(self, value: int) -> ClassEntry:
        """Name and colour of a class value found in pixels, which :attr:`classes` may not list."""

    def close(self) -> None:
        """Release files."""


def label_dtype(max_value: int) -> np.dtype:
    """Type of label pixels: 8 bits where they suffice, else 16."""
    return np.dtype(np.uint8 if max_value <= 255 else np.uint16)


def split_layer_name(path: str) -> tuple[str, Optional[str]]:
    """``/data/town.gpkg|layername=roads`` as path and layer name (None where it names none)."""
    path, *options = path.split("|")
    for option in options:
        key, _, value = option.partition("=")
        if key.strip().lower() == "layername":
            return path, value.strip()
    return path, None


def is_raster(path: str) -> bool:
    """Whether ``path`` opens as a raster rather than as a vector layer.

    Raises:
        DataError: If it opens as neither.
    """
    import pyogrio
    import rasterio
    from pyogrio.errors import DataSourceError
    from rasterio.errors import RasterioError

    file, layer = split_layer_name(path)
    if layer is None:
        try:
            with rasterio.open(file) as dataset:
                if dataset.count > 0:
                    return True
        except RasterioError:
            pass
    try:
        if len(pyogrio.list_layers(file)):
            return False
    except (DataSourceError, ValueError) as error:
        raise DataError(
            f"The class data {path} cannot be opened as a raster or as a vector layer ({error}).",
            "Give a vector layer, or a raster of class values.",
        ) from error
    raise DataError(f"{file} holds no layer.", "Give a vector layer, or a raster of class values.")
