"""Class rasters to polygons: exact, valid, and the same whatever the strips."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from xml.etree import ElementTree

import numpy as np
import pyogrio
import pytest
import rasterio
import shapely
import shapely.affinity
from affine import Affine
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from rasterio.crs import CRS
from rasterio.features import rasterize, shapes

from imagerydl.errors import DataError, OutputError, ParameterError
from imagerydl.events import Reporter
from imagerydl.inference.polygons import layer, write_polygons
from imagerydl.labels.classes import ClassEntry, ClassSchema

CLASSES = ClassSchema([ClassEntry(1, "road"), ClassEntry(2, "roof")])
NODATA = 255
METRES = Affine(2, 0, 500_000, 0, -2, 4_000_000)


def save(path, values, transform=METRES, crs="EPSG:32631", nodata=NODATA):
    height, width = values.shape
    profile = {"width": width, "height": height, "count": 1, "dtype": values.dtype, "nodata": nodata}
    if transform is not None:
        profile["transform"] = transform
    with rasterio.open(path, "w", driver="GTiff", crs=crs, **profile) as file:
        file.write(values, 1)
    return path


def polygonise(folder, values, block_rows=512, classes=CLASSES, confidence=None, options=None, **place):
    raster = save(folder / "classes.tif", values, **place)
    options = dict(options or {})
    if confidence is not None:
        options["confidence_path"] = save(folder / "confidence.tif", confidence, nodata=None)
    out = folder / "polygons.gpkg"
    out.unlink(missing_ok=True)
    count = write_polygons(
        raster, out, classes=classes, reporter=Reporter(), block_rows=block_rows, **options
    )
    meta, _, geometries, fields = pyogrio.raw.read(out)
    assert count == len(geometries)
    return shapely.from_wkb(geometries), dict(zip(meta["fields"].tolist(), fields)), meta


def expected(values, transform=METRES):
    """What rasterio finds in the whole raster at once."""
    found = shapes(values.astype(np.int32), mask=values != NODATA, connectivity=4, transform=transform)
    return {(int(value), shapely.normalize(shapely.geometry.shape(shape)).wkb) for shape, value in found}


class_rasters = arrays(
    np.uint8,
    array_shapes(min_dims=2, max_dims=2, max_side=14),
    elements=st.sampled_from([0, 1, 2, NODATA]),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values=class_rasters, block_rows=st.integers(1, 15))
def test_strips_find_what_the_whole_raster_holds(tmp_path, values, block_rows):
    polygons, fields, _ = polygonise(tmp_path, values, block_rows)

    found = {(int(v), shapely.normalize(p).wkb) for v, p in zip(fields["class_value"], polygons)}
    assert found == expected(values)
    assert len(found) == len(polygons)
    assert shapely.is_valid(polygons).all()
    assert fields["pixels"].sum() == (values != NODATA).sum()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values=class_rasters, block_rows=st.integers(1, 15))
def test_the_height_of_strips_changes_no_byte_of_a_polygon_nor_the_order(tmp_path, values, block_rows):
    confidence = np.linspace(0, 1, values.size, dtype=np.float32).reshape(values.shape)
    one, one_fields, _ = polygonise(tmp_path, values, block_rows, confidence=confidence)
    other, other_fields, _ = polygonise(tmp_path, values, confidence=confidence)

    assert shapely.to_wkb(one).tolist() == shapely.to_wkb(other).tolist()
    for name in one_fields:
        np.testing.assert_array_equal(one_fields[name], other_fields[name])


def test_full_batches_are_written_before_the_end_and_lose_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(layer, "BATCH", 7)
    values = (np.indices((12, 12)).sum(axis=0) % 2 + 1).astype(np.uint8)
    polygons, fields, _ = polygonise(tmp_path, values, block_rows=5)
    assert len(polygons) == 144
    assert fields["pixels"].tolist() == [1] * 144


def test_a_ring_over_many_strips_keeps_its_hole(tmp_path):
    values = np.full((9, 9), 1, dtype=np.uint8)
    values[2:7, 2:7] = 2
    polygons, fields, _ = polygonise(tmp_path, values, block_rows=2)
    by_value = dict(zip(fields["class_value"].tolist(), polygons))
    assert len(by_value[1].interiors) == 1
    assert by_value[1].area == (81 - 25) * 4
    assert len(by_value[1].exterior.coords) == len(by_value[2].exterior.coords) == 5


def test_a_diagonal_one_pixel_wide_is_as_many_polygons(tmp_path):
    values = np.full((6, 6), NODATA, dtype=np.uint8)
    np.fill_diagonal(values, 1)
    polygons, _, _ = polygonise(tmp_path, values, block_rows=1)
    assert len(polygons) == 6


def test_a_raster_of_one_pixel(tmp_path):
    polygons, fields, _ = polygonise(tmp_path, np.array([[2]], dtype=np.uint8))
    assert fields["class_name"].tolist() == ["roof"]
    assert polygons[0].bounds == (500_000, 3_999_998, 500_002, 4_000_000)


def test_nothing_but_nodata_is_an_empty_layer(tmp_path):
    polygons, fields, _ = polygonise(tmp_path, np.full((3, 3), NODATA, dtype=np.uint8))
    assert len(polygons) == 0
    assert set(fields) == {"class_value", "class_name", "pixels", "area"}


def test_a_background_class_is_left_out(tmp_path):
    classes = ClassSchema([ClassEntry(0, "background"), *CLASSES])
    values = np.array([[0, 0, 1], [2, 0, 1]], dtype=np.uint8)
    _, fields, _ = polygonise(tmp_path, values, classes=classes)
    assert sorted(fields["class_value"].tolist()) == [1, 2]


@pytest.mark.parametrize(
    "transform",
    [METRES, METRES @ Affine.rotation(30), Affine(2, 0, 0, 0, 2, 0)],
    ids=["north up", "rotated", "south up"],
)
def test_polygons_lie_where_the_pixels_lie(tmp_path, transform):
    values = np.full((4, 5), NODATA, dtype=np.uint8)
    values[1:3, 2:5] = 1
    polygons, fields, _ = polygonise(tmp_path, values, block_rows=2, transform=transform)
    corners = [transform @ corner for corner in ((2, 1), (5, 1), (5, 3), (2, 3))]
    assert polygons[0].symmetric_difference(shapely.Polygon(corners)).area < 1e-6
    assert fields["area"][0] == pytest.approx(6 * 4)


def test_without_georeference_y_is_minus_the_row(tmp_path):
    values = np.array([[NODATA, NODATA], [NODATA, 1]], dtype=np.uint8)
    polygons, fields, meta = polygonise(tmp_path, values, transform=None, crs=None)
    assert polygons[0].bounds == (1, -2, 2, -1)
    assert fields["area"].tolist() == [1]
    assert not meta["crs"] or "Undefined" in meta["crs"]


def test_in_degrees_the_area_is_that_on_the_ellipsoid(tmp_path):
    one_degree = Affine(1, 0, 10, 0, -1, 1)
    crs = CRS.from_epsg(4326)
    _, fields, _ = polygonise(tmp_path, np.array([[1]], dtype=np.uint8), transform=one_degree, crs=crs)
    # One degree at the equator: 110 574.3 m along the meridian, 111 319.5 m along the equator.
    assert fields["area"][0] == pytest.approx(110_574.3 * 111_319.5, rel=1e-4)


def test_confidence_is_the_mean_over_the_pixels_that_have_one(tmp_path):
    values = np.ones((4, 1), dtype=np.uint8)
    confidence = np.array([[0.5], [1.0], [np.nan], [0.75]], dtype=np.float32)
    _, fields, _ = polygonise(tmp_path, values, block_rows=1, confidence=confidence)
    assert fields["confidence"].tolist() == [0.75]


def test_a_raster_of_fractions_is_refused_by_name(tmp_path):
    with pytest.raises(DataError, match=r"classes\.tif holds float32"):
        polygonise(tmp_path, np.zeros((2, 2), dtype=np.float32))


@pytest.mark.parametrize("extension", ["geojson", "fgb"])
@pytest.mark.parametrize("crs", ["EPSG:32631", None])
def test_other_formats_hold_what_a_geopackage_holds(tmp_path, monkeypatch, extension, crs):
    monkeypatch.setattr(layer, "BATCH", 7)
    values = np.random.default_rng(5).integers(1, 4, (12, 12)).astype(np.uint8)
    place = {"crs": crs, "transform": METRES if crs else None}
    polygons, fields, _ = polygonise(tmp_path, values, **place)
    raster, other = tmp_path / "classes.tif", tmp_path / f"polygons.{extension}"
    assert write_polygons(raster, other, classes=CLASSES, reporter=Reporter()) == len(polygons)
    meta, _, geometries, columns = pyogrio.raw.read(other)

    assert meta["fields"].tolist() == list(fields)
    found = zip(
        shapely.to_wkb(shapely.normalize(shapely.from_wkb(geometries))), *map(np.ndarray.tolist, columns)
    )
    expected = zip(shapely.to_wkb(shapely.normalize(polygons)), *map(np.ndarray.tolist, fields.values()))
    assert sorted(found) == sorted(expected)
    if crs:
        assert CRS.from_user_input(meta["crs"]) == CRS.from_string(crs)
    assert not list(tmp_path.glob("*.fgb.gpkg"))
    assert not list(tmp_path.glob("*.geojson.gpkg"))


def test_another_format_is_refused(tmp_path):
    raster = save(tmp_path / "classes.tif", np.ones((2, 2), dtype=np.uint8))
    with pytest.raises(OutputError, match="no extension of a vector format"):
        write_polygons(raster, tmp_path / "polygons.shp", classes=CLASSES, reporter=Reporter())


def test_a_geopackage_is_shown_in_the_colours_of_the_classes(tmp_path):
    classes = ClassSchema([ClassEntry(1, "road & rail", (10, 20, 30)), ClassEntry(2, "roof")])
    polygonise(tmp_path, np.array([[1, 1, 7]], dtype=np.uint8), classes=classes)
    with closing(sqlite3.connect(tmp_path / "polygons.gpkg")) as database:
        ((text,),) = database.execute(
            "SELECT styleQML FROM layer_styles WHERE f_table_name = 'polygons' "
            "AND f_geometry_column = 'geom' AND useAsDefault = 1"
        ).fetchall()
    renderer = ElementTree.fromstring(text.partition(">")[2]).find("renderer-v2")
    assert renderer.get("attr") == "class_value"
    labels = {entry.get("value"): entry.get("label") for entry in renderer.iter("category")}
    assert labels == {"1": "road & rail", "7": "7"}
    fill = renderer.find("symbols/symbol[@name='0']//Option[@name='color']")
    assert fill.get("value") == "10,20,30,255"


def test_regions_below_the_smallest_area_go_into_their_neighbours(tmp_path):
    values = np.ones((6, 6), dtype=np.uint8)
    values[1:3, 1:3], values[4, 4] = 2, 2
    # A pixel has 4 square metres.
    polygons, fields, _ = polygonise(tmp_path, values, block_rows=2, options={"min_area": 16})
    assert sorted(zip(fields["class_value"].tolist(), fields["pixels"].tolist())) == [(1, 32), (2, 4)]
    polygons, _, _ = polygonise(tmp_path, values, block_rows=2, options={"min_area": 16.01})
    assert len(polygons) == 1


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values=class_rasters, block_rows=st.integers(1, 15), pixels=st.integers(2, 8))
def test_no_polygon_is_smaller_than_asked_for(tmp_path, values, block_rows, pixels):
    options = {"min_area": pixels * 4}
    one, fields, _ = polygonise(tmp_path, values, block_rows, options=options)
    other, _, _ = polygonise(tmp_path, values, options=options)
    assert (fields["pixels"] >= pixels).all()
    assert shapely.to_wkb(one).tolist() == shapely.to_wkb(other).tolist()


def test_in_degrees_the_smallest_area_is_one_in_square_metres(tmp_path):
    one_degree = Affine(1, 0, 10, 0, -1, 61)
    values = np.array([[1, 2, 2]] * 2, dtype=np.uint8)
    values[0, 0] = 3
    place = {"transform": one_degree, "crs": "EPSG:4326"}
    # At 60 degrees a square degree has some 6150 km^2, less towards the pole.
    _, fields, _ = polygonise(tmp_path, values, options={"min_area": 6.15e9}, **place)
    assert sorted(fields["class_value"].tolist()) == [1, 2]
    assert fields["area"].min() > 6.15e9


@pytest.mark.parametrize("option", ["min_area", "simplify"])
def test_a_negative_number_is_refused(tmp_path, option):
    with pytest.raises(ParameterError, match="means nothing"):
        polygonise(tmp_path, np.ones((1, 1), dtype=np.uint8), options={option: -1})


def test_simpler_borders_are_common_ones_and_the_pixels_are_still_counted(tmp_path):
    place = METRES @ Affine.rotation(10)
    values = np.where(np.add.outer(np.arange(40), np.arange(30)) % 40 < 20, 1, 2).astype(np.uint8)
    options = {"simplify": 3.0}
    polygons, fields, _ = polygonise(tmp_path, values, block_rows=8, options=options, transform=place)
    assert shapely.coverage_is_valid(polygons)
    assert fields["pixels"].sum() == values.size
    assert fields["area"].sum() == pytest.approx(values.size * 4)
    np.testing.assert_allclose(fields["area"], shapely.area(polygons))
    assert shapely.get_num_coordinates(polygons).max() <= 8


def test_chosen_values_only(tmp_path):
    values = np.array([[1, 2, 3]], dtype=np.uint8)
    _, fields, _ = polygonise(tmp_path, values, options={"values": [2, 3]})
    assert sorted(fields["class_value"].tolist()) == [2, 3]


def test_right_angles_are_those_of_the_ground(tmp_path):
    truth = shapely.affinity.rotate(shapely.box(20, 20, 60, 45), 25)
    values = rasterize([truth], out_shape=(70, 80), fill=NODATA, default_value=2, dtype=np.uint8)
    polygons, _, _ = polygonise(tmp_path, values, block_rows=16, options={"right_angles": True})
    on_ground = shapely.affinity.affine_transform(truth, METRES.to_shapely())
    assert len(polygons[0].exterior.coords) == 5
    assert polygons[0].intersection(on_ground).area > 0.95 * polygons[0].union(on_ground).area


def test_right_angles_in_degrees_are_refused(tmp_path):
    values = np.array([[1]], dtype=np.uint8)
    place = {"transform": Affine(1, 0, 10, 0, -1, 1), "crs": "EPSG:4326"}
    with pytest.raises(ParameterError, match="in degrees"):
        polygonise(tmp_path, values, options={"right_angles": True}, **place)
