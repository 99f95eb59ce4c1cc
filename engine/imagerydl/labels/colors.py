"""Labels from colour masks: RGB or paletted images whose colours a class schema explains."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np

from ..errors import DataError
from ..imagery.grid import Grid
from ..imagery.source import RasterSource
from .class_pixels import PixelLabels
from .classes import ClassEntry, ClassSchema, Color
from .rasters import strips

#: Distinct unknown colours remembered by name; a mask stored as JPEG has countless ones.
_REMEMBERED = 10_000


class ColorLookup:
    """From 24-bit colours to class values, one table entry per possible colour.

    Args:
        schema: Classes with colours.

    Attributes:
        dtype: uint8 where every value and the mark for unknown colours fit, else uint16.
        unknown: The mark: a number that is no class value.
    """

    def __init__(self, schema: ClassSchema) -> None:
        self.schema = schema
        taken = set(schema.values)
        self.unknown = next(number for number in range(65536) if number not in taken)
        self.dtype = np.dtype(np.uint8 if max(*taken, self.unknown) <= 255 else np.uint16)
        self._table = np.full(1 << 24, self.unknown, dtype=self.dtype)
        for color, value in schema.colors.items():
            self._table[_code(color)] = value

    def values_of(self, codes: np.ndarray) -> np.ndarray:
        """Class value, or :attr:`unknown`, per colour code; same shape."""
        return self._table[codes]

    def value_of(self, color: Color) -> int:
        """Class value, or :attr:`unknown`, of one colour."""
        return int(self._table[_code(color)])


@dataclass
class ColorSurvey:
    """Colours of masks that the schema does not explain.

    Attributes:
        pixels: Pixels looked at (with a value).
        unknown: How many of them have a colour the schema lacks.
        colors: Count by unknown colour, the most frequent ones.
    """

    pixels: int = 0
    unknown: int = 0
    colors: Counter[Color] = field(default_factory=Counter)

    @property
    def share(self) -> float:
        """Unknown pixels as a part of all, 0 to 1."""
        return self.unknown / self.pixels if self.pixels else 0.0

    def add(self, other: ColorSurvey) -> None:
        """Count another mask in."""
        self.pixels += other.pixels
        self.unknown += other.unknown
        self.colors.update(other.colors)
        if len(self.colors) > 2 * _REMEMBERED:
            self.colors = Counter(dict(self.colors.most_common(_REMEMBERED)))

    def describe(self) -> str:
        """``552,156 pixels (0.62 %) have colours the class schema lacks: #000000 (552,156)``."""
        shown = ", ".join(f"{hex_text(color)} ({count:,})" for color, count in self.colors.most_common(5))
        more = f" and {len(self.colors) - 5:,} more colours" if len(self.colors) > 5 else ""
        share = f"{100 * self.share:.2f} %" if self.share >= 0.0001 else "under 0.01 %"
        return f"{self.unknown:,} pixels ({share}) have colours the class schema lacks: {shown}{more}"


class ColorMaskLabels(PixelLabels):
    """An RGB or paletted image as labels; colours the schema lacks become 0.

    Args:
        source: The opened mask; closed by :meth:`close`.
        placed: Where it lies (see :func:`imagerydl.labels.rasters.place`).
        lookup: From colours to values; shared by all masks.

    Attributes:
        classes: The schema.
        max_value: Its largest value.
    """

    def __init__(self, source: RasterSource, placed: Grid, lookup: ColorLookup) -> None:
        super().__init__(source, placed)
        self._lookup = lookup
        self.classes = lookup.schema
        self.max_value = max(lookup.schema.values)
        self._codes = _palette_codes(source) if source.colormap else None

    def values_of(self, data: np.ndarray, valid: np.ndarray) -> np.ndarray:
        """The values that the schema gives to the colours."""
        values = self._lookup.values_of(self._color_codes(data))
        background = (values == self._lookup.unknown) | ~valid
        values[background] = 0
        return values

    def describe(self, value: int) -> ClassEntry:
        """The schema's entry."""
        return self.classes[value] if value in self.classes else ClassEntry(value, str(value))

    def survey(self, progress: Callable[[], None] = lambda: None) -> ColorSurvey:
        """Look at every pixel of the mask once and count the colours the schema lacks."""
        result = ColorSurvey()
        for window in strips(self._source.grid):
            progress()
            data, valid = self._source.read(window)
            codes = self._color_codes(data)
            wrong = codes[(self._lookup.values_of(codes) == self._lookup.unknown) & valid]
            part = ColorSurvey(int(valid.sum()), int(wrong.size))
            if wrong.size:
                part.colors.update(_count(wrong))
            result.add(part)
        return result

    def _color_codes(self, data: np.ndarray) -> np.ndarray:
        """24-bit colour of each pixel: int32 ``[height, width]``."""
        if self._codes is not None:
            return self._codes[data[0]]
        codes = data[0].astype(np.int32)
        codes <<= 8
        codes |= data[1]
        codes <<= 8
        codes |= data[2]
        return codes


def is_color_mask(source: RasterSource, schema: ClassSchema | None) -> bool:
    """Whether the pixels of ``source`` are colours of ``schema``, rather than class values.

    A palette whose colours the schema does not know leaves the stored numbers to be the values.

    Raises:
        DataError: For an RGB image without a schema that says what its colours mean.
    """
    has_colors = bool(schema and schema.colors)
    if source.count == 1:
        palette = set((source.colormap or {}).values())
        return has_colors and bool(palette & set(schema.colors))
    if source.count == 3 and source.dtype == np.uint8:
        if has_colors:
            return True
        raise DataError(
            f"The label image {source.name} is an RGB image, but nothing says which colour is which class.",
            "Give CLASS_SCHEMA: one class a line, value, name, #RRGGBB. "
            f"Its most frequent colours are {', '.join(_frequent(source))}.",
        )
    raise DataError(
        f"The class raster {source.name} has {source.count} bands of type {source.dtype}.",
        "Give one band of class values, or an RGB image of 8 bits with CLASS_SCHEMA.",
    )


def hex_text(color: Color) -> str:
    """(60, 16, 152) as ``#3C1098``."""
    return "#{:02X}{:02X}{:02X}".format(*color)


def _frequent(source: RasterSource) -> Iterable[str]:
    counts: Counter[Color] = Counter()
    for window in strips(source.grid):
        data, _ = source.read(window)
        codes = (data[0].astype(np.int32) << 16) | (data[1].astype(np.int32) << 8) | data[2]
        counts.update(_count(codes.ravel()))
        break  # a look at the top of the image is enough for a hint
    return [hex_text(color) for color, _ in counts.most_common(8)]


def _count(codes: np.ndarray) -> dict[Color, int]:
    values, counts = np.unique(codes, return_counts=True)
    order = np.argsort(counts)[::-1][:_REMEMBERED]
    return {_color(int(values[i])): int(counts[i]) for i in order}


def _code(color: Color) -> int:
    return (color[0] << 16) | (color[1] << 8) | color[2]


def _color(code: int) -> Color:
    return code >> 16, (code >> 8) & 255, code & 255


def _palette_codes(source: RasterSource) -> np.ndarray:
    size = int(np.iinfo(source.dtype).max) + 1
    codes = np.zeros(size, dtype=np.int32)
    for index, color in (source.colormap or {}).items():
        codes[index] = _code(color)
    return codes
