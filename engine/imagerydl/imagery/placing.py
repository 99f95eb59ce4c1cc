"""Where rasters and extents lie on the lattice of a source."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rasterio.crs import CRS
from rasterio.enums import Resampling
from rasterio.errors import CRSError, RasterioError
from rasterio.warp import transform_bounds
from rasterio.windows import Window

from ..errors import DataError
from .grid import Grid
from .inspection import RasterInfo
from .members import Member


class OutsideExtentError(DataError):
    """The extent asked for does not touch the raster."""


def check_alike(infos: Sequence[RasterInfo]) -> None:
    """Raise :class:`DataError` where rasters cannot form one mosaic, naming the one that differs."""
    first = infos[0]
    for info in infos[1:]:
        if len(info.bands) != len(first.bands):
            raise DataError(
                f"{info.path} has {len(info.bands)} bands and {first.path} has {len(first.bands)}.",
                "Rasters of a mosaic need the same bands.",
            )
        if (info.grid.crs is None) != (first.grid.crs is None):
            without, placed = (info, first) if info.grid.crs is None else (first, info)
            raise DataError(
                f"{without.path} has no coordinate reference system, {placed.path} has one.",
                "Give it one, or process it by itself.",
            )
        if not info.grid.is_georeferenced:
            raise DataError(
                f"{info.path} and {first.path} have no georeference: how they lie is unknown.",
                "Process them one by one, or as a folder of images.",
            )


def place(info: RasterInfo, base: Grid) -> Member:
    """Put a raster on the lattice of ``base``: as it is where it lies on it, else resampled."""
    offset = None if info.needs_warp else base.offset_of(info.grid)
    if offset is not None:
        return Member(info, info.grid, *offset)
    try:
        window = _window_on(base, info.grid)
    except (CRSError, RasterioError) as error:
        raise DataError(
            f"{info.path} cannot be reprojected to the system of the first raster ({error}).",
            "Reproject it first.",
        ) from error
    is_classes = info.attributes.colormap is not None or info.attributes.categories is not None
    resampling = Resampling.nearest if is_classes else Resampling.bilinear
    return Member(info, base.subgrid(window), window.col_off, window.row_off, resampling)


def _window_on(base: Grid, grid: Grid) -> Window:
    if grid.crs == base.crs or grid.crs is None or base.crs is None:
        return base.window_of_grid(grid)
    return base.window_of_bounds(transform_bounds(grid.crs, base.crs, *grid.bounds, densify_pts=21))


def extent_bounds(base: Grid, extent: dict[str, Any]) -> tuple[float, float, float, float]:
    """Bounds of an extent parameter in the map units of ``base``."""
    xmin, ymin, xmax, ymax = extent["bounds"]
    if not base.is_georeferenced and ymax <= 0:
        # QGIS shows a raster without georeference below the x axis, rows counting downwards.
        ymin, ymax = -ymax, -ymin
    text = extent.get("crs") or ""
    if not text or base.crs is None:
        return xmin, ymin, xmax, ymax
    try:
        crs = CRS.from_user_input(text)
        if crs == base.crs:
            return xmin, ymin, xmax, ymax
        return transform_bounds(crs, base.crs, xmin, ymin, xmax, ymax, densify_pts=21)
    except (CRSError, RasterioError) as error:
        raise DataError(
            f"The extent cannot be brought to the raster's coordinate reference system ({error}).",
            "Give the extent in the raster's own system.",
        ) from error


def bounds_text(bounds: Sequence[float]) -> str:
    """Bounds as they stand in messages."""
    return "({:.8g}, {:.8g}, {:.8g}, {:.8g})".format(*bounds)
