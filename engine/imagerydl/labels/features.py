"""Labels from a vector layer: polygons burnt into the pixels whose centre they cover."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Optional, Union

import numpy as np
import shapely
from affine import Affine
from rasterio.crs import CRS
from rasterio.features import rasterize
from rasterio.windows import Window

from ..errors import DataError
from ..imagery.grid import Grid
from .classes import ClassEntry, ClassSchema
from .geometry import (
    check_shown,
    is_pixel_space,
    way_to,
    window_bounds,
    window_polygon,
)
from .objects import LabelObjects, clipped, to_pixels
from .packed import PackedGeometries
from .source import label_dtype

#: Polygons with more vertices than this are cut to the window before they are burnt.
_CUT_ABOVE = 200

#: Features looked at in one go to find out whether there is any.
_LOOK = 256


class _Located:
    """The features in the system of a grid.

    Attributes:
        geometries: Their geometries there.
    """

    def __init__(self, geometries: PackedGeometries, grid: Grid) -> None:
        self.geometries = geometries
        self._crs = grid.crs
        self._in_pixels = is_pixel_space(grid)
        # Area or length of the whole features, where it was asked for.
        self._sizes = np.full(len(geometries), np.nan)

    def fits(self, grid: Grid) -> bool:
        """Whether ``grid`` is in this very system."""
        if grid.crs is None or self._crs is None:
            return grid.crs is self._crs and is_pixel_space(grid) == self._in_pixels
        # Chips of one image share the object, and comparing definitions takes longer than a chip.
        if grid.crs is not self._crs:
            if grid.crs != self._crs:
                return False
            self._crs = grid.crs
        return True

    def sizes(self, features: np.ndarray, geometries: np.ndarray) -> np.ndarray:
        """Area of polygons, length of lines in map units, float64 ``[features]``; 0 for points.

        Args:
            features: Their positions.
            geometries: The same features.
        """
        unknown = np.isnan(self._sizes[features])
        if unknown.any():
            self._sizes[features[unknown]] = _sizes(geometries[unknown])
        return self._sizes[features]


class FeatureLabels:
    """Features as labels; later features are drawn over earlier ones.

    Args:
        geometries: The features ``[n]``, valid: an array, or packed.
        values: Their class values ``[n]``, int32.
        classes: The classes.
        crs: The system of the geometries; None where it is not known.
        name: What to call them in messages.
        say: Receives what the user should know (left-out features, assumptions).

    Attributes:
        classes: The classes of the field, or the schema.
        max_value: Largest class value that occurs.
        count: Usable features.
        crs: Their coordinate system, or None.
        is_vector: True: what lies in a chip is features, not pixels.
    """

    is_vector = True

    def __init__(
        self,
        geometries: Union[np.ndarray, PackedGeometries],
        values: np.ndarray,
        classes: ClassSchema,
        crs: Optional[CRS],
        name: str,
        say: Callable[[str], None] = lambda text: None,
    ) -> None:
        if not isinstance(geometries, PackedGeometries):
            geometries = PackedGeometries([geometries])
        self._geometries = geometries
        self._values = values
        self._located: Optional[_Located] = None
        self._say = say
        self.name = name
        self.crs = crs
        self.classes = classes
        self.count = len(geometries)
        self.max_value = int(values.max(initial=0))
        self.bounds = geometries.bounds
        self.crs_name = crs.to_string() if crs else "no coordinate system"

    def require_areas(self) -> None:
        """Leave out what has no area.

        Raises:
            DataError: If nothing is left.
        """
        areal = self._geometries.dimensions == 2
        if areal.all():
            return
        if not areal.any():
            raise DataError(
                f"{self.name} holds points or lines, which have no area.",
                "Set BUFFER_RADIUS to make areas of them, or choose a metadata format without areas.",
            )
        self._say(f"{int((~areal).sum())} features of {self.name} without an area were left out.")
        self._geometries, self._values = self._geometries.select(areal), self._values[areal]
        self.count = len(self._geometries)
        self._located = None

    def rasterise(self, grid: Grid, window: Window) -> np.ndarray:
        """Class values of ``window``: ``[height, width]``, uint8 or uint16, 0 = background."""
        dtype = label_dtype(self.max_value)
        shape = (int(window.height), int(window.width))
        located, bounds = self._on(grid), window_bounds(grid, window)
        hits = located.geometries.near(bounds)
        if not len(hits):
            return np.zeros(shape, dtype=dtype)
        geometries = _cut(located.geometries.take(hits), bounds)
        inside = shapely.get_dimensions(geometries) == 2
        if not inside.any():
            return np.zeros(shape, dtype=dtype)
        # As text and back: one conversion for all is many times faster than one by one.
        texts, values = shapely.to_geojson(geometries[inside]), self._values[hits][inside]
        shapes = [(json.loads(text), value) for text, value in zip(texts, values.tolist())]
        return rasterize(
            shapes, out_shape=shape, transform=grid.window_transform(window), dtype=dtype, fill=0
        )

    def objects(self, grid: Grid, window: Window) -> LabelObjects:
        """The features that share an area (lines: a length) with ``window``, in the order of the layer."""
        return self.objects_of_each(grid, [window])[0]

    def objects_of_each(self, grid: Grid, windows: Sequence[Window]) -> list[LabelObjects]:
        """:meth:`objects` of several windows of one size, in a fraction of the time."""
        located = self._on(grid)
        bounds = np.array([window_bounds(grid, window) for window in windows])
        hits, owners = located.geometries.near_each(bounds)
        return self._objects(located, hits, owners, grid, windows)

    def object_of(self, feature: int, grid: Grid, window: Window) -> LabelObjects:
        """What ``window`` shows of one feature, by its position among all: one object, or none."""
        return self._objects(self._on(grid), np.array([feature]), np.array([0]), grid, [window])[0]

    def feature_boxes(self, grid: Grid) -> np.ndarray:
        """Bounds of every feature in pixels of ``grid``: float64 ``[count, 4]``.

        Rows are (xmin, ymin, xmax, ymax); NaN for features that cannot be shown there.
        """
        pixels = (to_pixels(part, grid.transform) for part in self._on(grid).geometries.batches())
        return np.concatenate([np.empty((0, 4)), *(shapely.bounds(part).reshape(-1, 4) for part in pixels)])

    def _objects(
        self, located: _Located, hits: np.ndarray, owners: np.ndarray, grid: Grid, windows: Sequence[Window]
    ) -> list[LabelObjects]:
        """What the windows show of the features ``hits``, each in the window ``owners`` tells."""
        if not len(hits):
            return [LabelObjects.empty()] * len(windows)
        whole = located.geometries.take(hits)
        near = _cut_each(whole, owners, grid, windows)
        transforms = [grid.window_transform(window) for window in windows]
        origins = np.array([(transform.c, transform.f) for transform in transforms])
        width, height = int(windows[0].width), int(windows[0].height)
        shapes, inside = clipped(to_pixels(near, grid.transform, origins[owners]), width, height)
        # What was cut to the surroundings of the chip may look whole, but is not.
        inside &= (near is whole) | (shapely.get_num_coordinates(near) == shapely.get_num_coordinates(whole))
        seen = ~shapely.is_missing(shapes)
        shapes, inside, hits, whole, owners = (part[seen] for part in (shapes, inside, hits, whole, owners))
        shares = np.ones(len(hits))
        cut = ~inside & (shapely.get_dimensions(shapes) > 0)
        if cut.any():
            # On the map: pixels need not be square, and lengths would change.
            visible = _sizes(_turned_back(shapes[cut], grid.transform))
            shares[cut] = np.minimum(visible / located.sizes(hits[cut], whole[cut]), 1.0)
        found = LabelObjects(self._values[hits], shapes, shares, hits)
        ends = np.searchsorted(owners, np.arange(len(windows) + 1))
        return [found.select(slice(start, end)) for start, end in zip(ends[:-1], ends[1:])]

    def has_features(self, grid: Grid, window: Window) -> bool:
        """Whether any feature touches ``window``."""
        located, box = self._on(grid).geometries, window_polygon(grid, window)
        hits = located.near(box.bounds)
        # The first ones decide as a rule: a whole image may hold very many.
        parts = (hits[start : start + _LOOK] for start in range(0, len(hits), _LOOK))
        return any(shapely.intersects(located.take(part), box).any() for part in parts)

    def overlaps(self, grid: Grid) -> bool:
        """Whether any feature touches ``grid``."""
        return self.has_features(grid, grid.window)

    def describe(self, value: int) -> ClassEntry:
        """Name and colour of a class value."""
        return self.classes[value] if value in self.classes else ClassEntry(value, str(value))

    def close(self) -> None:
        """Nothing stays open."""

    def _on(self, grid: Grid) -> _Located:
        located = self._located
        if located is None or not located.fits(grid):
            # Images come in order: one system at a time is enough, and keeps memory flat.
            self._located = None
            located = self._located = _Located(self._brought_to(grid), grid)
        return located

    def _brought_to(self, grid: Grid) -> PackedGeometries:
        move = way_to(self, self.bounds, grid, self._say) if self.count else None
        if move is None:
            return self._geometries
        result = self._geometries.mapped(move)
        check_shown(self, result.dimensions >= 0, grid, self._say)
        return result


def _sizes(geometries: np.ndarray) -> np.ndarray:
    """Area of polygons, length of lines, 0 for points: float64 ``[n]``."""
    areal = shapely.get_dimensions(geometries) == 2
    return np.where(areal, shapely.area(geometries), shapely.length(geometries))


def _turned_back(shapes: np.ndarray, transform: Affine) -> np.ndarray:
    """Shapes in pixels in the size and direction they have on the map."""
    linear = np.array([[transform.a, transform.d], [transform.b, transform.e]])
    return shapely.transform(shapes, lambda pixels: pixels @ linear)


def _cut_each(
    geometries: np.ndarray, owners: np.ndarray, grid: Grid, windows: Sequence[Window]
) -> np.ndarray:
    """Large geometries cut to the surroundings of the window ``owners`` tells."""
    large = shapely.get_num_coordinates(geometries) > _CUT_ABOVE
    if not large.any():
        return geometries
    result = geometries.copy()
    for owner in np.unique(owners[large]).tolist():
        own = large & (owners == owner)
        result[own] = _cut(geometries[own], window_bounds(grid, windows[owner]))
    return result


def _cut(geometries: np.ndarray, bounds: tuple[float, float, float, float]) -> np.ndarray:
    """Large geometries cut to a box, so that a chip costs what lies in it, not the whole coastline."""
    large = shapely.get_num_coordinates(geometries) > _CUT_ABOVE
    if not large.any():
        return geometries
    xmin, ymin, xmax, ymax = bounds
    # A margin keeps the cut edges away from the pixels; an odd one, and from vertices in round numbers.
    x, y = 0.1003 * (xmax - xmin), 0.1003 * (ymax - ymin)
    result = geometries.copy()
    result[large] = shapely.clip_by_rect(geometries[large], xmin - x, ymin - y, xmax + x, ymax + y)
    return result
