"""Tiles and batches of the pipeline against those that a network is bound to."""

from __future__ import annotations

import numpy as np
import pytest

from imagerydl.errors import ModelError
from imagerydl.models.runtimes.fitting import margin_of, refuse_shape, run_in_batches, shape_text


@pytest.mark.parametrize(
    ("count", "size", "runs"), [(5, 2, 3), (4, 2, 2), (1, 4, 1), (5, None, 1), (3, 3, 1)]
)
def test_a_network_of_a_fixed_batch_is_fed_full_batches_and_gives_what_was_asked_for(count, size, runs):
    batch = np.arange(count * 6, dtype=np.float32).reshape(count, 2, 3)
    seen = []

    def double(piece):
        seen.append(len(piece))
        return piece * 2

    np.testing.assert_array_equal(run_in_batches(batch, size, double), batch * 2)
    assert seen == [size or count] * runs


def test_a_smaller_output_is_the_middle_of_the_input():
    assert margin_of("net", (572, 572), (388, 388)) == 92
    assert margin_of("net", (64, 96), (64, 96)) == 0


@pytest.mark.parametrize(
    "given", [(32, 32), (63, 63), (60, 62), (66, 66)], ids=["half", "odd", "uneven", "larger"]
)
def test_an_output_that_is_not_pixel_by_pixel_is_refused(given):
    with pytest.raises(ModelError, match=rf"net gives {given[1]} x {given[0]} pixels for a tile of 64 x 64"):
        margin_of("net", (64, 64), given)


def test_a_classifier_of_tiles_is_sent_to_its_tool():
    assert "Classify Objects" in refuse_shape("net", 2, shape_text((None, 7))).fix
    assert "[any, 7]" in refuse_shape("net", 2, shape_text((None, 7))).message
    assert "Classify Objects" not in refuse_shape("net", 3, "[any, 4096, 7]").fix
