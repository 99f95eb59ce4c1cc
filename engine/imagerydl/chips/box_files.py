"""Objects with boxes as the files of KITTI, PASCAL VOC, YOLO and COCO hold them, with where they stand."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Optional
from xml.parsers import expat

import numpy as np
from affine import Affine
from rasterio.features import rasterize

from ..errors import DataError

#: What to do about a label file that is unusable as a whole, or in one place.
EXPORT_AGAIN, CORRECT = "Export the chips again.", "Correct or remove it."

#: Pixels by which a box may reach out of its chip (programs that count from 1 do); it is cut off.
_SLACK = 1.0

#: Width and height in pixels.
Size = tuple[float, float]


class BoxObject(NamedTuple):
    """A box as a file has it.

    Attributes:
        name: What stands for its class.
        sides: xmin, ymin, xmax, ymax as read; None where they are no four numbers.
        place: Where it stands, for messages.
    """

    name: str
    sides: Optional[tuple[float, ...]]
    place: str


class Annotation:
    """An annotation file in the form of PASCAL VOC.

    Attributes:
        objects: Its objects, with their lines.
        size: Of the chip, where the file says it.
    """

    def __init__(self, path: Path) -> None:
        self.objects: list[BoxObject] = []
        self._size: dict[str, str] = {}
        self._object: dict[str, str] = {}
        self._line = 0
        self._open: list[str] = []
        self._file = path
        # Expat itself tells lines, and limits how entities expand; it fetches none.
        self._parser = expat.ParserCreate()
        self._parser.buffer_text = True
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._text
        try:
            self._parser.Parse(path.read_bytes(), True)
        except (expat.ExpatError, OSError, ValueError, LookupError) as error:
            raise DataError(f"{path} is no annotation ({error}).", CORRECT) from error
        finally:
            del self._parser  # it holds this object: neither would go before the garbage collector comes

    @property
    def size(self) -> Optional[Size]:
        numbers = numbers_in([self._size.get(key, "") for key in ("size/width", "size/height")])
        return (numbers[0], numbers[1]) if numbers and min(numbers) > 0 else None

    def _start(self, tag: str, attributes: Mapping[str, str]) -> None:
        self._open.append(tag)
        if self._open[1:] == ["object"]:
            self._object, self._line = {}, self._parser.CurrentLineNumber

    def _text(self, text: str) -> None:
        in_object = self._open[1:2] == ["object"]
        texts = self._object if in_object else self._size
        key = "/".join(self._open[2 if in_object else 1 :])
        texts[key] = texts.get(key, "") + text

    def _end(self, tag: str) -> None:
        if self._open[1:] == ["object"]:
            sides = [self._object.get(f"bndbox/{side}", "") for side in ("xmin", "ymin", "xmax", "ymax")]
            name = self._object.get("name", "").strip()
            place = f"Line {self._line} of {self._file}"
            self.objects.append(BoxObject(name, numbers_in(sides), place))
        self._open.pop()


def read_coco(path: Path) -> dict[str, tuple[Size, list[tuple[BoxObject, Any]]]]:
    """Size and annotations, with their outlines, of each chip by its file's name."""
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
        images = {
            image["id"]: (
                str(image["file_name"]).replace("\\", "/").rpartition("/")[2],
                (float(image["width"]), float(image["height"])),
            )
            for image in content["images"]
        }
        found: dict[Any, list[tuple[BoxObject, Any]]] = defaultdict(list)
        for one in content["annotations"]:
            place = f"Annotation {one['id']} of {path}"
            sides = _from_corner(one.get("bbox"))
            if one["image_id"] not in images:
                raise ValueError(f"annotation {one['id']} belongs to no image")
            found[one["image_id"]].append(
                (BoxObject(str(one["category_id"]), sides, place), one.get("segmentation"))
            )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path} cannot be read ({error!r}).", EXPORT_AGAIN) from error
    return {name: (size, found.get(key, [])) for key, (name, size) in images.items()}


def _from_corner(box: Any) -> Optional[tuple[float, ...]]:
    numbers = numbers_in(box) if isinstance(box, list) and len(box) == 4 else None
    return (numbers[0], numbers[1], numbers[0] + numbers[2], numbers[1] + numbers[3]) if numbers else None


def from_centre(shares: Sequence[float], width: float, height: float) -> tuple[float, ...]:
    """Sides in pixels of a box given by its centre and size as shares of ``width`` and ``height``."""
    x, y, w, h = shares
    return (x - w / 2) * width, (y - h / 2) * height, (x + w / 2) * width, (y + h / 2) * height


def filled(rings: Any, size: Size) -> Optional[np.ndarray]:
    """The pixels inside outlines ``[[x1, y1, ...], ...]``; None where there are none."""
    outlines = [numbers_in(ring) for ring in rings] if isinstance(rings, list) else []
    shapes = [
        {"type": "Polygon", "coordinates": [[*zip(ring[::2], ring[1::2]), (ring[0], ring[1])]]}
        for ring in outlines
        if ring and len(ring) >= 6
    ]
    if not shapes:
        return None
    shape = (int(size[1]), int(size[0]))
    mask = rasterize(shapes, shape, transform=Affine.identity(), dtype="uint8") > 0
    if not mask.any():  # thinner than a pixel
        mask = rasterize(shapes, shape, transform=Affine.identity(), all_touched=True, dtype="uint8") > 0
    return mask if mask.any() else None


def checked_box(
    sides: Optional[Sequence[float]], size: Optional[Size]
) -> tuple[str, Optional[tuple[float, ...]]]:
    """What is wrong with a box, else the box cut to a chip of ``size``."""
    if sides is None or not all(math.isfinite(side) for side in sides):
        return "has no box of four numbers", None
    xmin, ymin, xmax, ymax = sides
    shown = f"[{xmin:g}, {ymin:g}, {xmax:g}, {ymax:g}]"
    if xmax < xmin or ymax < ymin:
        return f"has the box {shown}, which is reversed", None
    if xmax == xmin or ymax == ymin:
        return f"has the box {shown}, which has no area", None
    if size is None:
        return "", (xmin, ymin, xmax, ymax)
    width, height = size
    box = (max(xmin, 0.0), max(ymin, 0.0), min(xmax, float(width)), min(ymax, float(height)))
    far = min(xmin, ymin) < -_SLACK or xmax > width + _SLACK or ymax > height + _SLACK
    if far or box[2] <= box[0] or box[3] <= box[1]:
        return f"has the box {shown} outside its chip of {width:g} x {height:g} pixels", None
    return "", box


def text_lines(path: Path) -> Iterator[tuple[str, str]]:
    """Lines that are not empty, and where each stands."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"The label {path} cannot be read ({error}).", EXPORT_AGAIN) from error
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip():
            yield line, f"Line {number} of {path}"


def numbers_in(texts: Sequence[Any]) -> Optional[tuple[float, ...]]:
    """The numbers; None where one is no number."""
    try:
        return tuple(float(text) for text in texts)
    except (TypeError, ValueError):
        return None
