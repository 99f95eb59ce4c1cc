"""What lies in a chip, object by object: against plain geometry of one polygon at a time."""

import math

import numpy as np
import pytest
import shapely
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from rasterio.crs import CRS
from rasterio.features import rasterize
from rasterio.windows import Window

from imagerydl.imagery.grid import Grid
from imagerydl.imagery.source import open_source
from imagerydl.labels.classes import ClassEntry, ClassSchema
from imagerydl.labels.feature_reading import read_features
from imagerydl.labels.features import FeatureLabels
from imagerydl.labels.objects import LabelObjects, clipped, regions
from imagerydl.labels.rasters import RasterLabels, place

EAST, NORTH = 500000, 5000060
UTM = CRS.from_epsg(32633)


def on_map(shape, grid):
    """A shape drawn in pixels of ``grid``, on its ground."""
    t = grid.transform
    return shapely.affinity.affine_transform(shape, [t.a, t.b, t.d, t.e, t.c, t.f])


def labels_of(shapes, grid, values=None):
    """Shapes drawn in pixels of ``grid`` as labels in its system."""
    geometries = np.array([*(on_map(shape, grid) for shape in shapes), None], dtype=object)[:-1]
    values = np.arange(1, len(shapes) + 1) if values is None else np.array(values)
    classes = ClassSchema(ClassEntry(v, str(v)) for v in sorted(set(values.tolist())))
    return FeatureLabels(geometries, values.astype(np.int32), classes, grid.crs, "labels")


def turned(angle, size=20, cell=2.0):
    transform = Affine.translation(EAST, NORTH) @ Affine.rotation(angle) @ Affine.scale(cell, -cell)
    return Grid(UTM, transform, size, size)


def test_objects_are_cut_to_the_chip(grid):
    """E3, E26: boxes of what lies in the chip, in its pixels; shares of the whole area."""
    labels = labels_of(
        [shapely.box(2, 3, 6, 5), shapely.box(8, 8, 12, 12), shapely.box(30, 20, 32, 22)], grid
    )
    found = labels.objects(grid, Window(0, 0, 10, 10))
    assert found.values.tolist() == [1, 2]
    assert found.values.dtype == np.int32
    assert found.features.tolist() == [0, 1]
    assert np.allclose(found.boxes, [[2, 3, 6, 5], [8, 8, 10, 10]])
    assert np.allclose(found.shares, [1, 0.25])
    moved = labels.objects(grid, Window(10, 10, 30, 20))
    assert np.allclose(moved.boxes, [[0, 0, 2, 2], [20, 10, 22, 12]])
    assert moved.features.tolist() == [1, 2]
    assert len(labels.objects(grid, Window(15, 0, 5, 5))) == 0


def test_what_only_touches_the_chip_is_not_in_it(grid):
    labels = labels_of(
        [shapely.box(10, 0, 14, 4), shapely.box(4, 10, 6, 14), shapely.box(10, 10, 12, 12)], grid
    )
    assert len(labels.objects(grid, Window(0, 0, 10, 10))) == 0


def test_touching_pieces_of_a_cut_polygon_are_dropped(grid):
    """The polygon runs along the border of the chip and enters it further down."""
    shape = shapely.Polygon([(10, 0), (14, 0), (14, 9), (8, 9), (8, 6), (10, 6)])
    found = labels_of([shape], grid).objects(grid, Window(0, 0, 10, 10))
    assert found.geometries[0].equals(shapely.box(8, 6, 10, 9))
    assert found.geometries[0].geom_type == "Polygon"
    assert found.shares[0] == pytest.approx(6 / shape.area)


def test_a_feature_cut_into_parts_stays_one_object(grid):
    comb = shapely.union_all([shapely.box(10, 0, 14, 9), shapely.box(6, 1, 10, 3), shapely.box(6, 5, 10, 7)])
    pair = shapely.MultiPolygon([shapely.box(0, 0, 2, 2), shapely.box(30, 0, 32, 2)])
    found = labels_of([comb, pair], grid).objects(grid, Window(0, 0, 10, 10))
    assert found.geometries[0].geom_type == "MultiPolygon"
    assert np.allclose(found.boxes, [[6, 1, 10, 7], [0, 0, 2, 2]])
    assert np.allclose(found.shares, [16 / 52, 0.5])


