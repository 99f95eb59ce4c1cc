"""Cloud optimised GeoTIFFs: laid out as they should be, with all that belongs to a class raster."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.crs import CRS
from rasterio.windows import Window

from imagerydl.errors import ParameterError
from imagerydl.imagery.grid import Grid
from imagerydl.imagery.overviews import write_cloud_optimized
from imagerydl.imagery.writing import RasterWriter
from imagerydl.labels.classes import ClassEntry, ClassSchema

SIZE = 1300
GRID = Grid(CRS.from_epsg(32631), Affine(0.5, 0, 500_000, 0, -0.5, 4_000_000), SIZE, SIZE)
CLASSES = ClassSchema([ClassEntry(1, "road", (255, 0, 0)), ClassEntry(7, "roof", (0, 0, 255))])


@pytest.fixture
def class_raster(tmp_path):
    values = np.where(np.random.default_rng(0).random((SIZE, SIZE)) < 0.5, 1, 7).astype(np.uint8)
    path = tmp_path / "classes.tif"
    with RasterWriter(path, GRID, "uint8", nodata=255, classes=CLASSES, band_names=["class"]) as writer:
        writer.write(values, Window(0, 0, SIZE, SIZE))
    return path


def test_pixels_palette_names_and_table_stay(class_raster, tmp_path):
    target = tmp_path / "cog" / "classes.tif"
    target.parent.mkdir()
    write_cloud_optimized(class_raster, target)
    with rasterio.open(class_raster) as before, rasterio.open(target) as after:
        np.testing.assert_array_equal(before.read(), after.read())
        assert after.colormap(1) == before.colormap(1)
        assert after.descriptions == ("class",)
        assert (after.crs, after.transform, after.nodata) == (before.crs, before.transform, before.nodata)
    for suffix in (".aux.xml", ".vat.dbf"):
        beside = class_raster.with_name(class_raster.name + suffix)
        assert target.with_name(target.name + suffix).read_bytes() == beside.read_bytes()


def test_overviews_come_first_in_the_file_and_all_is_tiled(class_raster, tmp_path):
    target = tmp_path / "cog.tif"
    write_cloud_optimized(class_raster, target)
    with rasterio.open(target) as file:
        assert file.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert file.overviews(1) == [2, 4]
        assert file.block_shapes == [(512, 512)]
        ifds = [int(file.get_tag_item("IFD_OFFSET", "TIFF", 1))]
        ifds += [int(file.get_tag_item("IFD_OFFSET", "TIFF", 1, ovr=level)) for level in range(2)]
        data = [int(file.get_tag_item("BLOCK_OFFSET_0_0", "TIFF", 1))]
        data += [int(file.get_tag_item("BLOCK_OFFSET_0_0", "TIFF", 1, ovr=level)) for level in range(2)]
    assert ifds == sorted(ifds)
    assert max(ifds) < min(data)
    assert data == sorted(data, reverse=True)


@pytest.mark.parametrize("resampling", ["nearest", "mode"])
def test_overviews_of_classes_hold_classes_only(class_raster, tmp_path, resampling):
    target = tmp_path / "cog.tif"
    write_cloud_optimized(class_raster, target, resampling)
    with rasterio.open(target, overview_level=0) as file:
        assert np.unique(file.read(1)).tolist() == [1, 7]


def test_blending_classes_is_refused(class_raster, tmp_path):
    with pytest.raises(ParameterError, match="another class"):
        write_cloud_optimized(class_raster, tmp_path / "cog.tif", "average")
    assert not (tmp_path / "cog.tif").exists()


def test_an_unknown_resampling_is_refused(class_raster, tmp_path):
    with pytest.raises(ParameterError, match="'sharpest'"):
        write_cloud_optimized(class_raster, tmp_path / "cog.tif", "sharpest")


def test_statistics_stand_in_the_metadata(class_raster, tmp_path):
    target = tmp_path / "alone" / "cog.tif"
    target.parent.mkdir()
    write_cloud_optimized(class_raster, target)
    target.with_name("cog.tif.aux.xml").unlink()  # in the file itself, not only beside it
    with rasterio.open(target) as file:
        tags = file.tags(1)
    assert (float(tags["STATISTICS_MINIMUM"]), float(tags["STATISTICS_MAXIMUM"])) == (1, 7)


def test_confidences_are_averaged(tmp_path):
    source, target = tmp_path / "confidence.tif", tmp_path / "cog.tif"
    values = np.tile(np.array([[0, 1], [1, 0]], dtype=np.float32), (SIZE // 2, SIZE // 2))
    with RasterWriter(source, GRID, "float32", nodata=np.nan) as writer:
        writer.write(values, Window(0, 0, SIZE, SIZE))
    write_cloud_optimized(source, target, "average")
    with rasterio.open(target, overview_level=0) as file:
        assert (file.read(1) == 0.5).all()
