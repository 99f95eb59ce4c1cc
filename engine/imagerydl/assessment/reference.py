"""What the classes truly are: a raster, polygons or points, seen on the grid of the class raster."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Optional, Protocol

import numpy as np
import shapely
from rasterio.windows import Window

from ..errors import DataError
from ..imagery.grid import Grid
from ..imagery.source import RasterSource, open_source
from ..imagery.transforms import apply
from ..labels.classes import MAX_CLASS_VALUE, ClassEntry, ClassSchema
from ..labels.features import FeatureLabels
from ..labels.fields import OBJECT_CLASS_FIELDS, choose_field, distinct_cells
from ..labels.geometry import LayerFile, layer_on
from ..labels.rasters import place, strips
from ..labels.sampling import sample_nearest
from .confusion import class_values

Say = Callable[[str], None]

#: Side of the squares read of a reference on another lattice: few enough pixels that a map
#: projection is straight between the nodes of sample_nearest, and a row of squares fits GDAL's cache.
_SQUARE = 1024

FIELD_KEY = "GROUND_TRUTH_CLASS_VALUE_FIELD"


class Reference(Protocol):
    """Reference classes on the grid of the class raster.

    Attributes:
        name: For messages.
        names: Class names it knows, by value.
    """

    name: str
    names: Mapping[int, str]

    def windows(self) -> Iterator[Window]:
        """Windows that together cover the grid, in the order they are read fastest."""

    def read(self, window: Window) -> tuple[np.ndarray, np.ndarray]:
        """Values ``[h, w]`` and where they are known ``[h, w]``."""

    def close(self) -> None:
        """Release files."""


class RasterReference:
    """A class raster of any system and cell size; the value at each pixel's centre counts.

    Raises:
        DataError: If it has several bands, or cannot be laid over the grid.
    """

    def __init__(self, path: str, grid: Grid, grid_name: str, say: Say) -> None:
        self._source: RasterSource = open_source(path)
        if self._source.count != 1:
            self._source.close()
            raise DataError(
                f"The reference raster {path} has {self._source.count} bands.",
                "Give a raster of one band of class values.",
            )
        self._grid, self._placed = grid, place(self._source, grid, grid_name, say)
        self.name = self._source.name
        self.names = dict(self._source.categories or {})

    def windows(self) -> Iterator[Window]:
        if self._placed.offset_of(self._grid) is not None:
            yield from strips(self._grid)
            return
        for top in range(0, self._grid.height, _SQUARE):
            for left in range(0, self._grid.width, _SQUARE):
                width = min(_SQUARE, self._grid.width - left)
                yield Window(left, top, width, min(_SQUARE, self._grid.height - top))

    def read(self, window: Window) -> tuple[np.ndarray, np.ndarray]:
        data, valid = sample_nearest(self._source, self._placed, self._grid, window)
        return data[0], valid

    def close(self) -> None:
        self._source.close()


class PolygonReference:
    """Polygons with a class; pixels whose centre they cover are known. Later ones cover earlier ones."""

    def __init__(self, layer: Vectors, grid: Grid, say: Say) -> None:
        areal = shapely.get_dimensions(layer.geometries) == 2
        self.name, self.names = layer.file.name, layer.names
        distinct, numbers = np.unique(layer.values[areal], return_inverse=True)
        # 0 is where no polygon lies: a class may have the value 0.
        self._lookup = np.concatenate([[0], distinct]).astype(np.uint16)
        schema = ClassSchema(ClassEntry(n, str(n)) for n in range(1, len(distinct) + 1))
        self._labels = FeatureLabels(
            layer.geometries[areal], (numbers + 1).astype(np.int32), schema, layer.file.crs, self.name, say
        )
        self._grid = grid

    def windows(self) -> Iterator[Window]:
        return strips(self._grid)

    def read(self, window: Window) -> tuple[np.ndarray, np.ndarray]:
        numbers = self._labels.rasterise(self._grid, window)
        return self._lookup[numbers], numbers > 0

    def close(self) -> None:
        """Nothing stays open."""


class Vectors:
    """A vector layer with the class of each feature.

    Args:
        path: ``file`` or ``file|layername=NAME``.
        field: Class field; None for the usual ones.
        known: Class names of the class raster by value: a reference may name classes.
        say: Receives what the user should know.

    Attributes:
        file: The layer.
        geometries: Usable geometries ``[n]``.
        values: Class value of each ``[n]``.
        names: Names by value where the field holds names.

    Raises:
        ParameterError: If the field does not exist.
        DataError: If there is no class field, or a class the raster does not know.
    """

    def __init__(self, path: str, field: Optional[str], known: Mapping[int, str], say: Say) -> None:
        self.file = LayerFile(path, "reference layer")
        chosen = choose_field(self.file.fields, field, self.file.name, OBJECT_CLASS_FIELDS, FIELD_KEY)
        if not chosen:
            raise DataError(
                f"{self.file.name} has no field of classes; its fields are {', '.join(self.file.fields)}.",
                f"Name the field with the class in {FIELD_KEY}.",
            )
        geometries = np.concatenate(list(self.file.geometries()))
        for note in self.file.notes:
            say(note)
        cells, places = distinct_cells(self.file.read_field(chosen), f"field {chosen!r} of {self.file.name}")
        numbers, self.names = _numbers(cells, known, f"field {chosen!r} of {self.file.name}")
        values = np.array(numbers, dtype=np.int64)[places]
        if (values < 0).any():
            say(f"{int((values < 0).sum())} features of {self.file.name} without a class were left out.")
        self.geometries, self.values = geometries[values >= 0], values[values >= 0]
        if not len(self.values):
            raise DataError(f"No feature of {self.file.name} has a class.", "Fill the field in.")

    @property
    def has_areas(self) -> bool:
        """Whether there are polygons."""
        return bool((shapely.get_dimensions(self.geometries) == 2).any())

    def points(self, grid: Grid, say: Say) -> tuple[np.ndarray, np.ndarray]:
        """Pixel positions ``[n, 2]`` (column, row) of the points on ``grid``, and their class values ``[n]``.

        Each point of a multipoint counts by itself; points outside the grid are left out.

        Raises:
            DataError: If there are lines, or no point lies on the grid.
        """
        if (shapely.get_dimensions(self.geometries) != 0).any():
            raise DataError(f"{self.file.name} holds lines.", "Give polygons or points.")
        moved = layer_on(self.file, self.geometries, grid, say)
        xy, owner = shapely.get_coordinates(moved, return_index=True)
        columns, rows = (np.floor(axis) for axis in apply(~grid.transform, *xy.T))
        inside = (columns >= 0) & (columns < grid.width) & (rows >= 0) & (rows < grid.height)
        if not inside.any():
            raise DataError(
                f"No point of {self.file.name} lies on the class raster.",
                "Give points inside it, and check the coordinate systems.",
            )
        if not inside.all():
            say(f"{int((~inside).sum())} points of {self.file.name} lie outside the class raster.")
        return np.column_stack([columns, rows])[inside].astype(np.int64), self.values[owner[inside]]


def _numbers(
    cells: Sequence[object], known: Mapping[int, str], where: str
) -> tuple[list[int], dict[int, str]]:
    """Class value of each cell, -1 for an empty one; and the names of classes where cells are names."""
    try:
        floats = [-1.0 if cell is None else float(cell) for cell in cells]
    except (TypeError, ValueError):
        by_name = {name.strip().lower(): value for value, name in known.items()}
        unknown = sorted(str(cell) for cell in cells if cell is not None and str(cell).lower() not in by_name)
        if unknown:
            there = ", ".join(known.values()) or "no names"
            raise DataError(
                f"The class raster has no class {', '.join(unknown[:10])}, which occurs in {where}; "
                f"it knows {there}.",
                "Name a field of class values, or give the raster an attribute table with these names.",
            ) from None
        return [-1 if cell is None else by_name[str(cell).lower()] for cell in cells], dict(known)
    for number, cell in zip(floats, cells):
        if cell is not None and not (0 <= number <= MAX_CLASS_VALUE and number == int(number)):
            raise DataError(
                f"{number:g} in {where} cannot be a class value.",
                f"Class values are whole numbers from 0 to {MAX_CLASS_VALUE}.",
            )
    return [int(number) for number in floats], {}


def values_at(source: RasterSource, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Class values of ``source`` at pixels ``[n, 2]`` (column, row), and which are valid."""
    values = np.zeros(len(pixels), dtype=np.uint16)
    valid = np.zeros(len(pixels), dtype=bool)
    squares = pixels // _SQUARE
    order = np.lexsort((squares[:, 0], squares[:, 1]))
    ends = np.flatnonzero((np.diff(squares[order], axis=0) != 0).any(axis=1)) + 1
    for members in np.split(order, ends):
        low, high = pixels[members].min(axis=0).tolist(), pixels[members].max(axis=0).tolist()
        window = Window(low[0], low[1], high[0] - low[0] + 1, high[1] - low[1] + 1)
        data, known = source.read(window, border="zero")
        at = pixels[members, 1] - low[1], pixels[members, 0] - low[0]
        valid[members] = known[at]
        here = members[known[at]]
        values[here] = class_values(data[0][at][known[at]], source.name)
    return values, valid