def test_drawing_order_is_kept(grid):
    rng = np.random.default_rng(3)
    shapes = [shapely.box(x, y, x + 3, y + 3) for x, y in rng.integers(0, 20, (50, 2)).tolist()]
    found = labels_of(shapes, grid).objects(grid, Window(0, 0, 40, 30))
    assert found.features.tolist() == list(range(50))


def test_the_same_feature_has_the_same_number_in_every_chip(grid):
    labels = labels_of([shapely.box(i * 4, 5, i * 4 + 3, 8) for i in range(10)], grid)
    for number in range(10):
        window = Window(number * 4 - 1, 4, 5, 5)
        whole = labels.objects(grid, window)
        one = labels.object_of(number, grid, window)
        assert one.features.tolist() == [number]
        assert number in whole.features
        assert np.allclose(one.boxes, [[1, 1, 4, 4]])
    assert len(labels.object_of(9, grid, Window(0, 0, 5, 5))) == 0


def test_windows_may_reach_outside_the_grid(grid):
    found = labels_of([shapely.box(-3, -3, 4, 4)], grid).objects(grid, Window(-2, -2, 4, 4))
    assert np.allclose(found.boxes, [[0, 0, 4, 4]])
    assert found.shares[0] == pytest.approx(16 / 49)


@pytest.mark.parametrize("angle", [0, 30, 90, 217])
def test_boxes_on_a_turned_chip_are_those_of_the_turned_shape(angle):
    """E39: not the turned box of the shape."""
    grid = turned(angle)
    shape = shapely.Polygon([(4, 4), (12, 6), (8, 13)])
    labels = labels_of([shape], grid)
    assert np.allclose(labels.objects(grid, grid.window).boxes, [[4, 4, 12, 13]])
    assert np.allclose(labels.feature_boxes(grid), [[4, 4, 12, 13]])
    part = labels.objects(grid, Window(0, 0, 8, 20))
    expected = shape.intersection(shapely.box(0, 0, 8, 20))
    assert part.geometries[0].symmetric_difference(expected).area < 1e-6
    assert part.shares[0] == pytest.approx(expected.area / shape.area)


def test_lines_share_their_length_and_points_are_in_one_chip_only():
    """Pixels of 2 x 5 m: half of the ground length is not half of the pixels."""
    grid = Grid(UTM, Affine(2, 0, EAST, 0, -5, NORTH), 40, 30)
    line = shapely.LineString([(5, 5), (15, 5), (15, 15)])
    labels = labels_of(
        [line, shapely.Point(10, 4), shapely.Point(10, 10), shapely.LineString([(0, 10), (9, 10)])], grid
    )
    left = labels.objects(grid, Window(0, 0, 10, 10))
    assert left.features.tolist() == [0, 3]
    assert left.shares[0] == pytest.approx(5 * 2 / (10 * 2 + 10 * 5))
    right = labels.objects(grid, Window(10, 0, 10, 10))
    assert right.features.tolist() == [0, 1]
    assert right.shares.tolist() == [pytest.approx((5 * 2 + 5 * 5) / 70), 1]
    assert labels.objects(grid, Window(10, 10, 10, 10)).features.tolist() == [0, 2]


def test_several_points_of_one_feature(grid):
    labels = labels_of([shapely.MultiPoint([(1, 1), (5, 5), (12, 1)])], grid)
    found = labels.objects(grid, Window(0, 0, 10, 10))
    assert len(found) == 1
    assert np.allclose(found.boxes, [[1, 1, 5, 5]])
    assert found.shares.tolist() == [1]
    assert len(labels.objects(grid, Window(20, 20, 5, 5))) == 0


