"""Vector layers for chips: reading, repairing, bringing into an image's system.

Works with bare arrays of geometries (pyogrio and shapely).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Optional, Protocol

import numpy as np
import pyogrio
import shapely
from affine import Affine
from pyogrio.errors import DataLayerError, DataSourceError
from rasterio.crs import CRS
from rasterio.errors import CRSError
from rasterio.windows import Window

from ..errors import DataError
from ..imagery.grid import Grid
from ..imagery.transforms import apply
from .coordinates import transform_box, transform_points
from .repair import largest_dimension, repaired
from .source import split_layer_name

#: Features read in one go, from files in which reading can start anywhere.
_PART = 50_000
_READ_IN_PARTS = ("GPKG", "ESRI Shapefile", "OpenFileGDB")

#: Names that the GeoPackage standard gives to srs_id -1 and 0, and GDAL to one of its own.
_UNDEFINED = re.compile(r'\w+\["Undefined (Cartesian |geographic )?SRS"', re.IGNORECASE)


class Placed(Protocol):
    """Something that lies in a coordinate system.

    Attributes:
        name: What to call it in messages.
        crs: None where it does not say.
    """

    name: str
    crs: Optional[CRS]


class LayerFile:
    """A vector layer whose features are read in parts, so that millions need little memory at once.

    Args:
        path: ``file`` or ``file|layername=NAME``.
        what: What to call it in errors.

    Attributes:
        name: What to call it in messages.
        fields: Names of its attribute fields.
        count: Features in it; -1 where only reading would tell.
        crs: None where the layer does not say.
        fids: Numbers of the usable features ``[usable]``; known once all were read.
        usable: Which features have a usable geometry, bool ``[features]``; known once all were read.
        notes: What was repaired or left out, for the user; known once all were read.

    Raises:
        DataError: If it cannot be read.
    """

    def __init__(self, path: str, what: str = "label layer") -> None:
        self._file, self._layer = split_layer_name(path)
        self._what = what
        self.name = self._layer or self._file
        info = self._read(pyogrio.read_info)
        if info["geometry_type"] is None:
            raise DataError(
                f"The {what} {self.name} is a table without geometries.", "Give a layer with polygons."
            )
        self.fields = tuple(str(field) for field in info["fields"])
        self.count = int(info["features"])
        self.crs = _crs(info.get("crs"), self.name)
        self.usable = np.empty(0, dtype=bool)
        self.notes: tuple[str, ...] = ()
        self._part = _PART if info.get("driver") in _READ_IN_PARTS else None
        self.fids = np.empty(0, dtype=np.int64)

    def geometries(self, within: Optional[tuple[float, float, float, float]] = None) -> Iterator[np.ndarray]:
        """The usable geometries, valid and in two dimensions, in arrays.

        Args:
            within: Only those that touch this box, in the layer's own coordinates.

        Raises:
            DataError: If there is none.
        """
        flags, fids, repairs, start = [], [], 0, 0
        options = {"columns": [], "return_fids": True, "bbox": within, "max_features": self._part}
        while True:
            _, numbers, wkb, _ = self._read(pyogrio.raw.read, skip_features=start, **options)
            geometries, usable, wrong = usable_geometries(wkb)
            flags.append(usable)
            fids.append(numbers[usable])
            repairs += wrong
            start += len(wkb)
            yield geometries
            if self._part is None or len(wkb) < self._part:
                break
        self.usable, self.fids = np.concatenate(flags), np.concatenate(fids)
        missing = int((~self.usable).sum())
        if not self.usable.any():
            empty = f"has no usable geometry in its {missing} features" if missing else "is empty"
            raise DataError(f"The {self._what} {self.name} {empty}.", "Draw labels, or choose another layer.")
        notes = (
            (missing, f"{missing} features of {self.name} without a geometry were left out."),
            (repairs, f"{repairs} invalid geometries of {self.name} were repaired."),
        )
        self.notes = tuple(text for count, text in notes if count)

    def read_field(self, name: str) -> np.ndarray:
        """Cells of one attribute field, one per usable feature."""
        cells, places = self.read_whole_field(name)
        return cells[places]

    def read_whole_field(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Cells of one attribute field of all features, and where the usable ones are among them."""
        _, fids, _, columns = self._read(
            pyogrio.raw.read, columns=[name], read_geometry=False, return_fids=True
        )
        order = np.argsort(fids, kind="stable")
        return columns[0], order[np.searchsorted(fids, self.fids, sorter=order)]

    def _read(self, read: Callable[..., Any], **options: Any) -> Any:
        try:
            return read(self._file, layer=self._layer, **options)
        except (DataSourceError, DataLayerError, ValueError) as error:
            raise DataError(
                f"The {self._what} {self.name} cannot be read ({error}).", "Give a vector layer."
            ) from error


