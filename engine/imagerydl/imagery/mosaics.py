"""The rasters a mosaic file is made of."""

from __future__ import annotations

import os
from pathlib import Path

import rasterio
from rasterio.errors import RasterioError


def mosaic_members(path: str) -> list[str]:
    """The rasters of a VRT, in order; any other raster is its own only member.

    A VRT of one raster, or of bands of one place, is no mosaic: it stays whole.
    """
    if Path(path).suffix.lower() != ".vrt":
        return [path]
    try:
        with rasterio.open(path) as dataset:
            own = os.path.abspath(path)
            members = [file for file in dataset.files if os.path.abspath(file) != own]
            places = set()
            for member in members:
                with rasterio.open(member) as part:
                    if part.count != dataset.count:
                        return [path]
                    places.add(part.bounds)
    except RasterioError:
        return [path]
    return members if len(places) > 1 else [path]
