"""Palette and class names of a raster: colour table, GDAL's and Esri's attribute tables."""

from __future__ import annotations

import html
import os
import re
from dataclasses import dataclass
from typing import Any, Optional

import numpy as np

Rgb = tuple[int, int, int]

#: Column names that mean the class name, in order of trust, lower case.
_NAME_FIELDS = (
    "class_name",
    "classname",
    "class",
    "name",
    "label",
    "category",
    "landcover",
    "type",
    "descriptio",
)

#: GDAL's numbers for what a column of an attribute table is for (GDALRATFieldUsage).
_USAGE_NAME, _USAGE_VALUE, _USAGE_RED, _USAGE_GREEN, _USAGE_BLUE = "2", "5", "6", "7", "8"


@dataclass(frozen=True)
class Attributes:
    """What is known about the values of a raster's first band.

    Attributes:
        colormap: Colour by value; None where the raster has no palette.
        categories: Name by value; None where the raster has no names.
    """

    colormap: Optional[dict[int, Rgb]] = None
    categories: Optional[dict[int, str]] = None


def read_attributes(path: str, dataset: Any) -> Attributes:
    """Read the palette and names of an open rasterio dataset and the files beside it.

    A table that cannot be read counts as none: names are a help, not a need.
    """
    colormap, categories = _color_table(dataset), None
    columns = _vat_columns(path + ".vat.dbf") or _pam_columns(path + ".aux.xml")
    if columns:
        categories, colors = _from_columns(columns)
        colormap = colormap or colors
    return Attributes(colormap or None, categories or _category_names(path + ".aux.xml") or None)


def _color_table(dataset: Any) -> Optional[dict[int, Rgb]]:
    try:
        return {int(value): tuple(color[:3]) for value, color in dataset.colormap(1).items()}
    except ValueError:  # rasterio's way to say that there is none
        return None


def _vat_columns(path: str) -> dict[str, list[Any]]:
    """Columns of an Esri value attribute table (``<raster>.vat.dbf``), by lower-case name."""
    if not os.path.isfile(path):
        return {}
    from pyogrio.errors import DataSourceError
    from pyogrio.raw import read

    try:
        meta, _, _, columns = read(path, read_geometry=False)
    except (DataSourceError, UnicodeDecodeError):
        return {}
    return {str(name).lower(): list(column) for name, column in zip(meta["fields"], columns)}


def _pam_columns(path: str) -> dict[str, list[Any]]:
    """Columns of the attribute table GDAL keeps in ``<raster>.aux.xml``, by lower-case name.

    A column is also found under the name of its declared use (value, name, red, green, blue).
    """
    # The table is flat text written by GDAL: a pattern reads it without the risks of parsing
    # XML that came from anywhere.
    table = re.search(r"<GDALRasterAttributeTable.*?</GDALRasterAttributeTable>", _text(path), re.DOTALL)
    if not table:
        return {}
    rows = [
        re.findall(r"<F>(.*?)</F>|<F\s*/>", row, re.DOTALL)
        for row in re.findall(r"<Row[^>]*>(.*?)</Row>", table[0], re.DOTALL)
    ]
    columns: dict[str, list[Any]] = {}
    uses = {
        _USAGE_NAME: "class",
        _USAGE_VALUE: "value",
        _USAGE_RED: "red",
        _USAGE_GREEN: "green",
        _USAGE_BLUE: "blue",
    }
    for index, definition in enumerate(re.findall(r"<FieldDefn[^>]*>(.*?)</FieldDefn>", table[0], re.DOTALL)):
        name = re.search(r"<Name>(.*?)</Name>", definition, re.DOTALL)
        usage = re.search(r"<Usage[^>]*>(\d+)</Usage>", definition)
        column = [html.unescape(row[index]) if index < len(row) else "" for row in rows]
        if name:
            columns[html.unescape(name[1]).strip().lower()] = column
        if usage and usage[1] in uses:
            columns.setdefault(uses[usage[1]], column)
    return columns


def _category_names(path: str) -> dict[int, str]:
    """Category names GDAL keeps in ``<raster>.aux.xml``: the n-th one names the value n."""
    block = re.search(r"<CategoryNames>(.*?)</CategoryNames>", _text(path), re.DOTALL)
    names = re.findall(r"<Category>(.*?)</Category>|<Category\s*/>", block[1], re.DOTALL) if block else []
    return {value: html.unescape(name).strip() for value, name in enumerate(names) if name.strip()}


def _from_columns(columns: dict[str, list[Any]]) -> tuple[Optional[dict[int, str]], Optional[dict[int, Rgb]]]:
    try:
        values = [int(float(value)) for value in columns["value"]]
    except (KeyError, TypeError, ValueError):
        return None, None
    named = next((columns[field] for field in _NAME_FIELDS if field in columns), None)
    names = {value: str(name).strip() for value, name in zip(values, named)} if named else None
    try:
        parts = [np.asarray(columns[field], dtype=float) for field in ("red", "green", "blue")]
    except (KeyError, TypeError, ValueError):
        return names, None
    # Esri writes 0 to 255 or, in older tables, 0.0 to 1.0.
    scale = 255.0 if max(float(part.max(initial=0)) for part in parts) <= 1.0 else 1.0
    colors = np.rint(np.clip(np.stack(parts, axis=1) * scale, 0, 255)).astype(int).tolist()
    return names, {value: tuple(color) for value, color in zip(values, colors)}


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""
