"""TIFF chips filled into a template are the files GDAL writes."""

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.crs import CRS

from imagerydl.chips import encoding
from imagerydl.chips.encoding import TIFF, ChipWriter
from imagerydl.chips.tiff_template import make_template
from imagerydl.imagery.grid import Grid
from imagerydl.imagery.transforms import compose

UTM = CRS.from_epsg(32633)
NORTH_UP = Affine(0.3, 0, 500000.1, 0, -0.3, 5000060.7)


def place(transform, crs=UTM, width=40, height=30):
    return Grid(crs, transform, width, height)


def pixels(bands, dtype, seed=1):
    return np.random.default_rng(seed).integers(0, 200, (bands, 30, 40)).astype(dtype)


@pytest.mark.parametrize("labels", [False, True])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32", "float64"])
@pytest.mark.parametrize("bands", [1, 3, 4, 13])
def test_chips_read_back_with_their_own_pixels_and_place(tmp_path, bands, dtype, labels):
    """E13, E18: any bands and type, uncompressed and compressed."""
    writer = ChipWriter(TIFF, labels)
    for step in range(3):
        grid = place(compose(NORTH_UP, Affine.translation(17 * step, 5 * step)))
        path = tmp_path / f"{step}.tif"
        writer.write(str(path), pixels(bands, dtype, step), grid, nodata=7)
        with rasterio.open(path) as dataset:
            assert np.array_equal(dataset.read(), pixels(bands, dtype, step))
            assert dataset.transform == grid.transform
            assert dataset.crs == UTM
            assert dataset.nodata == 7
            assert dataset.count == bands


def test_uncompressed_chips_equal_those_of_gdal_byte_by_byte(tmp_path):
    grid = place(compose(NORTH_UP, Affine.translation(100, 200)))
    profile = {
        "driver": "GTiff", "width": 40, "height": 30, "count": 3, "dtype": "uint8", "photometric": "rgb",
        "interleave": "band", "blockysize": 30, "crs": UTM,
    }  # fmt: skip
    template = make_template(pixels(3, "uint8"), place(NORTH_UP), {**profile, "transform": NORTH_UP})
    template.write(str(tmp_path / "ours.tif"), pixels(3, "uint8", 9), grid)
    with rasterio.open(tmp_path / "gdal.tif", "w", **profile, transform=grid.transform) as dataset:
        dataset.write(pixels(3, "uint8", 9))
    assert (tmp_path / "ours.tif").read_bytes() == (tmp_path / "gdal.tif").read_bytes()


@pytest.mark.parametrize(
    "transform",
    [compose(NORTH_UP, Affine.rotation(30)), Affine(0.3, 0, 10, 0, 0.3, 20), Affine(0.3, 0, 10, 0, -0.6, 20)],
    ids=["rotated", "south-up", "not square"],
)
def test_any_lattice(tmp_path, transform):
    writer = ChipWriter(TIFF)
    for step in range(2):
        grid = place(compose(transform, Affine.translation(3 * step, 4 * step)))
        writer.write(str(tmp_path / f"{step}.tif"), pixels(1, "uint8"), grid)
        with rasterio.open(tmp_path / f"{step}.tif") as dataset:
            assert np.allclose(dataset.transform, grid.transform, atol=1e-9)


def test_one_writer_follows_images_of_other_kinds(tmp_path):
    """Images of a folder differ in system, cell size and georeference."""
    writer = ChipWriter(TIFF)
    grids = [
        place(NORTH_UP),
        place(Affine(1, 0, 3, 0, -1, 4), CRS.from_epsg(3857)),
        place(Affine.identity(), None),
        place(Affine(2, 0, 3, 0, -2, 4), None),
        place(NORTH_UP),
    ]
    for step, grid in enumerate(grids):
        writer.write(str(tmp_path / f"{step}.tif"), pixels(1, "uint8", step), grid)
        with rasterio.open(tmp_path / f"{step}.tif") as dataset:
            assert (dataset.crs, dataset.transform) == (grid.crs, grid.transform)
            assert np.array_equal(dataset.read(), pixels(1, "uint8", step))


def test_noise_that_does_not_compress_is_written_all_the_same(tmp_path):
    """The strip table of a small template has 16 bits; the strip may need more."""
    noise = np.random.default_rng(0).integers(0, 255, (1, 240, 273)).astype(np.uint8)
    assert noise.size < 65536 < noise.size * 1.01
    grid = place(NORTH_UP, width=273, height=240)
    ChipWriter(TIFF, labels=True).write(str(tmp_path / "a.tif"), noise, grid)
    with rasterio.open(tmp_path / "a.tif") as dataset:
        assert np.array_equal(dataset.read(), noise)


def test_a_file_that_cannot_serve_is_made_but_once(tmp_path, monkeypatch):
    """With another compression every chip is GDAL's own work, and no second file is made for each."""
    asked = []
    monkeypatch.setattr(encoding, "make_template", lambda *arguments: asked.append(1))
    writer = ChipWriter(TIFF.with_options([("COMPRESS", "LZW")]))
    for step in range(3):
        writer.write(str(tmp_path / f"{step}.tif"), pixels(1, "uint8", step), place(NORTH_UP))
        with rasterio.open(tmp_path / f"{step}.tif") as dataset:
            assert dataset.compression.name == "lzw"
    assert len(asked) == 1
