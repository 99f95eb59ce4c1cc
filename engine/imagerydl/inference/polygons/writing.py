"""A class raster as a polygon layer, in a memory that its number of rows does not set."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Optional, Union

import numpy as np
import rasterio
from affine import Affine
from rasterio.errors import RasterioError
from rasterio.windows import Window

from ...errors import DataError, ParameterError
from ...events import Reporter
from ...imagery.environment import configure_gdal
from ...labels.classes import ClassSchema
from ..areas import AreaMeasure
from .joining import SeamJoiner, in_order
from .layer import PolygonLayer
from .sieving import Sieve, Strip
from .simplifying import Simplifier
from .tracing import trace

#: Rows read at a time: two rows of the blocks class rasters are stored in.
BLOCK_ROWS = 512

#: Types whose values all fit the 32 bits regions are traced in.
_CLASS_TYPES = ("uint8", "uint16", "int8", "int16", "int32")

#: In degrees pixels differ in area: whole numbers, of which the smallest area wanted has as many.
_AREA_STEPS = 2**30


def write_polygons(
    raster_path: Union[str, Path],
    out_path: Path,
    *,
    classes: ClassSchema,
    reporter: Reporter,
    values: Optional[Collection[int]] = None,
    confidence_path: Optional[Union[str, Path]] = None,
    min_area: float = 0.0,
    simplify: float = 0.0,
    right_angles: bool = False,
    block_rows: int = BLOCK_ROWS,
) -> int:
    """Write one polygon for each 4-connected region of one class value.

    The fields are ``class_value``, ``class_name``, ``pixels``, ``area`` (square map units; m^2 on
    the ellipsoid where the CRS is geographic; pixels without georeference) and, with a confidence
    raster, ``confidence``, the mean over the pixels that have one. A GeoPackage gets a style that
    fills polygons with the colours of their classes. Polygons do not depend on ``block_rows``, nor
    does their order (which a FlatGeobuf has its own of). Memory: strips of rows, see
    :mod:`.sieving`, and the regions that reach the last row read.

    Args:
        raster_path: Class raster, its first band. Pixels without data belong to no polygon.
        out_path: A vector file (:data:`imagerydl.tool.VECTOR_EXTENSIONS`), from
            :func:`imagerydl.outputs.staged`.
        classes: Names and colours. A value that is no class has an empty name.
        reporter: Progress and cancelling.
        values: Class values that become polygons; None: all but the background, which is 0
            where ``classes`` has a class of that value.
        confidence_path: Raster of the same size, its first band.
        min_area: Regions of less, in the unit of ``area``, go into the neighbours they share the
            longest border with (:mod:`.sieving`), the background and classes not among ``values``
            being neighbours like others.
        simplify: How far vertices may lie from the borders that replace them, map units; common
            borders stay common (:mod:`.simplifying`). ``area`` is that of the new outline.
        right_angles: Whether polygons are given right angles where that hardly changes them
            (:func:`.right_angles.square_up`). Neighbours may then overlap or part by a pixel or
            two; ``area`` is that of the new outline, ``pixels`` stays.
        block_rows: Rows read at a time.

    Returns:
        The number of polygons.

    Raises:
        ParameterError: If ``block_rows`` is not positive, ``min_area`` or ``simplify`` negative, or
            right angles are asked for in degrees.
        DataError: If a raster cannot be read, holds no classes, or the two differ in size.
        OutputError: If the format is another or the layer cannot be written.
    """
    if block_rows < 1:
        raise ParameterError(f"Strips of {block_rows} rows hold nothing.", "Read at least one row at a time.")
    for what, number in (("smallest area", min_area), ("tolerance", simplify)):
        if not (number >= 0 and math.isfinite(number)):
            raise ParameterError(
                f"A {what} of {number} means nothing.", "Give a number in map units; 0 leaves all as it is."
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
        # Without georeference y is minus the row, which is where QGIS shows such an image.
        in_pixels = raster.crs is None and raster.transform == Affine.identity()
        place = Affine.scale(1, -1) if in_pixels else raster.transform
        layer = PolygonLayer(out_path, raster.crs, place, classes, confidence is not None, right_angles)
        joiner = SeamJoiner(raster.width)
        simplifier = Simplifier(raster.width, raster.height, place, simplify) if simplify else None
        strips = _strips(raster, block_rows, reporter)
        if min_area:
            strips = _sieved(strips, raster, min_area)
        for first, data, chosen in strips:
            rows = len(data)
            sure = None
            if confidence is not None:
                sure = _read(confidence, first, rows).astype(float).filled(np.nan)
            if values is not None:
                chosen = chosen & np.isin(data, list(values))
            elif 0 in classes:
                chosen = chosen & (data != 0)
            found = in_order(joiner.add(trace(data, chosen, first, sure), rows))
            if simplifier is not None:
                found = simplifier.add(data, chosen, found, joiner.first_open_row)
            layer.add(*found)
            reporter.progress("Polygons", first + rows, raster.height)
        found = in_order(joiner.finish())
        layer.add(*(found if simplifier is None else simplifier.finish(found)))
        return layer.finish()


def _strips(raster: Any, block_rows: int, reporter: Reporter) -> Iterator[Strip]:
    for first in range(0, raster.height, block_rows):
        reporter.check_cancelled()
        data = _read(raster, first, min(block_rows, raster.height - first))
        yield Strip(first, data.data, ~np.ma.getmaskarray(data))


def _read(raster: Any, first: int, rows: int) -> Any:
    """Masked rows of the first band."""
    try:
        return raster.read(1, window=Window(0, first, raster.width, rows), masked=True)
    except RasterioError as error:
        raise DataError(f"{raster.name} cannot be read: {error}.", "Check the file.") from error


def _sieved(strips: Iterator[Strip], raster: Any, min_area: float) -> Iterator[Strip]:
    measure = AreaMeasure(raster.crs)
    # Where all pixels are alike they are counted, so that an area of whole pixels is met exactly.
    limit = _AREA_STEPS
    if not measure.is_geographic:
        limit = math.ceil(min_area / abs(raster.transform.determinant) * (1 - 1e-12))
    sieve = Sieve(raster.width, limit)
    for first, data, valid in strips:
        areas = None
        if measure.is_geographic:
            cells = measure.cells(raster.transform, first, *data.shape)
            areas = np.rint(cells / min_area * _AREA_STEPS).astype(np.int64)
        yield from sieve.add(data, valid, areas)
    yield from sieve.finish()


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
