"""The chips of an export as a polygon layer: what was exported, where, and how much of each class."""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Optional

import numpy as np
import pyogrio
import shapely
from rasterio.crs import CRS

from ..labels.classes import ClassSchema
from ..labels.coordinates import transform_points

LAYER = "chips"


class FootprintLayer:
    """Collects chips, as plain numbers, and writes them at the end."""

    def __init__(self) -> None:
        self._corners = array("d")
        self._systems: list[Optional[CRS]] = []
        self._system_of = array("l")
        self._texts: dict[str, list[str]] = {"chip": [], "image": [], "split": []}
        self._angles = array("d")
        self._counts: dict[int, dict[int, int]] = {}

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
        for key, text in (("chip", chip), ("image", image), ("split", split)):
            self._texts[key].append(text)
        for value, count in counts.items():
            self._counts.setdefault(value, {})[number] = count

    def write(self, path: Path, crs: Optional[CRS], classes: ClassSchema) -> None:
        """Write the layer.

        Args:
            path: A vector file; its extension says the format.
            crs: System of the layer; chips of other systems are brought to it. Without one, y is
                minus the row, which is where QGIS shows an image without georeference.
            classes: One field is written for each.
        """
        corners = np.array(self._corners).reshape(-1, 4, 2)
        system_of = np.array(self._system_of)
        for number, own in enumerate(self._systems):
            chosen = system_of == number
            if own is None:
                corners[chosen] *= (1, -1)
            elif crs is not None and own != crs:
                flat = corners[chosen].reshape(-1, 2)
                moved = np.column_stack(transform_points(own, crs, flat[:, 0], flat[:, 1]))
                corners[chosen] = moved.reshape(-1, 4, 2)
        columns = {key: np.array(texts, dtype=object) for key, texts in self._texts.items()}
        columns["angle"] = np.array(self._angles)
        total = np.zeros(len(corners), dtype=np.int64)
        for value in [entry.value for entry in classes] or sorted(self._counts):
            counts = self._counts.get(value, {})
            column = np.zeros(len(corners), dtype=np.int64)
            column[list(counts)] = list(counts.values())
            columns[f"c_{value}"] = column
            total += column
        columns["labels"] = total
        pyogrio.raw.write(
            path,
            shapely.to_wkb(shapely.polygons(corners)),
            list(columns.values()),
            list(columns),
            geometry_type="Polygon",
            crs=crs.to_wkt() if crs else None,
            layer=LAYER,
        )
