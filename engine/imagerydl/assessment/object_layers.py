"""Detections and ground truth, read so that they can be compared: one system, one list of classes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Optional

import numpy as np
import shapely
from rasterio.crs import CRS

from ..errors import DataError
from ..labels.confidence import DEFAULT_FIELDS as CONFIDENCE_FIELDS
from ..labels.confidence import confidences
from ..labels.fields import OBJECT_CLASS_FIELDS, choose_field, distinct_cells
from ..labels.geometry import LayerFile, read_layer, transformed
from ..labels.image_names import ImageNames
from ..labels.image_space import image_field, image_names, laid_apart
from ..labels.image_table import ImageTable, is_bare_table
from ..labels.overlap import Polygons
from ..labels.pixel_shapes import mirrored

Say = Callable[[str], None]

#: Classes listed in a message.
_LISTED = 10


@dataclass(frozen=True)
class Objects:
    """Polygons with their classes.

    Attributes:
        name: The layer, for messages.
        crs: None where it does not say.
        geometries: Valid polygons ``[n]``.
        ids: Numbers of the features ``[n]``.
        classes: Class of each ``[n]`` as text (see :func:`class_text`); None where all are one class.
        confidences: Of each ``[n]``; None where the layer has none.
        images: Name of the image of each ``[n]``, where objects of different images are told apart.
    """

    name: str
    crs: Optional[CRS]
    geometries: np.ndarray
    ids: np.ndarray
    classes: Optional[np.ndarray]
    confidences: Optional[np.ndarray] = None
    images: Optional[np.ndarray] = None

    def __len__(self) -> int:
        return len(self.geometries)

    def select(self, which: np.ndarray) -> Objects:
        """Those that a bool mask ``[n]`` names."""
        if which.all():
            return self
        columns = {"classes": self.classes, "confidences": self.confidences, "images": self.images}
        kept = {name: None if column is None else column[which] for name, column in columns.items()}
        return replace(self, geometries=self.geometries[which], ids=self.ids[which], **kept)


def class_text(cell: Any) -> str:
    """A cell as the text classes are compared by: the number 1, 1.0 and the text "1" are one class."""
    if cell is None:
        return ""
    try:
        number = float(cell)
    except (TypeError, ValueError):
        return str(cell)
    return str(int(number)) if number == int(number) else repr(number)


@dataclass(frozen=True)
class Fields:
    """Fields of a layer that the user named, and the parameters that name them; None for the usual ones."""

    classes: Optional[str]
    class_key: str
    images: Optional[str]
    image_key: str


def read_truth(path: str, fields: Fields, say: Say = lambda text: None) -> Objects:
    """The true objects: a layer of polygons, or a label table as Export Training Data takes it.

    Args:
        path: ``file`` or ``file|layername=NAME``.
        fields: Fields that the user named.
        say: Receives what was repaired or left out.

    Raises:
        DataError: If it cannot be read, or holds no usable object.
        ParameterError: If a field does not exist.
    """
    if not is_bare_table(path):
        return _read_layer(path, "ground truth", fields, say)[0]
    table = ImageTable(path, say)
    rows = table.usable()
    if not len(rows):
        raise DataError(f"No row of {path} is a usable object.", "Check its columns and its cells.")
    names, places = table.images_of(rows)
    field = choose_field(table.fields, fields.classes, path, OBJECT_CLASS_FIELDS, fields.class_key)
    classes = _classes(table.cells(field)[rows], field, path) if field else None
    # Where QGIS shows the image, and Detect Objects writes what it finds.
    shapes = mirrored(table.shapes[rows])
    images = np.array([*names, ""], dtype=object)[places]
    truth = Objects(path, None, shapes, rows + 1, classes, images=images)
    return truth if classes is None else truth.select(classes != "")


def _read_layer(path: str, what: str, fields: Fields, say: Say) -> tuple[Objects, LayerFile]:
    """The polygons of a layer; an empty layer gives none."""
    file = LayerFile(path, what)
    class_field = choose_field(file.fields, fields.classes, file.name, OBJECT_CLASS_FIELDS, fields.class_key)
    images_by = image_field(file.fields, fields.images, file.crs is not None, file.name, fields.image_key)
    if file.count == 0:
        none = np.empty(0, dtype=object)
        classes, images = (none if field else None for field in (class_field, images_by))
        return Objects(file.name, file.crs, none, np.empty(0, np.int64), classes, images=images), file
    geometries = np.concatenate(list(file.geometries()))
    for note in file.notes:
        say(note)
    areal = shapely.get_dimensions(geometries) == 2
    if not areal.any():
        raise DataError(f"The {what} {file.name} has no polygons.", "Choose a layer of polygons.")
    classes = None
    if class_field:
        classes = _classes(file.read_field(class_field), class_field, file.name)
        areal &= classes != ""
        if not areal.any():
            raise DataError(
                f"Every polygon of {file.name} has an empty {class_field!r}.",
                "Fill it in, or name another field.",
            )
    images = image_names(file.read_field(images_by)) if images_by else None
    if not areal.all():
        say(f"{int((~areal).sum())} features of {file.name} without an area or a class were left out.")
    objects = Objects(file.name, file.crs, geometries, file.fids, classes, images=images)
    return objects.select(areal), file


def _classes(cells: np.ndarray, field: str, layer: str) -> np.ndarray:
    """Classes ``[n]`` as text, see :func:`class_text`."""
    distinct, places = distinct_cells(cells, f"field {field!r} of {layer}")
    return np.array([*(class_text(cell) for cell in distinct), ""], dtype=object)[places]


def read_detections(
    path: str, fields: Fields, score_field: Optional[str], say: Say = lambda text: None
) -> Objects:
    """The detections, with their confidences where there is a field for them; an empty layer gives none.

    Raises:
        DataError: If it cannot be read, holds features but no polygon, or confidences are no numbers.
        ParameterError: If a field does not exist.
    """
    found, file = _read_layer(path, "layer of detections", fields, say)
    field = choose_field(file.fields, score_field, file.name, CONFIDENCE_FIELDS, "CONFIDENCE_SCORE_FIELD")
    if not field:
        say(
            f"{found.name} has no confidence: detections are matched by overlap, and average precision "
            "comes from one point, not from a curve."
        )
        return found
    if not len(found):
        return replace(found, confidences=np.empty(0))
    scores = confidences(file.read_field(field), field, file.name)[np.isin(file.fids, found.ids)]
    known = np.isfinite(scores)
    if not known.all():
        say(f"{int((~known).sum())} detections of {found.name} without a confidence come last.")
    return replace(found, confidences=np.where(known, scores, -np.inf))


def bring_together(found: Objects, truth: Objects, named: bool, say: Say = lambda text: None) -> Objects:
    """The ground truth in the coordinate system of the detections; checks that classes can be compared.

    Args:
        found: Detections.
        truth: Ground truth.
        named: Whether the user named a class field.
        say: Receives what the user should know.

    Raises:
        DataError: If only one has a coordinate system, or no class is in both.
    """
    if not len(found) and not len(truth):
        raise DataError(f"{found.name} and {truth.name} are both empty.", "There is nothing to compare.")
    for objects, means in ((found, "every object is a miss"), (truth, "every detection is false")):
        if not len(objects):
            say(f"{objects.name} is empty: {means}.")
    _check_classes(found, truth, named, say)
    return _in_system_of(found, truth, say)


def _in_system_of(found: Objects, truth: Objects, say: Say) -> Objects:
    if not len(truth) or truth.crs == found.crs:
        return truth
    geometries, shown = _moved(truth.name, truth.crs, truth.geometries, found, say)
    return replace(truth.select(shown), crs=found.crs, geometries=geometries[shown])


def _moved(
    name: str, crs: Optional[CRS], geometries: np.ndarray, found: Objects, say: Say
) -> tuple[np.ndarray, np.ndarray]:
    if crs == found.crs:
        return geometries, np.ones(len(geometries), dtype=bool)
    if crs is None or found.crs is None:
        without, placed = (name, found.name) if crs is None else (found.name, name)
        raise DataError(
            f"{without} has no coordinate system, {placed} has one.", "Assign the right one to the layer."
        )
    moved = transformed(crs, found.crs, geometries)
    shown = ~shapely.is_empty(moved)
    if not shown.any():
        raise DataError(
            f"The coordinates of {name} cannot be shown in {found.crs.to_string()}.",
            "Assign the right coordinate system to the layers.",
        )
    if not shown.all():
        say(f"{int((~shown).sum())} features of {name} cannot be shown in {found.crs.to_string()}.")
    return moved, shown


def _check_classes(found: Objects, truth: Objects, named: bool, say: Say) -> None:
    if (found.classes is None) != (truth.classes is None):
        without, other = (found, truth) if found.classes is None else (truth, found)
        text = f"{without.name} has no class field and {other.name} has one"
        if named:
            raise DataError(
                f"{text}.", "Name both, DETECTED_CLASS_VALUE_FIELD and GROUND_TRUTH_CLASS_VALUE_FIELD."
            )
        say(f"{text}: all objects are taken as one class.")
        return
    if found.classes is None or not len(found) or not len(truth):
        return
    detected, known = set(found.classes), set(truth.classes)
    if not detected & known:
        raise DataError(
            f"No class is in both layers: {found.name} has {_listed(detected)}, "
            f"{truth.name} has {_listed(known)}.",
            "Name the fields that hold the same class values.",
        )
    for here, only in ((found.name, detected - known), (truth.name, known - detected)):
        if only:
            say(f"Only {here} has the classes {_listed(only)}.")


def _listed(classes: set[str]) -> str:
    shown = sorted(classes, key=class_order)
    return ", ".join(shown[:_LISTED]) + (f" and {len(shown) - _LISTED} more" if len(shown) > _LISTED else "")


def class_order(text: str) -> tuple[bool, float, str]:
    """Sorts classes: numbers by size, then texts."""
    try:
        return False, float(text), text
    except ValueError:
        return True, 0.0, text


def number_classes(found: Objects, truth: Objects) -> tuple[list[str], np.ndarray, np.ndarray]:
    """The classes of both, and the number of each object's class: ``[detections]``, ``[truths]``."""
    if found.classes is None or truth.classes is None:
        return ["1"], np.zeros(len(found), np.intp), np.zeros(len(truth), np.intp)
    names: Sequence[str] = sorted({*found.classes, *truth.classes}, key=class_order)
    numbers = {name: number for number, name in enumerate(names)}
    return (
        list(names),
        *(
            np.fromiter(map(numbers.__getitem__, objects.classes), np.intp, len(objects))
            for objects in (found, truth)
        ),
    )


