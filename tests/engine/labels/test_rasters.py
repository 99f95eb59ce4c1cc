"""Class rasters as labels, on their own grids."""

import numpy as np
import pytest
from affine import Affine
from rasterio.crs import CRS
from rasterio.warp import transform
from rasterio.windows import Window

from imagerydl.errors import DataError
from imagerydl.imagery.grid import Grid
from imagerydl.imagery.source import open_source
from imagerydl.imagery.transforms import compose
from imagerydl.labels import sampling
from imagerydl.labels.classes import ClassEntry, ClassSchema
from imagerydl.labels.rasters import RasterLabels, place


def labels_of(path, image, schema=None):
    source = open_source(path)
    return RasterLabels(source, place(source, image, "image.tif"), schema)


@pytest.fixture
def values():
    return np.random.default_rng(4).integers(0, 6, (30, 40), dtype=np.uint8)


def test_same_grid_is_taken_as_it_is(grid, write_raster, values):
    """E15: a class raster labels its pixels."""
    labels = labels_of(write_raster(values, grid), grid)
    assert np.array_equal(labels.rasterise(grid, Window(5, 6, 20, 10)), values[6:16, 5:25])


def test_outside_the_raster_is_background(grid, write_raster, values):
    labels = labels_of(write_raster(values[:, :20], grid), grid)
    burnt = labels.rasterise(grid, grid.window)
    assert np.array_equal(burnt[:, :20], values[:, :20])
    assert not burnt[:, 20:].any()


@pytest.mark.parametrize("factor", [0.5, 3.0])
def test_coarser_and_finer_rasters_give_their_nearest_pixel(grid, write_raster, factor):
    own = Grid(grid.crs, compose(grid.transform, Affine.scale(factor)), int(40 / factor), int(30 / factor))
    classes = np.random.default_rng(1).integers(0, 200, (own.height, own.width), dtype=np.uint8)
    burnt = labels_of(write_raster(classes, own), grid).rasterise(grid, grid.window)
    for row, column in ((0, 0), (7, 13), (20, 25)):
        centre = ((column + 0.5) / factor, (row + 0.5) / factor)
        assert burnt[row, column] == classes[int(centre[1]), int(centre[0])]


def test_another_system_is_followed_pixel_by_pixel(grid, write_raster):
    lonlat = Grid(CRS.from_epsg(4326), Affine(1e-5, 0, 14.9995, 0, -1e-5, 45.1555), 250, 160)
    west, north = transform(grid.crs, lonlat.crs, [500000], [5000060])
    lonlat = Grid(lonlat.crs, Affine(1e-5, 0, west[0] - 2e-4, 0, -1e-5, north[0] + 2e-4), 250, 160)
    classes = np.random.default_rng(2).integers(1, 250, (160, 250), dtype=np.uint8)
    burnt = labels_of(write_raster(classes, lonlat), grid).rasterise(grid, grid.window)
    columns, rows = np.meshgrid(np.arange(40) + 0.5, np.arange(30) + 0.5)
    xs, ys = transform(grid.crs, lonlat.crs, (500000 + 2 * columns).ravel(), (5000060 - 2 * rows).ravel())
    column = ((np.array(xs) - lonlat.transform.c) / 1e-5).astype(int)
    row = ((lonlat.transform.f - np.array(ys)) / 1e-5).astype(int)
    exact = classes[row, column].reshape(30, 40)
    assert (burnt == exact).mean() > 0.999
    assert len(np.unique(exact)) > 100, "the comparison must be able to fail"


def test_very_fine_labels_are_read_in_parts(grid, write_raster, monkeypatch):
    own = Grid(grid.crs, compose(grid.transform, Affine.scale(0.1)), 400, 300)
    classes = np.random.default_rng(3).integers(0, 200, (300, 400), dtype=np.uint8)
    labels = labels_of(write_raster(classes, own), grid)
    whole = labels.rasterise(grid, grid.window)
    monkeypatch.setattr(sampling, "MAX_READ", 500)
    assert np.array_equal(labels.rasterise(grid, grid.window), whole)
    assert np.array_equal(whole, classes[5::10, 5::10])


