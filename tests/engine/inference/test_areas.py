"""Areas of classes: in square map units, and on the ellipsoid where the CRS is geographic."""

from __future__ import annotations

import csv
import math

import numpy as np
import pytest
import shapely
from affine import Affine
from rasterio.crs import CRS

from imagerydl.errors import OutputError
from imagerydl.inference.areas import AreaMeasure, AreaTally, Ellipsoid, write_areas
from imagerydl.labels.classes import ClassEntry, ClassSchema

WGS84 = CRS.from_epsg(4326)
CLASSES = ClassSchema([ClassEntry(1, "road"), ClassEntry(2, "roof"), ClassEntry(3, "water")])


def test_the_whole_earth_has_its_known_surface():
    """510 065 621.7 km^2 is the surface of the WGS 84 ellipsoid."""
    tally = AreaTally(WGS84, Affine(1, 0, -180, 0, -1, 90))
    for row in range(0, 180, 60):
        tally.add(np.ones((60, 360), dtype=np.uint8), row)
    assert tally.areas[1] == pytest.approx(510_065_621.7e6, rel=1e-9)
    assert tally.pixels == {1: 180 * 360}


def test_a_sphere_is_a_sphere():
    crs = CRS.from_string("+proj=longlat +R=6371000 +no_defs")
    tally = AreaTally(crs, Affine(90, 0, -180, 0, -90, 90))
    tally.add(np.ones((2, 4), dtype=np.uint8), 0)
    assert tally.areas[1] == pytest.approx(4 * math.pi * 6371000**2)


def test_the_ellipsoid_is_the_one_of_the_crs():
    assert Ellipsoid.of(CRS.from_epsg(4267)).semi_major == pytest.approx(6_378_206.4)  # Clarke 1866


def test_rows_nearer_to_the_pole_count_less():
    tally = AreaTally(WGS84, Affine(1, 0, 0, 0, -30, 90))
    tally.add(np.array([[1, 1], [2, 2]], dtype=np.uint8), 0)
    assert tally.areas[1] < tally.areas[2] / 2


def test_south_up_and_north_up_agree():
    north, south = (AreaTally(WGS84, Affine(1, 0, 0, 0, step, top)) for step, top in ((-1, 3), (1, 0)))
    for tally in (north, south):
        tally.add(np.ones((3, 2), dtype=np.uint8), 0)
    assert north.areas[1] == pytest.approx(south.areas[1])


@pytest.mark.parametrize("turn", [0, 30])
def test_pixels_and_polygons_measure_the_same(turn):
    transform = Affine.translation(10, 50) @ Affine.rotation(turn) @ Affine.scale(0.1, -0.1)
    tally = AreaTally(WGS84, transform)
    tally.add(np.ones((4, 6), dtype=np.uint8), 0)
    corners = [transform @ corner for corner in ((0, 0), (6, 0), (6, 4), (0, 4))]
    (area,) = AreaMeasure(WGS84).polygons(np.array([shapely.Polygon(corners)]))
    assert tally.areas[1] == pytest.approx(area, rel=1e-8)


def test_holes_are_taken_off():
    outer, inner = shapely.box(0, 0, 4, 4), shapely.box(1, 1, 2, 2)
    polygons = np.array([outer.difference(inner), outer, inner])
    with_hole, without, hole = AreaMeasure(WGS84).polygons(polygons)
    assert with_hole == pytest.approx(without - hole)


def test_elsewhere_areas_are_square_map_units_without_nodata():
    tally = AreaTally(CRS.from_epsg(32631), Affine(2, 0, 0, 0, -3, 0) @ Affine.rotation(20), nodata=255)
    tally.add(np.array([[1, 2, 255]], dtype=np.uint8), 0)
    assert tally.areas == {1: pytest.approx(6), 2: pytest.approx(6)}


def test_the_table_has_a_row_for_each_class_also_an_absent_one(tmp_path):
    tally = AreaTally(CRS.from_epsg(32631), Affine(2, 0, 0, 0, -2, 0))
    tally.add(np.array([[1, 1, 1, 2]], dtype=np.uint8), 0)
    path = tmp_path / "areas.csv"
    write_areas(path, tally, CLASSES)
    with open(path, encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["name"], row["pixels"], float(row["area"]), float(row["share"])) for row in rows] == [
        ("road", "3", 12, 0.75),
        ("roof", "1", 4, 0.25),
        ("water", "0", 0, 0),
    ]


def test_another_format_is_refused(tmp_path):
    with pytest.raises(OutputError, match=r"no CSV"):
        write_areas(tmp_path / "areas.xlsx", AreaTally(None, Affine.identity()), CLASSES)