@dataclass(frozen=True)
class Layer:
    """The usable features of a vector layer, all at once.

    Attributes:
        name: What to call it in messages.
        crs: None where the layer does not say.
        geometries: Valid, non-empty 2D geometries ``[usable features]``.
        notes: What was repaired or left out, for the user.
    """

    name: str
    crs: Optional[CRS]
    geometries: np.ndarray
    notes: tuple[str, ...] = ()


def read_layer(path: str, what: str = "label layer") -> Layer:
    """Read the geometries of ``path`` (``file`` or ``file|layername=NAME``).

    Raises:
        DataError: If it cannot be read or holds no usable feature.
    """
    file = LayerFile(path, what)
    geometries = np.concatenate(list(file.geometries()))
    return Layer(file.name, file.crs, geometries, file.notes)


def states_crs(text: Optional[str]) -> bool:
    """Whether a layer's definition of its coordinate system is one.

    A GeoPackage without a system says so by one of two systems called undefined.
    """
    return bool(text) and not _UNDEFINED.match(text)


def _crs(text: Optional[str], name: str) -> Optional[CRS]:
    if not states_crs(text):
        return None
    try:
        return CRS.from_user_input(text)
    except CRSError as error:
        raise DataError(
            f"The coordinate system of {name} is not understood ({error}).",
            "Assign a known one to the layer.",
        ) from error


