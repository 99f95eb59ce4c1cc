"""Blocks as functions configure them."""

from __future__ import annotations

import pytest

from imagerydl.errors import ModelError
from imagerydl.models.raster_functions.configuration import BlockConfiguration, square_batch


def read(answer, values=None, size=(64, 128)):
    return BlockConfiguration.read("Mine.py", answer, values or {}, size)


@pytest.mark.parametrize(
    ("given", "used"), [(1, 1), (2, 1), (3, 1), (4, 4), (5, 4), (6, 4), (8, 4), (9, 9), (17, 16), (64, 64)]
)
def test_a_batch_fills_a_square(given, used):
    """P11: the largest square not above it; 6 becomes 4."""
    assert square_batch({"batch_size": str(given), "padding": "6"}) == {
        "batch_size": str(used),
        "padding": "6",
    }


def test_what_a_function_leaves_open_follows_from_the_definition():
    for silent in (None, {}):
        blocks = read(silent, {"padding": "8"})
        assert (blocks.inner, blocks.padding, blocks.outer) == ((48, 112), 8, (64, 128))
        assert (blocks.extract_bands, blocks.data_range) == (None, None)


def test_what_a_function_says_counts():
    answer = {"tx": 200.0, "ty": 100, "padding": "5", "extractBands": (2, "Red"), "dataRange": [0, 255]}
    blocks = read(answer, {"padding": "8"})
    assert (blocks.inner, blocks.outer) == ((100, 200), (110, 210))
    assert (blocks.extract_bands, blocks.data_range) == ((2, "Red"), (0.0, 255.0))


@pytest.mark.parametrize("unfilled", ["e.g. [0.1, 1.0]", "", (), None])
def test_a_range_that_nobody_has_filled_in_is_none(unfilled):
    assert read({"dataRange": unfilled}).data_range is None


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (["padding"], "gives list"),
        ({"padding": "wide"}, "'wide' as padding"),
        ({"padding": -2}, "padding of -2"),
        ({"tx": None, "ty": "tall"}, "'tall' as ty"),
        ({"extractBands": 3}, "3 as extractBands"),
        ({"extractBands": [-1]}, r"\[-1\] as extractBands"),
        ({"dataRange": [1, 0]}, r"\[1, 0\] as dataRange"),
        ({"dataRange": "wide"}, "'wide' as dataRange"),
    ],
)
def test_an_answer_that_cannot_be_used_is_named(answer, said):
    with pytest.raises(ModelError, match=f"getConfiguration of Mine.py .*{said}"):
        read(answer)


def test_blocks_without_any_size_are_refused():
    assert read({"tx": 30, "ty": 20, "padding": 2}, size=None).outer == (24, 34)
    with pytest.raises(ModelError, match="no tx and ty, and the definition states no size"):
        read({"tx": 30}, size=None)
