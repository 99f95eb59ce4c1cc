"""Labels from a table: each row names an image, a box or polygon in its pixels, and a class."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from pathlib import PurePosixPath
from typing import Any, Optional

import numpy as np
import pyogrio
import shapely
from pyogrio.errors import DataLayerError, DataSourceError

from ..errors import DataError
from ..imagery.grid import Grid
from .classes import ClassSchema
from .features import FeatureLabels
from .fields import DEFAULT_FIELDS, NAME_FIELDS, choose_field, class_column, described_classes
from .geometry import Layer, is_pixel_space
from .repair import repaired
from .source import split_layer_name

#: Columns by meaning, in any letter case.
IMAGE_FIELDS = ("image", "imagename", "image_name", "image_path", "filename", "file_name", "file", "path", "chip")
BOX_FIELDS = (
    ("xmin", "ymin", "xmax", "ymax"),
    ("minx", "miny", "maxx", "maxy"),
    ("x_min", "y_min", "x_max", "y_max"),
    ("left", "top", "right", "bottom"),
)
SHAPE_FIELDS = ("wkt", "geometry", "polygon", "shape", "segmentation", "geom")
_CLASS_FIELDS = (*DEFAULT_FIELDS, "label", "class", *NAME_FIELDS)

_NUMBER = re.compile(r"[-+]?\d*\.?\d+(?:[eE][-+]?\d+)?")


def is_table(path: str) -> bool:
    """Whether a vector file is a table whose rows name images: their coordinates are pixels."""
    file, layer = split_layer_name(path)
    try:
        info = pyogrio.read_info(file, layer=layer)
    except (DataSourceError, DataLayerError, ValueError):
        return False
    fields = [str(field).lower() for field in info["fields"]]
    named = any(name in fields for name in IMAGE_FIELDS)
    return info["geometry_type"] is None or (named and not info.get("crs"))


class LabelTable:
    """A table of labels in image space.

    Args:
        path: File, or ``path|layername=NAME``.
        field: Class field; None for the first usual name there is.
        schema: Names and colours of classes, and values of named ones.
        say: Receives what the user should know.

    Raises:
        DataError: If columns are missing, or no row is usable.
    """

    def __init__(
        self,
        path: str,
        field: Optional[str] = None,
        schema: Optional[ClassSchema] = None,
        say: Callable[[str], None] = lambda text: None,
    ) -> None:
        self._say = say
        self.name = path
        file, layer = split_layer_name(path)
        try:
            meta, _, wkb, columns = pyogrio.raw.read(file, layer=layer)
        except (DataSourceError, DataLayerError, ValueError) as error:
            raise DataError(f"The label table {path} cannot be read ({error}).", "Give another file.") from error
        self._fields = tuple(str(name) for name in meta["fields"])
        self._columns = dict(zip((name.lower() for name in self._fields), columns))
        images = self._column(IMAGE_FIELDS, "names the image")
        shapes = self._shapes(wkb, len(images))
        usable = self._usable(images, shapes)
        self._images = np.array([str(image) for image in images[usable]], dtype=object)
        self._shapes_in_pixels = repaired(shapes[usable])
        wanted = field or next((name for name in _CLASS_FIELDS if name in self._columns), None)
        chosen = choose_field(self._fields, wanted, path) if wanted else ""
        column = self._columns[chosen.lower()][usable] if chosen else None
        assigned = class_column(column, chosen, int(usable.sum()), schema, path)
        keep = assigned.values >= 0
        self._images, self._shapes_in_pixels = self._images[keep], self._shapes_in_pixels[keep]
        self._values = assigned.values[keep]
        if not keep.all():
            say(f"{int((~keep).sum())} rows of {path} with an empty {chosen!r} were left out.")
        if not len(self._values):
            raise DataError(f"No row of {path} is a usable label.", "Check its columns.")
        self.classes = assigned.classes
        if column is not None and schema is None:
            self.classes = described_classes(
                assigned.classes, self._values, self._fields, lambda name: self._columns[name.lower()][usable][keep]
            )
        self._rows: dict[str, np.ndarray] = {}

    def _column(self, names: Sequence[str], what: str) -> np.ndarray:
        found = next((self._columns[name] for name in names if name in self._columns), None)
        if found is None:
            raise DataError(
                f"The table {self.name} has no column that {what}: it has {', '.join(self._fields)}.",
                f"Call it {names[0]}. A layer of labels on the map needs geometries.",
            )
        return found

    def _shapes(self, wkb: Optional[np.ndarray], count: int) -> np.ndarray:
        """Geometries in pixels ``[rows]``; None where a row has none."""
        for names in BOX_FIELDS:
            if all(name in self._columns for name in names):
                return _boxes([_floats(self._columns[name]) for name in names])
        shapes = shapely.from_wkb(wkb, on_invalid="ignore") if wkb is not None else np.full(count, None, object)
        if not shapely.is_missing(shapes).all():
            return shapely.force_2d(shapes)
        cells = self._column(SHAPE_FIELDS, f"holds a shape (or {', '.join(BOX_FIELDS[0])})")
        return np.array([_shape(cell) for cell in cells], dtype=object)

    def _usable(self, images: np.ndarray, shapes: np.ndarray) -> np.ndarray:
        named = np.array([bool(str(image or "").strip()) for image in images], dtype=bool)
        drawn = ~(shapely.is_missing(shapes) | shapely.is_empty(shapes))
        reasons = Counter(
            {"without an image": int((~named).sum()), "without a usable box or polygon": int((named & ~drawn).sum())}
        )
        for reason, count in reasons.items():
            if count:
                self._say(f"{count} rows of {self.name} {reason} were left out.")
        return named & drawn

    def pair(self, images: Sequence[str]) -> None:
        """Find the rows of each image: by the longest common end of their paths, else by file stem.

        Raises:
            DataError: If no row names an image, or one could mean several.
        """
        by_name: dict[str, list[str]] = defaultdict(list)
        for image in images:
            for key in {_parts(image)[-1], PurePosixPath(_parts(image)[-1]).stem}:
                by_name[key].append(image)
        rows: dict[str, list[int]] = defaultdict(list)
        strangers = 0
        chosen: dict[str, Optional[str]] = {}
        for row, named in enumerate(self._images):
            if named not in chosen:
                chosen[named] = self._match(named, by_name)
            if chosen[named] is None:
                strangers += 1
            else:
                rows[chosen[named]].append(row)
        if not rows:
            raise DataError(
                f"No row of {self.name} names an image of this export; the first one names "
                f"{self._images[0]!r}, the first image is {images[0]}.",
                "The image column must hold the file names of the images.",
            )
        if strangers:
            self._say(f"{strangers} rows of {self.name} name images that are not exported.")
        self._rows = {image: np.array(numbers) for image, numbers in rows.items()}

    def _match(self, named: str, by_name: dict[str, list[str]]) -> Optional[str]:
        parts = _parts(named)
        candidates = by_name.get(parts[-1]) or by_name.get(PurePosixPath(parts[-1]).stem) or []
        agreement = [_common_end(parts, _parts(image)) for image in candidates]
        best = [image for image, length in zip(candidates, agreement) if length == max(agreement)]
        if len(best) > 1:
            raise DataError(
                f"{named!r} in {self.name} could be {best[0]} or {best[1]}.",
                "Write enough of the path into the image column to tell them apart.",
            )
        return best[0] if best else None

    def labels_of(self, image_name: str, image: Grid) -> FeatureLabels:
        """The labels of one image.

        Args:
            image_name: As given to :meth:`pair`.
            image: Its own grid.
        """
        rows = self._rows.get(image_name, np.empty(0, int))
        shapes = self._shapes_in_pixels[rows]
        if not is_pixel_space(image):
            t = image.transform
            matrix, offset = np.array([[t.a, t.d], [t.b, t.e]]), (t.c, t.f)
            shapes = shapely.transform(shapes, lambda pixels: pixels @ matrix + offset)
        layer = Layer(self.name, None, self.name, self._fields, image.crs, shapes, np.ones(len(rows), bool))
        return FeatureLabels(layer, shapes, self._values[rows], self.classes, self._say)


def _parts(path: str) -> list[str]:
    return str(path).replace("\\", "/").lower().rstrip("/").split("/")


def _common_end(one: Sequence[str], other: Sequence[str]) -> int:
    length = 0
    for a, b in zip(reversed(one), reversed(other)):
        if a != b:
            break
        length += 1
    return length


def _floats(cells: np.ndarray) -> np.ndarray:
    """Cells as numbers, NaN where they are none."""

    def number(cell: Any) -> float:
        try:
            return float(cell)
        except (TypeError, ValueError):
            return float("nan")

    return cells.astype(float) if cells.dtype.kind in "iuf" else np.array([number(cell) for cell in cells])


def _boxes(sides: Sequence[np.ndarray]) -> np.ndarray:
    """Boxes as polygons; None for reversed, flat and unreadable ones."""
    xmin, ymin, xmax, ymax = sides
    with np.errstate(invalid="ignore"):
        good = (xmax > xmin) & (ymax > ymin)  # False for NaN
    result = np.full(len(xmin), None, dtype=object)
    result[good] = shapely.box(xmin[good], ymin[good], xmax[good], ymax[good])
    return result


def _shape(cell: Any) -> Optional[shapely.Geometry]:
    """A polygon written as WKT, as Esri JSON with rings, or as a list of x and y; None for anything else."""
    text = str(cell or "").strip()
    try:
        if text.startswith("{"):
            rings = json.loads(text).get("rings") or []
            parts = [shapely.Polygon(ring) for ring in rings]
            # Esri winds holes the other way than outlines; what lies inside an odd number counts.
            result = parts[0] if parts else None
            for part in parts[1:]:
                result = result.symmetric_difference(part)
        elif text[:1].isalpha():
            result = shapely.from_wkt(text)
        else:
            numbers = [float(number) for number in _NUMBER.findall(text)]
            result = shapely.Polygon(np.reshape(numbers, (-1, 2)))
    except (shapely.errors.ShapelyError, ValueError, TypeError, AttributeError):
        return None
    return result if result is not None and not result.is_empty and result.area > 0 else None
