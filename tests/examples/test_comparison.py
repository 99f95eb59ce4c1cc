"""The numbers and the picture of the demo."""

from __future__ import annotations

import numpy as np
import pytest
from comparison import Comparison, coloured, draw
from PIL import Image

LEGEND = {1: ("Land", (10, 20, 30)), 3: ("Water", (40, 50, 60)), 7: ("Ice", (1, 2, 3))}


def make(truth, predicted, ignored=()):
    truth = np.array(truth, np.uint8)
    return Comparison(
        np.zeros((*truth.shape, 3), np.uint8), truth, np.array(predicted, np.uint8), LEGEND, ignored
    )


def test_accuracy_and_intersection_over_union_by_hand():
    comparison = make([[1, 1, 1, 3]], [[1, 1, 3, 3]])
    assert comparison.accuracy == 0.75
    assert comparison.intersection_over_union() == {1: pytest.approx(2 / 3), 3: pytest.approx(1 / 2)}
    assert comparison.mean_iou == pytest.approx(7 / 12)


def test_pixels_without_a_prediction_are_wrong_and_not_left_out():
    assert make([[1, 1]], [[1, 255]]).accuracy == 0.5
    assert make([[1, 1]], [[1, 2]]).intersection_over_union() == {1: 0.5}


def test_ignored_truth_is_not_counted():
    assert make([[1, 7]], [[1, 1]], ignored=(7,)).accuracy == 1.0


def test_the_table_names_every_class_of_the_truth():
    table = make([[1, 3]], [[1, 3]]).table()
    assert "Land" in table
    assert "Water" in table
    assert "Ice" not in table


def test_classes_become_their_colours():
    assert coloured(np.array([[1, 7]]), LEGEND).tolist() == [[[10, 20, 30], [1, 2, 3]]]
    assert coloured(np.array([[255]]), LEGEND).tolist() == [[[0, 0, 0]]]


def test_the_picture_is_drawn(tmp_path):
    truth = np.tile(np.array([[1, 3]], np.uint8), (40, 20))
    draw(make(truth, truth), tmp_path / "sub" / "result.png")
    with Image.open(tmp_path / "sub" / "result.png") as picture:
        assert picture.width > 1000
        assert (np.asarray(picture.convert("RGB")) == (40, 50, 60)).all(axis=-1).any()
