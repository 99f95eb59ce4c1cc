"""A class raster as a polygon layer, in a memory that its number of rows does not set."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Optional, Union

import numpy as np
import pyogrio
import rasterio
import shapely
from affine import Affine
from rasterio.crs import CRS
from rasterio.errors import RasterioError
from rasterio.windows import Window

from ...errors import DataError, OutputError, ParameterError
from ...events import Reporter
from ...imagery.environment import configure_gdal
from ...labels.classes import ClassSchema
from ...outputs import explained
from ..areas import AreaMeasure
from .joining import Region, SeamJoiner, in_order
from .right_angles import square_up
from .tracing import FRACTION, trace

LAYER = "polygons"

#: Rows read at a time: two rows of the blocks class rasters are stored in.
BLOCK_ROWS = 512

#: Polygons written at a time.
BATCH = 20_000

#: Pixels by which an edge of a building may wander before right angles take it for a corner.
STAIRCASE = 1.5

#: Types whose values all fit the 32 bits regions are traced in.
_CLASS_TYPES = ("uint8", "uint16", "int8", "int16", "int32")


def write_polygons(
    raster_path: Union[str, Path],
    out_path: Path,
    *,
    classes: ClassSchema,
    reporter: Reporter,
    values: Optional[Collection[int]] = None,
    confidence_path: Optional[Union[str, Path]] = None,
    right_angles: bool = False,
    block_rows: int = BLOCK_ROWS,
) -> int:
    """Write one polygon for each 4-connected region of one class value.

    The fields are ``class_value``, ``class_name``, ``pixels``, ``area`` (square map units; m^2 on
    the ellipsoid where the CRS is geographic; pixels without georeference) and, with a confidence
    raster, ``confidence``, the mean over the pixels that have one. Polygons and their order do
    not depend on ``block_rows``. Memory: a strip, and the regions that reach its last row.

    Args:
        raster_path: Class raster, its first band. Pixels without data belong to no polygon.
        out_path: A GeoPackage, from :func:`imagerydl.outputs.staged`.
        classes: Names. A value that is no class has an empty name.
        reporter: Progress and cancelling.
        values: Class values that become polygons; None: all but the background, which is 0
            where ``classes`` has a class of that value.
        confidence_path: Raster of the same size, its first band.
        right_angles: Whether polygons are given right angles where that hardly changes them
            (:func:`.right_angles.square_up`). Neighbours may then overlap or part by a pixel or
            two; ``area`` is that of the new outline, ``pixels`` stays.
        block_rows: Rows read at a time.

    Returns:
        The number of polygons.

    Raises:
        ParameterError: If ``block_rows`` is not positive, or right angles are asked for in degrees.
        DataError: If a raster cannot be read, holds no classes, or the two differ in size.
        OutputError: If the layer is no GeoPackage or cannot be written.
    """
    if block_rows < 1:
        raise ParameterError(f"Strips of {block_rows} rows hold nothing.", "Read at least one row at a time.")
    if out_path.suffix.lower() != ".gpkg":
        raise OutputError(
            f"{out_path} is no GeoPackage, the format polygons are added to while they are found.",
            "Give the polygons a name that ends in .gpkg.",
        )
    configure_gdal()
    with ExitStack() as stack:
        try:
            raster = stack.enter_context(rasterio.open(raster_path))
            confidence = stack.enter_context(rasterio.open(confidence_path)) if confidence_path else None
        except RasterioError as error:
            raise DataError(f"A raster cannot be opened: {error}.", "Check its path and format.") from error
        _check(raster, confidence)
        if right_angles and raster.crs and raster.crs.is_geographic:
            raise ParameterError(
                f"{raster.name} is in degrees, in which a right angle on the ground is none.",
                "Classify in a projected CRS, or turn right angles off.",
            )
        layer = _PolygonLayer(
            out_path, raster.crs, raster.transform, classes, confidence is not None, right_angles
        )
        joiner = SeamJoiner(raster.width)
        for first in range(0, raster.height, block_rows):
            reporter.check_cancelled()
            rows = min(block_rows, raster.height - first)
            window = Window(0, first, raster.width, rows)
            try:
                data = raster.read(1, window=window)
                chosen = raster.read_masks(1, window=window) > 0
                sure = confidence.read(1, window=window, masked=True) if confidence else None
            except RasterioError as error:
                raise DataError(f"{raster_path} cannot be read: {error}.", "Check the file.") from error
            if values is not None:
                chosen &= np.isin(data, list(values))
            elif 0 in classes:
                chosen &= data != 0
            if sure is not None:
                sure = sure.astype(float).filled(np.nan)
            layer.add(joiner.add(trace(data, chosen, first, sure), rows))
            reporter.progress("Polygons", first + rows, raster.height)
        layer.add(joiner.finish())
        return layer.finish()


def _check(raster: Any, confidence: Optional[Any]) -> None:
    if raster.dtypes[0] not in _CLASS_TYPES:
        raise DataError(
            f"{raster.name} holds {raster.dtypes[0]} numbers, not class values.",
            "Give a raster of whole numbers of at most 32 bits.",
        )
    if confidence is not None and confidence.shape != raster.shape:
        raise DataError(
            f"{confidence.name} is {confidence.width} x {confidence.height} pixels, "
            f"{raster.name} {raster.width} x {raster.height}.",
            "Give the confidence raster that was written with the classes.",
        )


class _PolygonLayer:
    """A GeoPackage layer polygons are added to in batches of one size."""

    def __init__(
        self,
        path: Path,
        crs: Optional[CRS],
        transform: Affine,
        classes: ClassSchema,
        has_confidence: bool,
        right_angles: bool,
    ) -> None:
        # Without georeference y is minus the row, which is where QGIS shows such an image.
        in_pixels = crs is None and transform == Affine.identity()
        self._place = Affine.scale(1, -1) if in_pixels else transform
        self._path, self._crs, self._measure = path, crs, AreaMeasure(crs)
        self._names = {entry.value: entry.name for entry in classes}
        self._has_confidence = has_confidence
        t = self._place
        longest = max(math.hypot(t.a, t.d), math.hypot(t.b, t.e))
        self._tolerance = STAIRCASE * longest if right_angles else None
        self._regions: list[Region] = []
        self._outlines: list[np.ndarray] = []
        self._written = 0
        self._exists = False

    def add(self, regions: Sequence[Region]) -> None:
        """Take complete regions; write as many batches as are full."""
        if not regions:
            return
        ordered, outlines = in_order(regions)
        # The parts of a region are done with: its outline is all that is written.
        for region in ordered:
            region.pieces.clear()
        self._regions += ordered
        self._outlines.append(outlines)
        while len(self._regions) >= BATCH:
            self._write(BATCH)

    def finish(self) -> int:
        """Write what is left, at least an empty layer.

        Returns:
            The number of polygons written.
        """
        if self._regions or not self._exists:
            self._write(len(self._regions))
        return self._written

    def _write(self, count: int) -> None:
        waiting = np.concatenate([*self._outlines, np.empty(0, dtype=object)])
        regions, in_pixels = self._regions[:count], waiting[:count]
        self._regions, self._outlines = self._regions[count:], [waiting[count:]]
        t = self._place
        placed = shapely.transform(
            in_pixels,
            lambda points: np.column_stack(
                [
                    t.a * points[:, 0] + t.b * points[:, 1] + t.c,
                    t.d * points[:, 0] + t.e * points[:, 1] + t.f,
                ]
            ),
        )
        if self._tolerance is not None:
            placed = square_up(placed, self._tolerance)
        placed = shapely.orient_polygons(placed)
        values = np.array([region.value for region in regions], dtype=np.int32)
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
                    self._path,
                    shapely.to_wkb(placed),
                    field_data=list(columns.values()),
                    fields=list(columns),
                    geometry_type="Polygon",
                    crs=self._crs.to_wkt() if self._crs else None,
                    layer=LAYER,
                    append=self._exists,
                )
            except RuntimeError as error:  # what pyogrio's errors have in common
                raise OutputError(
                    f"{self._path} cannot be written ({error}).",
                    "Choose a folder you may write to, with room on its disk.",
                ) from error
        self._exists = True
        self._written += count
