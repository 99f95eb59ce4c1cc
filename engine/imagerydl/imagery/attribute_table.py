"""The attribute table of a class raster, for GDAL and QGIS (``.aux.xml``) and Esri (``.vat.dbf``).

rasterio has no way to write one; both files are small.
"""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from pathlib import Path

import numpy as np

from ..labels.classes import ClassSchema

#: Columns of the table: name, GDAL type number and name, GDAL usage number.
_COLUMNS = (
    ("Value", 0, "Integer", 5),
    ("Count", 0, "Integer", 1),
    ("Class", 2, "String", 2),
    ("Red", 0, "Integer", 6),
    ("Green", 0, "Integer", 7),
    ("Blue", 0, "Integer", 8),
)

#: Category names are a list from 0 to the largest value; a sparse one of more is not worth it.
_MAX_CATEGORIES = 4096

#: Bytes a dBASE text column may hold.
_MAX_TEXT = 254


def write_pam(raster: Path, classes: ClassSchema, counts: Mapping[int, int]) -> Path:
    """Put names and attribute table into ``<raster>.aux.xml``, next to what GDAL wrote there.

    Args:
        raster: The raster, already closed.
        classes: Classes with colours.
        counts: Pixels by class value; what is missing counts 0.

    Returns:
        The file written.
    """
    target = raster.with_name(raster.name + ".aux.xml")
    content = target.read_text(encoding="utf-8") if target.exists() else "<PAMDataset>\n</PAMDataset>\n"
    inside = _category_names(classes) + _table(classes, counts)
    start = '<PAMRasterBand band="1">'
    if start in content:
        content = content.replace(start, start + "\n" + inside, 1)
    else:
        band = f"  {start}\n{inside}  </PAMRasterBand>\n"
        content = content.replace("</PAMDataset>", band + "</PAMDataset>", 1)
    target.write_text(content, encoding="utf-8")
    return target


def _category_names(classes: ClassSchema) -> str:
    last = max(classes.values, default=-1)
    if not 0 <= last <= _MAX_CATEGORIES:
        return ""
    names = [classes[value].name if value in classes else "" for value in range(last + 1)]
    lines = "".join(f"      <Category>{escape(name)}</Category>\n" for name in names)
    return f"    <CategoryNames>\n{lines}    </CategoryNames>\n"


def _table(classes: ClassSchema, counts: Mapping[int, int]) -> str:
    text = '    <GDALRasterAttributeTable tableType="thematic">\n'
    for index, (name, number, type_name, usage) in enumerate(_COLUMNS):
        text += (
            f'      <FieldDefn index="{index}">\n        <Name>{name}</Name>\n'
            f'        <Type typeAsString="{type_name}">{number}</Type>\n'
            f"        <Usage>{usage}</Usage>\n      </FieldDefn>\n"
        )
    for index, entry in enumerate(classes):
        # GDAL holds 32-bit integers here.
        count = min(counts.get(entry.value, 0), 2**31 - 1)
        cells = "".join(
            f"<F>{escape(str(cell))}</F>" for cell in (entry.value, count, entry.name, *entry.color)
        )
        text += f'      <Row index="{index}">{cells}</Row>\n'
    return text + "    </GDALRasterAttributeTable>\n"


def write_attribute_table(raster: Path, classes: ClassSchema, counts: Mapping[int, int]) -> Path:
    """Write Esri's value attribute table ``<raster>.vat.dbf`` (and its ``.cpg``).

    Args:
        raster: The raster.
        classes: Classes with colours.
        counts: Pixels by class value; what is missing counts 0.

    Returns:
        The file written.
    """
    from pyogrio.raw import write

    target = raster.with_name(raster.name + ".vat.dbf")
    entries = list(classes)
    columns = {
        "Value": np.array([entry.value for entry in entries], dtype=np.int32),
        "Count": np.array([float(counts.get(entry.value, 0)) for entry in entries], dtype=np.float64),
        "Class": np.array([_shortened(entry.name) for entry in entries], dtype=object),
    }
    for index, name in enumerate(("Red", "Green", "Blue")):
        columns[name] = np.array([entry.color[index] for entry in entries], dtype=np.int32)
    write(
        str(target),
        None,
        list(columns.values()),
        list(columns),
        driver="ESRI Shapefile",
        geometry_type=None,
        encoding="UTF-8",
        layer=raster.name + ".vat",
    )
    return target


def _shortened(name: str) -> str:
    return name.encode("utf-8")[:_MAX_TEXT].decode("utf-8", errors="ignore")
