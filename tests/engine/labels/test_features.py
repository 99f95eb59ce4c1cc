"""Polygons as labels: values, names, repairs, systems."""

import numpy as np
import pytest
import shapely
from affine import Affine
from rasterio.crs import CRS
from rasterio.warp import transform_geom
from rasterio.windows import Window

from imagerydl.errors import DataError, ParameterError
from imagerydl.imagery.grid import Grid
from imagerydl.imagery.transforms import apply, compose
from imagerydl.labels.classes import ClassEntry, ClassSchema
from imagerydl.labels.feature_reading import read_features
from imagerydl.labels.fields import class_column

EAST, NORTH = 500000, 5000060


def pixels(column, row, width, height):
    """The polygon that covers exactly these pixels of the grid of the fixture."""
    left, top = EAST + 2 * column, NORTH - 2 * row
    return shapely.box(left, top - 2 * height, left + 2 * width, top)


def test_polygons_fill_the_pixels_they_cover(grid, write_layer):
    """E1: values inside, 0 outside, whatever window is asked for."""
    labels = read_features(write_layer([pixels(3, 4, 5, 6), pixels(20, 10, 2, 2)], value=[3, 7]))
    expected = np.zeros((30, 40), np.uint8)
    expected[4:10, 3:8] = 3
    expected[10:12, 20:22] = 7
    assert np.array_equal(labels.rasterise(grid, grid.window), expected)
    assert np.array_equal(labels.rasterise(grid, Window(2, 3, 10, 5)), expected[3:8, 2:12])
    assert labels.has_features(grid, Window(19, 9, 4, 4))
    assert not labels.has_features(grid, Window(30, 20, 8, 8))


@pytest.mark.parametrize("field", ["Value", "ClassValue", "CLASSVALUE"])
def test_value_field_is_found_in_any_case(grid, write_layer, field):
    """E36: without a named field, value or classvalue is taken."""
    labels = read_features(write_layer([pixels(0, 0, 2, 2)], other=["x"], **{field: [9]}))
    assert labels.classes.values == (9,)
    assert labels.rasterise(grid, grid.window)[0, 0] == 9


def test_without_class_field_all_features_are_class_1(write_layer):
    """E4, E36, E17: a plain polygon layer without schema works, as one class called 1."""
    labels = read_features(write_layer([pixels(0, 0, 2, 2)], owner=["me"]))
    assert list(labels.classes) == [ClassEntry(1, "1")]


def test_missing_field_error_lists_the_fields(write_layer):
    path = write_layer([pixels(0, 0, 2, 2)], roof=["a"], height=[3.0])
    with pytest.raises(ParameterError, match=r"no field 'rof'.*roof, height"):
        read_features(path, "rof")


def test_names_are_numbered_in_alphabetical_order(write_layer):
    labels = read_features(write_layer([pixels(i, 0, 1, 1) for i in range(3)], kind=["b", "c", "a"]), "kind")
    assert [(entry.value, entry.name) for entry in labels.classes] == [(1, "a"), (2, "b"), (3, "c")]


def test_numbers_stored_as_text_are_values(write_layer):
    labels = read_features(write_layer([pixels(i, 0, 1, 1) for i in range(2)], kind=["12", " 3"]), "kind")
    assert labels.classes.values == (3, 12)


def test_schema_gives_names_their_values(grid, write_layer):
    schema = ClassSchema.parse("4, Road, #112233\n9, House")
    labels = read_features(write_layer([pixels(0, 0, 2, 2)], kind=["house"]), "kind", schema)
    assert labels.classes == schema
    assert labels.rasterise(grid, grid.window)[0, 0] == 9


def test_class_the_schema_lacks_is_named(write_layer):
    path = write_layer([pixels(0, 0, 2, 2), pixels(3, 0, 2, 2)], kind=["house", "barn"])
    with pytest.raises(DataError, match="no class barn"):
        read_features(path, "kind", ClassSchema.parse("9, House"))


@pytest.mark.parametrize("value", [1.5, -1.0, 70000.0])
def test_number_that_is_no_class_value_is_refused(write_layer, value):
    with pytest.raises(DataError, match="cannot be a class value"):
        read_features(write_layer([pixels(0, 0, 2, 2)], value=[value]))


def test_null_empty_and_invalid_geometries_are_handled_and_counted(grid, write_layer):
    bow_tie = shapely.Polygon([(EAST, NORTH), (EAST + 8, NORTH - 8), (EAST + 8, NORTH), (EAST, NORTH - 8)])
    said = []
    labels = read_features(
        write_layer([None, shapely.Polygon(), bow_tie, pixels(10, 10, 3, 3)], value=[1, 2, 3, 4]),
        say=said.append,
    )
    burnt = labels.rasterise(grid, grid.window)
    assert set(np.unique(burnt)) == {0, 3, 4}
    assert burnt[2, 0] == 3
    assert burnt[2, 3] == 3
    assert burnt[0, 2] == 0, "the bow tie is two triangles, not their hull"
    assert any("2 features" in text and "without a geometry" in text for text in said)
    assert any("1 invalid" in text for text in said)


