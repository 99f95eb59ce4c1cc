"""Reads what lies beside exported chips, in any metadata format, written here or by ArcGIS."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Optional
from xml.etree import ElementTree

import numpy as np
import rasterio
from rasterio.errors import RasterioError

from ..errors import DataError
from .folder import LABELS, ExportedFolder

#: Extensions of instance masks.
_MASKS = (".tif", ".tiff", ".png")


@dataclass(frozen=True)
class ChipLabels:
    """The labels of one chip; what a format does not have stays empty.

    Attributes:
        classes: Class values of the chip as a whole, or of its boxes.
        boxes: (xmin, ymin, xmax, ymax) in pixels of the chip ``[n, 4]``, one per class; NaN where a
            class belongs to the chip as a whole.
        pixels: Class values ``[h, w]``.
        instances: Class value and mask ``[h, w]`` of each instance.
    """

    classes: tuple[int, ...] = ()
    boxes: np.ndarray = field(default_factory=lambda: np.empty((0, 4)))
    pixels: Optional[np.ndarray] = None
    instances: tuple[tuple[int, np.ndarray], ...] = ()


class LabelReader:
    """Reads the labels of an exported folder chip by chip.

    Args:
        folder: The folder.
    """

    def __init__(self, folder: ExportedFolder) -> None:
        self._folder = folder
        self._values = {entry.name: entry.value for entry in folder.classes}
        # Whatever writes the files, a class is found by its value, its name or its folder.
        self._known = {str(entry.value): entry.value for entry in folder.classes} | self._values
        self._known |= folder.class_folders

    def read(self, image: Path) -> ChipLabels:
        """The labels of a chip.

        Raises:
            DataError: Naming the file that cannot be understood.
        """
        kind = self._folder.metadata_format
        if kind in ("PASCAL_VOC_rectangles", "Labeled_Tiles"):
            return self._objects(self._annotation(self._file(image, ".xml")))
        if kind == "MultiLabeled_Tiles":
            return self._names(image)
        if kind == "KITTI_rectangles":
            return self._objects(_kitti(self._file(image, ".txt")))
        if kind == "YOLO":
            return self._objects(self._yolo(self._file(image, ".txt"), image))
        if kind == "COCO":
            return self._objects(self._coco.get(f"{image.parent.name}/{image.name}", []))
        if kind == "Imagenet":
            return ChipLabels((self._value(image.parent.name, image),), np.full((1, 4), np.nan))
        if kind == "RCNN_Masks":
            return self._instances(image, LABELS)
        if kind == "Panoptic_Segmentation":
            found = self._instances(image, "labels2")
            return ChipLabels(found.classes, found.boxes, self._pixels(image), found.instances)
        if kind == "Classified_Tiles":
            return ChipLabels(pixels=self._pixels(image))
        return ChipLabels()

    def _file(self, image: Path, extension: str) -> Path:
        path = self._folder.root / LABELS / f"{image.stem}{extension}"
        if not path.is_file():
            raise DataError(f"The chip {image} has no label {path.name}.", "Export the chips again.")
        return path

    def _value(self, name: str, path: Path) -> int:
        if name not in self._known:
            raise DataError(
                f"{path} names the class {name!r}, which the definition does not list.",
                "Export the chips again, or add the class to esri_model_definition.emd.",
            )
        return self._known[name]

    def _objects(self, named: Sequence[tuple[str, Sequence[float], Path]]) -> ChipLabels:
        boxes = np.array([box for _, box, _ in named], dtype=float).reshape(-1, 4)
        width, height = self._folder.tile_size
        fixed = not self._folder.has_variable_size
        for (_, _, path), box in zip(named, boxes):
            wrong = not (box[2] > box[0] and box[3] > box[1])
            outside = fixed and (box.min() < -1 or box[2] > width + 1 or box[3] > height + 1)
            if wrong or outside:
                problem = "without an area" if wrong else f"outside its chip of {width} x {height} pixels"
                raise DataError(f"{path} holds the box {box.tolist()} {problem}.", "Correct or remove it.")
        return ChipLabels(tuple(self._value(name, path) for name, _, path in named), boxes)

    def _annotation(self, path: Path) -> list[tuple[str, list[float], Path]]:
        try:
            root = ElementTree.parse(path).getroot()  # noqa: S314 - expat limits how entities expand
            return [
                (
                    str(one.findtext("name") or "").strip(),
                    [float(one.findtext(f"bndbox/{side}")) for side in ("xmin", "ymin", "xmax", "ymax")],
                    path,
                )
                for one in root.findall("object")
            ]
        except (ElementTree.ParseError, TypeError, ValueError) as error:
            raise DataError(f"{path} is no annotation ({error}).", "Correct or remove it.") from error

    def _names(self, image: Path) -> ChipLabels:
        path = self._file(image, ".xml")
        names = [
            part.strip() for name, _, _ in self._annotation(path) for part in name.split(",") if part.strip()
        ]
        values = tuple(self._value(name, path) for name in names)
        return ChipLabels(values, np.full((len(values), 4), np.nan))

    def _yolo(self, path: Path, image: Path) -> list[tuple[str, list[float], Path]]:
        width, height = self._folder.tile_size
        values = self._folder.classes.values
        found = []
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            try:
                index, x, y, w, h = (float(part) for part in line.split())
                value = values[int(index)]
            except (ValueError, IndexError) as error:
                raise DataError(
                    f"Line {number} of {path} cannot be read ({error}).", "Correct or remove it."
                ) from error
            box = [(x - w / 2) * width, (y - h / 2) * height, (x + w / 2) * width, (y + h / 2) * height]
            found.append((str(value), box, path))
        return found

    @cached_property
    def _coco(self) -> dict[str, list[tuple[str, list[float], Path]]]:
        path = self._folder.root / "annotations.json"
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            names = {image["id"]: image["file_name"] for image in content["images"]}
            found: dict[str, list[Any]] = defaultdict(list)
            for one in content["annotations"]:
                x, y, width, height = one["bbox"]
                found[names[one["image_id"]]].append(
                    (str(one["category_id"]), [x, y, x + width, y + height], path)
                )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(f"{path} cannot be read ({error}).", "Export the chips again.") from error
        return dict(found)

    def _pixels(self, image: Path) -> np.ndarray:
        for extension in (".tif", ".png", ".tiff", ".mrf"):
            path = self._folder.root / LABELS / f"{image.stem}{extension}"
            if path.is_file():
                return _read_bands(path)[0]
        raise DataError(f"The chip {image} has no label.", "Export the chips again.")

    def _instances(self, image: Path, folder: str) -> ChipLabels:
        """Each number in each band of each class's raster is an instance."""
        found: list[tuple[int, np.ndarray]] = []
        for own in sorted(path for path in (self._folder.root / folder).glob("*") if path.is_dir()):
            files = [own / f"{image.stem}{extension}" for extension in _MASKS]
            file = next((path for path in files if path.is_file()), None)
            if file is None:
                continue
            value = self._value(own.name, own)
            for band in _read_bands(file):
                found += [(value, band == number) for number in np.unique(band[band > 0])]
        boxes = np.array([_box_of(mask) for _, mask in found], dtype=float).reshape(-1, 4)
        return ChipLabels(tuple(value for value, _ in found), boxes, instances=tuple(found))


def _read_bands(path: Path) -> np.ndarray:
    try:
        with rasterio.open(path) as dataset:
            return dataset.read()
    except RasterioError as error:
        raise DataError(f"The label {path} cannot be read ({error}).", "Export the chips again.") from error


def _box_of(mask: np.ndarray) -> list[int]:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]


def _kitti(path: Path) -> list[tuple[str, list[float], Path]]:
    found = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        # A class name may hold blanks: the numbers are the last fourteen columns.
        columns = line.rsplit(None, 14)
        if not line.strip():
            continue
        try:
            if len(columns) != 15:
                raise ValueError(f"{len(columns)} columns in place of 15")
            found.append((columns[0].strip(), [float(column) for column in columns[4:8]], path))
        except ValueError as error:
            raise DataError(
                f"Line {number} of {path} cannot be read ({error}).", "Correct or remove it."
            ) from error
    return found
