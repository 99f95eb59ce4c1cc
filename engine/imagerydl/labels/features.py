"""Labels from a vector layer: polygons burnt into the pixels whose centre they cover."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Optional

import numpy as np
import shapely
from rasterio.features import rasterize
from rasterio.windows import Window

from ..errors import DataError
from ..imagery.grid import Grid
from .classes import ClassEntry, ClassSchema
from .fields import choose_field, class_column
from .geometry import Layer, is_pixel_space, layer_on, read_layer, window_polygon
from .source import label_dtype

#: Polygons with more vertices than this are cut to the window before they are burnt.
_CUT_ABOVE = 200

_POLYGONAL = (shapely.GeometryType.POLYGON, shapely.GeometryType.MULTIPOLYGON)


@dataclass(frozen=True)
class _Located:
    """The features in the system of one grid."""

    geometries: np.ndarray
    tree: shapely.STRtree


class FeatureLabels:
    """Features of a vector layer as labels; later features are drawn over earlier ones.

    Args:
        path: File, or ``path|layername=NAME``.
        field: Class field; None for ``value`` or ``classvalue``, else all features are class 1.
        schema: Names and colours of classes, and values of named ones.
        say: Receives what the user should know (left-out features, assumptions).

    Attributes:
        classes: The classes of the field, or the schema.
        max_value: Largest class value that occurs.
        count: Usable features.
    """

    def __init__(
        self,
        path: str,
        field: Optional[str] = None,
        schema: Optional[ClassSchema] = None,
        say: Callable[[str], None] = lambda text: None,
    ) -> None:
        self._layer: Layer = read_layer(path)
        name = self._layer.name
        chosen = choose_field(self._layer.fields, field, name)
        column = self._layer.read_field(chosen) if chosen else None
        if column is not None:
            column = column[self._layer.usable]
        total = len(self._layer.geometries)
        assigned = class_column(column, chosen, total, schema, name)
        keep = assigned.values >= 0
        if total and not keep.any():
            raise DataError(
                f"Every feature of {name} has an empty {chosen!r}.", "Fill it in, or name another field."
            )
        for text in (*self._layer.notes, *_empty_note(name, chosen, int(total - keep.sum()))):
            say(text)
        self._geometries = self._layer.geometries[keep]
        self._values = assigned.values[keep]
        self._located: dict[tuple[Optional[str], bool], _Located] = {}
        self._say = say
        self.name = name
        self.classes = assigned.classes
        self.count = len(self._geometries)
        self.max_value = int(self._values.max(initial=0))
        self.bounds = tuple(float(b) for b in shapely.total_bounds(self._geometries))
        self.crs_name = self._layer.crs.to_string() if self._layer.crs else "no coordinate system"

    def require_polygons(self) -> None:
        """Leave out what has no area.

        Raises:
            DataError: If nothing is left.
        """
        areal = np.isin(shapely.get_type_id(self._geometries), _POLYGONAL)
        if areal.all():
            return
        if not areal.any():
            raise DataError(
                f"{self.name} holds points or lines, which cover no pixels.",
                "Classified_Tiles needs polygons: buffer the features first, or give a class raster.",
            )
        self._say(f"{int((~areal).sum())} features of {self.name} without an area were left out.")
        self._geometries, self._values = self._geometries[areal], self._values[areal]
        self.count = len(self._geometries)
        self._located.clear()

    def rasterise(self, grid: Grid, window: Window) -> np.ndarray:
        """Class values of ``window``: ``[height, width]``, uint8 or uint16, 0 = background."""
        dtype = label_dtype(self.max_value)
        shape = (int(window.height), int(window.width))
        located, box = self._on(grid), window_polygon(grid, window)
        # Tree results come in no particular order; drawing has one.
        hits = np.sort(located.tree.query(box))
        if not len(hits):
            return np.zeros(shape, dtype=dtype)
        geometries = _cut(located.geometries[hits], box)
        inside = shapely.get_dimensions(geometries) == 2
        if not inside.any():
            return np.zeros(shape, dtype=dtype)
        # As text and back: one conversion for all is many times faster than one by one.
        texts, values = shapely.to_geojson(geometries[inside]), self._values[hits][inside]
        shapes = [(json.loads(text), value) for text, value in zip(texts, values.tolist())]
        return rasterize(
            shapes, out_shape=shape, transform=grid.window_transform(window), dtype=dtype, fill=0
        )

    def has_features(self, grid: Grid, window: Window) -> bool:
        """Whether any feature touches ``window``."""
        box = window_polygon(grid, window)
        return bool(len(self._on(grid).tree.query(box, predicate="intersects")))

    def overlaps(self, grid: Grid) -> bool:
        """Whether any feature touches ``grid``."""
        return self.has_features(grid, grid.window)

    def describe(self, value: int) -> ClassEntry:
        """Name and colour of a class value."""
        return self.classes[value] if value in self.classes else ClassEntry(value, str(value))

    def close(self) -> None:
        """Nothing stays open."""

    def _on(self, grid: Grid) -> _Located:
        key = (grid.crs.to_wkt() if grid.crs else None, is_pixel_space(grid))
        if key not in self._located:
            # Images come in order: one system at a time is enough, and keeps memory flat.
            self._located.clear()
            geometries = layer_on(self._layer, self._geometries, grid, self._say)
            self._located[key] = _Located(geometries, shapely.STRtree(geometries))
        return self._located[key]


def _empty_note(name: str, field: str, count: int) -> tuple[str, ...]:
    return (f"{count} features of {name} with an empty {field!r} were left out.",) if count else ()


def _cut(geometries: np.ndarray, box: shapely.Polygon) -> np.ndarray:
    """Large geometries cut to ``box``, so that a chip costs what lies in it, not the whole coastline."""
    large = shapely.get_num_coordinates(geometries) > _CUT_ABOVE
    if not large.any():
        return geometries
    xmin, ymin, xmax, ymax = box.bounds
    # A margin keeps the cut edges away from the pixels.
    x, y = 0.1 * (xmax - xmin), 0.1 * (ymax - ymin)
    result = geometries.copy()
    cut = shapely.clip_by_rect(geometries[large], xmin - x, ymin - y, xmax + x, ymax + y)
    result[large] = cut
    return result