def test_long_outlines_lose_nothing_by_being_cut_first(grid):
    coast = shapely.Point(20, 15).buffer(12, quad_segs=2000)
    islands = shapely.MultiPolygon(
        [shapely.Point(4, 4).buffer(2, quad_segs=200), shapely.box(30, 20, 34, 24)]
    )
    labels = labels_of([coast, islands], grid)
    for window in (Window(0, 0, 10, 10), Window(18, 12, 4, 4), Window(5, 5, 12, 9)):
        found = labels.objects(grid, window)
        chip = shapely.box(0, 0, window.width, window.height)
        for number, geometry, share in zip(found.features, found.geometries, found.shares):
            whole = shapely.affinity.translate((coast, islands)[number], -window.col_off, -window.row_off)
            assert geometry.symmetric_difference(whole.intersection(chip)).area < 1e-6
            assert share == pytest.approx(whole.intersection(chip).area / whole.area)
    assert labels.objects(grid, Window(0, 0, 10, 10)).shares[-1] < 0.5, "one of two islands is not the whole"


@given(
    data=st.data(),
    angle=st.sampled_from([0, 15, 90, 133]),
    step=st.sampled_from([5, 8]),
)
def test_chips_side_by_side_hold_every_feature_once(data, angle, step):
    """E3: nothing is lost, nothing is outside, and the parts add up to the whole."""
    grid = turned(angle, size=40)
    numbers = st.floats(0, 40).map(lambda number: round(number, 3))
    shapes = []
    for points in data.draw(
        st.lists(st.lists(st.tuples(numbers, numbers), min_size=3, max_size=6), max_size=6)
    ):
        hull = shapely.convex_hull(shapely.MultiPoint(points))
        if hull.area > 0.01:
            shapes.append(hull)
    labels = labels_of(shapes, grid)
    shares = np.zeros(len(shapes))
    for column in range(0, 40, step):
        for row in range(0, 40, step):
            found = labels.objects(grid, Window(column, row, step, step))
            chip = shapely.box(0, 0, step, step)
            shares[found.features] += found.shares
            assert shapely.is_valid(found.geometries).all()
            assert not shapely.is_empty(found.geometries).any()
            assert (found.boxes >= 0).all()
            assert (found.boxes <= step).all()
            expected = [
                shapely.affinity.translate(shape, -column, -row).intersection(chip) for shape in shapes
            ]
            clear = {number for number, shape in enumerate(expected) if shape.area > 1e-3}
            assert clear <= set(found.features.tolist())
            for number, box in zip(found.features, found.boxes):
                assert np.allclose(box, expected[number].bounds, atol=0.01)
    assert np.allclose(shares, 1, atol=1e-3)


@pytest.mark.parametrize("angle", [0, 30])
def test_many_chips_at_once_give_what_each_gives_alone(angle):
    random = np.random.default_rng(angle)
    grid = turned(angle, size=60)
    centres = random.uniform(0, 60, (200, 2))
    shapes = [shapely.box(*c, *(c + random.uniform(0.5, 9, 2))) for c in centres.round(1)]
    shapes += [shapely.Point(30, 30).buffer(25, quad_segs=80), shapely.LineString([(0, 3), (60, 41)])]
    labels = labels_of(shapes, grid)
    windows = [Window(x, y, 20, 20) for y in range(-10, 60, 10) for x in range(0, 60, 10)]
    windows.append(Window(500, 500, 20, 20))
    for window, together in zip(windows, labels.objects_of_each(grid, windows)):
        alone = labels.objects(grid, window)
        assert together.features.tolist() == alone.features.tolist()
        assert together.values.tolist() == alone.values.tolist()
        assert together.shares.tolist() == alone.shares.tolist()
        assert shapely.to_wkb(together.geometries).tolist() == shapely.to_wkb(alone.geometries).tolist()


