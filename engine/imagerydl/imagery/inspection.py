"""What a raster file holds: lattice, bands and their names, what tells validity."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Optional

import numpy as np
import rasterio
from affine import Affine
from rasterio.enums import MaskFlags
from rasterio.errors import RasterioError
from rasterio.vrt import WarpedVRT

from ..errors import DataError
from .attributes import Attributes, read_attributes
from .environment import configure_gdal
from .grid import Grid

#: Esri's well-known band names for GDAL's colour interpretations.
_WELL_KNOWN = {
    "red": "Red",
    "green": "Green",
    "blue": "Blue",
    "nir": "NearInfrared",
    "rededge": "RedEdge",
    "swir": "ShortWaveInfrared",
    "mwir": "MidInfrared",
    "tir": "Thermal",
    "pan": "Panchromatic",
    "coastal": "CoastalBlue",
    "yellow": "Yellow",
}


@dataclass(frozen=True)
class RasterInfo:
    """What a raster file holds, read once when it is opened.

    Attributes:
        path: File or GDAL name.
        grid: Its own lattice (for control points only, the lattice GDAL suggests).
        bands: GDAL numbers of its data bands; an alpha band is none.
        alpha: GDAL number of the alpha band.
        dtype: Common data type of the data bands.
        nodata: Nodata value of each data band, None where there is none.
        has_mask: Whether a mask band (inside, or beside as .msk) tells validity.
        names: One name per data band, ``Band_1`` where nothing better is known.
        needs_warp: Whether it can only be read through a warp (control points).
        attributes: Palette and class names.
    """

    path: str
    grid: Grid
    bands: tuple[int, ...]
    alpha: Optional[int]
    dtype: np.dtype
    nodata: tuple[Optional[float], ...]
    has_mask: bool
    names: tuple[str, ...]
    needs_warp: bool
    attributes: Attributes


def inspect_raster(path: str) -> RasterInfo:
    """Open ``path``, read what it is, close it.

    Raises:
        DataError: Naming the file and what is wrong with it.
    """
    configure_gdal()
    try:
        with rasterio.open(path) as dataset:
            return _inspect(path, dataset)
    except RasterioError as error:
        raise DataError(
            f"{path} cannot be opened as a raster ({error}).",
            "Check that the path is right and that the file is a complete image.",
        ) from error


def _inspect(path: str, dataset: Any) -> RasterInfo:
    if dataset.count == 0:
        inside = dataset.subdatasets
        fix = (
            f"Give one of the rasters inside it: {', '.join(inside[:5])}" if inside else "It is not an image."
        )
        raise DataError(f"{path} holds no band of its own.", fix)
    interpretation = _color_interpretation(dataset)
    alpha = next((i + 1 for i, c in enumerate(interpretation) if c == "alpha" and dataset.count > 1), None)
    bands = tuple(i for i in range(1, dataset.count + 1) if i != alpha)
    dtype = np.result_type(*(dataset.dtypes[i - 1] for i in bands))
    if dtype.kind == "c":
        raise DataError(f"{path} holds complex numbers.", "Convert it to amplitude first.")
    gcps, gcp_crs = dataset.gcps
    by_gcps = bool(gcps) and gcp_crs is not None and dataset.transform == Affine.identity()
    flags = dataset.mask_flag_enums[bands[0] - 1]
    return RasterInfo(
        path=path,
        grid=_gcp_grid(dataset) if by_gcps else _own_grid(dataset),
        bands=bands,
        alpha=alpha,
        dtype=dtype,
        nodata=tuple(dataset.nodatavals[i - 1] for i in bands),
        has_mask=MaskFlags.per_dataset in flags and MaskFlags.alpha not in flags,
        names=_band_names(
            [dataset.descriptions[i - 1] for i in bands], [interpretation[i - 1] for i in bands]
        ),
        needs_warp=by_gcps,
        attributes=read_attributes(path, dataset),
    )


def _own_grid(dataset: Any) -> Grid:
    transform = dataset.transform
    if abs(transform.determinant) < 1e-30:
        raise DataError(f"{dataset.name} has a georeference that flattens it.", "Repair its geotransform.")
    # GDAL reports engineering and local systems too; an empty one means none.
    return Grid(dataset.crs or None, transform, dataset.width, dataset.height)


def _gcp_grid(dataset: Any) -> Grid:
    with WarpedVRT(dataset) as warped:
        return Grid(warped.crs, warped.transform, warped.width, warped.height)


def _color_interpretation(dataset: Any) -> list[str]:
    try:
        return [item.name for item in dataset.colorinterp]
    except ValueError:  # a kind newer than the library: no alpha band is among those
        return ["undefined"] * dataset.count


def _band_names(descriptions: Sequence[Optional[str]], interpretation: Sequence[str]) -> tuple[str, ...]:
    names = []
    for number, (description, kind) in enumerate(zip(descriptions, interpretation), start=1):
        name = (description or "").strip() or _WELL_KNOWN.get(kind, "")
        names.append(name if name and name not in names else f"Band_{number}")
    return tuple(names)
