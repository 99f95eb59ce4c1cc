"""Rows of a table that name their image: a box or a polygon in its pixels, and further cells."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Optional

import numpy as np
import pyogrio
import shapely
from pyogrio.errors import DataLayerError, DataSourceError

from ..errors import DataError
from .buffering import buffered
from .fields import distinct_cells
from .geometry import states_crs
from .pixel_shapes import (
    POINTS_OR_LINES,
    boxes_from_columns,
    rows_downwards,
    shapes_from_texts,
    usable_shapes,
)
from .source import split_layer_name

#: Columns by meaning, in any letter case; the first one there is counts.
IMAGE_FIELDS = (
    *("image", "imagename", "image_name", "image_path", "imagepath"),
    *("filename", "file_name", "file", "path", "chip"),
)
BOX_FIELDS = (
    ("xmin", "ymin", "xmax", "ymax"),
    ("x_min", "y_min", "x_max", "y_max"),
    ("minx", "miny", "maxx", "maxy"),
    ("left", "top", "right", "bottom"),
)
SHAPE_FIELDS = ("wkt", "geometry", "polygon", "shape", "segmentation", "geom")


def is_table(path: str) -> bool:
    """Whether the rows of a vector file name images: then their coordinates are pixels.

    That is every table without geometries, and a layer without coordinate system that has a column
    for the image.
    """
    info = _about(path)
    named = any(str(field).strip().lower() in IMAGE_FIELDS for field in info.get("fields", ()))
    return is_bare_table(path) or (named and not states_crs(info.get("crs")))


def is_bare_table(path: str) -> bool:
    """Whether a vector file holds rows without geometries."""
    info = _about(path)
    return bool(info) and info["geometry_type"] is None


def _about(path: str) -> dict[str, Any]:
    """What a vector file says of itself; empty where it is none."""
    file, layer = split_layer_name(path)
    try:
        return pyogrio.read_info(file, layer=layer)
    except (DataSourceError, DataLayerError, ValueError):
        return {}


class ImageTable:
    """The rows of a table in image space.

    Shapes are boxes (four columns) or polygons (one column, or the geometries of the file), in
    pixels of the image: column to the right and row down from its upper left corner. Geometries may
    lie where QGIS shows such an image, row ``r`` at y = -r.

    Args:
        path: File, or ``path|layername=NAME``.
        say: Receives what the user should know.
        buffer_radius: Makes areas of points and lines; in pixels.

    Attributes:
        name: The table, for messages.
        fields: Names of its columns.
        columns: Cells ``[rows]`` by the column's name in lower case.
        shapes: Of each row, valid and with an area; None for rows without a usable one ``[rows]``.

    Raises:
        DataError: If it cannot be read, or columns are missing.
    """

    def __init__(
        self,
        path: str,
        say: Callable[[str], None] = lambda text: None,
        buffer_radius: Optional[float] = None,
    ) -> None:
        self.name = path
        self._say = say
        self.fields, self.columns, wkb = _read(path)
        images = self._column(IMAGE_FIELDS, "names the image")
        self._images, self._places = distinct_cells(images, f"image column of {path}")
        self.shapes = self._shapes(wkb, buffer_radius)

    def cells(self, field: str) -> np.ndarray:
        """The cells of a column, whose name may be in any letter case."""
        return self.columns[field.strip().lower()]

    def usable(self) -> np.ndarray:
        """Positions of the rows with an image and a shape; says how many have no image."""
        named = np.array([name is not None for name in self._images], dtype=bool)[self._places]
        if not named.all():
            self._say(f"{int((~named).sum())} rows of {self.name} without an image were left out.")
        return np.flatnonzero(named & ~shapely.is_missing(self.shapes))

    def images_of(self, rows: np.ndarray) -> tuple[list[str], np.ndarray]:
        """Names of the images, and the position among them of the image of each of ``rows``."""
        return [str(name) for name in self._images], self._places[rows]

    def _column(self, names: Sequence[str], what: str) -> np.ndarray:
        found = next((self.columns[name] for name in names if name in self.columns), None)
        if found is None:
            there = f"its columns are {', '.join(self.fields)}" if self.fields else "it has no columns"
            raise DataError(
                f"The table {self.name} has no column that {what}: {there}.",
                f"Call it {names[0]}. Labels on the map need a layer with geometries.",
            )
        return found

    def _shapes(self, wkb: Optional[np.ndarray], buffer_radius: Optional[float]) -> np.ndarray:
        """The shape of each row, valid and with an area; None for rows without a usable one."""
        sides = next((names for names in BOX_FIELDS if all(name in self.columns for name in names)), None)
        if sides:
            if buffer_radius is not None:
                self._say(f"BUFFER_RADIUS is ignored: {self.name} holds boxes.")
            shapes, reasons = boxes_from_columns([self.columns[name] for name in sides])
        else:
            drawn = None
            if wkb is not None:
                drawn = rows_downwards(shapely.from_wkb(wkb, on_invalid="ignore"))
            if drawn is None or shapely.is_missing(drawn).all():
                drawn = shapes_from_texts(
                    self._column(SHAPE_FIELDS, "holds a shape, nor xmin, ymin, xmax, ymax")
                )
            drawn = shapely.force_2d(drawn)
            if buffer_radius is not None:
                drawn = buffered(drawn, buffer_radius)
            shapes, reasons = usable_shapes(drawn)
        for reason, count in reasons.items():
            if count:
                self._say(f"{count} rows of {self.name} with {reason} were left out.")
        if len(shapes) and reasons.get(POINTS_OR_LINES) == len(shapes):
            raise DataError(
                f"{self.name} holds points or lines, which have no area.",
                "Set BUFFER_RADIUS to make areas of them, in pixels.",
            )
        return shapes


def _read(path: str) -> tuple[tuple[str, ...], dict[str, np.ndarray], Optional[np.ndarray]]:
    """Names of the columns, the columns by their names in lower case, and geometries as WKB."""
    file, layer = split_layer_name(path)
    try:
        meta, _, wkb, cells = pyogrio.raw.read(file, layer=layer)
    except (DataSourceError, DataLayerError, ValueError) as error:
        raise DataError(f"The label table {path} cannot be read ({error}).", "Give another file.") from error
    fields = tuple(str(name) for name in meta["fields"])
    columns: dict[str, np.ndarray] = {}
    for field, column in zip(fields, cells):
        columns.setdefault(field.strip().lower(), column)
    return fields, columns, wkb
