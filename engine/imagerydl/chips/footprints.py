"""The chips of an export as a polygon layer: what was exported, where, and how much of each class."""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Optional
from xml.sax.saxutils import quoteattr

import numpy as np
import pyogrio
import shapely
from rasterio.crs import CRS

from ..imagery.layer_style import save_layer_style
from ..labels.classes import ClassSchema
from ..labels.coordinates import transform_points

LAYER = "chips"

#: Parts of an export that was divided: each has the same colour in every export.
_PARTS = ("train", "validation", "test")

#: Colours of the outlines of parts, those of a division first.
_OUTLINES = ((31, 120, 180), (227, 26, 28), (106, 61, 154), (255, 127, 0), (51, 160, 44), (177, 89, 40))


class FootprintLayer:
    """Collects chips, as plain numbers, and writes them at the end."""

    def __init__(self) -> None:
        self._corners = array("d")
        self._systems: list[Optional[CRS]] = []
        self._system_of = array("q")
        self._chips = bytearray()
        self._repeated = {"image": _RepeatedTexts(), "split": _RepeatedTexts()}
        self._angles = array("d")
        # Number of the chip, class value, count; in three lists of one length.
        self._counts = (array("q"), array("q"), array("q"))

    def add(
        self,
        chip: str,
        corners: Sequence[Sequence[float]],
        image: str,
        split: str,
        angle: float,
        counts: Mapping[int, int],
        crs: Optional[CRS],
    ) -> None:
        """Note a chip.

        Args:
            chip: Its name.
            corners: Map coordinates of its four corners; columns and rows where ``crs`` is None.
            image: Name of the image it was cut from.
            split: Folder of the export it lies in.
            angle: Degrees it was turned by.
            counts: Objects or pixels by class value.
            crs: System of the corners.
        """
        number = len(self._angles)
        for corner in corners:
            self._corners.extend(corner)
        if crs not in self._systems:
            self._systems.append(crs)
        self._system_of.append(self._systems.index(crs))
        self._angles.append(angle)
        self._chips += chip.encode() + b"\n"
        self._repeated["image"].add(image)
        self._repeated["split"].add(split)
        for value, count in counts.items():
            for numbers, one in zip(self._counts, (number, value, count)):
                numbers.append(one)

    def write(self, path: Path, crs: Optional[CRS], classes: ClassSchema) -> None:
        """Write the layer; a GeoPackage gets a style, too.

        Args:
            path: A vector file; its extension says the format.
            crs: System of the layer; chips of other systems are brought to it. Without one, y is
                minus the row, which is where QGIS shows an image without georeference. A chip that
                has no place in that system has no outline.
            classes: One field is written for each.
        """
        pyogrio.raw.write(
            path,
            shapely.to_wkb(self._outlines(crs)),
            **self._fields(classes),
            geometry_type="Polygon",
            crs=crs.to_wkt() if crs else None,
            layer=LAYER,
        )
        if path.suffix.lower() == ".gpkg":
            splits = sorted(self._repeated["split"].distinct, key=_rank)
            save_layer_style(path, LAYER, "outlines", _style(splits), "Outlines of chips")

    def _outlines(self, crs: Optional[CRS]) -> np.ndarray:
        """Polygons ``[chips]``; None where a chip has no place in ``crs``."""
        corners = np.array(self._corners).reshape(-1, 4, 2)
        system_of = np.array(self._system_of)
        for number, own in enumerate(self._systems):
            chosen = system_of == number
            if own is None and crs is None:
                corners[chosen] *= (1, -1)
            elif own is None or crs is None:
                corners[chosen] = np.nan
            elif own != crs:
                flat = corners[chosen].reshape(-1, 2)
                moved = np.column_stack(transform_points(own, crs, flat[:, 0], flat[:, 1]))
                corners[chosen] = moved.reshape(-1, 4, 2)
        placed = np.isfinite(corners).all(axis=(1, 2))
        outlines = np.full(len(corners), None, dtype=object)
        outlines[placed] = shapely.polygons(corners[placed])
        return outlines

    def _fields(self, classes: ClassSchema) -> dict[str, list]:
        chips = self._chips.decode().split("\n")[:-1]
        columns = {"chip": np.array(chips, dtype=object)}
        columns |= {key: texts.as_array() for key, texts in self._repeated.items()}
        columns["angle"] = np.array(self._angles)
        numbers, values, counts = (np.array(part, dtype=np.int64) for part in self._counts)
        total = np.zeros(len(chips), dtype=np.int64)
        for value in [entry.value for entry in classes] or np.unique(values).tolist():
            column = np.zeros(len(chips), dtype=np.int64)
            chosen = values == value
            np.add.at(column, numbers[chosen], counts[chosen])
            columns[f"c_{value}"] = column
            total += column
        columns["labels"] = total
        return {"field_data": list(columns.values()), "fields": list(columns)}


class _RepeatedTexts:
    """Texts of which there are few different ones."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._which = array("q")

    @property
    def distinct(self) -> list[str]:
        return list(self._numbers)

    def add(self, text: str) -> None:
        self._which.append(self._numbers.setdefault(text, len(self._numbers)))

    def as_array(self) -> np.ndarray:
        return np.array([*self._numbers, ""], dtype=object)[np.array(self._which, dtype=np.int64)]


def _rank(split: str) -> tuple[int, str]:
    """Where a part stands: training, validation, test, then the others by name."""
    part = split.split("/")[0]
    return (_PARTS.index(part) if part in _PARTS else len(_PARTS)), split


def _style(splits: Sequence[str]) -> str:
    """Outlines only, for the image below is what matters; in a colour for each part of the export."""
    colors = _outline_colors(splits)
    symbols = "".join(_symbol(number, color) for number, color in enumerate(colors))
    if len(splits) < 2:
        renderer = f'<renderer-v2 type="singleSymbol"><symbols>{symbols}</symbols></renderer-v2>'
    else:
        categories = "".join(
            f'<category value={quoteattr(split)} label={quoteattr(split)} symbol="{number}" render="true"/>'
            for number, split in enumerate(splits)
        )
        renderer = (
            '<renderer-v2 type="categorizedSymbol" attr="split">'
            f"<categories>{categories}</categories><symbols>{symbols}</symbols></renderer-v2>"
        )
    return (
        "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>"
        f'<qgis version="3.22" styleCategories="Symbology">{renderer}</qgis>'
    )


def _outline_colors(splits: Sequence[str]) -> list[tuple[int, int, int]]:
    """A colour for each part; that of a division's part depends on no other part."""
    others = [split for split in splits if split not in _PARTS]
    places = [
        _PARTS.index(split) if split in _PARTS else len(_PARTS) + others.index(split) for split in splits
    ]
    if len(splits) < 2:
        places = [0]
    return [_OUTLINES[place % len(_OUTLINES)] for place in places]


def _symbol(number: int, outline: tuple[int, int, int]) -> str:
    color = ",".join(str(part) for part in (*outline, 255))
    # Drawn inside the chip's border, so that neighbours of different parts do not hide each other.
    options = {"line_color": color, "line_width": "0.5", "line_width_unit": "MM", "joinstyle": "miter"}
    options |= {"offset": "0.35", "offset_unit": "MM"}
    texts = "".join(f'<Option type="QString" name="{key}" value="{options[key]}"/>' for key in options)
    return (
        f'<symbol type="fill" name="{number}" alpha="1"><layer class="SimpleLine" enabled="1" pass="0">'
        f'<Option type="Map">{texts}</Option></layer></symbol>'
    )
