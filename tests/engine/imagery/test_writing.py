"""Writing rasters: placement, palette, names, attribute tables, world files, styles."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.crs import CRS
from rasterio.windows import Window

from imagerydl.errors import OutputError
from imagerydl.imagery.grid import Grid
from imagerydl.imagery.source import open_source
from imagerydl.imagery.styling import write_style
from imagerydl.imagery.transforms import compose
from imagerydl.imagery.writing import RasterWriter, write_world_file
from imagerydl.labels.classes import ClassEntry, ClassSchema
from imagerydl.outputs import staged

GRID = Grid(CRS.from_epsg(32633), Affine(2, 0, 5e5, 0, -2, 5e6), 300, 270)
CLASSES = ClassSchema(
    [ClassEntry(0, "Back & ground"), ClassEntry(3, 'Wäl"der', (0, 100, 0)), ClassEntry(7, "Water")]
)


@pytest.fixture
def class_raster(tmp_path):
    final = tmp_path / "classes.tif"
    data = np.full((270, 300), 3, np.uint8)
    data[:10] = 255
    data[10:20] = 0
    with staged(final) as path, RasterWriter(path, GRID, np.uint8, nodata=255, classes=CLASSES) as writer:
        for row in range(0, 270, 90):
            writer.write(data[row : row + 90], Window(0, row, 300, 90))
    return final, data


def test_a_class_raster_carries_palette_names_and_counts_beside_its_final_name(class_raster, tmp_path):
    """P7: names and colours are in the attribute table; the value 0 is legal."""
    path, data = class_raster
    names = {file.name for file in tmp_path.iterdir()}
    assert names == {"classes.tif", "classes.tif.aux.xml", "classes.tif.vat.dbf", "classes.tif.vat.cpg"}
    with open_source(str(path)) as source:
        assert source.categories == {0: "Back & ground", 3: 'Wäl"der', 7: "Water"}
        assert source.colormap[3] == (0, 100, 0)
        found, valid = source.read(source.grid.window)
        np.testing.assert_array_equal(found[0], data)
        np.testing.assert_array_equal(valid, data != 255)
    (tmp_path / "classes.tif.aux.xml").unlink()
    with open_source(str(path)) as source:
        assert source.categories == {0: "Back & ground", 3: 'Wäl"der', 7: "Water"}


def test_the_attribute_table_counts_pixels(class_raster):
    from pyogrio.raw import read

    meta, _, _, columns = read(str(class_raster[0]) + ".vat.dbf", read_geometry=False)
    table = dict(zip(meta["fields"], columns))
    assert table["Value"].tolist() == [0, 3, 7]
    assert table["Count"].tolist() == [3000, 250 * 300, 0]
    assert table["Green"].tolist()[1] == 100


def test_gdal_reads_the_attribute_table(class_raster):
    """Run in a Python that has GDAL's own bindings, where the machine has one."""
    code = (
        "from osgeo import gdal; gdal.UseExceptions();"
        f"d = gdal.Open({str(class_raster[0])!r}); b = d.GetRasterBand(1); t = b.GetDefaultRAT();"
        "print([t.GetValueAsString(1, c) for c in range(t.GetColumnCount())])"
    )
    for python in ("/usr/bin/python3", sys.executable):
        try:
            done = subprocess.run([python, "-c", code], capture_output=True, text=True, timeout=60)
        except OSError:
            continue
        if done.returncode == 0:
            assert done.stdout.strip() == str(["3", "75000", 'Wäl"der', "0", "100", "0"])
            return
    pytest.skip("no Python with GDAL's bindings here")


@pytest.mark.parametrize(
    ("crs", "transform"),
    [
        ("EPSG:32633", compose(Affine.translation(5e5, 5e6), Affine.rotation(25), Affine.scale(2, -2))),
        ("EPSG:4326", Affine(1e-5, 0, 15, 0, -1e-5, 50)),
        ("EPSG:32633", Affine(2, 0, 5e5, 0, 2, 5e6)),
        (None, Affine.identity()),
    ],
    ids=["rotated", "degrees", "south-up", "pixel space"],
)
def test_any_grid_comes_back_as_it_went(tmp_path, crs, transform):
    grid = Grid(CRS.from_user_input(crs) if crs else None, transform, 7, 5)
    with RasterWriter(tmp_path / "a.tif", grid, np.float32, nodata=-1, band_names=("Confidence",)) as writer:
        writer.write(np.ones((5, 7), np.float32), grid.window)
    with open_source(str(tmp_path / "a.tif")) as source:
        assert source.grid.crs == grid.crs
        assert source.grid.transform.almost_equals(transform, 1e-9)
        assert source.band_names == ("Confidence",)


def test_a_wide_value_takes_a_wide_type(tmp_path):
    classes = ClassSchema([ClassEntry(1000, "far")])
    with RasterWriter(tmp_path / "a.tif", GRID, np.uint16, nodata=65535, classes=classes) as writer:
        writer.write(np.full((270, 300), 1000, np.uint16), GRID.window)
    assert writer.value_counts == {1000: 270 * 300}
    assert open_source(str(tmp_path / "a.tif")).categories == {1000: "far"}


def test_an_unfinished_raster_leaves_nothing(tmp_path):
    def fail_halfway():
        with staged(tmp_path / "a.tif") as path:
            with RasterWriter(path, GRID, np.uint8, nodata=255, classes=CLASSES) as writer:
                writer.write(np.zeros((270, 300), np.uint8), GRID.window)
                raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_halfway()
    assert list(tmp_path.iterdir()) == []


def test_large_rasters_are_stored_in_compressed_blocks(class_raster):
    with rasterio.open(class_raster[0]) as file:
        assert file.profile["tiled"]
        assert file.profile["compress"] == "deflate"
        assert file.block_shapes == [(256, 256)]


@pytest.mark.parametrize(("name", "world"), [("a.tif", "a.tfw"), ("b.jpg", "b.jgw"), ("c.png", "c.pgw")])
def test_world_files_start_at_the_centre_of_the_first_pixel(tmp_path, name, world):
    path = Path(write_world_file(str(tmp_path / name), Affine(2, 0, 100, 0, -2, 900)))
    assert path.name == world
    assert path.read_text().split() == ["2", "0", "0", "-2", "101", "899"]


def test_the_style_names_and_colours_every_class(tmp_path):
    text = write_style(tmp_path / "classes.tif", CLASSES).read_text(encoding="utf-8")
    assert (tmp_path / "classes.qml").is_file()
    assert 'value="3" color="#006400" label="Wäl&quot;der"' in text
    assert text.count("<paletteEntry") == 3


def test_a_file_that_was_cut_short_while_closing_is_an_error(tmp_path):
    """A full disk: the last blocks are written while the file closes, and the error is lost there."""
    generator = np.random.default_rng(0)

    def write(name, kept):
        path = tmp_path / name
        writer = RasterWriter(path, GRID, np.float32, nodata=-1)
        writer.write(generator.random((270, 300), dtype=np.float32), GRID.window)
        finish = writer._dataset.close

        def close():
            finish()
            os.truncate(path, int(kept * path.stat().st_size))

        writer._dataset = SimpleNamespace(close=close)
        writer.close()

    write("whole.tif", kept=1)
    with pytest.raises(OutputError, match=r"cut\.tif cannot be written"):
        write("cut.tif", kept=0.8)
