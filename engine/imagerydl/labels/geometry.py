"""Vector layers for chips: reading, repairing, bringing into an image's system.

Works with bare arrays of geometries (pyogrio and shapely); a layer is held in memory, once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Optional, Protocol

import numpy as np
import pyogrio
import shapely
from pyogrio.errors import DataLayerError, DataSourceError
from rasterio.crs import CRS
from rasterio.errors import CRSError
from rasterio.windows import Window

from ..errors import DataError
from ..imagery.grid import Grid
from .coordinates import transform_box, transform_points
from .repair import largest_dimension, repaired
from .source import split_layer_name


class Placed(Protocol):
    """Something that lies in a coordinate system.

    Attributes:
        name: What to call it in messages.
        crs: None where it does not say.
    """

    name: str
    crs: Optional[CRS]


@dataclass(frozen=True)
class Layer:
    """The usable features of a vector layer.

    Attributes:
        path: The file.
        layer: Layer within the file; None for the first one.
        name: What to call it in messages.
        fields: Names of its attribute fields.
        crs: None where the layer does not say.
        geometries: Valid, non-empty 2D geometries ``[usable features]``.
        usable: Which of the layer's features those are, bool ``[features]``.
        notes: What was repaired or left out, for the user.
    """

    path: str
    layer: Optional[str]
    name: str
    fields: tuple[str, ...]
    crs: Optional[CRS]
    geometries: np.ndarray
    usable: np.ndarray
    notes: tuple[str, ...] = field(default=())

    def read_field(self, name: str) -> np.ndarray:
        """Cells of one attribute field, one per feature of the file."""
        return pyogrio.raw.read(self.path, layer=self.layer, columns=[name], read_geometry=False)[3][0]


def read_layer(path: str, what: str = "label layer") -> Layer:
    """Read the geometries of ``path`` (``file`` or ``file|layername=NAME``).

    Raises:
        DataError: If it cannot be read or holds no usable feature.
    """
    file, layer_name = split_layer_name(path)
    try:
        meta, _, wkb, _ = pyogrio.raw.read(file, layer=layer_name, columns=[])
        fields = tuple(str(name) for name in pyogrio.read_info(file, layer=layer_name)["fields"])
    except (DataSourceError, DataLayerError, ValueError) as error:
        raise DataError(f"The {what} {path} cannot be read ({error}).", "Give a vector layer.") from error
    name = layer_name or file
    if wkb is None:
        raise DataError(f"The {what} {name} is a table without geometries.", "Give a layer with polygons.")
    geometries, usable, notes = _usable(wkb, name)
    if not usable.any():
        empty = "is empty" if not len(wkb) else f"has no usable geometry in its {len(wkb)} features"
        raise DataError(f"The {what} {name} {empty}.", "Draw labels, or choose another layer.")
    return Layer(file, layer_name, name, fields, _crs(meta.get("crs"), name), geometries, usable, notes)


def _crs(text: Optional[str], name: str) -> Optional[CRS]:
    if not text:
        return None
    try:
        return CRS.from_user_input(text)
    except CRSError as error:
        raise DataError(
            f"The coordinate system of {name} is not understood ({error}).",
            "Assign a known one to the layer.",
        ) from error


def _usable(wkb: np.ndarray, name: str) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """Valid 2D geometries, which features they are, and what was done to get there."""
    geometries = shapely.from_wkb(wkb, on_invalid="ignore")
    geometries = shapely.force_2d(geometries)
    present = ~(shapely.is_missing(geometries) | shapely.is_empty(geometries))
    wrong = present & ~shapely.is_valid(geometries)
    geometries = repaired(geometries)
    mixed = present & (shapely.get_type_id(geometries) == shapely.GeometryType.GEOMETRYCOLLECTION)
    if mixed.any():
        geometries[mixed] = [largest_dimension(geometry) for geometry in geometries[mixed]]
    usable = present & ~shapely.is_empty(geometries)
    notes = []
    if len(usable) - usable.sum():
        notes.append(f"{len(usable) - usable.sum()} features of {name} without a geometry were left out.")
    if wrong.any():
        notes.append(f"{int(wrong.sum())} invalid geometries of {name} were repaired.")
    return geometries[usable], usable, tuple(notes)


def layer_on(
    layer: Placed, geometries: np.ndarray, grid: Grid, say: Callable[[str], None] = lambda text: None
) -> np.ndarray:
    """``geometries`` of ``layer`` in the coordinates of ``grid``, vertex by vertex.

    What cannot be shown there becomes empty.

    Raises:
        DataError: If only one of both has a coordinate system, or nothing can be transformed.
    """
    if not len(geometries):
        return geometries
    if grid.crs is None:
        return _without_crs(layer, geometries, grid, say)
    if layer.crs is None:
        raise DataError(
            f"{layer.name} has no coordinate system, the image has {grid.crs.to_string()}.",
            "Assign the right coordinate system to the layer.",
        )
    if layer.crs == grid.crs:
        return geometries
    coordinates = shapely.get_coordinates(geometries)
    moved = np.column_stack(transform_points(layer.crs, grid.crs, coordinates[:, 0], coordinates[:, 1]))
    result = shapely.set_coordinates(geometries.copy(), moved)
    outside = ~np.isfinite(shapely.bounds(result)).all(axis=1)
    if outside.all():
        raise DataError(
            f"The coordinates of {layer.name} cannot be those of {layer.crs.to_string()}, the system it "
            f"states: none can be shown in {grid.crs.to_string()}.",
            "Assign the right coordinate system to the layer.",
        )
    if outside.any():
        say(f"{int(outside.sum())} features of {layer.name} cannot be shown in {grid.crs.to_string()}.")
        result[outside] = shapely.GeometryCollection()
    return result


def _without_crs(layer: Placed, geometries: np.ndarray, grid: Grid, say: Callable[[str], None]) -> np.ndarray:
    if layer.crs is not None:
        say(f"The image has no coordinate system: coordinates of {layer.name} are taken as the image's own.")
    ymin, ymax = shapely.total_bounds(geometries)[[1, 3]]
    if not is_pixel_space(grid) or ymax > 0 or ymin == 0:
        return geometries
    # QGIS shows an image without georeference below the x axis: rows count downwards from 0.
    say(f"{layer.name} lies below y = 0, as drawn in QGIS on an image without georeference; y is row -y.")
    return shapely.transform(geometries, lambda xy: xy * (1, -1))


def is_pixel_space(grid: Grid) -> bool:
    """Whether coordinates of ``grid`` are columns and rows of an image without georeference.

    Part of such an image, a coarser view of it or a chip turned by an angle has a transform of its
    own; its rows still count downwards when it is turned back.
    """
    t = grid.transform
    slack = 1e-9 * (abs(t.a) + abs(t.b))
    turned = abs(t.a - t.e) <= slack and abs(t.b + t.d) <= slack
    return grid.crs is None and turned and t.determinant > 0


def window_polygon(grid: Grid, window: Window, shrink: float = 0.0) -> shapely.Polygon:
    """The outline of ``window`` in map coordinates, ``shrink`` pixels inside its border."""
    t = grid.transform
    left, top = window.col_off + shrink, window.row_off + shrink
    right, bottom = window.col_off + window.width - shrink, window.row_off + window.height - shrink
    # In plain numbers: this runs for every chip.
    corners = ((left, top), (right, top), (right, bottom), (left, bottom))
    return shapely.polygons([(t.a * x + t.b * y + t.c, t.d * x + t.e * y + t.f) for x, y in corners])


def outline_on(grid: Grid, crs: Optional[CRS]) -> shapely.Polygon:
    """The ground of ``grid`` in ``crs``: its outline, or a box around it in another system.

    Raises:
        DataError: If the systems have nothing to do with each other.
    """
    if grid.crs == crs or grid.crs is None or crs is None:
        return window_polygon(grid, grid.window)
    return shapely.box(*transform_box(grid.crs, crs, grid.bounds))
