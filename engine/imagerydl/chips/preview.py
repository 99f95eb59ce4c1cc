"""One page of chips with their labels drawn, so that people see what was exported."""

from __future__ import annotations

import math
import os
import warnings
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import zip_longest
from pathlib import Path
from typing import Optional

import numpy as np
import rasterio
from PIL import Image, ImageDraw, ImageFont
from rasterio.errors import NotGeoreferencedWarning, RasterioError

from ..imagery.band_names import red_green_blue
from ..labels.classes import ClassEntry, distinct_color
from .folder import SIDES, ChipPair, ExportedFolder, read_exported_folder
from .label_files import ChipLabels, LabelReader

#: Pixels: width of the sheet, gaps, a line of text, its letters, the widest chip.
_WIDTH, _GAP, _LINE, _LETTERS, _WIDEST = 1600, 12, 20, 14, 400

#: Width of the sheet by its height, that of a page on its side.
_LANDSCAPE = math.sqrt(2)

#: Boxes of a chip that still have room for their names.
_NAMED_BOXES = 8

#: Classes the legend has room for.
_LISTED = 60

_PAPER, _INK, _EMPTY = (255, 255, 255), (30, 30, 30), (235, 235, 235)

#: Weight of a class's colour over the image.
_VEIL = 0.45

#: Percentiles that become black and white in imagery that is not 8-bit.
_STRETCH = (2, 98)


@dataclass(frozen=True)
class _Picture:
    """An image on the sheet.

    Attributes:
        title: Below it.
        raster: Which of the export's rasters it was cut from: those of one raster are stretched alike.
        bands: Red, green and blue, ``[3, h, w]``; not 8-bit: float32, NaN without data. None where the
            file cannot be read.
        labels: What is drawn over it; None where they cannot be read.
    """

    title: str
    raster: str
    bands: Optional[np.ndarray]
    labels: Optional[ChipLabels]


