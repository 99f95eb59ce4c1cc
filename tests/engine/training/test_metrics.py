"""Measures from a confusion matrix."""

import numpy as np
import pytest
import torch

from imagerydl.training.channels import IGNORED
from imagerydl.training.metrics import PixelScores, count_confusion


def test_counting_leaves_ignored_pixels_out():
    """U1: every pixel has a label, and is counted once."""
    target = torch.tensor([[[0, 1], [2, IGNORED]]])
    logits = torch.nn.functional.one_hot(torch.tensor([[[0, 2], [2, 1]]]), 3).permute(0, 3, 1, 2).float()
    assert count_confusion(logits, target).tolist() == [[1, 0, 0], [0, 0, 1], [0, 0, 1]]


def test_measures_of_a_known_matrix():
    """U13: intersection over union."""
    scores = PixelScores(np.array([[6, 2], [1, 11]]))
    assert scores.accuracy == pytest.approx(17 / 20)
    assert scores.iou == pytest.approx([6 / 9, 11 / 14])
    assert scores.precision == pytest.approx([6 / 7, 11 / 13])
    assert scores.recall == pytest.approx([6 / 8, 11 / 12])
    assert scores.f1 == pytest.approx([12 / 15, 22 / 25])
    assert scores.mean_iou == pytest.approx((6 / 9 + 11 / 14) / 2)


def test_a_class_that_does_not_occur_has_no_measure():
    scores = PixelScores(np.array([[5, 0, 0], [0, 5, 0], [0, 0, 0]]))
    assert np.isnan(scores.iou[2])
    assert scores.mean_iou == 1