def usable_geometries(wkb: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """Valid, non-empty 2D geometries of features.

    Args:
        wkb: One well-known binary per feature ``[n]``; None where there is none.

    Returns:
        The geometries ``[usable]``, which features they are, bool ``[n]``, and how many were repaired.
    """
    geometries = shapely.from_wkb(wkb, on_invalid="ignore")
    if shapely.has_z(geometries).any() or shapely.has_m(geometries).any():
        geometries = shapely.force_2d(geometries)
    present = ~(shapely.is_missing(geometries) | shapely.is_empty(geometries))
    sound = shapely.is_valid(geometries) | ~present
    if not sound.all():
        geometries = repaired(geometries)
    mixed = present & (shapely.get_type_id(geometries) == shapely.GeometryType.GEOMETRYCOLLECTION)
    if mixed.any():
        geometries[mixed] = [largest_dimension(geometry) for geometry in geometries[mixed]]
    usable = present & ~shapely.is_empty(geometries)
    return geometries[usable], usable, int((~sound).sum())


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
    move = way_to(layer, tuple(shapely.total_bounds(geometries)), grid, say)
    if move is None:
        return geometries
    result = move(geometries)
    check_shown(layer, ~shapely.is_empty(result), grid, say)
    return result


def way_to(
    layer: Placed,
    bounds: tuple[float, float, float, float],
    grid: Grid,
    say: Callable[[str], None] = lambda text: None,
) -> Optional[Callable[[np.ndarray], np.ndarray]]:
    """How geometries of ``layer``, which lie in ``bounds``, come into the coordinates of ``grid``.

    Returns:
        A function of geometries ``[n]``, which makes empty what cannot be shown; None where they
        are there already.

    Raises:
        DataError: If the layer has no coordinate system and the grid has one.
    """
    if grid.crs is None:
        return _way_without_crs(layer, bounds, grid, say)
    if layer.crs is None:
        raise DataError(
            f"{layer.name} has no coordinate system, the image has {grid.crs.to_string()}.",
            "Assign the right coordinate system to the layer.",
        )
    source, target = layer.crs, grid.crs
    return None if source == target else lambda geometries: transformed(source, target, geometries)


def transformed(source: CRS, target: CRS, geometries: np.ndarray) -> np.ndarray:
    """Geometries ``[n]`` of ``source`` in ``target``, vertex by vertex; empty where it cannot show them."""
    coordinates = shapely.get_coordinates(geometries)
    moved = np.column_stack(transform_points(source, target, coordinates[:, 0], coordinates[:, 1]))
    result = shapely.set_coordinates(geometries.copy(), moved)
    outside = ~np.isfinite(shapely.bounds(result)).all(axis=1)
    result[outside] = shapely.GeometryCollection()
    return result


def mapped(geometries: np.ndarray, transform: Affine) -> np.ndarray:
    """Geometries ``[n]`` moved by an affine transform."""
    if not len(geometries):
        return geometries
    return shapely.transform(geometries, lambda points: np.column_stack(apply(transform, *points.T)))


def check_shown(
    layer: Placed, shown: np.ndarray, grid: Grid, say: Callable[[str], None] = lambda text: None
) -> None:
    """Tell how many features could not be brought to ``grid``.

    Args:
        layer: Where they are from.
        shown: Which could, bool ``[n]``.
        grid: Where they were to go.
        say: Receives the number.

    Raises:
        DataError: If none could.
    """
    if shown.all():
        return
    system = grid.crs.to_string() if grid.crs else "the image"
    if not shown.any():
        raise DataError(
            f"The coordinates of {layer.name} cannot be those of {layer.crs.to_string()}, the system it "
            f"states: none can be shown in {system}.",
            "Assign the right coordinate system to the layer.",
        )
    say(f"{int((~shown).sum())} features of {layer.name} cannot be shown in {system}.")


def _way_without_crs(
    layer: Placed, bounds: tuple[float, float, float, float], grid: Grid, say: Callable[[str], None]
) -> Optional[Callable[[np.ndarray], np.ndarray]]:
    if layer.crs is not None:
        say(f"The image has no coordinate system: coordinates of {layer.name} are taken as the image's own.")
    _, ymin, _, ymax = bounds
    if not is_pixel_space(grid) or ymax > 0 or ymin == 0:
        return None
    # QGIS shows an image without georeference below the x axis: rows count downwards from 0.
    say(f"{layer.name} lies below y = 0, as drawn in QGIS on an image without georeference; y is row -y.")
    return lambda geometries: shapely.transform(geometries, lambda xy: xy * (1, -1))


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
    return shapely.polygons(_corners(grid, window, shrink))


def window_bounds(grid: Grid, window: Window) -> tuple[float, float, float, float]:
    """(xmin, ymin, xmax, ymax) of ``window`` in map coordinates."""
    xs, ys = zip(*_corners(grid, window))
    return min(xs), min(ys), max(xs), max(ys)


def _corners(grid: Grid, window: Window, shrink: float = 0.0) -> list[tuple[float, float]]:
    left, top = window.col_off + shrink, window.row_off + shrink
    right, bottom = window.col_off + window.width - shrink, window.row_off + window.height - shrink
    corners = ((left, top), (right, top), (right, bottom), (left, bottom))
    return [apply(grid.transform, *corner) for corner in corners]


def outline_on(grid: Grid, crs: Optional[CRS]) -> shapely.Polygon:
    """The ground of ``grid`` in ``crs``: its outline, or a box around it in another system.

    Raises:
        DataError: If the systems have nothing to do with each other.
    """
    if grid.crs == crs or grid.crs is None or crs is None:
        return window_polygon(grid, grid.window)
    return shapely.box(*transform_box(grid.crs, crs, grid.bounds))