def write_preview(root: Path, path: Path, limit: int = 20) -> None:
    """Draw chips spread evenly over an export, read back from its files.

    What cannot be read is drawn as a problem: the sheet shows what is in the folder.

    Args:
        root: Folder of the export.
        path: PNG file to write.
        limit: Images on the sheet; where each chip has two, both lie side by side.

    Raises:
        DataError: If ``root`` is no export.
    """
    folder = read_exported_folder(root)
    problems: list[str] = []
    pairs = bool(folder.other) or any(chip.second for chip in folder.chips)
    chips = max(1, limit // 2 if pairs else limit)
    if folder.other is None:
        rows = [_of_chip(chip, folder, reader, problems) for reader, chip in _spread(folder, chips)]
    else:
        # The sides of CycleGAN have nothing to do with each other but that they are learnt together.
        sides = [_of_side(name, side, chips) for name, side in zip(SIDES, (folder, folder.other))]
        # Where one side has fewer chips, what is left of the other one follows.
        rows = [[one for one in row if one] for row in zip_longest(*sides)]
    sheet = _Sheet(folder, [picture for row in rows for picture in row], problems, pairs)
    # Runs of equal pixels are found at once; longer patterns take several times as long to look for.
    sheet.image.save(path, compress_type=zlib.Z_RLE)


def _of_side(name: str, side: ExportedFolder, count: int) -> list[_Picture]:
    return [_picture(chip.image, f"{name} {chip.image.stem}", name, side) for _, chip in _spread(side, count)]


def _spread(folder: ExportedFolder, count: int) -> list[tuple[LabelReader, ChipPair]]:
    reader = LabelReader(folder)
    last = len(folder.chips) - 1
    numbers = np.unique(np.linspace(0, last, min(count, last + 1)).round().astype(int))
    return [(reader, folder.chips[number]) for number in numbers]


def _of_chip(
    chip: ChipPair, folder: ExportedFolder, reader: LabelReader, problems: list[str]
) -> list[_Picture]:
    """The chip, and that of the second raster beside it."""
    labels = reader.read_tolerantly(chip, problems)
    shown = [_picture(chip.image, chip.image.stem, "", folder, labels)]
    if chip.second:
        shown.append(_picture(chip.second, f"{chip.image.stem} second", "second", folder, labels))
    return shown


def _picture(
    path: Path, title: str, raster: str, folder: ExportedFolder, labels: Optional[ChipLabels] = None
) -> _Picture:
    """Read the bands to show; ``labels`` of a chip that has none are empty."""
    names = folder.band_names2 if raster == "second" else folder.band_names
    if folder.metadata_format == "CycleGAN":
        labels = ChipLabels()
    return _Picture(title, raster, _bands(path, names), labels)


def _bands(path: Path, names: Sequence[str]) -> Optional[np.ndarray]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            with rasterio.open(path) as dataset:
                named = red_green_blue(names) if len(names) == dataset.count else (0, 1, 2)
                chosen = named if dataset.count >= 3 else (0, 0, 0)
                data = dataset.read([band + 1 for band in chosen])
                known = dataset.dataset_mask() > 0
    except (RasterioError, OSError):
        return None
    if data.dtype == np.uint8:
        return data
    data = (np.abs(data) if data.dtype.kind == "c" else data).astype(np.float32)
    data[:, ~known] = np.nan
    return data


class _Sheet:
    """Lays the pictures out on one page.

    Args:
        folder: The export.
        pictures: What is shown, row by row.
        problems: What could not be read.
        pairs: Whether two pictures that follow each other belong together.
    """

    def __init__(
        self, folder: ExportedFolder, pictures: Sequence[_Picture], problems: Sequence[str], pairs: bool
    ) -> None:
        self._folder = folder
        self._entries = {entry.value: entry for entry in (*folder.instance_classes, *folder.classes)}
        self._ranges = {
            raster: _value_range([one.bands for one in pictures if one.raster == raster])
            for raster in {one.raster for one in pictures}
        }
        self._font, self._small = _font(_LETTERS), _font(_LETTERS - 3)
        self._counts: Counter[int] = Counter()
        self._pixels: Counter[int] = Counter()
        columns = _columns(len(pictures), pairs)
        self._side = min(_WIDEST, (_WIDTH - _GAP) // columns - _GAP)
        cells = [self._cell(one) for one in pictures]
        rows = -(-len(cells) // columns)
        top = _GAP + rows * (self._side + _LINE + _GAP)
        legend = self._legend()
        lines, abreast = _legend_shape(len(legend))
        height = top + (1 + bool(problems) + lines) * _LINE + _GAP
        self.image = Image.new("RGB", (_WIDTH, height), _PAPER)
        self._draw = ImageDraw.Draw(self.image)
        for number, (cell, one) in enumerate(zip(cells, pictures)):
            x = _GAP + number % columns * (self._side + _GAP)
            y = _GAP + number // columns * (self._side + _LINE + _GAP)
            self.image.paste(cell, (x, y))
            self._draw.text((x, y + self._side + 1), one.title, _INK, self._font)
        self._write_head(top, problems)
        self._write_legend(legend, top + (1 + bool(problems)) * _LINE, lines, abreast)

    # Chips

    def _cell(self, one: _Picture) -> Image.Image:
        cell = Image.new("RGB", (self._side, self._side), _EMPTY)
        draw = ImageDraw.Draw(cell)
        labels = one.labels or ChipLabels()
        if one.bands is not None:
            scale = self._side / max(one.bands.shape[1:])
            cell.paste(self._veiled(one, labels, scale))
            if one.raster != "second":
                self._count(labels)
            self._draw_boxes(draw, labels, scale)
        text = ", ".join(self._name(value) for value in labels.classes)
        for problem, happened in (
            ("cannot be read", one.bands is None),
            ("its label cannot be read", one.labels is None),
        ):
            text = problem if happened else text
        if text:
            self._tag(draw, 2, 2, text, self._font)
        return cell

    def _veiled(self, one: _Picture, labels: ChipLabels, scale: float) -> Image.Image:
        """The picture under the colours of its classes and instances, in the size it is shown in."""
        pixels = self._stretched(one)
        height, width = (max(1, round(side * scale)) for side in pixels.shape[:2])
        way = Image.Resampling.NEAREST if scale > 1 else Image.Resampling.BOX
        result = np.array(Image.fromarray(pixels).resize((width, height), way), dtype=np.float64)
        at = np.ix_(*(_nearest(shown, whole) for shown, whole in zip((height, width), pixels.shape[:2])))
        if labels.pixels is not None and labels.pixels.shape == pixels.shape[:2]:
            for value in np.unique(labels.pixels).tolist():
                if value or 0 in self._entries:
                    _lay(self._color(value), labels.pixels[at] == value, result)
        several = Counter(value for value, _ in labels.instances)
        for number, (value, mask) in enumerate(labels.instances, start=1):
            if mask.shape == pixels.shape[:2]:
                # Instances of one class are told apart by their own colours, one alone has its class's.
                color = distinct_color(number) if several[value] > 1 else self._color(value)
                _lay(color, mask[at], result)
        return Image.fromarray(result.astype(np.uint8))

    def _stretched(self, one: _Picture) -> np.ndarray:
        """``[h, w, 3]``, uint8."""
        bands = one.bands
        if bands.dtype != np.uint8:
            low, high = self._ranges[one.raster]
            bands = np.nan_to_num((bands - low) / max(high - low, 1e-12) * 255, posinf=255, neginf=0)
            bands = bands.clip(0, 255).astype(np.uint8)
        return np.ascontiguousarray(np.moveaxis(bands, 0, -1))

    def _draw_boxes(self, draw: ImageDraw.ImageDraw, labels: ChipLabels, scale: float) -> None:
        named = len(labels.boxes) <= _NAMED_BOXES and len(self._entries) > 1 and not labels.classes
        for value, box in zip(labels.box_classes.tolist(), labels.boxes):
            xmin, ymin, xmax, ymax = (box * scale).tolist()
            corners = (xmin, ymin, max(xmin, xmax - 1), max(ymin, ymax - 1))
            draw.rectangle(corners, outline=self._color(value), width=2)
            if named:
                self._tag(draw, xmin, ymin, self._name(value), self._small)

    def _tag(
        self, draw: ImageDraw.ImageDraw, x: float, y: float, text: str, font: ImageFont.FreeTypeFont
    ) -> None:
        """Text on paper, inside the cell."""
        text = self._fitted(text, font, self._side - 8)
        left, top, right, bottom = draw.textbbox((0, 0), text, font)
        x, y = (max(0.0, min(at, self._side - far - 4)) for at, far in ((x, right), (y, bottom)))
        draw.rectangle((x, y, x + right - left + 4, y + bottom - top + 4), fill=_PAPER)
        draw.text((x + 2 - left, y + 2 - top), text, _INK, font)

    def _fitted(self, text: str, font: ImageFont.FreeTypeFont, room: float) -> str:
        text = " ".join(text.split())
        if font.getlength(text) <= room:
            return text
        while text and font.getlength(text + "…") > room:
            text = text[:-1]
        return text + "…"

    # Legend

    def _count(self, labels: ChipLabels) -> None:
        self._counts.update(labels.classes or labels.box_classes.tolist())
        if labels.pixels is not None:
            values, counts = np.unique(labels.pixels, return_counts=True)
            self._pixels.update(dict(zip(values.tolist(), counts.tolist())))

    def _legend(self) -> list[tuple[Optional[int], str]]:
        """Colour and text of each class on the sheet; what has no room is counted."""
        shown = {value for value in (*self._counts, *self._pixels) if value or 0 in self._entries}
        lines = []
        for value in sorted(shown):
            counts = [
                f"{count[value]:,} {unit}"
                for count, unit in ((self._counts, "labels"), (self._pixels, "pixels"))
                if count[value]
            ]
            lines.append((value, f"{self._name(value)}: {', '.join(counts)}"))
        more = len(lines) - _LISTED
        return lines if more <= 0 else [*lines[: _LISTED - 1], (None, f"and {more + 1} more classes")]

    def _write_head(self, top: int, problems: Sequence[str]) -> None:
        folder = self._folder
        sides = [one for one in (folder, folder.other) if one is not None]
        chips = " and ".join(f"{len(side.chips):,}" for side in sides)
        width, height = folder.tile_size
        size = "cut to their objects" if folder.has_variable_size else f"{width} x {height} pixels"
        counted = "; counts are those of this sheet" if self._counts or self._pixels else ""
        head = f"{folder.metadata_format}: {chips} chips, {size}{counted}"
        self._draw.text((_GAP, top), head, _INK, self._font)
        if problems:
            text = f"{len(problems):,} problems; first: {problems[0]}"
            text = self._fitted(text, self._font, _WIDTH - 2 * _GAP)
            self._draw.text((_GAP, top + _LINE), text, (180, 0, 0), self._font)

    def _write_legend(
        self, legend: Sequence[tuple[Optional[int], str]], top: int, lines: int, abreast: int
    ) -> None:
        room = (_WIDTH - _GAP) // abreast
        for number, (value, text) in enumerate(legend):
            x, y = _GAP + number // lines * room, top + number % lines * _LINE
            if value is not None:
                self._draw.rectangle((x, y + 3, x + 14, y + 15), fill=self._color(value), outline=_INK)
            self._draw.text((x + 22, y), self._fitted(text, self._font, room - 34), _INK, self._font)

    def _color(self, value: int) -> tuple[int, int, int]:
        return self._entry(value).color or distinct_color(value)

    def _name(self, value: int) -> str:
        return self._entry(value).name

    def _entry(self, value: int) -> ClassEntry:
        return self._entries.get(value) or ClassEntry(value, str(value))


def _font(size: int) -> ImageFont.FreeTypeFont:
    """The font that matplotlib brings: it knows letters beyond Latin ones."""
    # Found without loading the library, which takes longer than drawing the sheet.
    library = find_spec("matplotlib").submodule_search_locations[0]
    return ImageFont.truetype(os.path.join(library, "mpl-data", "fonts", "ttf", "DejaVuSans.ttf"), size)


def _columns(count: int, pairs: bool) -> int:
    """Pictures in a row, so that the sheet is a page on its side; pairs are not parted."""
    columns = max(1, math.ceil(math.sqrt(count * _LANDSCAPE)))
    return columns + columns % 2 if pairs else columns


def _legend_shape(count: int) -> tuple[int, int]:
    """Lines and columns of a legend."""
    abreast = min(4, max(1, -(-count // 3)))
    return max(1, -(-count // abreast)) if count else 0, abreast


def _nearest(shown: int, whole: int) -> np.ndarray:
    """The pixel of ``whole`` that each of ``shown`` pixels shows."""
    return np.minimum(((np.arange(shown) + 0.5) * whole / shown).astype(int), whole - 1)


def _lay(color: tuple[int, int, int], where: np.ndarray, picture: np.ndarray) -> None:
    picture[where] += _VEIL * (np.array(color) - picture[where])


def _value_range(images: Sequence[Optional[np.ndarray]]) -> tuple[float, float]:
    """Values that become black and white."""
    parts = [image.ravel()[:: max(1, image.size // 20_000)] for image in images if image is not None]
    values = np.concatenate(parts) if parts else np.empty(0)
    values = values[np.isfinite(values)].astype(np.float64)
    if not values.size:
        return 0.0, 1.0
    low, high = np.percentile(values, _STRETCH)
    return float(low), float(high)
