"""How much ground each class covers: true areas, also where the CRS is geographic."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

import numpy as np
import shapely
from affine import Affine
from rasterio.crs import CRS

from ..errors import OutputError
from ..imagery.transforms import apply
from ..labels.classes import ClassSchema
from ..outputs import explained

#: WKT 1 (``SPHEROID``) and WKT 2 (``ELLIPSOID``): semi-major axis, inverse flattening.
_ELLIPSOID = re.compile(r'(?:SPHEROID|ELLIPSOID)\["[^"]*",\s*([\d.eE+-]+),\s*([\d.eE+-]+)')


@dataclass(frozen=True)
class Ellipsoid:
    """The body angles of a geographic CRS lie on.

    Attributes:
        semi_major: Metres.
        inverse_flattening: 0 for a sphere.
    """

    semi_major: float
    inverse_flattening: float

    @classmethod
    def of(cls, crs: CRS) -> Ellipsoid:
        """That of a CRS, as its WKT states it.

        Raises:
            OutputError: If it states none.
        """
        found = _ELLIPSOID.search(crs.to_wkt())
        if not found:
            raise OutputError(
                "The CRS of the raster names no ellipsoid, so areas cannot be told.",
                "Assign the raster a CRS with a known datum, such as EPSG:4326.",
            )
        return cls(float(found.group(1)), float(found.group(2)))

    def zone(self, latitude: np.ndarray) -> np.ndarray:
        """Area between the equator and a latitude, m^2 for each radian of longitude; south is negative.

        Snyder, Map Projections - A Working Manual (USGS 1395, 1987), equation 3-12, times a^2 / 2.

        Args:
            latitude: Radians.
        """
        sine = np.sin(latitude)
        if self.inverse_flattening == 0:
            return self.semi_major**2 * sine
        flattening = 1 / self.inverse_flattening
        square = flattening * (2 - flattening)
        e = np.sqrt(square)
        q = (1 - square) * (sine / (1 - square * sine**2) + np.arctanh(e * sine) / e)
        return self.semi_major**2 / 2 * q


class AreaMeasure:
    """Measures what lies in a CRS: m^2 where it is geographic, square map units elsewhere.

    Args:
        crs: None for pixels: areas are numbers of pixels then.
    """

    def __init__(self, crs: Optional[CRS]) -> None:
        self.is_geographic = bool(crs and crs.is_geographic)
        if self.is_geographic:
            self._ellipsoid = Ellipsoid.of(crs)
            self._radians = crs.units_factor[1]

    @property
    def unit(self) -> str:
        """What :meth:`polygons` and :meth:`cells` count in."""
        return "m2" if self.is_geographic else "square map units"

    def polygons(self, outlines: np.ndarray) -> np.ndarray:
        """Areas ``[n]`` of polygons whose edges are straight in the CRS."""
        if not self.is_geographic:
            return shapely.area(outlines)
        rings, polygon_of = shapely.get_rings(outlines, return_index=True)
        exterior = np.r_[True, polygon_of[1:] != polygon_of[:-1]]
        points, ring_of = shapely.get_coordinates(rings, return_index=True)
        inside = ring_of[1:] == ring_of[:-1]
        edges = self._under_edges(points[:-1], points[1:])
        size = np.abs(np.bincount(ring_of[:-1][inside], weights=edges[inside], minlength=len(rings)))
        return np.bincount(polygon_of, weights=np.where(exterior, size, -size), minlength=len(outlines))

    def cells(self, transform: Affine, first_row: int, rows: int, columns: int) -> np.ndarray:
        """Areas of the pixels of rows: ``[rows, 1]`` where a row has one, else ``[rows, columns]``."""
        t = transform
        if not self.is_geographic:
            return np.full((rows, 1), abs(t.determinant))
        if t.b == 0 and t.d == 0:
            columns = 1
        column, row = np.meshgrid(np.arange(columns + 1), np.arange(first_row, first_row + rows + 1))
        corners = np.stack(apply(t, column, row), axis=-1)
        nw, ne, sw, se = corners[:-1, :-1], corners[:-1, 1:], corners[1:, :-1], corners[1:, 1:]
        ring = ((nw, ne), (ne, se), (se, sw), (sw, nw))
        return np.abs(sum(self._under_edges(start, end) for start, end in ring))

    def _under_edges(self, start: np.ndarray, end: np.ndarray) -> np.ndarray:
        """Signed areas between edges ``[..., 2]`` and the equator.

        Exact along parallels and meridians; Simpson's rule along slanted edges.
        """
        longitudes = (end[..., 0] - start[..., 0]) * self._radians
        south, north = start[..., 1] * self._radians, end[..., 1] * self._radians
        zone = self._ellipsoid.zone
        return longitudes * (zone(south) + 4 * zone((south + north) / 2) + zone(north)) / 6


class AreaTally:
    """Sums the areas of class values while a raster is written.

    Args:
        crs: Of the raster; None without georeference.
        transform: Of the raster.
        nodata: Value that is not counted.
    """

    def __init__(self, crs: Optional[CRS], transform: Affine, nodata: Optional[int] = None) -> None:
        self._measure = AreaMeasure(crs)
        # Without a CRS, a unit is what the transform says; an image without either has pixels.
        self._transform, self._nodata = transform, nodata
        self._pixels: dict[int, int] = {}
        self._areas: dict[int, float] = {}

    @property
    def unit(self) -> str:
        """What :attr:`areas` counts in."""
        return self._measure.unit

    @property
    def pixels(self) -> dict[int, int]:
        """Pixels by class value."""
        return dict(sorted(self._pixels.items()))

    @property
    def areas(self) -> dict[int, float]:
        """Areas by class value."""
        return dict(sorted(self._areas.items()))

    def add(self, values: np.ndarray, first_row: int) -> None:
        """Count finished rows ``[rows, width]`` of unsigned class values, each row once."""
        cells = self._measure.cells(self._transform, first_row, *values.shape)
        for row, cell in zip(values, cells):
            counts = np.bincount(row)
            weighed = counts * cell[0] if len(cell) == 1 else np.bincount(row, weights=cell)
            for value in np.flatnonzero(counts).tolist():
                if value != self._nodata:
                    self._pixels[value] = self._pixels.get(value, 0) + int(counts[value])
                    self._areas[value] = self._areas.get(value, 0.0) + float(weighed[value])


def write_areas(path: Path, tally: AreaTally, classes: ClassSchema) -> None:
    """Write a table, UTF-8 CSV: value, name, pixels, area, unit, share (0 to 1, of the area counted).

    Every class has a row, also one that no pixel has; so has a value that is no class.

    Args:
        path: A ``.csv`` file, from :func:`imagerydl.outputs.staged`.
        tally: What was counted.
        classes: Names.

    Raises:
        OutputError: If the extension is another, or the file cannot be written.
    """
    if path.suffix.lower() != ".csv":
        raise OutputError(f"{path} is no CSV file.", "Give the table of areas a name that ends in .csv.")
    names: Mapping[int, str] = {entry.value: entry.name for entry in classes}
    pixels, areas = tally.pixels, tally.areas
    total = sum(areas.values())
    with explained(path), open(path, "w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["value", "name", "pixels", "area", "unit", "share"])
        for value in sorted({*names, *areas}):
            area = areas.get(value, 0.0)
            share = area / total if total else 0.0
            table.writerow(
                [value, names.get(value, ""), pixels.get(value, 0), repr(area), tally.unit, f"{share:.6f}"]
            )