def test_nodata_is_background(grid, write_raster, values):
    burnt = labels_of(write_raster(values, grid, nodata=5), grid).rasterise(grid, grid.window)
    assert np.array_equal(burnt, np.where(values == 5, 0, values))


def test_whole_numbers_stored_as_floats_are_values(grid, write_raster, values):
    labels = labels_of(write_raster(values.astype(np.float32), grid), grid)
    assert labels.max_value == 5
    assert labels.rasterise(grid, grid.window).dtype == np.uint8


def test_16_bit_values_stay(grid, write_raster, values):
    labels = labels_of(write_raster(values.astype(np.int32) * 1000, grid), grid)
    assert labels.max_value == 5000
    assert np.array_equal(labels.rasterise(grid, grid.window), values.astype(np.uint16) * 1000)


@pytest.mark.parametrize(("bad", "dtype"), [(0.5, np.float32), (-3, np.int16), (70000, np.int32)])
def test_what_is_no_class_value_is_named(grid, write_raster, values, bad, dtype):
    classes = values.astype(dtype)
    classes[3, 3] = bad
    with pytest.raises(DataError, match=f"holds {bad:g}, which cannot be a class value"):
        labels_of(write_raster(classes, grid), grid)


def test_bare_integers_are_named_by_their_value(grid, write_raster, values):
    """E17: a raster without attribute table works."""
    labels = labels_of(write_raster(values, grid), grid)
    assert len(labels.classes) == 0
    assert labels.describe(3) == ClassEntry(3, "3")


def test_palette_gives_colours(grid, write_raster, values):
    labels = labels_of(write_raster(values, grid, colormap={2: (10, 20, 30)}), grid)
    assert labels.describe(2).color == (10, 20, 30)


def test_attribute_table_gives_names_and_colours(grid, write_raster, values, tmp_path):
    """E15: the value attribute table that ArcGIS writes."""
    import pyogrio

    path = write_raster(values, grid)
    columns = {
        "Value": [1, 2],
        "Class_Name": ["Wiese", "Wald"],
        "Red": [1, 4],
        "Green": [2, 5],
        "Blue": [3, 6],
    }
    pyogrio.raw.write(
        tmp_path / "table.dbf", None, [np.array(c) for c in columns.values()], list(columns),
        driver="ESRI Shapefile", geometry_type=None, crs=None, encoding="UTF-8",
    )  # fmt: skip
    (tmp_path / "table.dbf").rename(path + ".vat.dbf")
    labels = labels_of(path, grid)
    assert [entry.name for entry in labels.classes] == ["Wiese", "Wald"]


def test_schema_wins_over_the_file(grid, write_raster, values):
    schema = ClassSchema.parse("2, Wald, #00FF00")
    labels = labels_of(write_raster(values, grid, colormap={2: (10, 20, 30)}), grid, schema)
    assert labels.describe(2) == ClassEntry(2, "Wald", (0, 255, 0))


def test_label_without_georeference_follows_the_image_of_its_size(grid, write_raster, values):
    said = []
    source = open_source(write_raster(values))
    labels = RasterLabels(source, place(source, grid, "image.tif", said.append))
    assert np.array_equal(labels.rasterise(grid, grid.window), values)
    assert "pixel by pixel" in said[0]


def test_label_without_georeference_of_another_size_is_refused(grid, write_raster, values):
    with pytest.raises(DataError, match=r"image\.tif .*40 x 30.*classes\.tif .*40 x 29"):
        labels_of(write_raster(values[:29]), grid)


def test_overlap_in_another_system(grid, write_raster, values):
    near = Grid(CRS.from_epsg(4326), Affine(1e-4, 0, 14.99, 0, -1e-4, 45.16), 400, 300)
    far = Grid(near.crs, Affine(1e-4, 0, 10, 0, -1e-4, 45.16), 400, 300)
    assert labels_of(write_raster(np.ones((300, 400), np.uint8), near), grid).overlaps(grid)
    assert not labels_of(write_raster(np.ones((300, 400), np.uint8), far, name="far.tif"), grid).overlaps(
        grid
    )