@given(seed=st.integers(0, 2**32 - 1))
def test_cutting_is_exact_where_outlines_follow_the_border(seed):
    """Vertices on the very border, edges through the very corner: outlines drawn along the pixels."""
    random = np.random.default_rng(seed)
    rings = [random.integers(-4, 12, (random.integers(3, 9), 2)) for _ in range(40)]
    shapes = shapely.buffer([shapely.Polygon(ring) for ring in rings], 0)
    shapes = np.concatenate([shapes, shapely.difference(shapely.box(-3, -3, 11, 11), shapes)])
    shapes = shapes[shapely.area(shapes) > 0]
    cut, _ = clipped(shapes, 8, 8)
    wanted = shapely.intersection(shapes, shapely.box(0, 0, 8, 8))
    assert np.allclose(np.nan_to_num(shapely.area(cut)), shapely.area(wanted), atol=1e-9)
    seen = ~shapely.is_missing(cut)
    assert shapely.is_valid(cut[seen]).all()
    assert np.allclose(shapely.area(shapely.symmetric_difference(cut, wanted)[seen]), 0, atol=1e-9)


def test_a_layer_in_another_system_keeps_its_shapes(grid):
    lonlat = CRS.from_epsg(4326)
    from rasterio.warp import transform_geom

    shape = shapely.box(3, 4, 9, 11)
    moved = shapely.geometry.shape(transform_geom(UTM, lonlat, on_map(shape, grid).__geo_interface__))
    classes = ClassSchema([ClassEntry(1, "1")])
    labels = FeatureLabels(np.array([moved]), np.array([1], np.int32), classes, lonlat, "labels")
    assert np.allclose(labels.objects(grid, Window(0, 0, 6, 30)).boxes, [[3, 4, 6, 11]], atol=0.01)


def test_one_system_under_several_names_is_prepared_once(grid, monkeypatch):
    labels = labels_of([shapely.box(3, 4, 9, 11)], grid)
    same = Grid(CRS.from_wkt(UTM.to_wkt()), grid.transform, grid.width, grid.height)
    first = labels._on(grid)
    assert labels._on(same) is first
    assert labels._on(grid) is first


def test_labels_drawn_in_qgis_on_an_image_without_georeference_turn_with_the_chip():
    """Below y = 0 in QGIS; a chip turned by an angle sees them where its image is."""
    image = Grid(None, Affine.identity(), 40, 40)
    drawn = shapely.box(4, -10, 8, -6)
    labels = FeatureLabels(
        np.array([drawn]), np.array([1], np.int32), ClassSchema([ClassEntry(1, "1")]), None, "labels"
    )
    assert np.allclose(labels.objects(image, Window(0, 0, 20, 20)).boxes, [[4, 6, 8, 10]])
    quarter = Grid(None, Affine.translation(0, 20) @ Affine.rotation(-90), 20, 20)
    corners = [~quarter.transform @ corner for corner in ((4, 6), (8, 10))]
    expected = np.sort(np.array(corners), axis=0).ravel()
    assert np.allclose(labels.objects(quarter, quarter.window).boxes[0], expected)
    turned_chip = Grid(None, Affine.translation(3, 1) @ Affine.rotation(33.3), 20, 20)
    area = labels.objects(turned_chip, turned_chip.window).geometries
    seen = shapely.box(4, 6, 8, 10).intersection(shapely.Polygon(turned_chip.corners)).area
    assert shapely.area(area).sum() == pytest.approx(seen)
    assert seen > 1


def test_feature_boxes_tell_what_cannot_be_shown(grid):
    lonlat = CRS.from_epsg(4326)
    shapes = np.array([shapely.box(15, 45, 15.1, 45.1), shapely.box(-170, 95, -169, 96)])
    labels = FeatureLabels(shapes, np.array([1, 1], np.int32), ClassSchema([ClassEntry(1, "1")]), lonlat, "l")
    boxes = labels.feature_boxes(grid)
    assert boxes.shape == (2, 4)
    assert np.isfinite(boxes[0]).all()
    assert np.isnan(boxes[1]).all()


