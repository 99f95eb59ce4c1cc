"""Features with all their attributes, so that some of them can be written again as they were."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import shapely
from pyogrio.errors import DataLayerError, DataSourceError

from ..errors import DataError
from .geometry import LayerFile, usable_geometries
from .source import split_layer_name


class WholeFeatures:
    """The polygons of a layer and everything known about each.

    Args:
        path: ``file`` or ``file|layername=NAME``.
        what: What to call the layer in errors.

    Attributes:
        name: What to call it in messages.
        fields: Names of its attribute fields.
        crs: None where the layer does not say.
        geometries: Valid polygons ``[n]``, in two dimensions, for comparing.
        notes: What was repaired or left out, for the user.

    Raises:
        DataError: If it cannot be read, or has no polygon though it has features.
    """

    def __init__(self, path: str, what: str = "layer") -> None:
        file = LayerFile(path, what)
        self.name, self.fields, self.crs = file.name, file.fields, file.crs
        self._meta, wkb, columns = _read(path, file.name, what)
        shapes, usable, repairs = usable_geometries(wkb)
        areal = shapely.get_dimensions(shapes) == 2
        if len(wkb) and not areal.any():
            raise DataError(f"The {what} {self.name} has no polygons.", "Choose a layer of polygons.")
        kept = np.flatnonzero(usable)[areal]
        self.geometries = shapes[areal]
        self._wkb = wkb[kept]
        self._columns = [column[kept] for column in columns]
        left_out = len(wkb) - len(kept)
        notes = (
            (left_out, f"{left_out} features of {self.name} without a usable polygon were left out."),
            (repairs, f"{repairs} invalid polygons of {self.name} were repaired for comparing."),
        )
        self.notes = tuple(text for count, text in notes if count)

    def __len__(self) -> int:
        return len(self.geometries)

    def column(self, name: str) -> np.ndarray:
        """Cells of one field ``[n]``."""
        return self._columns[self.fields.index(name)]

    def write(self, path: Path, which: np.ndarray, layer: str, say: Callable[[str], None]) -> None:
        """Write those that a bool mask ``[n]`` names: geometry, attributes and system as they were.

        Args:
            path: A file whose extension says the format.
            which: The features.
            layer: Name of the layer, where the format has names.
            say: Receives what the format cannot hold.
        """
        data, masks = [], []
        for name, kind, column in zip(self.fields, self._meta["dtypes"], self._columns):
            cells, mask = as_stored(column[which], str(kind))
            data.append(cells)
            masks.append(mask if mask.any() else None)
            if str(kind).startswith("list"):
                say(f"Field {name!r} of {self.name} holds lists: they are written as text.")
        kinds, high = _kinds(self._wkb[which])
        multi = shapely.GeometryType.MULTIPOLYGON in kinds
        pyogrio.raw.write(
            path,
            self._wkb[which],
            data,
            list(self.fields),
            field_mask=masks,
            layer=layer,
            geometry_type=("MultiPolygon" if multi else "Polygon") + (" Z" if high else ""),
            promote_to_multi=multi,
            crs=self.crs.to_wkt() if self.crs else None,
        )


def _read(path: str, name: str, what: str) -> tuple[dict[str, Any], np.ndarray, list[np.ndarray]]:
    file, layer = split_layer_name(path)
    try:
        meta, _, wkb, columns = pyogrio.raw.read(file, layer=layer)
    except (DataSourceError, DataLayerError, ValueError) as error:
        raise DataError(f"The {what} {name} cannot be read ({error}).", "Give a vector layer.") from error
    return meta, wkb, columns


def _kinds(wkb: np.ndarray) -> tuple[set[int], bool]:
    """The geometry types that occur, and whether any has heights; from the first bytes of each."""
    kinds, high = set(), False
    for head in {text[:5] for text in wkb}:
        number = int.from_bytes(head[1:], "little" if head[0] else "big")
        # Heights are a flag of 2.5D (the top bit), or a thousand added (ISO).
        high |= bool(number >> 31) or (number & 0xFFFF) // 1000 in (1, 3)
        kinds.add((number & 0xFFFF) % 1000)
    return kinds, high


def as_stored(cells: np.ndarray, kind: str) -> tuple[np.ndarray, np.ndarray]:
    """Cells in the type of their field, and which are null: a null among whole numbers makes them floats."""
    if cells.dtype.kind == "f":
        null = np.isnan(cells)
        if not kind.startswith("float"):
            cells = np.where(null, 0, cells).astype(kind)
        return cells, null
    if cells.dtype.kind == "M":
        return cells, np.isnat(cells)
    if cells.dtype.kind == "O":
        null = np.array([cell is None for cell in cells], dtype=bool)
        if kind.startswith("list"):
            texts = [None if cell is None else json.dumps(cell.tolist()) for cell in cells]
            cells = np.array([*texts, None], dtype=object)[:-1]
        return cells, null
    return cells, np.zeros(len(cells), dtype=bool)