def test_multipolygon_with_hole(grid, write_layer):
    ring = pixels(2, 2, 6, 6).difference(pixels(4, 4, 2, 2))
    labels = read_features(write_layer([shapely.MultiPolygon([ring, pixels(20, 20, 2, 2)])]))
    burnt = labels.rasterise(grid, grid.window)
    assert burnt.sum() == 36 - 4 + 4
    assert burnt[4, 4] == 0


def test_later_features_are_drawn_over_earlier_ones(grid, write_layer):
    boxes = [pixels(0, 0, 8, 8), pixels(2, 2, 2, 2), pixels(3, 3, 2, 2)]
    burnt = read_features(write_layer(boxes, value=[5, 2, 9])).rasterise(grid, grid.window)
    assert (burnt[2, 2], burnt[3, 3], burnt[0, 0]) == (2, 9, 5)


def test_values_above_255_need_16_bits(grid, write_layer):
    burnt = read_features(write_layer([pixels(0, 0, 2, 2)], value=[300])).rasterise(grid, grid.window)
    assert burnt.dtype == np.uint16
    assert burnt[0, 0] == 300


def test_layer_in_another_system_is_transformed(grid, write_layer):
    box = pixels(5, 5, 10, 10)
    lonlat = shapely.geometry.shape(transform_geom("EPSG:32633", "EPSG:4326", box.__geo_interface__))
    labels = read_features(write_layer([lonlat], crs="EPSG:4326"))
    expected = read_features(write_layer([box], name="same"))
    assert np.array_equal(labels.rasterise(grid, grid.window), expected.rasterise(grid, grid.window))


def test_layer_without_system_is_refused(grid, write_layer):
    labels = read_features(write_layer([pixels(0, 0, 2, 2)], crs=None))
    with pytest.raises(DataError, match=r"no coordinate system.*EPSG:32633"):
        labels.rasterise(grid, grid.window)


def test_rotated_grid(write_layer):
    rotated = Grid(
        CRS.from_epsg(32633),
        compose(Affine.translation(EAST, NORTH), Affine.rotation(30), Affine.scale(2, -2)),
        20,
        20,
    )
    corners = [apply(rotated.transform, *corner) for corner in ((4, 5), (10, 5), (10, 12), (4, 12))]
    burnt = read_features(write_layer([shapely.Polygon(corners)])).rasterise(rotated, rotated.window)
    expected = np.zeros((20, 20), np.uint8)
    expected[5:12, 4:10] = 1
    assert np.array_equal(burnt, expected)


def test_a_long_outline_is_cut_to_the_window_without_a_trace(grid, write_layer):
    coast = shapely.Point(EAST + 40, NORTH - 30).buffer(25, quad_segs=2000)
    labels = read_features(write_layer([coast]))
    whole = labels.rasterise(grid, grid.window)
    for window in (Window(0, 0, 20, 15), Window(20, 15, 20, 15), Window(18, 12, 4, 4)):
        part = labels.rasterise(grid, window)
        rows, columns = (
            slice(window.row_off, window.row_off + window.height),
            slice(window.col_off, window.col_off + window.width),
        )
        assert np.array_equal(part, whole[rows, columns])
    assert 450 < whole.sum() < 520, "pi 25^2 m2 are about 491 pixels of 4 m2"


def test_points_cover_no_pixels(write_layer):
    labels = read_features(write_layer([shapely.Point(EAST, NORTH)]))
    with pytest.raises(DataError, match="points or lines"):
        labels.require_areas()


def test_points_among_polygons_are_left_out(grid, write_layer):
    said = []
    labels = read_features(
        write_layer([shapely.Point(EAST + 50, NORTH - 50), pixels(0, 0, 2, 2)]), say=said.append
    )
    labels.require_areas()
    assert labels.rasterise(grid, grid.window).sum() == 4
    assert any("without an area" in text for text in said)


def test_empty_layer_is_named(write_layer):
    with pytest.raises(DataError, match=r"nothing\.gpkg is empty"):
        read_features(write_layer([], name="nothing"))


def test_drawn_in_qgis_on_an_image_without_georeference(write_layer):
    """QGIS shows such images below y = 0."""
    image = Grid(None, Affine.identity(), 20, 10)
    said = []
    drawn = read_features(write_layer([shapely.box(2, -5, 6, -3)], crs=None), say=said.append)
    burnt = drawn.rasterise(image, image.window)
    assert np.array_equal(np.argwhere(burnt).min(axis=0), [3, 2])
    assert burnt.sum() == 2 * 4
    assert any("y = 0" in text for text in said)
    in_pixels = read_features(write_layer([shapely.box(2, 3, 6, 5)], crs=None, name="pixels"))
    assert np.array_equal(in_pixels.rasterise(image, image.window), burnt)