def comparable(found: Objects, truth: Objects, say: Say = lambda text: None) -> tuple[Polygons, Polygons]:
    """The polygons of both for comparing: those of different images lie apart, where images are told apart.

    Args:
        found: Detections.
        truth: Ground truth, in the same system.
        say: Receives what the user should know.

    Raises:
        DataError: If only one of the layers tells images apart, and there are several.
    """
    if found.images is None and truth.images is None:
        return Polygons(found.geometries), Polygons(truth.geometries)
    for objects, other, key in ((found, truth, "GROUND_TRUTH"), (truth, found, "DETECTED")):
        several = objects.images is not None and len(set(objects.images)) > 1
        if several and other.images is None and len(other):
            raise DataError(
                f"{objects.name} has objects of {len(set(objects.images))} images, and {other.name} does not "
                "say which image its objects are in.",
                f"Name its field with the image in {key}_IMAGE_FIELD.",
            )
    numbers = _number_images(found, truth)
    images = 1 + max(int(part.max(initial=-1)) for part in numbers)
    if images > 1:
        say(f"The objects lie in {images} images; each is judged by itself.")
    shapes = laid_apart((found.geometries, numbers[0]), (truth.geometries, numbers[1]))
    return Polygons(shapes[0]), Polygons(shapes[1])


