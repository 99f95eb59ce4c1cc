"""Classes: value, name, colour, and the text a class schema is written in.

Standard library only: model definitions and the QGIS side use it.
"""

from __future__ import annotations

import colorsys
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

from ..errors import ParameterError

Color = tuple[int, int, int]

#: Labels are stored as unsigned integers of 8 or 16 bits.
MAX_CLASS_VALUE = 65535

_LINE = re.compile(r"^\s*(\d+)\s*[,;\t]\s*(.*?)\s*(?:[,;\t]\s*#?([0-9A-Fa-f]{6})\s*)?$")


@dataclass(frozen=True)
class ClassEntry:
    """One class: its integer value in rasters, its name, its colour where known."""

    value: int
    name: str
    color: Optional[Color] = None


class ClassSchema:
    """The classes of a label source or model, in order, found by value, name or colour.

    Args:
        entries: The classes; values must be unique and within 0 to 65535.

    Raises:
        ParameterError: For a value twice, a name twice, a colour twice or a value out of range.
    """

    def __init__(self, entries: Iterable[ClassEntry] = ()) -> None:
        self._entries = tuple(entries)
        self._by_value = {entry.value: entry for entry in self._entries}
        for what, keys in (
            ("value", [entry.value for entry in self._entries]),
            ("name", [entry.name for entry in self._entries]),
            ("colour", [entry.color for entry in self._entries if entry.color]),
        ):
            twice = sorted({str(key) for key in keys if keys.count(key) > 1})
            if twice:
                raise ParameterError(
                    f"The class {what} {', '.join(twice)} occurs more than once.",
                    f"Give each class its own {what}.",
                )
        for entry in self._entries:
            if not 0 <= entry.value <= MAX_CLASS_VALUE:
                raise ParameterError(
                    f"Class {entry.name!r} has the value {entry.value}.",
                    f"Class values must lie between 0 and {MAX_CLASS_VALUE}.",
                )

    def __iter__(self) -> Iterator[ClassEntry]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, value: int) -> bool:
        return value in self._by_value

    def __getitem__(self, value: int) -> ClassEntry:
        return self._by_value[value]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ClassSchema) and self._entries == other._entries

    def __hash__(self) -> int:
        return hash(self._entries)

    def __repr__(self) -> str:
        return f"ClassSchema({list(self._entries)!r})"

    @property
    def values(self) -> tuple[int, ...]:
        """Class values, in order."""
        return tuple(entry.value for entry in self._entries)

    @property
    def colors(self) -> dict[Color, int]:
        """Colour to value, for classes that have a colour."""
        return {entry.color: entry.value for entry in self._entries if entry.color}

    def with_colors(self) -> ClassSchema:
        """The same classes, each with a colour: its own, or a well separated one by its value."""
        return ClassSchema(
            entry if entry.color else ClassEntry(entry.value, entry.name, distinct_color(entry.value))
            for entry in self._entries
        )

    @classmethod
    def parse(cls, file_or_text: str) -> ClassSchema:
        """Read ``value, name, #RRGGBB`` lines from a file, or from the text itself.

        Empty lines and lines starting with ``#`` or ``//`` are skipped; the colour may be left
        out; commas, semicolons and tabs separate.

        Raises:
            ParameterError: Naming the line that cannot be read, or the missing file.
        """
        text = file_or_text
        if "\n" not in text and not _LINE.match(text):
            path = Path(text)
            if not path.is_file():
                raise ParameterError(
                    f"The class schema {text!r} is neither a file nor lines of classes.",
                    "Write one class a line: value, name, #RRGGBB.",
                )
            text = path.read_text(encoding="utf-8-sig")
        entries = []
        for number, line in enumerate(text.splitlines(), start=1):
            stripped = line.strip()
            if not stripped or stripped.startswith(("#", "//")):
                continue
            match = _LINE.match(stripped)
            if not match:
                raise ParameterError(
                    f"Line {number} of the class schema, {stripped!r}, cannot be read.",
                    "Write one class a line: value, name, #RRGGBB.",
                )
            value, name, color = match.groups()
            entries.append(ClassEntry(int(value), name.strip() or value, hex_color(color) if color else None))
        if not entries:
            raise ParameterError(
                "The class schema holds no class.", "Write one class a line: value, name, #RRGGBB."
            )
        return cls(entries)


def schema_from_items(items: Iterable[Mapping[str, Any]]) -> ClassSchema:
    """The classes in a JSON list of ``{Value, Name, Color}`` or ``{ClassValue, ClassName}`` objects.

    Raises:
        ParameterError: If an item has no usable value and name, or a value occurs twice.
    """
    entries: list[ClassEntry] = []
    for item in items:
        try:
            value = int(item["Value"] if "Value" in item else item["ClassValue"])
            name = str(item["Name"] if "Name" in item else item["ClassName"])
        except (KeyError, TypeError, ValueError) as error:
            raise ParameterError(
                f"The class {item!r} has no usable value and name.",
                "Classes must be a list of objects with Value and Name.",
            ) from error
        entries.append(ClassEntry(value, name, color_or_none(item.get("Color"))))
    return lenient_schema(entries)


def lenient_schema(entries: Iterable[ClassEntry]) -> ClassSchema:
    """A schema from classes another program wrote, where names and colours may repeat.

    A name used again gets its value added; a colour used again is kept for the first class only.
    """
    unique: list[ClassEntry] = []
    names: set[str] = set()
    colors: set[Color] = set()
    for entry in entries:
        name = f"{entry.name} ({entry.value})" if entry.name in names else entry.name
        color = None if entry.color in colors else entry.color
        unique.append(ClassEntry(entry.value, name, color))
        names.add(name)
        if color:
            colors.add(color)
    return ClassSchema(unique)


def color_or_none(value: Any) -> Optional[Color]:
    """Three numbers from 0 to 255 as a colour; None for anything else.

    ``[-1, -1, -1]`` is how Esri's files write an unknown colour.
    """
    try:
        red, green, blue = (int(part) for part in value)
    except (TypeError, ValueError):
        return None
    return (red, green, blue) if all(0 <= part <= 255 for part in (red, green, blue)) else None


def hex_color(text: str) -> Color:
    """``#3C1098`` or ``3C1098`` as (60, 16, 152)."""
    digits = text.lstrip("#")
    return int(digits[0:2], 16), int(digits[2:4], 16), int(digits[4:6], 16)


def distinct_color(index: int) -> Color:
    """A colour that stays apart from those of neighbouring indices, the same in every run.

    Hues step by the golden angle, the classic way to spread any number of hues.
    """
    if index == 0:
        return 180, 180, 180
    red, green, blue = colorsys.hls_to_rgb((index * 0.61803398875) % 1.0, 0.5, 0.65)
    return round(red * 255), round(green * 255), round(blue * 255)
