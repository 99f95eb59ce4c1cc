"""Tiny layers and rasters the label tests are drawn with."""

import numpy as np
import pyogrio
import pytest
import rasterio
import shapely
from affine import Affine
from rasterio.crs import CRS

from imagerydl.imagery.grid import Grid

UTM = CRS.from_epsg(32633)


@pytest.fixture
def grid():
    """40 x 30 pixels of 2 m in UTM 33 N, upper left corner at (500000, 5000060)."""
    return Grid(UTM, Affine(2, 0, 500000, 0, -2, 5000060), 40, 30)


@pytest.fixture
def write_layer(tmp_path):
    """Write geometries (None for a null one) and fields as a GeoPackage; returns its path."""

    def write(geometries, crs="EPSG:32633", name="labels", geometry_type="Unknown", **fields):
        path = tmp_path / f"{name}.gpkg"
        wkb = np.array([None if g is None else shapely.to_wkb(g) for g in geometries], dtype=object)
        pyogrio.raw.write(
            path,
            wkb,
            [np.array(column) for column in fields.values()],
            list(fields),
            geometry_type=geometry_type,
            crs=crs,
        )
        return str(path)

    return write


@pytest.fixture
def write_raster(tmp_path):
    """Write an array ``[bands, h, w]`` or ``[h, w]`` as GeoTIFF; returns its path."""

    def write(array, grid=None, name="classes.tif", colormap=None, **profile):
        array = array[None] if array.ndim == 2 else array
        path = tmp_path / name
        place = {"crs": grid.crs, "transform": grid.transform} if grid else {}
        with rasterio.open(
            path,
            "w",
            driver="PNG" if name.endswith("png") else "GTiff",
            count=array.shape[0],
            height=array.shape[1],
            width=array.shape[2],
            dtype=array.dtype.name,
            **place,
            **profile,
        ) as dataset:
            if colormap:
                dataset.write_colormap(1, colormap)
            dataset.write(array)
        return str(path)

    return write
