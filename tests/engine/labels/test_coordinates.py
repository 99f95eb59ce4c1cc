"""Coordinates from one system to another."""

import numpy as np
import pytest
from rasterio.crs import CRS

from imagerydl.errors import DataError
from imagerydl.labels.coordinates import transform_box, transform_points

LONLAT, UTM = CRS.from_epsg(4326), CRS.from_epsg(32633)


def test_one_impossible_point_does_not_spoil_the_others():
    xs, ys = np.full(1000, 15.0), np.linspace(40, 50, 1000)
    ys[500] = 4e6
    moved = transform_points(LONLAT, UTM, xs, ys)
    lost = ~np.isfinite(moved[1])
    assert lost[500]
    assert lost.sum() <= 8
    assert np.allclose(moved[0][~lost], 500000)
    assert (np.diff(moved[1][~lost]) > 0).all()


def test_impossible_box_is_infinite():
    assert not np.isfinite(transform_box(LONLAT, UTM, (5e5, 4e6, 6e5, 5e6))).any()


def test_systems_without_a_way_between_them():
    local = CRS.from_wkt('LOCAL_CS["hall",UNIT["metre",1]]')
    with pytest.raises(DataError, match="cannot be changed"):
        transform_points(local, UTM, np.array([1.0]), np.array([2.0]))