def _number_images(found: Objects, truth: Objects) -> tuple[np.ndarray, np.ndarray]:
    """The number of each object's image; the layers may write an image with more or less of its path."""
    if found.images is None or truth.images is None:
        return np.zeros(len(found), np.intp), np.zeros(len(truth), np.intp)
    known = dict.fromkeys(found.images)
    finder = ImageNames([*known])
    means = {name: finder.find(name, truth.name) or name for name in dict.fromkeys(truth.images)}
    numbers = {name: number for number, name in enumerate(dict.fromkeys([*known, *means.values()]))}
    return (
        np.fromiter((numbers[name] for name in found.images), np.intp, len(found)),
        np.fromiter((numbers[means[name]] for name in truth.images), np.intp, len(truth)),
    )


class Mask:
    """Polygons outside of which nothing is judged.

    Args:
        path: Layer of polygons.
        found: Detections, in whose system they are needed.
        say: Receives what the user should know.

    Raises:
        DataError: If it holds no polygon.
    """

    def __init__(self, path: str, found: Objects, say: Say = lambda text: None) -> None:
        layer = read_layer(path, "mask layer")
        areas = layer.geometries[shapely.get_dimensions(layer.geometries) == 2]
        if not len(areas):
            raise DataError(f"The mask layer {layer.name} has no polygons.", "Draw polygons around the area.")
        areas, shown = _moved(layer.name, layer.crs, areas, found, say)
        # Touching polygons are one area.
        self._area = shapely.union_all(areas[shown])
        shapely.prepare(self._area)

    def inside(self, objects: Objects) -> Objects:
        """Those that lie completely inside."""
        return objects.select(shapely.covers(self._area, objects.geometries)) if len(objects) else objects
