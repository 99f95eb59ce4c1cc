"""One page of chips with their labels drawn, so that people see what was exported."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

import numpy as np
import rasterio
from PIL import Image, ImageDraw, ImageFont
from rasterio.errors import RasterioError

from ..errors import DataError
from ..imagery.band_names import red_green_blue
from ..labels.classes import ClassEntry, distinct_color
from .folder import ChipPair, ExportedFolder, read_exported_folder
from .label_files import ChipLabels, LabelReader

COLUMNS, ROWS = 5, 4

#: Pixels of a chip on the sheet, of the gaps, and of a line of text.
_CELL, _GAP, _LINE = 300, 12, 20

_PAPER, _INK = (255, 255, 255), (30, 30, 30)

#: Weight of a class's colour over the image.
_VEIL = 0.45

#: Percentiles that become black and white in imagery that is not 8-bit.
_STRETCH = (2, 98)


@dataclass(frozen=True)
class _Shown:
    """A chip on the sheet.

    Attributes:
        title: Its name.
        images: Its image, and that of the second raster, ``[bands, h, w]``.
        labels: What was read of its labels.
    """

    title: str
    images: tuple[np.ndarray, ...]
    labels: ChipLabels


def write_preview(root: Path, path: Path) -> None:
    """Draw chips spread evenly over an export, read back from its files.

    Args:
        root: Folder of the export; of a CycleGAN export either part is shown.
        path: PNG file to write.

    Raises:
        DataError: If what was written cannot be read.
    """
    parts = [root / name for name in ("A", "B") if (root / name).is_dir()] or [root]
    shown: list[_Shown] = []
    for part in parts:
        folder = read_exported_folder(part)
        shown += _choose(folder, COLUMNS * ROWS // len(parts), f"{part.name} " if len(parts) > 1 else "")
    sheet = _Sheet(folder, shown)
    sheet.image.save(path)


def _choose(folder: ExportedFolder, count: int, prefix: str) -> list[_Shown]:
    """Chips spread over the folder; of those with second images half as many."""
    count = count // 2 if folder.chips[0].second else count
    numbers = np.unique(
        np.linspace(0, len(folder.chips) - 1, min(count, len(folder.chips))).round().astype(int)
    )
    reader = LabelReader(folder)
    return [_read(folder.chips[number], reader, prefix) for number in numbers]


def _read(chip: ChipPair, reader: LabelReader, prefix: str) -> _Shown:
    images = tuple(_pixels(path) for path in (chip.image, chip.second) if path)
    return _Shown(f"{prefix}{chip.image.stem}", images, reader.read_tolerantly(chip, []) or ChipLabels())


def _pixels(path: Path) -> np.ndarray:
    try:
        with rasterio.open(path) as dataset:
            data = dataset.read()
            return np.abs(data) if data.dtype.kind == "c" else data
    except RasterioError as error:
        raise DataError(f"The chip {path} cannot be read ({error}).", "Export the chips again.") from error


class _Sheet:
    """Lays the chips out on one page."""

    def __init__(self, folder: ExportedFolder, shown: Sequence[_Shown]) -> None:
        self._folder = folder
        self._entries = {entry.value: entry for entry in folder.classes}
        self._bands = _rgb(folder)
        self._range = _value_range([image for one in shown for image in one.images], self._bands)
        self._font = ImageFont.load_default(14)
        self._counts: Counter[int] = Counter()
        cells = [self._cell(one, image) for one in shown for image in one.images]
        titles = [one.title for one in shown for _ in one.images]
        columns = min(COLUMNS, len(cells))
        rows = -(-len(cells) // columns)
        legend = self._legend_lines()
        width = max(_GAP + columns * (_CELL + _GAP), 2 * (_CELL + _GAP) + _GAP)
        height = _GAP + rows * (_CELL + _LINE + _GAP) + (len(legend) + 1) * _LINE + _GAP
        self.image = Image.new("RGB", (width, height), _PAPER)
        self._draw = ImageDraw.Draw(self.image)
        for number, (cell, title) in enumerate(zip(cells, titles)):
            x = _GAP + number % columns * (_CELL + _GAP)
            y = _GAP + number // columns * (_CELL + _LINE + _GAP)
            self.image.paste(cell, (x, y))
            self._draw.text((x, y + _CELL + 2), title, _INK, self._font)
        self._write_legend(legend, height - (len(legend) + 1) * _LINE - _GAP // 2)

    def _cell(self, one: _Shown, image: np.ndarray) -> Image.Image:
        height, width = image.shape[1:]
        scale = _CELL / max(height, width)
        picture = self._picture(image)
        picture = self._veiled(picture, one.labels)
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        resampling = Image.Resampling.NEAREST if scale > 1 else Image.Resampling.BOX
        cell = Image.new("RGB", (_CELL, _CELL), (235, 235, 235))
        cell.paste(Image.fromarray(picture).resize(size, resampling))
        draw = ImageDraw.Draw(cell)
        for value, box in zip(one.labels.box_classes.tolist(), one.labels.boxes):
            xmin, ymin, xmax, ymax = (box * scale).tolist()
            draw.rectangle(
                (xmin, ymin, max(xmin, xmax - 1), max(ymin, ymax - 1)), outline=self._color(value), width=2
            )
        self._counts.update(one.labels.classes or one.labels.box_classes.tolist())
        if one.labels.classes:
            self._tag(draw, ", ".join(self._name(value) for value in one.labels.classes))
        if one.labels.pixels is not None:
            values, counts = np.unique(one.labels.pixels, return_counts=True)
            self._counts.update(dict(zip(values.tolist(), counts.tolist())))
        return cell

    def _tag(self, draw: ImageDraw.ImageDraw, text: str) -> None:
        box = draw.textbbox((4, 4), text, self._font)
        draw.rectangle((box[0] - 3, box[1] - 3, box[2] + 3, box[3] + 3), fill=_PAPER)
        draw.text((4, 4), text, _INK, self._font)

    def _picture(self, image: np.ndarray) -> np.ndarray:
        """``[h, w, 3]``, uint8."""
        chosen = image[list(self._bands)] if len(image) > max(self._bands) else image[[0, 0, 0]]
        if image.dtype != np.uint8:
            low, high = self._range
            chosen = np.nan_to_num((chosen.astype(np.float64) - low) / max(high - low, 1e-12) * 255)
            chosen = chosen.clip(0, 255).astype(np.uint8)
        return np.ascontiguousarray(np.moveaxis(chosen, 0, -1))

    def _veiled(self, picture: np.ndarray, labels: ChipLabels) -> np.ndarray:
        """The picture under the colours of its classes and instances."""
        result = picture.astype(np.float64)
        if labels.pixels is not None:
            for value in np.unique(labels.pixels).tolist():
                if value or 0 in self._entries:
                    where = labels.pixels == value
                    result[where] += _VEIL * (np.array(self._color(value)) - result[where])
        for number, (_, mask) in enumerate(labels.instances, start=1):
            result[mask] += _VEIL * (np.array(distinct_color(number)) - result[mask])
        return result.astype(np.uint8)

    def _color(self, value: int) -> tuple[int, int, int]:
        return self._entry(value).color or distinct_color(value)

    def _name(self, value: int) -> str:
        return self._entry(value).name

    def _entry(self, value: int) -> ClassEntry:
        return self._entries.get(value) or ClassEntry(value, str(value))

    def _legend_lines(self) -> list[tuple[Optional[int], str]]:
        unit = (
            "pixels"
            if self._folder.metadata_format in ("Classified_Tiles", "Panoptic_Segmentation")
            else "labels"
        )
        return [
            (value, f"{self._name(value)} ({count:,} {unit} on this sheet)")
            for value, count in sorted(self._counts.items())
            if value or 0 in self._entries
        ]

    def _write_legend(self, lines: Sequence[tuple[Optional[int], str]], top: int) -> None:
        width, height = self._folder.tile_size
        head = f"{self._folder.metadata_format}: {len(self._folder.chips):,} chips, {width} x {height} pixels"
        self._draw.text((_GAP, top), head, _INK, self._font)
        for number, (value, text) in enumerate(lines, start=1):
            y = top + number * _LINE
            self._draw.rectangle((_GAP, y + 3, _GAP + 14, y + 15), fill=self._color(value), outline=_INK)
            self._draw.text((_GAP + 22, y), text, _INK, self._font)


def _rgb(folder: ExportedFolder) -> tuple[int, int, int]:
    return red_green_blue(folder.band_names) if folder.band_count >= 3 else (0, 0, 0)


def _value_range(images: Sequence[np.ndarray], bands: Sequence[int]) -> tuple[float, float]:
    """Values that become black and white."""
    chosen = [image[list(bands)] if len(image) > max(bands) else image[:1] for image in images]
    values = np.concatenate([part.ravel()[:: max(1, part.size // 20_000)] for part in chosen]).astype(
        np.float64
    )
    values = values[np.isfinite(values)]
    if not values.size:
        return 0.0, 1.0
    low, high = np.percentile(values, _STRETCH)
    return float(low), float(high)
