"""Simpler outlines whose common borders stay common, whatever the strips."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from rasterio.features import rasterize

from imagerydl.inference.polygons.joining import SeamJoiner, in_order
from imagerydl.inference.polygons.simplifying import Simplifier
from imagerydl.inference.polygons.tracing import trace

NOTHING = 9
PIXELS = Affine.identity()

class_rasters = arrays(
    np.uint8,
    array_shapes(min_dims=2, max_dims=2, max_side=14),
    elements=st.sampled_from([1, 1, 1, 2, 2, 3, NOTHING]),
)


def simplified(values, tolerance, block_rows=512, place=PIXELS):
    """Outlines in pixels, as they were and simpler."""
    simplifier = Simplifier(values.shape[1], values.shape[0], place, tolerance)
    joiner = SeamJoiner(values.shape[1])
    parts = []
    for first in range(0, len(values), block_rows):
        rows = values[first : first + block_rows]
        found = in_order(joiner.add(trace(rows, rows != NOTHING, first), len(rows)))
        parts.append(simplifier.add(rows, rows != NOTHING, found, joiner.first_open_row))
    parts.append(simplifier.finish(in_order(joiner.finish())))
    return tuple(np.concatenate([part[which] for part in parts]) for which in (1, 2))


@settings(max_examples=400, deadline=None)
@given(values=class_rasters, tolerance=st.sampled_from([0.4, 0.75, 1.5, 3, 20]))
def test_polygons_are_valid_and_neither_overlap_nor_part(values, tolerance):
    before, after = simplified(values, tolerance)
    assert len(before) == len(after)
    assert shapely.is_valid(after).all()
    assert (shapely.area(after) > 0).all()
    assert shapely.coverage_is_valid(after)
    assert (
        shapely.get_num_coordinates(after) <= shapely.get_num_coordinates(before) + 8 * len(before) * 14
    ).all()
    if (values != NOTHING).all():
        assert shapely.area(after).sum() == pytest.approx(values.size)
        assert shapely.union_all(after).equals(shapely.box(0, 0, values.shape[1], len(values)))


@settings(max_examples=200, deadline=None)
@given(values=class_rasters, tolerance=st.sampled_from([0.75, 1.5, 20]), block_rows=st.integers(1, 15))
def test_strips_change_no_byte(values, tolerance, block_rows):
    _, whole = simplified(values, tolerance)
    _, parts = simplified(values, tolerance, block_rows)
    assert shapely.to_wkb(parts).tolist() == shapely.to_wkb(whole).tolist()


@settings(max_examples=100, deadline=None)
@given(values=class_rasters, tolerance=st.sampled_from([0.75, 1.5, 3]))
def test_no_border_moves_farther_than_the_tolerance(values, tolerance):
    before, after = simplified(values, tolerance)
    assert (shapely.hausdorff_distance(before, after) <= tolerance + 1e-9).all()


def test_a_staircase_becomes_a_straight_edge():
    shape = shapely.Polygon([(10, 10), (90, 40), (70, 90), (15, 60)])
    values = rasterize([shape], out_shape=(100, 100), fill=1, default_value=2, dtype=np.uint8)
    before, after = simplified(values, 1.5, block_rows=16)
    assert shapely.get_num_coordinates(before[0]) > 100
    assert shapely.get_num_coordinates(after).min() <= 9
    assert shapely.coverage_is_valid(after)


def test_the_tolerance_is_in_map_units_along_both_axes():
    steps = np.ones((4, 12), dtype=np.uint8)
    steps[2:, :6], steps[1:, 6:] = 2, 2
    for place, vertices in ((Affine.scale(10, 10), 7), (Affine.scale(10, 0.1), 5)):
        _, after = simplified(steps, 1.0, place=place)
        assert shapely.get_num_coordinates(after).tolist() == [vertices, vertices]


def test_a_sliver_between_two_nodes_does_not_vanish():
    values = np.ones((6, 8), dtype=np.uint8)
    values[3:], values[2, 2:5], values[3, 4:6] = 2, 3, 3
    _, after = simplified(values, 5, block_rows=1)
    assert len(after) == 3
    assert (shapely.area(after) > 0).all()
    assert shapely.coverage_is_valid(after)


def test_a_hole_about_no_data_between_two_nodes_does_not_vanish():
    values = np.ones((5, 6), dtype=np.uint8)
    values[1, 1] = values[2, 2] = values[2, 3] = values[3, 4] = NOTHING
    before, after = simplified(values, 5)
    assert len(before[0].interiors) == len(after[0].interiors) == 3
    assert shapely.is_valid(after).all()
