"""Labels from a table: each row names an image, a box or polygon in its pixels, and a class."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Optional

import numpy as np
import pyogrio
import shapely
from pyogrio.errors import DataLayerError, DataSourceError

from ..errors import DataError
from ..imagery.grid import Grid
from .classes import ClassSchema
from .features import FeatureLabels, buffered
from .fields import DEFAULT_FIELDS, NAME_FIELDS, choose_field, class_column, described_classes, distinct_cells
from .geometry import states_crs
from .image_names import ImageNames
from .pixel_shapes import POINTS_OR_LINES, boxes_from_columns, shapes_from_texts, usable_shapes
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
_CLASS_FIELDS = (*DEFAULT_FIELDS, "label", "class", *NAME_FIELDS)


def is_table(path: str) -> bool:
    """Whether the rows of a vector file name images: then their coordinates are pixels.

    That is every table without geometries, and a layer without coordinate system that has a column
    for the image.
    """
    file, layer = split_layer_name(path)
    try:
        info = pyogrio.read_info(file, layer=layer)
    except (DataSourceError, DataLayerError, ValueError):
        return False
    named = any(str(field).strip().lower() in IMAGE_FIELDS for field in info["fields"])
    return info["geometry_type"] is None or (named and not states_crs(info.get("crs")))


class LabelTable:
    """A table of labels in image space.

    Shapes are boxes (four columns) or polygons (one column, or the geometries of the file), in
    pixels of the image: column to the right and row down from its upper left corner.

    Args:
        path: File, or ``path|layername=NAME``.
        field: Class field; None for the first usual name there is, else all rows are class 1.
        schema: Names and colours of classes, and values of named ones.
        say: Receives what the user should know.
        buffer_radius: Makes areas of points and lines; in pixels.

    Attributes:
        classes: The classes of all rows.

    Raises:
        ParameterError: If the class field does not exist.
        DataError: If columns are missing, or no row is usable.
    """

    def __init__(
        self,
        path: str,
        field: Optional[str] = None,
        schema: Optional[ClassSchema] = None,
        say: Callable[[str], None] = lambda text: None,
        buffer_radius: Optional[float] = None,
    ) -> None:
        self.name = path
        self.crs = None
        self._say = say
        self._fields, self._columns, wkb = _read(path)
        images = self._column(IMAGE_FIELDS, "names the image")
        names, places = distinct_cells(images, f"image column of {path}")
        shapes = self._shapes(wkb, buffer_radius)
        named = np.array([name is not None for name in names], dtype=bool)[places]
        if not named.all():
            say(f"{int((~named).sum())} rows of {path} without an image were left out.")
        usable = np.flatnonzero(named & ~shapely.is_missing(shapes))
        wanted = field or next((name for name in _CLASS_FIELDS if name in self._columns), None)
        chosen = choose_field(self._fields, wanted, path) if wanted else ""
        column = self._cells(chosen)[usable] if chosen else None
        assigned = class_column(column, chosen, len(usable), schema, path)
        classed = assigned.values >= 0
        if not classed.all():
            say(f"{int((~classed).sum())} rows of {path} with an empty {chosen!r} were left out.")
        usable, self._values = usable[classed], assigned.values[classed]
        if not len(usable):
            raise DataError(f"No row of {path} is a usable label.", "Check its columns and its cells.")
        self._geometries = shapes[usable]
        self._names = [str(name) for name in names]
        self._places = places[usable]
        self.classes = assigned.classes
        if chosen and schema is None:
            self.classes = described_classes(
                self.classes, self._values, self._fields, lambda name: self._cells(name)[usable], say
            )
        self._columns.clear()
        self._rows: dict[str, np.ndarray] = {}

    def _cells(self, field: str) -> np.ndarray:
        return self._columns[field.strip().lower()]

    def _column(self, names: Sequence[str], what: str) -> np.ndarray:
        found = next((self._columns[name] for name in names if name in self._columns), None)
        if found is None:
            there = f"its columns are {', '.join(self._fields)}" if self._fields else "it has no columns"
            raise DataError(
                f"The table {self.name} has no column that {what}: {there}.",
                f"Call it {names[0]}. Labels on the map need a layer with geometries.",
            )
        return found

    def _shapes(self, wkb: Optional[np.ndarray], buffer_radius: Optional[float]) -> np.ndarray:
        """The shape of each row, valid and with an area; None for rows without a usable one."""
        sides = next((names for names in BOX_FIELDS if all(name in self._columns for name in names)), None)
        if sides:
            if buffer_radius is not None:
                self._say(f"BUFFER_RADIUS is ignored: {self.name} holds boxes.")
            shapes, reasons = boxes_from_columns([self._columns[name] for name in sides])
        else:
            drawn = shapely.from_wkb(wkb, on_invalid="ignore") if wkb is not None else None
            if drawn is None or shapely.is_missing(drawn).all():
                drawn = shapes_from_texts(
                    self._column(SHAPE_FIELDS, "holds a shape, nor xmin, ymin, xmax, ymax")
                )
            elif _is_drawn_below_axis(drawn):
                self._say(
                    f"{self.name} lies below y = 0, as QGIS shows images without georeference; y is row -y."
                )
                drawn = shapely.transform(drawn, lambda xy: xy * (1, -1))
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

    def pair(self, images: Sequence[str]) -> None:
        """Find the rows of each image: by the longest common end of their paths, else by file stem.

        Raises:
            DataError: If no row names an image, or one could mean several.
        """
        known = ImageNames(images)
        image_of = [known.find(name, self.name) for name in self._names]
        numbers = {image: number for number, image in enumerate(dict.fromkeys(image_of))}
        belongs = np.array([numbers[image] for image in image_of], dtype=np.intp)[self._places]
        strangers = int((belongs == numbers.get(None, -1)).sum())
        if strangers == len(belongs):
            raise DataError(
                f"No row of {self.name} names an image of this export: the first names "
                f"{self._names[self._places[0]]!r}, the first image is {images[0]}.",
                "The image column must hold the file names of the images.",
            )
        if strangers:
            self._say(f"{strangers} rows of {self.name} name images that are not exported.")
        # Rows of one image stay in the order of the table.
        order = np.argsort(belongs, kind="stable")
        ends = np.cumsum(np.bincount(belongs, minlength=len(numbers)))
        self._rows = dict(zip(numbers, np.split(order, ends[:-1])))

    def labels_of(self, image_name: str, image: Grid) -> FeatureLabels:
        """The labels of one image.

        Args:
            image_name: As given to :meth:`pair`.
            image: Its own grid, before any extent or cell size is applied.
        """
        rows = self._rows.get(image_name, np.empty(0, dtype=np.intp))
        t = image.transform
        matrix, offset = np.array([[t.a, t.d], [t.b, t.e]]), (t.c, t.f)
        shapes = shapely.transform(self._geometries[rows], lambda pixels: pixels @ matrix + offset)
        return FeatureLabels(shapes, self._values[rows], self.classes, image.crs, self.name, self._say)


def _is_drawn_below_axis(shapes: np.ndarray) -> bool:
    """Whether no shape reaches above y = 0: where rows count downwards, as in an image, all of them do."""
    _, ymin, _, ymax = shapely.total_bounds(shapes)
    return bool(ymax <= 0 and ymin < 0)


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