def test_no_features_no_boxes(grid):
    labels = FeatureLabels(np.empty(0, object), np.empty(0, np.int32), ClassSchema(), None, "none")
    image = Grid(None, Affine.identity(), 9, 9)
    assert labels.feature_boxes(image).shape == (0, 4)
    assert labels.objects(image, image.window).boxes.shape == (0, 4)
    assert not labels.rasterise(image, image.window).any()
    assert not labels.overlaps(image)


def test_objects_can_be_selected():
    found = regions(np.array([[1, 0, 2], [0, 0, 0], [3, 0, 1]]))
    assert found.select(found.values == 1).boxes.tolist() == [[0, 0, 1, 1], [2, 2, 3, 3]]
    assert found.select(np.array([2, 0])).values.tolist() == [3, 1]
    assert len(LabelObjects.empty().select(np.empty(0, bool))) == 0
    assert LabelObjects.empty().boxes.shape == (0, 4)


def test_regions_in_reading_order_joined_by_corners():
    label = np.array([[0, 0, 5, 0], [2, 0, 0, 5], [2, 0, 7, 0], [0, 2, 0, 0]], np.uint8)
    found = regions(label)
    assert found.values.tolist() == [5, 2, 7]
    assert found.features.tolist() == [0, 1, 2]
    assert found.shares.tolist() == [1, 1, 1]
    assert found.boxes.tolist() == [[2, 0, 4, 2], [0, 1, 2, 4], [2, 2, 3, 3]]
    assert shapely.is_valid(found.geometries).all()
    assert len(regions(np.zeros((4, 4), np.uint16))) == 0


@given(st.integers(0, 2**32 - 1), st.sampled_from([2, 3, 40]))
def test_regions_cover_their_pixels_and_nothing_else(seed, classes):
    label = np.random.default_rng(seed).integers(0, classes, (9, 12)).astype(np.uint16)
    found = regions(label)
    assert shapely.is_valid(found.geometries).all()
    burnt = np.zeros_like(label)
    firsts = []
    for geometry, value in zip(found.geometries, found.values):
        one = rasterize([geometry], out_shape=label.shape, dtype="uint8")
        assert one.sum() == geometry.area
        assert (burnt[one == 1] == 0).all()
        burnt[one == 1] = value
        firsts.append(int(np.flatnonzero(one)[0]))
    assert np.array_equal(burnt, label)
    assert firsts == sorted(firsts)
    # Equal neighbours, also across a corner, belong to one region.
    assert len(found) == _count_regions(label)


def _count_regions(label):
    left = {(int(r), int(c)) for r, c in np.argwhere(label)}
    count = 0
    while left:
        count += 1
        stack = [left.pop()]
        while stack:
            r, c = stack.pop()
            for other in [(r + i, c + j) for i in (-1, 0, 1) for j in (-1, 0, 1)]:
                if other in left and label[other] == label[r, c]:
                    left.remove(other)
                    stack.append(other)
    return count


def test_a_class_raster_gives_its_regions(grid, write_raster):
    label = np.zeros((30, 40), np.uint8)
    label[2:5, 3:9] = 4
    label[5:8, 9:12] = 4
    source = open_source(write_raster(label, grid))
    labels = RasterLabels(source, place(source, grid, "image.tif"))
    found = labels.objects(grid, Window(1, 1, 20, 20))
    assert found.boxes.tolist() == [[2, 1, 11, 7]]
    assert not labels.is_vector
    labels.close()


def test_a_chip_costs_what_lies_in_it(grid, write_layer):
    """Far features are not even looked at."""
    near = [shapely.box(2, 3, 6, 5)]
    far = [shapely.box(1000 + 4 * i, 3, 1002 + 4 * i, 5) for i in range(2000)]
    path = write_layer([on_map(shape, grid) for shape in near + far])
    labels = read_features(path)
    located = labels._on(grid)
    assert located.geometries.near(on_map(shapely.box(0, 0, 10, 10), grid).bounds).tolist() == [0]
    labels.objects(grid, Window(0, 0, 4, 10))
    assert math.isfinite(located._sizes[0])
    assert np.isnan(located._sizes[1:]).all(), "areas are measured only where they are needed"
