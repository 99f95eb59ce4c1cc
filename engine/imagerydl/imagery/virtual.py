"""Mosaic files (VRT) over rasters that lie side by side."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import rasterio
from affine import Affine
from rasterio.errors import RasterioError

from ..errors import DataError
from .grid import ALIGNMENT_TOLERANCE, Grid

#: numpy's names of pixel types -> GDAL's.
GDAL_TYPES = {
    "uint8": "Byte",
    "int8": "Int8",
    "uint16": "UInt16",
    "int16": "Int16",
    "uint32": "UInt32",
    "int32": "Int32",
    "float32": "Float32",
    "float64": "Float64",
}


def write_mosaic(rasters: Sequence[Path], target: Path, beside: Path) -> None:
    """Write a VRT in which later rasters cover earlier ones.

    Args:
        rasters: Rasters of one coordinate system, number of bands and pixel type.
        target: File to write.
        beside: Folder it will lie in; the rasters are named relative to it.

    Raises:
        DataError: If they cannot lie in one mosaic.
    """
    try:
        opened = [rasterio.open(raster) for raster in rasters]
    except RasterioError as error:
        raise DataError(f"A raster of the mosaic does not open ({error}).", "Run the tool again.") from error
    try:
        grid = _common_grid(opened)
        target.write_text("".join(_lines(opened, grid, beside)), encoding="utf-8")
    finally:
        for dataset in opened:
            dataset.close()


def _common_grid(opened: Sequence[Any]) -> Grid:
    first = opened[0]
    for dataset in opened:
        if dataset.crs is None:
            raise DataError(f"{dataset.name} has no coordinate system.", "Use the rasters one by one.")
        if dataset.crs != first.crs:
            raise DataError(
                f"{dataset.name} is in {dataset.crs.to_string()}, {first.name} in {first.crs.to_string()}.",
                "Use the rasters one by one.",
            )
        if (dataset.count, dataset.dtypes[0]) != (first.count, first.dtypes[0]):
            raise DataError(f"{dataset.name} is of another pixel type than {first.name}.")
        t = dataset.transform
        if t.b or t.d or t.e > 0:
            raise DataError(f"{dataset.name} is rotated.", "Use the rasters one by one.")
    x, y = first.transform.a, first.transform.e
    left, top = min(d.bounds.left for d in opened), max(d.bounds.top for d in opened)
    right, bottom = max(d.bounds.right for d in opened), min(d.bounds.bottom for d in opened)
    width = round((right - left) / x + ALIGNMENT_TOLERANCE)
    height = round((bottom - top) / y + ALIGNMENT_TOLERANCE)
    return Grid(first.crs, Affine(x, 0, left, 0, y, top), max(width, 1), max(height, 1))


def _lines(opened: Sequence[Any], grid: Grid, beside: Path) -> Iterator[str]:
    first, t = opened[0], grid.transform
    yield f'<VRTDataset rasterXSize="{grid.width}" rasterYSize="{grid.height}">\n'
    yield f"<SRS>{escape(grid.crs.to_wkt())}</SRS>\n"
    yield f"<GeoTransform>{t.c!r}, {t.a!r}, {t.b!r}, {t.f!r}, {t.d!r}, {t.e!r}</GeoTransform>\n"
    kind = GDAL_TYPES[first.dtypes[0]]
    for band in range(1, first.count + 1):
        yield f'<VRTRasterBand dataType="{kind}" band="{band}">\n'
        yield f"<Description>{escape(first.descriptions[band - 1] or '')}</Description>\n"
        if first.nodata is not None:
            yield f"<NoDataValue>{first.nodata!r}</NoDataValue>\n"
        if first.scales[band - 1] != 1.0:
            yield f"<Scale>{first.scales[band - 1]!r}</Scale>\n"
        yield from color_lines(_colors(opened, band))
        for dataset in opened:
            yield from _source(dataset, band, grid, beside)
        yield "</VRTRasterBand>\n"
    yield "</VRTDataset>\n"


def _source(dataset: Any, band: int, grid: Grid, beside: Path) -> Iterator[str]:
    own, t = dataset.transform, grid.transform
    nodata = dataset.nodata
    tag = "SimpleSource" if nodata is None else "ComplexSource"
    column, row = (own.c - t.c) / t.a, (own.f - t.f) / t.e
    yield f"<{tag}>"
    name = os.path.relpath(dataset.name, beside)
    yield f'<SourceFilename relativeToVRT="1">{escape(name)}</SourceFilename><SourceBand>{band}</SourceBand>'
    block_height, block_width = dataset.block_shapes[band - 1]
    yield (
        f'<SourceProperties RasterXSize="{dataset.width}" RasterYSize="{dataset.height}" '
        f'DataType="{GDAL_TYPES[dataset.dtypes[band - 1]]}" BlockXSize="{block_width}" '
        f'BlockYSize="{block_height}"/>'
    )
    yield f'<SrcRect xOff="0" yOff="0" xSize="{dataset.width}" ySize="{dataset.height}"/>'
    yield (
        f'<DstRect xOff="{column:.6f}" yOff="{row:.6f}" xSize="{dataset.width * own.a / t.a:.6f}" '
        f'ySize="{dataset.height * own.e / t.e:.6f}"/>'
    )
    if nodata is not None:
        yield f"<NODATA>{nodata!r}</NODATA>"
    yield f"</{tag}>\n"


def _colors(opened: Sequence[Any], band: int) -> dict[int, tuple[int, int, int]]:
    colors: dict[int, tuple[int, int, int]] = {}
    for dataset in opened:
        try:
            for value, color in dataset.colormap(band).items():
                colors.setdefault(value, color[:3])
        except ValueError:  # it has none
            return {}
    return colors


def color_lines(colors: dict[int, tuple[int, int, int]]) -> Iterator[str]:
    """The colour table of a VRT band."""
    if not colors:
        return
    yield "<ColorInterp>Palette</ColorInterp>\n<ColorTable>\n"
    for value in range(max(colors) + 1):
        red, green, blue = colors.get(value, (0, 0, 0))
        yield f'<Entry c1="{red}" c2="{green}" c3="{blue}" c4="255"/>\n'
    yield "</ColorTable>\n"
