"""Where tiles lie and what their pixels weigh."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagerydl.errors import ParameterError
from imagerydl.inference.layout import FULL_WEIGHT, Axis, whole_layout


@st.composite
def axes(draw):
    size = draw(st.integers(2, 40))
    return Axis(draw(st.integers(1, 200)), size, draw(st.integers(0, (size - 1) // 2)))


@given(axes())
def test_every_pixel_lies_in_a_tile_at_least_the_padding_from_its_border(axis):
    margins = np.full(axis.length, -1)
    for tile in range(axis.count):
        for position in range(max(axis.start(tile), 0), min(axis.start(tile) + axis.size, axis.length)):
            offset = position - axis.start(tile)
            margins[position] = max(margins[position], min(offset, axis.size - 1 - offset))
    assert margins.min() >= axis.padding


@given(axes(), st.data())
def test_tiles_over_a_stretch_are_those_that_cover_it(axis, data):
    start = data.draw(st.integers(0, axis.length - 1))
    stop = data.draw(st.integers(start + 1, axis.length))
    covering = [k for k in range(axis.count) if axis.start(k) < stop and axis.start(k) + axis.size > start]
    assert list(axis.tiles_over(start, stop)) == covering


@given(axes())
def test_no_pixel_weighs_nothing(axis):
    assert axis.weights().min() >= 1
    assert axis.weights().max() <= FULL_WEIGHT
    assert axis.total_weights(0, axis.length).min() >= 1


def test_weights_of_neighbours_add_up_to_the_full_weight():
    axis = Axis(1000, 64, 16)
    totals = axis.total_weights(100, 900)
    assert np.abs(totals - FULL_WEIGHT).max() <= 1


def test_a_smaller_raster_than_a_tile_has_one_tile_with_mirrored_margins():
    axis = Axis(10, 64, 16)
    assert axis.count == 1
    assert axis.start(0) == -16


@pytest.mark.parametrize("padding", [32, 40, -1])
def test_padding_of_half_a_tile_or_more_is_refused(padding):
    with pytest.raises(ParameterError, match=rf"padding is {padding} .*31 at most"):
        whole_layout(100, 100, (64, 64), padding)


def test_runs_cover_every_tile_once_and_stay_in_their_row():
    layout = whole_layout(100, 70, (32, 32), 8)
    runs = list(layout.runs(3))
    tiles = [(run.row, column) for run in runs for column in run.columns]
    assert tiles == [(row, column) for row in range(layout.y.count) for column in range(layout.x.count)]
    assert sum(run.ends_row for run in runs) == layout.y.count
    assert max(len(run.columns) for run in runs) == 3


def test_wide_rasters_are_cut_into_blocks_of_bounded_accumulators():
    layout = whole_layout(100_000, 5000, (256, 256), 64)
    blocks = layout.column_blocks(6)
    assert blocks[0].first_column == 0
    assert blocks[-1].last_column == 100_000
    assert all(left.last_column == right.first_column for left, right in zip(blocks, blocks[1:]))
    assert all(block.first_column % 256 == 0 for block in blocks)
    assert max(block.width for block in blocks) * 6 * 4 * 256 <= 32 * 2**20
    assert sum(block.tile_count for block in blocks) < 1.06 * layout.tile_count
