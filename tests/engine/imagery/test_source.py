"""Reading rasters: validity, borders, mosaics, extents, cell sizes, odd georeference, damage."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from rasterio.enums import ColorInterp
from rasterio.windows import Window

from imagerydl.errors import DataError
from imagerydl.imagery.source import open_source
from imagerydl.imagery.transforms import compose

ODD = Path(__file__).parents[4] / "shared" / "data" / "odd_rasters"
SQUARE = np.arange(3 * 6 * 8, dtype=np.uint8).reshape(3, 6, 8) + 1


def read_all(source):
    return source.read(source.grid.window)


# --- what a raster says about itself -----------------------------------------------------------


@pytest.mark.parametrize("bands", [1, 3, 4, 13])
def test_any_number_of_bands_is_read(make_raster, bands):
    """E13: 1, 3, 4 and 13 bands."""
    data = np.random.default_rng(bands).integers(0, 9999, (bands, 5, 7)).astype(np.uint16)
    with open_source(make_raster("a.tif", data)) as source:
        assert (source.count, source.dtype) == (bands, np.uint16)
        found, valid = read_all(source)
        np.testing.assert_array_equal(found, data)
        assert valid.all()
        np.testing.assert_array_equal(
            source.read(source.grid.window, [bands - 1, 0])[0], data[[bands - 1, 0]]
        )


def test_band_names_come_from_descriptions_else_from_colours(make_raster):
    rgb = make_raster("rgb.tif", SQUARE, photometric="RGB")
    assert open_source(rgb).band_names == ("Red", "Green", "Blue")
    named = make_raster("named.tif", SQUARE, names=("NIR", "SWIR"), photometric="MINISBLACK")
    assert open_source(named).band_names == ("NIR", "SWIR", "Band_3")


def test_palette_and_esri_attribute_table_are_read(make_raster, tmp_path):
    """E15: a class raster brings its names in its attribute table."""
    path = make_raster("classes.tif", np.ones((1, 3, 3), np.uint8))
    with rasterio.open(path, "r+") as file:
        file.write_colormap(1, {1: (10, 20, 30, 255)})
    assert open_source(path).colormap[1] == (10, 20, 30)
    Path(path + ".aux.xml").write_text(
        '<PAMDataset><PAMRasterBand band="1"><GDALRasterAttributeTable>'
        '<FieldDefn index="0"><Name>Wert</Name><Usage>5</Usage></FieldDefn>'
        '<FieldDefn index="1"><Name>Klasse</Name><Usage>2</Usage></FieldDefn>'
        '<Row index="0"><F>1</F><F>Gr&#252;n &amp; Wald</F></Row>'
        "</GDALRasterAttributeTable></PAMRasterBand></PAMDataset>",
        encoding="utf-8",
    )
    assert open_source(path).categories == {1: "Grün & Wald"}


def test_a_raster_without_georeference_lies_in_pixel_space(make_raster):
    with open_source(make_raster("photo.tif", SQUARE, transform=None)) as source:
        assert source.grid.crs is None
        assert source.grid.bounds == (0, 0, 8, 6)
        np.testing.assert_array_equal(source.read(Window(2, 1, 3, 2))[0], SQUARE[:, 1:3, 2:5])


@pytest.mark.parametrize(
    ("crs", "transform"),
    [
        ("EPSG:32633", compose(Affine.translation(5e5, 5e6), Affine.rotation(25), Affine.scale(2, -2))),
        ("EPSG:32633", Affine(2, 0, 5e5, 0, 2, 5e6)),
        ("EPSG:4326", Affine(1e-5, 0, 15, 0, -1e-5, 50)),
        ("EPSG:32633", Affine(2, 0, 5e5, 0, -3, 5e6)),
    ],
    ids=["rotated", "south-up", "degrees", "not square"],
)
def test_odd_georeference_is_read_in_its_own_lattice(make_raster, crs, transform):
    with open_source(make_raster("odd.tif", SQUARE, crs=crs, transform=transform)) as source:
        assert source.grid.transform.almost_equals(transform, 1e-9)
        assert source.grid.crs == CRS.from_user_input(crs)
        np.testing.assert_array_equal(read_all(source)[0], SQUARE)


def test_control_points_give_a_grid(tmp_path):
    path = tmp_path / "gcps.tif"
    with rasterio.open(path, "w", "GTiff", width=20, height=10, count=1, dtype="uint8") as file:
        file.write(np.full((1, 10, 20), 7, np.uint8))
        corners = [(0, 0, 100, 900), (0, 20, 120, 900), (10, 0, 100, 890), (10, 20, 120, 890)]
        points = [GroundControlPoint(row=r, col=c, x=x, y=y) for r, c, x, y in corners]
        file.gcps = (points, CRS.from_epsg(32633))
    with open_source(str(path)) as source:
        assert source.grid.crs == CRS.from_epsg(32633)
        assert source.grid.bounds == pytest.approx((100, 890, 120, 900), abs=1)
        data, valid = read_all(source)
        assert valid.any()
        assert set(np.unique(data[0][valid])) == {7}
    coarse = open_source(str(path), cell_size=2)
    assert coarse.grid.cell_size == pytest.approx((2, 2))
    assert read_all(coarse)[0][0][read_all(coarse)[1]].max() == 7


# --- validity ----------------------------------------------------------------------------------


def test_a_pixel_without_data_is_one_where_every_band_has_none(make_raster):
    data = SQUARE.copy()
    data[:, 0, 0] = 0
    data[0, 0, 1] = 0
    valid = read_all(open_source(make_raster("a.tif", data, nodata=0)))[1]
    assert not valid[0, 0]
    assert valid[0, 1]
    assert valid.sum() == valid.size - 1


def test_validity_does_not_depend_on_the_bands_read(make_raster):
    data = SQUARE.copy()
    data[0, 0, 0] = 0
    data[:, 1, 1] = 0
    source = open_source(make_raster("a.tif", data, nodata=0))
    np.testing.assert_array_equal(source.read(source.grid.window, [0])[1], read_all(source)[1])


def test_nan_counts_as_no_data_with_and_without_a_nodata_value(make_raster):
    data = SQUARE.astype(np.float32)
    data[:, 2, 3] = np.nan
    data[1, 0, 0] = np.nan
    for nodata in (None, np.nan, -9999):
        valid = read_all(open_source(make_raster("a.tif", data, nodata=nodata)))[1]
        assert not valid[2, 3]
        assert valid.sum() == valid.size - 1


def test_alpha_tells_validity_and_is_no_band(make_raster):
    alpha = np.full((6, 8), 255, np.uint8)
    alpha[3, 4] = 0
    path = make_raster("rgba.tif", np.concatenate([SQUARE, alpha[None]]), photometric="RGB", alpha="YES")
    with rasterio.open(path) as file:
        assert file.colorinterp[3] is ColorInterp.alpha
    source = open_source(path)
    assert source.count == 3
    np.testing.assert_array_equal(read_all(source)[1], alpha > 0)


def test_mask_bands_tell_validity(make_raster):
    mask = np.full((6, 8), 255, np.uint8)
    mask[:2] = 0
    np.testing.assert_array_equal(read_all(open_source(make_raster("m.tif", SQUARE, mask=mask)))[1], mask > 0)


def test_a_nodata_value_that_no_pixel_can_hold_is_none(make_raster, tmp_path):
    path = make_raster("a.tif", SQUARE)
    vrt = tmp_path / "a.vrt"
    vrt.write_text(
        f'<VRTDataset rasterXSize="8" rasterYSize="6"><VRTRasterBand dataType="Byte" band="1">'
        f"<NoDataValue>-9999</NoDataValue><SimpleSource><SourceFilename>{path}</SourceFilename>"
        f"<SourceBand>1</SourceBand></SimpleSource></VRTRasterBand></VRTDataset>"
    )
    assert read_all(open_source(str(vrt)))[1].all()


# --- borders -----------------------------------------------------------------------------------


def test_outside_stands_the_mirrored_picture_and_nothing_is_valid(make_raster):
    source = open_source(make_raster("a.tif", SQUARE))
    data, valid = source.read(Window(-9, -7, 30, 25))
    expected = np.pad(SQUARE, ((0, 0), (7, 12), (9, 13)), mode="reflect")
    np.testing.assert_array_equal(data, expected)
    assert valid.sum() == 48
    assert valid[7:13, 9:17].all()


def test_outside_stand_zeros_where_asked(make_raster):
    source = open_source(make_raster("a.tif", SQUARE))
    data, valid = source.read(Window(-2, 0, 4, 6), border="zero")
    assert not data[:, :, :2].any()
    np.testing.assert_array_equal(data[:, :, 2:], SQUARE[:, :, :2])
    assert valid[:, 2:].all()
    far = source.read(Window(100, 100, 3, 3))
    assert not far[0].any()
    assert not far[1].any()


def test_outside_an_extent_stands_the_real_picture(make_raster):
    path = make_raster("a.tif", SQUARE)
    source = open_source(path, extent={"bounds": [500001, 4999998.5, 500003, 4999999.5], "crs": ""})
    assert (source.grid.width, source.grid.height) == (4, 2)
    data, valid = source.read(Window(-2, -1, 8, 5))
    np.testing.assert_array_equal(data, SQUARE[:, 0:5, 0:8])
    assert valid.sum() == 8


# --- extent and cell size ----------------------------------------------------------------------


def test_an_extent_in_another_system_is_snapped_to_the_rasters_pixels(make_raster):
    """E11: the extent environment changes the grid."""
    data = np.arange(100 * 120, dtype=np.uint16).reshape(1, 100, 120)
    path = make_raster("a.tif", data)
    whole = open_source(path)
    bounds = rasterio.warp.transform_bounds(
        whole.grid.crs, "EPSG:4326", 500010.1, 4999960.1, 500030.2, 4999980.4
    )
    part = open_source(path, extent={"bounds": list(bounds), "crs": "EPSG:4326"})
    column, row = whole.grid.offset_of(part.grid)
    assert column in (19, 20)
    assert row in (38, 39)
    inside = data[:, row : row + part.grid.height, column : column + part.grid.width]
    np.testing.assert_array_equal(read_all(part)[0], inside)


def test_an_extent_that_qgis_draws_over_a_photo_counts_rows_downwards(make_raster):
    path = make_raster("photo.tif", SQUARE, transform=None)
    source = open_source(path, extent={"bounds": [1, -3, 4, -1], "crs": ""})
    np.testing.assert_array_equal(read_all(source)[0], SQUARE[:, 1:3, 1:4])


def test_an_extent_beside_the_raster_is_an_error_with_both_places(make_raster):
    with pytest.raises(DataError, match=r"does not touch .*a\.tif.*500000"):
        open_source(make_raster("a.tif", SQUARE), extent={"bounds": [0, 0, 9, 9], "crs": ""})


@pytest.mark.parametrize("transform", [Affine(0.5, 0, 500000, 0, -0.5, 5000000), None], ids=["map", "pixels"])
def test_a_larger_cell_size_averages(make_raster, transform):
    data = np.zeros((1, 40, 60), np.float32)
    data[:, :, 30:] = 100
    native = 0.5 if transform else 1
    source = open_source(make_raster("a.tif", data, transform=transform), cell_size=4 * native)
    assert (source.grid.width, source.grid.height) == (15, 10)
    found, valid = read_all(source)
    assert valid.all()
    assert found[0, 5, 2] == 0
    assert found[0, 5, 12] == 100


def test_classes_are_not_averaged(make_raster):
    data = np.zeros((1, 40, 60), np.uint8)
    data[:, :, 31:] = 100
    path = make_raster("classes.tif", data)
    with rasterio.open(path, "r+") as file:
        file.write_colormap(1, {100: (1, 2, 3, 255)})
    assert set(np.unique(read_all(open_source(path, cell_size=1.7))[0])) == {0, 100}


def test_the_own_cell_size_changes_nothing(make_raster):
    np.testing.assert_array_equal(
        read_all(open_source(make_raster("a.tif", SQUARE), cell_size=0.5))[0], SQUARE
    )


def test_a_rotated_raster_keeps_its_rotation_at_another_cell_size(make_raster):
    turned = compose(Affine.translation(5e5, 5e6), Affine.rotation(25), Affine.scale(2, -2))
    source = open_source(
        make_raster("t.tif", np.full((1, 30, 30), 9, np.uint8), transform=turned), cell_size=4
    )
    assert source.grid.is_rotated
    assert (source.grid.width, source.grid.height) == (15, 15)
    assert read_all(source)[1].all()


# --- mosaics -----------------------------------------------------------------------------------


def shifted(columns, rows):
    return Affine(0.5, 0, 500000 + 0.5 * columns, 0, -0.5, 5000000 - 0.5 * rows)


def test_a_mosaic_spans_its_rasters_and_the_first_valid_pixel_wins(make_raster):
    """E10: several rasters are one mosaic."""
    first = np.full((1, 4, 4), 1, np.uint8)
    first[0, :, 3] = 0
    paths = [
        make_raster("1.tif", first, nodata=0),
        make_raster("2.tif", np.full((1, 4, 4), 2, np.uint8), transform=shifted(2, 0)),
        make_raster("3.tif", np.full((1, 2, 2), 3, np.uint8), transform=shifted(-2, 4)),
    ]
    source = open_source(paths)
    data, valid = read_all(source)
    assert (source.grid.width, source.grid.height) == (8, 6)
    assert data[0, 0].tolist() == [0, 0, 1, 1, 1, 2, 2, 2]
    assert data[0, 5].tolist() == [3, 3, 0, 0, 0, 0, 0, 0]
    assert valid.sum() == 4 * 6 + 4
    np.testing.assert_array_equal(source.read(Window(4, 1, 2, 2))[0][0], [[1, 2], [1, 2]])


def test_a_raster_in_another_system_or_between_pixels_is_brought_to_the_firsts_lattice(make_raster):
    base = make_raster("base.tif", np.full((1, 20, 20), 50, np.uint8))
    between = make_raster("between.tif", np.full((1, 20, 20), 80, np.uint8), transform=shifted(20.4, 0))
    bounds = rasterio.warp.transform_bounds("EPSG:32633", "EPSG:4326", 500000, 4999980, 500010, 4999990)
    degrees = rasterio.transform.from_bounds(*bounds, 20, 20)
    other = make_raster("deg.tif", np.full((1, 20, 20), 99, np.uint8), crs="EPSG:4326", transform=degrees)
    source = open_source([base, between, other])
    data, valid = read_all(source)
    assert open_source(base).grid.offset_of(source.grid) is not None
    assert set(np.unique(data[0][valid])) == {50, 80, 99}
    assert valid.sum() > 1000


@pytest.mark.parametrize(
    ("second", "said"),
    [
        ({"data": SQUARE[:2]}, "has 2 bands"),
        ({"data": SQUARE, "transform": None}, "no coordinate reference system"),
    ],
)
def test_rasters_that_cannot_be_one_mosaic_are_named(make_raster, second, said):
    paths = [make_raster("one.tif", SQUARE), make_raster("two.tif", second.pop("data"), **second)]
    with pytest.raises(DataError, match=rf"two\.tif.*{said}"):
        open_source(paths)


def test_photos_without_georeference_are_no_mosaic(make_raster):
    paths = [make_raster(name, SQUARE, transform=None) for name in ("one.tif", "two.tif")]
    with pytest.raises(DataError, match="no georeference"):
        open_source(paths)


# --- threads, damage ---------------------------------------------------------------------------


def test_clones_read_at_the_same_time(make_raster):
    data = np.random.default_rng(0).integers(0, 255, (3, 300, 300)).astype(np.uint8)
    source = open_source(
        make_raster("a.tif", data, tiled=True, blockxsize=64, blockysize=64, compress="DEFLATE")
    )
    wrong = []

    def read_often(seed):
        generator = np.random.default_rng(seed)
        with source.clone() as own:
            for _ in range(50):
                x, y = (int(v) for v in generator.integers(0, 200, 2))
                if not np.array_equal(own.read(Window(x, y, 90, 90))[0], data[:, y : y + 90, x : x + 90]):
                    wrong.append((x, y))

    threads = [threading.Thread(target=read_often, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.fixture
def truncated(make_raster):
    data = np.random.default_rng(0).integers(1, 255, (1, 256, 256)).astype(np.uint8)
    path = Path(make_raster("cut.tif", data, tiled=True, blockxsize=64, blockysize=64, compress="DEFLATE"))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return str(path), data


def test_a_truncated_file_is_an_error_that_names_it(truncated):
    with pytest.raises(DataError, match=r"cut\.tif.*truncated or damaged"):
        read_all(open_source(truncated[0]))


def test_a_truncated_jpeg_is_not_a_grey_picture(tmp_path):
    path = tmp_path / "cut.jpg"
    with rasterio.open(path, "w", "JPEG", width=400, height=400, count=3, dtype="uint8") as file:
        file.write(np.random.default_rng(0).integers(0, 255, (3, 400, 400)).astype(np.uint8))
    path.write_bytes(path.read_bytes()[:20000])
    with pytest.raises(DataError, match=r"cut\.jpg"):
        read_all(open_source(str(path)))


def test_what_is_left_of_a_damaged_file_can_be_read(truncated):
    path, data = truncated
    source = open_source(path, skip_damaged=True)
    found, valid = read_all(source.clone())
    assert 0 < valid.mean() < 1
    np.testing.assert_array_equal(found[0][valid], data[0][valid])
    assert source.damage == {path: int((~valid).sum()) // 64**2}


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("none.tif", None, "none.tif"),
        ("words.tif", b"no raster at all", "words.tif"),
        ("empty.tif", b"", "empty.tif"),
    ],
)
def test_what_is_no_raster_is_named(tmp_path, name, content, said):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=said):
        open_source(str(tmp_path / name))


def test_complex_numbers_are_refused(make_raster):
    with pytest.raises(DataError, match="complex"):
        open_source(make_raster("c.tif", np.ones((1, 4, 4), np.complex64)))


@pytest.mark.skipif(not ODD.is_dir(), reason="needs ../shared/data/odd_rasters")
def test_real_odd_rasters_open_or_say_why_not():
    refused = {}
    for path in sorted(ODD.glob("*/*")):
        if path.suffix.lower() not in (".tif", ".tiff", ".vrt", ".jpg", ".h5"):
            continue
        try:
            with open_source(str(path)) as source:
                window = Window(-3, -3, min(source.grid.width, 999) + 6, min(source.grid.height, 999) + 6)
                data, valid = source.read(window)
                assert data.shape[1:] == valid.shape
        except DataError as error:
            refused[path.name] = str(error)
    assert sorted(refused) == ["corrupt.tif", "no_band.h5", "sar_hh_complex64.tif"]
    assert all(name in said for name, said in refused.items())
