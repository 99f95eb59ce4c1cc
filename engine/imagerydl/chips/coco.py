"""``COCO``: one file ``annotations.json`` with the boxes and outlines of all chips."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any, Optional

import numpy as np
import shapely

from ..errors import OutputError
from ..imagery.grid import Grid
from ..labels.classes import ClassSchema
from ..labels.objects import LabelObjects
from .metadata_format import Finding, Written
from .object_format import ObjectFormat, written
from .record import ChipRecord

ANNOTATIONS = "annotations.json"


class Coco(ObjectFormat):
    """Objects as the COCO data set describes them; a category's id is the class value."""

    def write(self, chip_id: str, finding: Finding, grid: Grid, image: str) -> Written:
        """Nothing is written yet: the one file for all needs all."""
        objects: LabelObjects = finding.content
        extra = {"size": [grid.width, grid.height], "objects": list(_described(objects))}
        return written([image], objects, grid, extra)

    def finish(
        self, classes: ClassSchema, chips: Iterable[ChipRecord], earlier: Optional[Path] = None
    ) -> None:
        """Write the annotations, chip by chip, so that memory stays flat."""
        before = _read(earlier / ANNOTATIONS) if earlier else {"images": [], "annotations": []}
        first = 1 + max((one["id"] for one in before["annotations"]), default=0)
        with open(self.root / ANNOTATIONS, "w", encoding="utf-8", newline="\n") as file:
            file.write('{"info":{"description":"Imagery Deep Learning"},"licenses":[],"categories":')
            file.write(_text([{"id": entry.value, "name": entry.name} for entry in classes]))
            file.write(',"images":[')
            _write_list(file, chain(before["images"], (_image(chip) for chip in chips)))
            file.write('],"annotations":[')
            _write_list(file, chain(before["annotations"], _annotations(chips, first)))
            file.write("]}\n")


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return {key: list(content[key]) for key in ("images", "annotations")}
    except (OSError, ValueError, KeyError) as error:
        raise OutputError(
            f"Chips cannot be added to {path.parent}: {path.name} is missing or damaged ({error}).",
            "Export to another folder.",
        ) from error


def _described(objects: LabelObjects) -> Iterator[dict[str, Any]]:
    areas = _rounded(shapely.area(objects.geometries)).tolist()
    boxes = objects.boxes
    boxes = _rounded(np.hstack([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]])).tolist()
    outlines = _outlines(objects.geometries)
    for value, area, box, rings in zip(objects.values.tolist(), areas, boxes, outlines):
        yield {"category_id": value, "bbox": box, "segmentation": rings, "area": area, "iscrowd": 0}


def _outlines(geometries: np.ndarray) -> list[list[list[float]]]:
    """For each geometry its outer rings, each as ``[x1, y1, x2, y2, ...]`` without the closing point."""
    parts, owners = shapely.get_parts(geometries, return_index=True)
    areal = shapely.get_dimensions(parts) == 2
    coordinates, rings = shapely.get_coordinates(shapely.get_exterior_ring(parts[areal]), return_index=True)
    starts = np.flatnonzero(np.diff(rings, prepend=-1))
    numbers = [ring[:-1].ravel().tolist() for ring in np.split(_rounded(coordinates), starts[1:])]
    result: list[list[list[float]]] = [[] for _ in geometries]
    for owner, ring in zip(owners[areal].tolist(), numbers):
        result[owner].append(ring)
    return result


def _rounded(numbers: np.ndarray) -> np.ndarray:
    return np.round(numbers, 3)


def _image(chip: ChipRecord) -> dict[str, Any]:
    width, height = chip.extra["size"]
    return {"id": chip.index, "file_name": chip.files[0], "width": width, "height": height}


def _annotations(chips: Iterable[ChipRecord], first: int) -> Iterator[dict[str, Any]]:
    number = first
    for chip in chips:
        for described in chip.extra["objects"]:
            yield {"id": number, "image_id": chip.index, **described}
            number += 1


def _write_list(file: Any, items: Iterable[dict[str, Any]]) -> None:
    for count, item in enumerate(items):
        file.write(("," if count else "") + "\n" + _text(item))


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


FORMAT = Coco
