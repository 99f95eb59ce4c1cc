"""Labels from a table: each row names an image, a box or polygon in its pixels, and a class."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Optional

import numpy as np
import shapely

from ..errors import DataError
from ..imagery.grid import Grid
from .classes import ClassSchema
from .features import FeatureLabels
from .fields import DEFAULT_FIELDS, NAME_FIELDS, choose_field, class_column, described_classes
from .image_names import ImageNames
from .image_table import ImageTable

_CLASS_FIELDS = (*DEFAULT_FIELDS, "label", "class", *NAME_FIELDS)


class LabelTable:
    """The labels of many images in one table (see :class:`.image_table.ImageTable`).

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
        table = ImageTable(path, say, buffer_radius)
        usable = table.usable()
        wanted = field or next((name for name in _CLASS_FIELDS if name in table.columns), None)
        chosen = choose_field(table.fields, wanted, path) if wanted else ""
        column = table.cells(chosen)[usable] if chosen else None
        assigned = class_column(column, chosen, len(usable), schema, path)
        classed = assigned.values >= 0
        if not classed.all():
            say(f"{int((~classed).sum())} rows of {path} with an empty {chosen!r} were left out.")
        usable, self._values = usable[classed], assigned.values[classed]
        if not len(usable):
            raise DataError(f"No row of {path} is a usable label.", "Check its columns and its cells.")
        self._geometries = table.shapes[usable]
        self._names, self._places = table.images_of(usable)
        self.classes = assigned.classes
        if chosen and schema is None:
            self.classes = described_classes(
                self.classes, self._values, table.fields, lambda name: table.cells(name)[usable], say
            )
        self._rows: dict[str, np.ndarray] = {}

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
