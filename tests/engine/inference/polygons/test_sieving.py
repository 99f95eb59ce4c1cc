"""Small regions go into their neighbours: exactly as over the whole raster, whatever the strips."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from imagerydl.inference.polygons.sieving import Sieve

NOTHING = 9

class_rasters = arrays(
    np.uint8,
    array_shapes(min_dims=2, max_dims=2, max_side=14),
    elements=st.sampled_from([0, 1, 2, 3, NOTHING]),
)


def sieved(values, limit, block_rows, areas=None):
    sieve = Sieve(values.shape[1], limit)
    strips = []
    for first in range(0, len(values), block_rows):
        rows = slice(first, first + block_rows)
        part = None if areas is None else areas[rows]
        strips += sieve.add(values[rows], values[rows] != NOTHING, part)
    strips += sieve.finish()
    assert [strip.first_row for strip in strips] == list(range(0, len(values), block_rows))
    return np.vstack([np.where(strip.valid, strip.values, NOTHING) for strip in strips]).astype(np.uint8)


def regions_of(values):
    """Pixels of each 4-connected region, found by walking from pixel to pixel."""
    seen = values == NOTHING
    for start in np.ndindex(values.shape):
        if seen[start]:
            continue
        region, seen[start] = [start], True
        for row, column in region:
            for near in neighbours(values, row, column):
                if not seen[near] and values[near] == values[start]:
                    seen[near] = True
                    region.append(near)
        yield region


def neighbours(values, row, column):
    for near in ((row - 1, column), (row + 1, column), (row, column - 1), (row, column + 1)):
        if 0 <= near[0] < values.shape[0] and 0 <= near[1] < values.shape[1]:
            yield near


def sieved_as_defined(values, limit, areas=None):
    """The definition, word by word, on the whole raster: one region at a time."""
    values = values.copy()
    areas = np.broadcast_to(1 if areas is None else areas, values.shape)
    while True:
        small = []
        for region in regions_of(values):
            area = sum(int(areas[pixel]) for pixel in region)
            if area < limit:
                small.append((area, min(region), region))
        if not small:
            return values
        region = min(small)[2]
        shares = {}
        for pixel in region:
            for near in neighbours(values, *pixel):
                if values[near] not in (NOTHING, values[pixel]):
                    shares[int(values[near])] = shares.get(int(values[near]), 0) + 1
        new = min(shares, key=lambda value: (-shares[value], value)) if shares else NOTHING
        for pixel in region:
            values[pixel] = new


@settings(max_examples=400, deadline=None)
@given(values=class_rasters, limit=st.integers(1, 12), block_rows=st.integers(1, 15))
def test_strips_give_what_the_definition_gives_on_the_whole_raster(values, limit, block_rows):
    np.testing.assert_array_equal(sieved(values, limit, block_rows), sieved_as_defined(values, limit))


@settings(max_examples=100, deadline=None)
@given(values=class_rasters, limit=st.integers(1, 30), block_rows=st.integers(1, 15), data=st.data())
@pytest.mark.parametrize("by_row", [True, False])
def test_pixels_may_differ_in_area(by_row, values, limit, block_rows, data):
    shape = (len(values), 1) if by_row else values.shape
    areas = data.draw(arrays(np.int64, shape, elements=st.integers(1, 5)))
    np.testing.assert_array_equal(
        sieved(values, limit, block_rows, areas), sieved_as_defined(values, limit, areas)
    )


@pytest.mark.parametrize("block_rows", [1, 7, 64])
def test_noise_settles_in_a_few_rows_more_than_the_limit(block_rows):
    noise = np.random.default_rng(3).integers(0, 3, (400, 60)).astype(np.uint8)
    sieve, finished, most_held = Sieve(60, 9), 0, 0
    for first in range(0, 400, block_rows):
        rows = noise[first : first + block_rows]
        for strip in sieve.add(rows, np.ones(rows.shape, dtype=bool)):
            finished += len(strip.values)
        most_held = max(most_held, first + len(rows) - finished)
    assert most_held <= 60 + 2 * block_rows


def test_the_longest_border_counts_and_the_lower_class_among_equals():
    values = np.array([[1, 1, 1, 2, 2], [1, 3, 2, 4, 5], [1, 1, 2, 5, 5]], dtype=np.uint8)
    # 3 has three borders with 1; 4 has one with 2 above, one with 2 at its left, two with 5.
    expected = np.array([[1, 1, 1, 2, 2], [1, 1, 2, 2, 5], [1, 1, 2, 5, 5]], dtype=np.uint8)
    np.testing.assert_array_equal(sieved(values, 2, 1), expected)


def test_a_small_region_amid_nothing_is_dropped_and_a_large_one_stays():
    values = np.full((5, 7), NOTHING, dtype=np.uint8)
    values[1, 1], values[3, 3:6] = 1, 2
    result = sieved(values, 3, 2)
    assert (result == 1).sum() == 0
    assert (result == 2).sum() == 3


def test_the_type_of_the_values_stays():
    values = np.array([[-7, 300], [300, 300]], dtype=np.int32)
    sieve = Sieve(2, 2)
    strips = sieve.add(values, np.ones((2, 2), dtype=bool)) + sieve.finish()
    assert strips[0].values.dtype == np.int32
    assert strips[0].values.tolist() == [[300, 300], [300, 300]]