def test_points_become_true_circles_in_the_units_of_the_layer(grid, write_layer):
    """E37: the area is that of the circle, wherever the image is."""
    point = shapely.Point(EAST + 40, NORTH - 30)
    said = []
    labels = read_features(
        write_layer([point, shapely.box(EAST, NORTH - 4, EAST + 4, NORTH)]), None, None, said.append, 7
    )
    found = labels.objects(grid, grid.window)
    assert found.geometries[0].area * 4 == pytest.approx(np.pi * 49, rel=1e-3)
    assert np.allclose(found.boxes, [[16.5, 11.5, 23.5, 18.5], [0, 0, 2, 2]]), "polygons stay as they are"
    labels.require_areas()
    assert labels.count == 2
    assert said == []


def test_circles_are_drawn_before_the_layer_is_transformed(grid, write_layer):
    """A circle in degrees is an ellipse on the ground, and the user is told of the unit."""
    from rasterio.warp import transform

    lon, lat = (numbers[0] for numbers in transform("EPSG:32633", "EPSG:4326", [EAST + 40], [NORTH - 30]))
    said = []
    labels = read_features(
        write_layer([shapely.Point(lon, lat)], crs="EPSG:4326"), None, None, said.append, 1e-4
    )
    xmin, ymin, xmax, ymax = labels.objects(grid, grid.window).boxes[0]
    assert (ymax - ymin) * 2 == pytest.approx(22.2, rel=0.01), "1e-4 degrees of latitude are 11.1 m"
    assert (xmax - xmin) == pytest.approx((ymax - ymin) * np.cos(np.radians(lat)), rel=0.01)
    assert any("degrees" in text for text in said)


def test_lines_become_strips(grid, write_layer):
    line = shapely.LineString([(EAST + 20, NORTH - 30), (EAST + 60, NORTH - 30)])
    labels = read_features(write_layer([line]), buffer_radius=4)
    found = labels.objects(grid, grid.window)
    assert found.geometries[0].area * 4 == pytest.approx(40 * 8 + np.pi * 16, rel=1e-3)


def test_radius_on_polygons_is_ignored_and_said(write_layer):
    said = []
    labels = read_features(write_layer([pixels(0, 0, 2, 2)]), say=said.append, buffer_radius=5)
    assert labels.bounds == (EAST, NORTH - 4, EAST + 4, NORTH)
    assert any("BUFFER_RADIUS is ignored" in text for text in said)


@pytest.mark.parametrize("radius", [0, -1, float("nan")])
def test_radius_must_be_a_size(write_layer, radius):
    with pytest.raises(ParameterError, match="BUFFER_RADIUS"):
        read_features(write_layer([shapely.Point(EAST, NORTH)]), buffer_radius=radius)


def test_points_without_radius_name_the_fix(write_layer):
    with pytest.raises(DataError, match="BUFFER_RADIUS"):
        read_features(write_layer([shapely.Point(EAST, NORTH)])).require_areas()


def test_training_samples_name_and_colour_their_classes(write_layer):
    """E15: the labelling pane writes Classname and Classvalue, and RED, GREEN, BLUE."""
    path = write_layer(
        [pixels(i, 0, 1, 1) for i in range(4)],
        Classname=["Tree", "Car", "Tree", "Car"],
        Classvalue=[4, 9, 4, 9],
        RED=[0, 200, 0, 200],
        GREEN=[255, 10, 255, 10],
        BLUE=[1, 20, 1, 20],
    )
    expected = [ClassEntry(4, "Tree", (0, 255, 1)), ClassEntry(9, "Car", (200, 10, 20))]
    assert list(read_features(path).classes) == expected
    by_name = [ClassEntry(1, "Car", (200, 10, 20)), ClassEntry(2, "Tree", (0, 255, 1))]
    assert list(read_features(path, "classname").classes) == by_name
    schema = ClassSchema.parse("4, Oak\n9, Lorry")
    assert read_features(path, None, schema).classes == schema


def test_names_and_colours_that_are_not_one_per_class_are_not_taken(write_layer):
    path = write_layer(
        [pixels(i, 0, 1, 1) for i in range(3)],
        value=[1, 1, 2],
        class_name=["North", "South", "East"],
        red=[1, 2, 3],
        green=[1, 1, 1],
        blue=[1, 1, 1],
    )
    assert list(read_features(path).classes) == [ClassEntry(1, "1"), ClassEntry(2, "2")]


