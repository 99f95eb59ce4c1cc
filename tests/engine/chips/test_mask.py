"""Mask polygons."""

import numpy as np
import pyogrio
import pytest
import shapely
from affine import Affine
from rasterio.crs import CRS
from rasterio.windows import Window

from imagerydl.chips.mask import MaskPolygons
from imagerydl.errors import DataError
from imagerydl.imagery.grid import Grid
from imagerydl.imagery.transforms import apply

GRID = Grid(CRS.from_epsg(32633), Affine(0.3, 0, 500000.1, 0, -0.3, 5000060.7), 100, 100)


@pytest.fixture
def mask(tmp_path):
    def make(*geometries, crs="EPSG:32633"):
        path = tmp_path / "mask.gpkg"
        wkb = np.array([shapely.to_wkb(g) for g in geometries], dtype=object)
        pyogrio.raw.write(path, wkb, [], [], geometry_type="Unknown", crs=crs)
        return MaskPolygons(str(path))

    return make


def ground(left, top, right, bottom):
    (x0, y0), (x1, y1) = apply(GRID.transform, left, top), apply(GRID.transform, right, bottom)
    return shapely.box(x0, y1, x1, y0)


def test_only_completely_inside(mask):
    """E38: chips on the border are missing; one that touches the border from inside is not."""
    area = mask(ground(10, 10, 42, 42))
    assert area.contains(GRID, Window(10, 10, 16, 16))
    assert area.contains(GRID, Window(26, 26, 16, 16))
    assert not area.contains(GRID, Window(9, 10, 16, 16))
    assert not area.contains(GRID, Window(27, 26, 16, 16))
    assert not area.contains(GRID, Window(60, 60, 16, 16))


def test_a_hole_is_outside(mask):
    area = mask(ground(0, 0, 50, 50).difference(ground(20, 20, 22, 22)))
    assert area.contains(GRID, Window(0, 0, 16, 16))
    assert not area.contains(GRID, Window(12, 12, 16, 16))


def test_polygons_that_touch_are_one_area(mask):
    area = mask(ground(0, 0, 20, 50), ground(20, 0, 50, 50))
    assert area.contains(GRID, Window(12, 12, 16, 16))


def test_a_line_is_no_area(mask):
    with pytest.raises(DataError, match="no polygons"):
        mask(shapely.LineString([(0, 0), (1, 1)]))
