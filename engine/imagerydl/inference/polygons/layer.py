"""A polygon layer that grows while the polygons are found."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Optional

import numpy as np
import pyogrio
import shapely
from affine import Affine
from rasterio.crs import CRS

from ...errors import OutputError
from ...imagery.layer_style import save_layer_style
from ...labels.classes import ClassSchema
from ...labels.geometry import mapped
from ...outputs import explained
from ...tool import VECTOR_EXTENSIONS
from ..areas import AreaMeasure
from .joining import Region
from .right_angles import square_up
from .styling import fill_style
from .tracing import FRACTION

LAYER = "polygons"

#: Polygons written at a time.
BATCH = 20_000

#: Pixels by which an edge of a building may wander before right angles take it for a corner.
STAIRCASE = 1.5


class PolygonLayer:
    """A vector file polygons are added to in batches of one size.

    A GeoPackage is the format that can grow; a file of another format is made of one at the end, a
    batch at a time, and the GeoPackage removed.

    Args:
        path: From :func:`imagerydl.outputs.staged`; its extension says the format.
        crs: Of the raster; None without one.
        place: From columns and rows to map coordinates.
        classes: Names and colours.
        has_confidence: Whether there is a field for it.
        right_angles: Whether polygons get right angles.

    Raises:
        OutputError: If the format is not one of :data:`imagerydl.tool.VECTOR_EXTENSIONS`.
    """

    def __init__(
        self,
        path: Path,
        crs: Optional[CRS],
        place: Affine,
        classes: ClassSchema,
        has_confidence: bool,
        right_angles: bool,
    ) -> None:
        if path.suffix.lower().lstrip(".") not in VECTOR_EXTENSIONS:
            raise OutputError(
                f"{path} has no extension of a vector format polygons are written in.",
                f"Give the polygons a name that ends in .{', .'.join(VECTOR_EXTENSIONS)}.",
            )
        self._path, self._crs, self._place = path, crs, place
        is_geopackage = path.suffix.lower() == ".gpkg"
        # A name that outputs.staged removes with the other when the run fails.
        self._growing = path if is_geopackage else path.with_name(path.name + ".gpkg")
        self._measure = AreaMeasure(crs)
        self._classes = classes
        self._names = {entry.value: entry.name for entry in classes}
        self._has_confidence = has_confidence
        longest = max(math.hypot(place.a, place.d), math.hypot(place.b, place.e))
        self._tolerance = STAIRCASE * longest if right_angles else None
        self._regions: list[Region] = []
        self._outlines: list[np.ndarray] = []
        self._drawn: list[np.ndarray] = []
        self._values: set[int] = set()
        self._written = 0
        self._exists = False

    def add(
        self, regions: Sequence[Region], outlines: np.ndarray, drawn: Optional[np.ndarray] = None
    ) -> None:
        """Take complete regions; write as many batches as are full.

        Args:
            regions: In the order they are written.
            outlines: Polygons ``[n]`` around their pixels, in columns and rows.
            drawn: The polygons to write ``[n]`` in place of those, in columns and rows.
        """
        self._regions += regions
        self._outlines.append(outlines)
        self._drawn.append(outlines if drawn is None else drawn)
        while len(self._regions) >= BATCH:
            self._write(BATCH)

    def finish(self) -> int:
        """Write what is left, at least an empty layer.

        Returns:
            The number of polygons written.
        """
        if self._regions or not self._exists:
            self._write(len(self._regions))
        if self._growing == self._path:
            style = fill_style(self._values, self._classes)
            save_layer_style(self._path, LAYER, "classes", style, "Classes in their colours")
        else:
            self._convert()
        return self._written

    def _write(self, count: int) -> None:
        regions, self._regions = self._regions[:count], self._regions[count:]
        in_pixels, self._outlines = _divided(self._outlines, count)
        drawn, self._drawn = _divided(self._drawn, count)
        placed = mapped(drawn, self._place)
        if self._tolerance is not None:
            placed = square_up(placed, self._tolerance)
        placed = shapely.orient_polygons(placed)
        values = np.array([region.value for region in regions], dtype=np.int32)
        self._values.update(np.unique(values).tolist())
        names = np.array([self._names.get(region.value, "") for region in regions], dtype=object)
        columns = {
            "class_value": values,
            "class_name": names,
            "pixels": np.rint(shapely.area(in_pixels)).astype(np.int64),
            "area": self._measure.polygons(placed),
        }
        if self._has_confidence:
            sums = np.array([region.confidence_sum for region in regions], dtype=float)
            counts = np.array([region.confidence_count for region in regions], dtype=float)
            mean = np.full(len(regions), np.nan)
            columns["confidence"] = np.divide(sums / FRACTION, counts, out=mean, where=counts > 0)
        with explained(self._path):
            try:
                pyogrio.raw.write(
                    self._growing,
                    shapely.to_wkb(placed),
                    field_data=list(columns.values()),
                    fields=list(columns),
                    geometry_type="Polygon",
                    crs=self._crs.to_wkt() if self._crs else None,
                    layer=LAYER,
                    append=self._exists,
                )
            except RuntimeError as error:  # what pyogrio's errors have in common
                raise self._cannot_write(error) from error
        self._exists = True
        self._written += count

    def _convert(self) -> None:
        """Bring the GeoPackage to the format asked for, in batches, and remove it."""
        with explained(self._path):
            try:
                with pyogrio.raw.open_arrow(self._growing, layer=LAYER, batch_size=BATCH) as (meta, stream):
                    pyogrio.raw.write_arrow(
                        stream,
                        self._path,
                        layer=LAYER,
                        geometry_name=meta["geometry_name"] or "wkb_geometry",
                        geometry_type="Polygon",
                        crs=self._crs.to_wkt() if self._crs else None,
                    )
            except RuntimeError as error:
                raise self._cannot_write(error) from error
            self._growing.unlink()

    def _cannot_write(self, error: Exception) -> OutputError:
        return OutputError(
            f"{self._path} cannot be written ({error}).",
            "Choose a folder you may write to, with room on its disk.",
        )


def _divided(parts: Sequence[np.ndarray], count: int) -> tuple[np.ndarray, list[np.ndarray]]:
    """The first ``count`` of a list of arrays, and a list of the others."""
    whole = np.concatenate([*parts, np.empty(0, dtype=object)])
    return whole[:count], [whole[count:]]
