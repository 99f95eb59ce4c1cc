"""Chip files, read back with plain rasterio."""

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.crs import CRS
from rasterio.enums import ColorInterp, MaskFlags

from imagerydl.chips.encoding import IMAGE_FORMATS, ChipWriter, label_format
from imagerydl.errors import ParameterError
from imagerydl.imagery.grid import Grid
from imagerydl.imagery.transforms import compose

PLACED = Grid(CRS.from_epsg(32633), Affine(0.3, 0, 500000.1, 0, -0.3, 5000060.7), 24, 16)
NOWHERE = Grid(None, Affine.identity(), 24, 16)


def picture(bands, dtype=np.uint8):
    return np.random.default_rng(bands).integers(0, 250, (bands, 16, 24)).astype(dtype)


@pytest.mark.parametrize("keyword", ["TIFF", "PNG", "MRF"])
@pytest.mark.parametrize("bands", [1, 3])
def test_lossless_formats_give_back_every_value(tmp_path, keyword, bands):
    """E18, E19."""
    chip = tmp_path / f"a{IMAGE_FORMATS[keyword].extension}"
    ChipWriter(IMAGE_FORMATS[keyword]).write(str(chip), picture(bands), NOWHERE)
    with rasterio.open(chip) as dataset:
        assert dataset.driver == IMAGE_FORMATS[keyword].driver
        assert np.array_equal(dataset.read(), picture(bands))
    assert not list(tmp_path.glob("*.aux.xml"))
    assert not list(tmp_path.glob("*w")), "an image without georeference has no world file"


def test_jpeg_stays_close(tmp_path):
    smooth = np.linspace(0, 255, 16 * 24).reshape(1, 16, 24).repeat(3, axis=0).astype(np.uint8)
    ChipWriter(IMAGE_FORMATS["JPEG"]).write(str(tmp_path / "a.jpg"), smooth, PLACED)
    with rasterio.open(tmp_path / "a.jpg") as dataset:
        assert np.abs(dataset.read().astype(int) - smooth).max() < 12
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.jgw", "a.jpg"]


@pytest.mark.parametrize(("keyword", "world"), [("TIFF", "a.tfw"), ("PNG", "a.pgw"), ("JPEG", "a.jgw")])
def test_world_file_places_the_centre_of_the_first_pixel(tmp_path, keyword, world):
    chip = tmp_path / f"a{IMAGE_FORMATS[keyword].extension}"
    ChipWriter(IMAGE_FORMATS[keyword]).write(str(chip), picture(3), PLACED)
    lines = [float(line) for line in (tmp_path / world).read_text().split()]
    assert lines == pytest.approx([0.3, 0, 0, -0.3, 500000.25, 5000060.55])
    with rasterio.open(chip) as dataset:
        assert np.allclose(dataset.transform, PLACED.transform)


@pytest.mark.parametrize("keyword", ["TIFF", "MRF"])
def test_system_and_nodata_are_stored(tmp_path, keyword):
    chip = tmp_path / f"a{IMAGE_FORMATS[keyword].extension}"
    ChipWriter(IMAGE_FORMATS[keyword]).write(str(chip), picture(2, np.float32), PLACED, nodata=-9999)
    with rasterio.open(chip) as dataset:
        assert dataset.crs.to_epsg() == 32633
        assert np.allclose(dataset.transform, PLACED.transform)
        assert dataset.nodata == -9999


def test_rotated_chip(tmp_path):
    rotated = Grid(PLACED.crs, compose(PLACED.transform, Affine.rotation(20)), 24, 16)
    ChipWriter(IMAGE_FORMATS["TIFF"]).write(str(tmp_path / "a.tif"), picture(1), rotated)
    with rasterio.open(tmp_path / "a.tif") as dataset:
        assert np.allclose(dataset.transform, rotated.transform)


def test_fourth_band_is_no_transparency(tmp_path):
    """E13: GDAL takes the fourth of four 8-bit bands for alpha unless told otherwise."""
    ChipWriter(IMAGE_FORMATS["TIFF"]).write(str(tmp_path / "a.tif"), picture(4), PLACED)
    with rasterio.open(tmp_path / "a.tif") as dataset:
        assert ColorInterp.alpha not in dataset.colorinterp
        assert dataset.mask_flag_enums[0] == [MaskFlags.all_valid]


@pytest.mark.parametrize(
    ("keyword", "bands", "dtype", "named"),
    [
        ("PNG", 4, np.uint8, "4 bands"),
        ("JPEG", 4, np.uint8, "4 bands"),
        ("JPEG", 3, np.uint16, "uint16"),
        ("PNG", 3, np.float32, "float32"),
        ("JPEG", 13, np.int16, "13 bands and values of type int16"),
    ],
)
def test_what_a_format_cannot_hold_is_refused_naming_tiff(keyword, bands, dtype, named):
    """E18: 4 bands + PNG is refused."""
    with pytest.raises(ParameterError, match=f"image.tif has .*{named}.*IMAGE_CHIP_FORMAT to TIFF"):
        IMAGE_FORMATS[keyword].check(bands, np.dtype(dtype), "image.tif")


@pytest.mark.parametrize("keyword", sorted(IMAGE_FORMATS))
def test_labels_are_never_lossy(tmp_path, keyword):
    chosen = label_format(IMAGE_FORMATS[keyword])
    assert chosen.driver in ("GTiff", "PNG")
    label = picture(1, np.uint16) * 200
    ChipWriter(chosen, labels=True).write(str(tmp_path / f"a{chosen.extension}"), label, NOWHERE)
    with rasterio.open(tmp_path / f"a{chosen.extension}") as dataset:
        assert np.array_equal(dataset.read(), label)
