"""The objects that a raster function finds in a block: ``vectorize``."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Optional

import numpy as np
import shapely

from ...errors import ModelError
from ...labels.classes import ClassSchema
from ..runtimes.detection import Detections

#: Attributes that tell the class, in lower case: by name, by value, and by name or 1-based position.
_NAMES, _VALUES, _CLASS = ("classname", "class_name", "label"), ("classvalue", "value"), "class"

_CONFIDENCES = ("confidence", "score", "conf", "probability")


class VectorReader:
    """Reads what ``vectorize`` gives.

    Args:
        name: File name of the function, for messages.
        classes: Classes of the definition, in its order.
    """

    def __init__(self, name: str, classes: ClassSchema) -> None:
        self._name = name
        self._positions = {entry.name.lower(): place for place, entry in enumerate(classes)}
        self._by_value = {entry.value: place for place, entry in enumerate(classes)}
        self._count = len(classes)

    def read(self, answer: Any, margin: int) -> Detections:
        """The objects of a block.

        Rings are in pixels of the block without its padding; confidences up to 1 are shares, others percent.

        Args:
            answer: What ``vectorize`` gave.
            margin: Pixels of padding on every side.

        Returns:
            Objects in pixels of the block with its padding.

        Raises:
            ModelError: If it cannot be read.
        """
        found = [self._object(feature, margin) for feature in self._features(answer)]
        found = [one for one in found if one is not None]
        if not found:
            return Detections.none()
        shapes = np.empty(len(found), dtype=object)
        shapes[:] = [shape for shape, _, _ in found]
        return Detections(
            shapely.bounds(shapes).reshape(-1, 4).astype(np.float32),
            np.array([score for _, score, _ in found], dtype=np.float32),
            np.array([position for _, _, position in found], dtype=np.int64),
            shapes,
        )

    def records(self, answer: Any) -> list[dict[str, Any]]:
        """The attributes of the features, keys in lower case."""
        return [_lower(feature.get("attributes")) for feature in self._features(answer)]

    def _features(self, answer: Any) -> list[Mapping[str, Any]]:
        vectors = answer.get("output_vectors") if isinstance(answer, Mapping) else None
        try:
            content = json.loads(vectors) if isinstance(vectors, (str, bytes)) else vectors
            features = content["features"]
            if not all(isinstance(feature, Mapping) for feature in features):
                raise TypeError("features must be objects")
            return list(features)
        except (ValueError, TypeError, KeyError) as error:
            raise ModelError(
                f"vectorize of {self._name} gives no usable output_vectors ({error!r}).",
                'It must give {"output_vectors": text of a JSON feature set}.',
            ) from error

    def _object(self, feature: Mapping[str, Any], margin: int) -> Optional[tuple[Any, float, int]]:
        shape = self._shape(feature.get("geometry"), margin)
        if shape is None:
            return None
        record = _lower(feature.get("attributes"))
        return shape, self.confidence(record), self.position(record)

    def _shape(self, geometry: Any, margin: int) -> Optional[shapely.Geometry]:
        rings = geometry.get("rings") if isinstance(geometry, Mapping) else None
        if not rings:
            return None
        try:
            parts = [np.asarray(ring, dtype=np.float64)[:, :2] for ring in rings]
        except (TypeError, ValueError, IndexError) as error:
            raise ModelError(
                f"vectorize of {self._name} gives rings that cannot be read ({error}).",
                "A ring is a list of points [x, y].",
            ) from error
        parts = [part for part in parts if len(part) >= 3 and np.isfinite(part).all()]
        result = shapely.Polygon()
        for part in parts:
            # Rings within others are holes; Esri's order of points tells the same.
            polygon = shapely.make_valid(shapely.Polygon(part + margin))
            result = polygon if result.is_empty else shapely.symmetric_difference(result, polygon)
        return result if shapely.area(result) > 0 else None

    def confidence(self, record: Mapping[str, Any]) -> float:
        """Confidence of a record, 0 to 1; 1 where the function gives none."""
        text = next((record[key] for key in _CONFIDENCES if record.get(key) not in (None, "")), 100)
        try:
            value = float(text)
        except (TypeError, ValueError):
            value = -1.0
        if not 0 <= value <= 100.01:
            raise ModelError(
                f"vectorize of {self._name} gives the confidence {text!r}.", "Give a number from 0 to 100."
            )
        return value if value <= 1 else min(value / 100, 1.0)

    def position(self, record: Mapping[str, Any]) -> int:
        """Position of a record's class in the definition's list."""
        for key in (*_NAMES, _CLASS):
            name = str(record.get(key, "")).strip().lower()
            if name in self._positions:
                return self._positions[name]
        for key in _VALUES:
            value = _whole(record.get(key))
            if value in self._by_value:
                return self._by_value[value]
        number = _whole(record.get(_CLASS))
        if number is not None and 1 <= number <= self._count:
            return number - 1
        if self._count == 1 and not any(key in record for key in (*_NAMES, _CLASS, *_VALUES)):
            return 0
        raise ModelError(
            f"vectorize of {self._name} gives an object of no class of the definition ({dict(record)}).",
            "Class is a name of Classes, or a position in it counted from 1; Classvalue is a Value.",
        )


def _lower(attributes: Any) -> dict[str, Any]:
    return {str(k).lower(): v for k, v in attributes.items()} if isinstance(attributes, Mapping) else {}


def _whole(value: Any) -> Optional[int]:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return int(number) if number == int(number) else None


def block_of(
    raster: str, is_list: bool, chips: Sequence[np.ndarray], masks: Sequence[np.ndarray]
) -> dict[str, Any]:
    """Chips as a function takes them: tuples of pixels ``[bands, h, w]`` and masks, one a chip.

    A function with one raster for a parameter gets them under that name, too: a template is known to read
    them there.
    """
    own = tuple(np.array(chip, order="C") for chip in chips)
    valid = tuple(np.repeat(mask[None].astype(np.uint8), len(chip), axis=0) for chip, mask in zip(own, masks))
    names = {raster} if is_list else {raster, "rasters"}
    return {key: part for name in names for key, part in ((f"{name}_pixels", own), (f"{name}_mask", valid))}
