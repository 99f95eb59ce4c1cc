"""Blending: exact whatever the order, without seams, and fair at the border."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imagerydl.inference.assembly import BlendingAssembler, PlainAssembler, make_assembler
from imagerydl.inference.decision import CONFIDENCE, Decider, winners
from imagerydl.inference.layout import whole_layout


def decider(outputs, *layers):
    return Decider(np.arange(outputs, dtype=np.uint8), 255, layers)


def assemble(layout, tiles, order=None, policy="mean"):
    """Channels, validity and confidence of a whole raster from tiles by (row, column)."""
    outputs = next(iter(tiles.values())).shape[0]
    assembler = make_assembler(layout, decider(outputs, CONFIDENCE), policy)
    everything_valid = np.ones((layout.y.size, layout.x.size), dtype=bool)
    strips = []
    for row in range(layout.y.count):
        columns = list(layout.tile_columns)
        if order is not None:
            order.shuffle(columns)
        for column in columns:
            assembler.add(column, tiles[row, column], everything_valid)
        strips += assembler.finish_row(row)
    assert [strip.row for strip in strips] == np.cumsum([0] + [len(s.valid) for s in strips[:-1]]).tolist()
    return (
        np.concatenate([strip.decided.classes for strip in strips]),
        np.concatenate([strip.valid for strip in strips]),
        np.concatenate([strip.decided.layers[CONFIDENCE] for strip in strips]),
    )


def random_tiles(layout, outputs, seed=0):
    generator = np.random.default_rng(seed)
    shape = (outputs, layout.y.size, layout.x.size)
    tiles = {}
    for row in range(layout.y.count):
        for column in range(layout.x.count):
            scores = generator.random(shape, dtype=np.float32)
            tiles[row, column] = scores / scores.sum(axis=0)
    return tiles


@settings(max_examples=200, deadline=None)
@given(
    st.randoms(use_true_random=False),
    st.integers(0, 7),
    st.integers(1, 70),
    st.integers(1, 40),
    st.sampled_from(["mean", "max", "min"]),
)
def test_the_order_of_tiles_changes_nothing(order, padding, width, height, policy):
    layout = whole_layout(width, height, (16, 16), padding)
    tiles = random_tiles(layout, 3)
    for first, second in zip(assemble(layout, tiles, None, policy), assemble(layout, tiles, order, policy)):
        assert first.tobytes() == second.tobytes()


def test_column_blocks_give_the_same_as_the_whole():
    layout = whole_layout(200, 50, (16, 16), 5)
    tiles = random_tiles(layout, 4)
    whole = assemble(layout, tiles)
    edges = [0, 64, 130, 200]
    parts = [
        assemble(type(layout)(layout.x, layout.y, start, stop), tiles)
        for start, stop in zip(edges, edges[1:])
    ]
    for index, expected in enumerate(whole):
        np.testing.assert_array_equal(np.concatenate([part[index] for part in parts], axis=1), expected)


@pytest.mark.parametrize("padding", [0, 4, 7])
def test_the_corners_are_as_confident_as_the_middle(padding):
    layout = whole_layout(50, 41, (16, 16), padding)
    same = np.empty((2, 16, 16), np.float32)
    same[0], same[1] = 0.8, 0.2
    tiles = {(row, column): same for row in range(layout.y.count) for column in range(layout.x.count)}
    channels, valid, confidence = assemble(layout, tiles)
    assert valid.all()
    assert not channels.any()
    np.testing.assert_allclose(confidence, 0.8, atol=2e-4)


def test_two_tiles_that_disagree_blend_without_a_step():
    layout = whole_layout(96, 16, (64, 64), 16)
    tiles = {
        (0, column): np.stack([np.full((64, 64), p), np.full((64, 64), 1 - p)]).astype(np.float32)
        for column, p in enumerate((1.0, 0.0, 0.0))
    }
    confidence = assemble(layout, tiles)[2][0]
    assert confidence[0] == pytest.approx(1)
    assert np.abs(np.diff(confidence)).max() < 0.06
    assert confidence[31:33] == pytest.approx(0.5, abs=0.04)


def test_huge_overlaps_take_wider_sums_and_stay_right():
    layout = whole_layout(70, 70, (64, 64), 31)
    assembler = BlendingAssembler(layout, decider(2, CONFIDENCE))
    assert assembler._planes.dtype == np.int64
    channels, _, confidence = assemble(layout, {
        (row, column): np.stack([np.full((64, 64), 0.3), np.full((64, 64), 0.7)]).astype(np.float32)
        for row in range(layout.y.count) for column in range(layout.x.count)
    })  # fmt: skip
    assert (channels == 1).all()
    np.testing.assert_allclose(confidence, 0.7, atol=1e-3)


def test_tiles_that_only_touch_are_not_added_up():
    assert isinstance(make_assembler(whole_layout(9, 9, (4, 4), 0), decider(2)), PlainAssembler)


def test_skipped_tiles_leave_their_pixels_invalid():
    layout = whole_layout(8, 4, (4, 4), 0)
    assembler = make_assembler(layout, decider(2))
    assembler.add(1, np.ones((2, 4, 4), np.float32), np.eye(4, dtype=bool))
    (strip,) = assembler.finish_row(0)
    np.testing.assert_array_equal(strip.valid, np.hstack([np.zeros((4, 4)), np.eye(4)]))


@pytest.mark.parametrize("channels", [1, 2, 7, 300])
def test_the_winner_is_the_first_largest_channel(channels):
    scores = np.random.default_rng(channels).integers(0, 5, (channels, 20, 30)).astype(np.float32)
    index, best, second = winners(scores, with_second=True)
    np.testing.assert_array_equal(index, scores.argmax(axis=0))
    np.testing.assert_array_equal(best, scores.max(axis=0))
    expected = np.sort(scores, axis=0)[-2] if channels > 1 else np.zeros((20, 30))
    np.testing.assert_array_equal(second, expected)
