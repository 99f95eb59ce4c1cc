"""The pixel lattice: corners, snapping, alignment, mirrored positions."""

import numpy as np
import pytest
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from rasterio.crs import CRS
from rasterio.windows import Window

from imagerydl.errors import DataError
from imagerydl.imagery.grid import Grid, intersection, reflect
from imagerydl.imagery.transforms import compose

UTM = CRS.from_epsg(32633)
GRID = Grid(UTM, Affine(0.5, 0, 1000, 0, -0.5, 2000), 40, 20)
TURNED = Grid(UTM, compose(Affine.translation(1000, 2000), Affine.rotation(30), Affine.scale(2, -2)), 10, 6)


def test_bounds_and_cell_size_of_north_up_south_up_and_turned_grids():
    assert GRID.bounds == (1000, 1990, 1020, 2000)
    assert Grid(UTM, Affine(1, 0, 0, 0, 1, 0), 3, 5).bounds == (0, 0, 3, 5)
    assert TURNED.cell_size == pytest.approx((2, 2))
    assert TURNED.is_rotated
    assert not GRID.is_rotated


def test_pixel_space_is_not_georeferenced():
    assert not Grid(None, Affine.identity(), 5, 5).is_georeferenced
    assert Grid(None, Affine.scale(2), 5, 5).is_georeferenced
    assert GRID.is_georeferenced


def test_windows_of_bounds_are_snapped_outwards_to_whole_pixels():
    assert GRID.window_of_bounds((1001.2, 1995.2, 1002.4, 1999.9)) == Window(2, 0, 3, 10)


@pytest.mark.parametrize("grid", [GRID, TURNED, Grid(UTM, Affine(1e-5, 0, 10, 0, -1e-5, 50), 999, 777)])
def test_a_grid_covers_exactly_itself(grid):
    assert grid.window_of_grid(grid) == grid.window
    if not grid.is_rotated:
        assert grid.window_of_bounds(grid.bounds) == grid.window


def test_subgrids_lie_on_the_lattice():
    part = TURNED.subgrid(Window(3, -2, 4, 5))
    assert TURNED.offset_of(part) == (3, -2)
    assert part.width == 4
    assert part.height == 5


@pytest.mark.parametrize(
    "other",
    [
        Grid(UTM, Affine(0.5, 0, 1000.2, 0, -0.5, 2000), 40, 20),
        Grid(UTM, Affine(0.501, 0, 1000, 0, -0.5, 2000), 400, 20),
        Grid(UTM, Affine(0.5, 0.1, 1000, 0, -0.5, 2000), 40, 20),
        Grid(CRS.from_epsg(32634), GRID.transform, 40, 20),
    ],
    ids=["shifted by part of a pixel", "other cell size", "sheared", "other system"],
)
def test_grids_on_other_lattices_have_no_offset(other):
    assert GRID.offset_of(other) is None


def test_another_cell_size_keeps_ground_origin_and_rotation():
    """E11: the cell size environment changes the grid."""
    coarse = GRID.with_cell_size(1)
    assert (coarse.width, coarse.height, coarse.bounds) == (20, 10, GRID.bounds)
    assert TURNED.with_cell_size(1).is_rotated
    with pytest.raises(DataError, match="cell size of 1e-12"):
        GRID.with_cell_size(1e-12)


@given(st.integers(1, 9), st.integers(-40, 40), st.integers(0, 60))
def test_mirrored_positions_are_those_of_numpy(length, start, count):
    low, high = min(start, 0), max(start + count, length)
    padded = np.pad(np.arange(length), (-low, high - length), mode="reflect")
    expected = padded[start - low : start - low + count]
    assert reflect(start, start + count, length).tolist() == expected.tolist()


def test_windows_that_only_touch_share_nothing():
    assert intersection(Window(0, 0, 5, 5), Window(5, 0, 5, 5)) is None
    assert intersection(Window(0, 0, 5, 5), Window(3, -2, 5, 5)) == Window(3, 0, 2, 3)
