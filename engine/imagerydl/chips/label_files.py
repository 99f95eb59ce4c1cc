"""Reads what lies beside exported chips, in any metadata format, written here or by ArcGIS."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Optional

import numpy as np
import rasterio
from rasterio.errors import NotGeoreferencedWarning, RasterioError

from ..errors import DataError
from ..labels.classes import MAX_CLASS_VALUE, ClassSchema
from .box_files import (
    CORRECT,
    EXPORT_AGAIN,
    Annotation,
    BoxObject,
    Size,
    checked_box,
    filled,
    from_centre,
    numbers_in,
    read_coco,
    text_lines,
)
from .folder import LABELS, ChipPair, ExportedFolder, files_by_stem

_ADD_CLASS = "Export the chips again, or add the class to esri_model_definition.emd."

#: Folder of instance masks beside class rasters.
_LABELS2 = "labels2"

#: Receives what is wrong with one item of a label: raises it, or notes it so that the item is skipped.
_Note = Callable[[DataError], None]


def _no_boxes() -> np.ndarray:
    return np.empty((0, 4))


@dataclass(frozen=True)
class ChipLabels:
    """The labels of one chip; what a format does not have stays empty.

    Attributes:
        boxes: (xmin, ymin, xmax, ymax) in pixels of the chip, inside it, float64 ``[n, 4]``.
        box_classes: Class value of each box, int64 ``[n]``.
        classes: Class values of the chip as a whole.
        pixels: Class values, uint16 ``[h, w]``; 0 is background.
        instances: Class value and mask, bool ``[h, w]``, of each instance.
    """

    boxes: np.ndarray = field(default_factory=_no_boxes)
    box_classes: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))
    classes: tuple[int, ...] = ()
    pixels: Optional[np.ndarray] = None
    instances: tuple[tuple[int, np.ndarray], ...] = ()


class LabelReader:
    """Reads the labels of an exported folder chip by chip; may be used by several threads.

    Args:
        folder: The folder.

    Raises:
        DataError: If a file with the labels of all chips (COCO) cannot be understood.
    """

    def __init__(self, folder: ExportedFolder) -> None:
        self._folder = folder
        self._size: Optional[Size] = None if folder.has_variable_size else folder.tile_size
        values = _by_value(folder.classes)
        names = _by_name(folder.classes)
        # Where values are written, a class whose name is a number must not be taken for another one.
        self._by_value = {**folder.class_folders, **names, **values}
        self._by_name = {**values, **folder.class_folders, **_without_commas(names), **names}
        everywhere = {**values, **_by_value(folder.instance_classes)}
        self._by_folder = {
            **everywhere,
            **names,
            **_by_name(folder.instance_classes),
            **folder.class_folders,
        }
        self._masks: dict[str, list[tuple[str, dict[str, Path]]]] = {}
        for name in (LABELS, _LABELS2):
            self._masks[name] = _files_by_class(folder.root / name)
        kind = folder.metadata_format
        self._coco = read_coco(folder.root / "annotations.json") if kind == "COCO" else {}
        self._read_kind = {
            "KITTI_rectangles": self._kitti,
            "PASCAL_VOC_rectangles": self._voc,
            "Classified_Tiles": self._classified,
            "RCNN_Masks": self._rcnn,
            "Labeled_Tiles": self._labeled,
            "MultiLabeled_Tiles": self._multilabeled,
            "Imagenet": self._imagenet,
            "Panoptic_Segmentation": self._panoptic,
            "COCO": self._of_coco,
            "YOLO": self._yolo,
        }.get(kind, _nothing)

    def read(self, chip: ChipPair) -> ChipLabels:
        """The labels of a chip.

        Raises:
            DataError: Naming file and line of what cannot be understood.
        """
        return self._read_kind(chip, _refuse)

    def read_tolerantly(self, chip: ChipPair, problems: list[str]) -> Optional[ChipLabels]:
        """The labels of a chip, without the items that cannot be understood.

        Args:
            chip: The chip.
            problems: What is wrong is added to it.

        Returns:
            None where nothing is known of the chip: it is not one without objects.
        """
        try:
            return self._read_kind(chip, lambda error: problems.append(error.message))
        except DataError as error:
            problems.append(error.message)
            return None

    # Formats

    def _kitti(self, chip: ChipPair, note: _Note) -> ChipLabels:
        found = []
        for line, place in text_lines(_label_of(chip)):
            columns = line.split()
            # A class name may hold blanks: the numbers are the last fourteen columns.
            name = " ".join(columns[:-14])
            if len(columns) < 15 or (len(columns) > 15 and name not in self._by_value):
                note(_at(place, f"has {len(columns)} columns in place of 15"))
            else:
                found.append(BoxObject(name, numbers_in(columns[-11:-7]), place))
        return self._boxes(found, self._size, note)

    def _voc(self, chip: ChipPair, note: _Note) -> ChipLabels:
        annotation = Annotation(_label_of(chip))
        return self._boxes(annotation.objects, annotation.size or self._size, note)

    def _yolo(self, chip: ChipPair, note: _Note) -> ChipLabels:
        width, height = self._folder.tile_size
        values = self._folder.classes.values
        found = []
        for line, place in text_lines(_label_of(chip)):
            columns = line.split()
            shares = numbers_in(columns[1:])
            if len(columns) != 5:
                note(_at(place, f"has {len(columns)} columns in place of 5"))
            elif not columns[0].isdecimal() or int(columns[0]) >= len(values):
                note(_at(place, f"names the class {columns[0]}, of {len(values)} counted from 0"))
            else:
                sides = from_centre(shares, width, height) if shares else None
                found.append(BoxObject(str(values[int(columns[0])]), sides, place))
        return self._boxes(found, (width, height), note)

    def _of_coco(self, chip: ChipPair, note: _Note) -> ChipLabels:
        size, annotations = self._coco.get(chip.image.name, (None, ()))
        if size is None:
            raise DataError(f"annotations.json does not list the chip {chip.image}.", EXPORT_AGAIN)
        labels = self._boxes([one for one, _ in annotations], size, note)
        masks = []
        for one, rings in annotations:
            mask = filled(rings, size)
            if mask is not None and one.name in self._by_value:
                masks.append((self._by_value[one.name], mask))
        return ChipLabels(labels.boxes, labels.box_classes, instances=tuple(masks))

    def _labeled(self, chip: ChipPair, note: _Note) -> ChipLabels:
        """The first object names the chip; where its box is one, it is told."""
        annotation = Annotation(_label_of(chip))
        if not annotation.objects:
            raise DataError(f"{chip.label} names no class.", CORRECT)
        first = annotation.objects[0]
        value = self._value(first.name, self._by_value, first.place, _refuse)
        ignored: list[DataError] = []
        box = self._boxes([first], annotation.size or self._size, ignored.append)
        return ChipLabels(box.boxes, box.box_classes, classes=(value,))

    def _multilabeled(self, chip: ChipPair, note: _Note) -> ChipLabels:
        values = []
        for one in Annotation(_label_of(chip)).objects:
            # A class whose name holds a comma may stand as it is.
            whole = self._by_name.get(one.name)
            names = [part.strip() for part in one.name.split(",") if part.strip()]
            found = [self._value(name, self._by_name, one.place, note) for name in names if whole is None]
            values += [whole] if whole is not None else found
        return ChipLabels(classes=tuple(dict.fromkeys(value for value in values if value is not None)))

    def _imagenet(self, chip: ChipPair, note: _Note) -> ChipLabels:
        value = self._value(chip.image.parent.name, self._by_folder, f"The folder of {chip.image}", _refuse)
        return ChipLabels(classes=(value,))

    def _classified(self, chip: ChipPair, note: _Note) -> ChipLabels:
        return ChipLabels(pixels=self._pixels(_label_of(chip), note))

    def _rcnn(self, chip: ChipPair, note: _Note) -> ChipLabels:
        return self._instances(chip, LABELS, note)

    def _panoptic(self, chip: ChipPair, note: _Note) -> ChipLabels:
        pixels = self._pixels(_label_of(chip), note)
        found = self._instances(chip, _LABELS2, note)
        return ChipLabels(found.boxes, found.box_classes, pixels=pixels, instances=found.instances)

    # What formats have in common

    def _value(self, name: str, known: Mapping[str, int], place: str, note: _Note) -> Optional[int]:
        if name not in known:
            note(_at(place, f"names the class {name!r}, which the definition does not list", _ADD_CLASS))
        return known.get(name)

    def _boxes(self, found: Sequence[BoxObject], size: Optional[Size], note: _Note) -> ChipLabels:
        """The boxes that can be used, cut to their chip of ``size``."""
        boxes, values = [], []
        for one in found:
            problem, box = checked_box(one.sides, size)
            if problem:
                note(_at(one.place, problem))
                continue
            value = self._value(one.name, self._by_value, one.place, note)
            if value is not None:
                boxes.append(box)
                values.append(value)
        return ChipLabels(np.array(boxes, dtype=float).reshape(-1, 4), np.array(values, dtype=np.int64))

    def _pixels(self, path: Path, note: _Note) -> np.ndarray:
        bands, nodata = self._raster(path)
        pixels, known = bands[0], [*self._folder.classes.values, *self._folder.instance_classes.values]
        # 0 means background whether or not the file calls it no-data.
        if nodata is not None and nodata not in (0, *known):
            pixels = np.where(np.isnan(pixels) if math.isnan(nodata) else pixels == nodata, 0, pixels)
        values = np.unique(pixels)
        if not (values % 1 == 0).all() or values[0] < 0 or values[-1] > MAX_CLASS_VALUE:
            raise DataError(f"{path} holds values that are no class values.", CORRECT)
        unknown = [value for value in values.astype(int).tolist() if value and known and value not in known]
        for value in unknown:
            note(_at(str(path), f"holds the class {value}, which the definition does not list", _ADD_CLASS))
        return np.where(np.isin(pixels, unknown), 0, pixels).astype(np.uint16)

    def _instances(self, chip: ChipPair, folder: str, note: _Note) -> ChipLabels:
        """Each number in each band of each class's raster is an instance."""
        found: list[tuple[int, np.ndarray]] = []
        for name, files in self._masks[folder]:
            path = files.get(chip.image.stem)
            if path is None:
                continue
            value = self._value(name, self._by_folder, f"The folder of {path}", note)
            if value is not None:
                for band in self._raster(path)[0]:
                    found += [(value, band == number) for number in np.unique(band[band > 0])]
        boxes = np.array([_box_of(mask) for _, mask in found], dtype=float).reshape(-1, 4)
        return ChipLabels(boxes, np.array([v for v, _ in found], dtype=np.int64), instances=tuple(found))

    def _raster(self, path: Path) -> tuple[np.ndarray, Optional[float]]:
        """Bands ``[bands, h, w]`` and no-data value of a label raster."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", NotGeoreferencedWarning)
                with rasterio.open(path) as dataset:
                    bands, nodata = dataset.read(), dataset.nodata
        except (RasterioError, OSError) as error:
            raise DataError(f"The label {path} cannot be read ({error}).", EXPORT_AGAIN) from error
        height, width = bands.shape[1:]
        if self._size is not None and (width, height) != tuple(self._size):
            wanted = "{} x {}".format(*self._size)
            raise DataError(f"The label {path} is {width} x {height} pixels, not {wanted}.", EXPORT_AGAIN)
        return bands, nodata


def _by_value(classes: ClassSchema) -> dict[str, int]:
    return {str(entry.value): entry.value for entry in classes}


def _by_name(classes: ClassSchema) -> dict[str, int]:
    return {entry.name: entry.value for entry in classes}


def _without_commas(names: Mapping[str, int]) -> dict[str, int]:
    """Names as they stand in a list with commas."""
    return {name.replace(",", " ").strip(): value for name, value in names.items()}


def _files_by_class(folder: Path) -> list[tuple[str, dict[str, Path]]]:
    """Name and files of each class's folder."""
    own = sorted(path for path in folder.glob("*") if path.is_dir()) if folder.is_dir() else []
    return [(path.name, files_by_stem(path)) for path in own]


def _label_of(chip: ChipPair) -> Path:
    if chip.label is None:
        raise DataError(f"The chip {chip.image} has no label.", EXPORT_AGAIN)
    return chip.label


def _box_of(mask: np.ndarray) -> tuple[int, ...]:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return columns[0], rows[0], columns[-1] + 1, rows[-1] + 1


def _at(place: str, problem: str, fix: str = CORRECT) -> DataError:
    return DataError(f"{place} {problem}.", fix)


def _refuse(error: DataError) -> None:
    raise error


def _nothing(chip: ChipPair, note: _Note) -> ChipLabels:
    """Formats without labels."""
    return ChipLabels()
