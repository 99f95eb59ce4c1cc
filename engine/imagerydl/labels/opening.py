"""Opens the right label source for an image: one layer for all, a label image or rows of a table for each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Optional

from ..imagery.grid import Grid
from ..imagery.source import open_source
from .classes import ClassSchema
from .colors import ColorLookup, ColorMaskLabels, is_color_mask
from .feature_reading import read_features
from .features import FeatureLabels
from .image_table import is_table
from .rasters import RasterLabels, place
from .source import LabelSource, is_raster
from .table import LabelTable


class Labels:
    """The labels of an export, opened image by image.

    Args:
        layer: A vector layer or class raster that labels every image, or a table whose rows name
            their image; None where each image has its own label image.
        field: Class field of a vector layer or table.
        schema: Classes given by the user.
        say: Receives what the user should know.
        grids: The images' own grids: of a large layer what lies far from all of them is not read.
        buffer_radius: Makes areas of points and lines; in units of the layer's coordinate system,
            in pixels for a table.

    Attributes:
        features: The features of a vector layer; None for anything else.

    Raises:
        ParameterError: If the field does not exist, or the radius is not above 0.
        DataError: If the layer cannot be read, or holds no usable label.
    """

    def __init__(
        self,
        layer: Optional[str] = None,
        field: Optional[str] = None,
        schema: Optional[ClassSchema] = None,
        say: Callable[[str], None] = lambda text: None,
        buffer_radius: Optional[float] = None,
        grids: Sequence[Grid] = (),
    ) -> None:
        self._layer = layer
        self._schema = schema
        self._say = say
        self._largest: dict[str, int] = {}
        self._table: Optional[LabelTable] = None
        self.features: Optional[FeatureLabels] = None
        if layer is not None and not is_raster(layer):
            if is_table(layer):
                self._table = LabelTable(layer, field, schema, say, buffer_radius)
            else:
                self.features = read_features(layer, field, schema, say, buffer_radius, grids)

    @property
    def per_image(self) -> bool:
        """Whether each image has its own label image."""
        return self._layer is None

    @property
    def is_table(self) -> bool:
        """Whether the labels are rows of a table that name their image."""
        return self._table is not None

    @property
    def is_vector(self) -> bool:
        """Whether the labels are features."""
        return self.features is not None or self.is_table

    def pair(self, images: Sequence[str]) -> None:
        """Find the rows of each image; to be called once, before :meth:`open`.

        Args:
            images: All images that will be opened.

        Raises:
            DataError: If the labels are a table and no row names an image.
        """
        if self._table is not None:
            self._table.pair(images)

    def open(self, image: Grid, image_name: str, label_image: Optional[str] = None) -> LabelSource:
        """The labels of one image; close them afterwards.

        Args:
            image: The image's own grid, before any extent or cell size is applied.
            image_name: The image, for errors.
            label_image: Its label image, where each image has one.

        Raises:
            DataError: If they cannot be read, or cannot be laid over the image.
        """
        if self.features is not None:
            return self.features
        if self._table is not None:
            return self._table.labels_of(image_name, image)
        path = label_image or self._layer
        source = open_source(path)
        try:
            placed = place(source, image, image_name, self._say)
            if is_color_mask(source, self._schema):
                return ColorMaskLabels(source, placed, self._lookup)
            labels = RasterLabels(source, placed, self._schema, self._largest.get(path))
        except BaseException:
            source.close()
            raise
        self._largest[path] = labels.max_value
        return labels

    @cached_property
    def _lookup(self) -> ColorLookup:
        return ColorLookup(self._schema)