def test_an_empty_name_is_no_name(write_layer):
    path = write_layer([pixels(i, 0, 1, 1) for i in range(2)], value=[1, 2], Class_Name=["Tree", " "])
    assert [entry.name for entry in read_features(path).classes] == ["1", "2"]


def test_two_classes_with_one_name_stay_two(write_layer):
    said = []
    path = write_layer([pixels(i, 0, 1, 1) for i in range(2)], classvalue=[1, 2], classname=["Tree", "Tree"])
    labels = read_features(path, say=said.append)
    assert [(entry.value, entry.name) for entry in labels.classes] == [(1, "Tree"), (2, "Tree (2)")]
    assert any("'Tree'" in text for text in said)


def test_nulls_in_the_class_field_are_left_out_and_counted(grid, write_layer):
    said = []
    path = write_layer(
        [pixels(i * 3, 0, 1, 1) for i in range(4)], kind=np.array(["a", None, " ", "b"], object)
    )
    labels = read_features(path, "kind", say=said.append)
    assert labels.count == 2
    assert labels.objects(grid, grid.window).values.tolist() == [1, 2]
    assert any("2 features" in text and "'kind'" in text for text in said)
    numbers = write_layer([pixels(i * 3, 0, 1, 1) for i in range(2)], name="numbers", value=[np.nan, 3.0])
    assert read_features(numbers).classes.values == (3,)


def test_class_field_of_nothing_but_nulls_is_named(write_layer):
    path = write_layer([pixels(0, 0, 1, 1)], kind=np.array([None], object))
    with pytest.raises(DataError, match="empty 'kind'"):
        read_features(path, "kind")


def test_class_field_of_dates_is_named(write_layer):
    path = write_layer([pixels(0, 0, 1, 1)], taken=np.array(["2020-01-01"], "datetime64[ms]"))
    with pytest.raises(DataError, match=r"'taken'.*dates"):
        read_features(path, "taken")


@pytest.mark.parametrize("cell", [b"\x00\x01", ["a", "b"]])
def test_class_field_of_binary_data_or_lists_is_named(cell):
    column = np.array([cell, None], dtype=object)
    with pytest.raises(DataError, match=r"'photo' of trees holds lists or binary"):
        class_column(column, "photo", 2, None, "trees")


def test_infinite_numbers_are_no_class_values(write_layer):
    with pytest.raises(DataError, match="cannot be a class value"):
        read_features(write_layer([pixels(0, 0, 1, 1)], value=[np.inf]))


def test_a_feature_that_mixes_areas_and_lines_is_its_areas(grid, write_layer):
    mixed = shapely.GeometryCollection(
        [pixels(2, 2, 4, 4), shapely.LineString([(EAST, NORTH), (EAST + 80, NORTH - 60)])]
    )
    found = read_features(write_layer([mixed])).objects(grid, grid.window)
    assert found.boxes.tolist() == [[2, 2, 6, 6]]
    assert found.shares.tolist() == [1]


def test_half_a_million_polygons_are_read_without_a_loop_over_them(monkeypatch):
    """Loading looks at distinct cells, not at features."""
    from imagerydl.labels import fields

    count = 500_000
    cleaned = []
    clean = fields._clean
    monkeypatch.setattr(fields, "_clean", lambda cell: cleaned.append(cell) or clean(cell))
    column = np.array(["house", "barn", None, " 7"], dtype=object)[np.arange(count) % 4]
    assigned = fields.class_column(column, "kind", count, None, "layer")
    assert len(cleaned) == 4
    assert np.bincount(assigned.values + 1).tolist() == [count // 4, 0, count // 4, count // 4, count // 4]
    assert [entry.name for entry in assigned.classes] == ["7", "barn", "house"]


def test_of_a_large_layer_only_what_is_near_is_read_and_classes_stay(grid, write_layer, monkeypatch):
    """Values of named classes are those of the whole layer, wherever the imagery lies."""
    monkeypatch.setattr("imagerydl.labels.feature_reading._LARGE_LAYER", 2)
    far = [shapely.box(EAST + 9000 + i, NORTH, EAST + 9001 + i, NORTH + 1) for i in range(5)]
    path = write_layer([pixels(3, 4, 5, 6), *far], kind=["c", "a", "b", "a", "b", "d"])
    near, whole = read_features(path, "kind", grids=[grid]), read_features(path, "kind")
    assert (near.count, whole.count) == (1, 6)
    assert near.classes == whole.classes
    window = grid.window
    assert np.array_equal(near.rasterise(grid, window), whole.rasterise(grid, window))
    assert near.rasterise(grid, window).max() == 3
    elsewhere = read_features(write_layer(far, name="far"), grids=[grid])
    assert elsewhere.count == 5, "where nothing is near, the whole layer can tell where it lies"
