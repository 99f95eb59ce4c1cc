"""The layer of detected objects."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Optional

import numpy as np
import shapely
from rasterio.crs import CRS

from ...imagery.layer_style import save_layer_style
from ...imagery.vector_parts import GEOPACKAGE, VectorParts
from ...labels.classes import ClassSchema
from .found import Objects
from .placing import Placement
from .style import object_style

LAYER = "objects"

#: Fields beside those the user names.
CLASS_NAME, IMAGE, MODEL = "ClassName", "Image", "Model"


class ObjectLayer:
    """Objects on their way into a vector file; a context manager.

    Args:
        path: File to write, which appears with the last object.
        classes: Classes of the model, in its order.
        model: What to call the model.
        crs: System of the layer.
        class_field: Name of the field with the class value.
        confidence_field: Name of the field with the confidence, 0 to 100.

    Attributes:
        count: Objects added.
        crs: System of the layer.
    """

    def __init__(
        self,
        path: Path,
        classes: ClassSchema,
        model: str,
        crs: Optional[CRS],
        class_field: str,
        confidence_field: str,
    ) -> None:
        self._path, self._classes, self._model = path, classes, model
        self._fields = (class_field, confidence_field)
        self._values = np.array(classes.values, dtype=np.int32)
        self._names = np.array([*(entry.name for entry in classes), ""], dtype=object)[:-1]
        texts = np.empty(0, dtype=object)
        self._parts = VectorParts(
            path,
            LAYER,
            {
                class_field: np.empty(0, np.int32),
                CLASS_NAME: texts,
                confidence_field: np.empty(0, np.float64),
                IMAGE: texts,
                MODEL: texts,
            },
            "MultiPolygon",
            crs.to_wkt() if crs else None,
        )
        self.count, self.crs = 0, crs

    def __enter__(self) -> ObjectLayer:
        self._parts.__enter__()
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self._parts.__exit__(kind, error, trace)
        if kind is None and self._path.suffix.lower() == GEOPACKAGE:
            class_field, confidence = self._fields
            label = f"round(\"{confidence}\") || ' %'"
            save_layer_style(
                self._path,
                LAYER,
                "objects",
                object_style(self._classes, class_field, label),
                "Objects by class, with their confidence",
            )

    def add(self, objects: Objects, placement: Placement, image: str) -> None:
        """Add objects of an image."""
        class_field, confidence = self._fields
        count = len(objects)
        # Six digits are more than a network's confidence has, and read better than sixteen.
        sure = np.round(np.minimum(objects.scores.astype(np.float64), 1.0) * 100, 4)
        self._parts.add(
            _polygons(placement.place(objects.shapes)),
            {
                class_field: self._values[objects.classes],
                CLASS_NAME: self._names[objects.classes],
                confidence: sure,
                IMAGE: _texts(image, count),
                MODEL: _texts(self._model, count),
            },
        )
        self.count += count


def _polygons(shapes: np.ndarray) -> np.ndarray:
    """Shapes as the polygons that are in them: joining may leave lines where two only touch."""
    kinds = shapely.get_type_id(shapes)
    if (kinds == shapely.GeometryType.GEOMETRYCOLLECTION).any():
        shapes = shapes.copy()
        for place in np.flatnonzero(kinds == shapely.GeometryType.GEOMETRYCOLLECTION):
            parts: Iterable[shapely.Geometry] = shapely.get_parts(shapes[place])
            shapes[place] = shapely.union_all([part for part in parts if shapely.get_dimensions(part) == 2])
    return shapes


def _texts(text: str, count: int) -> np.ndarray:
    return np.full(count, text, dtype=object)
