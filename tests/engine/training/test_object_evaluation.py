"""The score from which detections count by default."""

import numpy as np
import pytest

from imagerydl.training.detection_metrics import ImageObjects, score_detections
from imagerydl.training.object_evaluation import best_threshold


def scores_of(*found):
    """One true object; detections on it (True) or beside it (False), with their scores."""
    here, there = (0.0, 0.0, 10.0, 10.0), (50.0, 50.0, 60.0, 60.0)
    truth = ImageObjects(np.array([here]), np.array([0]), np.ones(1))
    boxes = np.array([here if hit else there for hit, _ in found])
    seen = ImageObjects(boxes, np.zeros(len(found), int), np.array([score for _, score in found]))
    return score_detections([truth], [seen], 2, 0.5)


def test_it_lies_between_what_is_right_and_what_is_wrong():
    assert best_threshold(scores_of((True, 0.8), (False, 0.3))) == pytest.approx(0.55, abs=0.06)


def test_a_class_that_does_not_occur_has_no_say():
    scores = scores_of((True, 0.3), (False, 0.9))
    assert scores.classes[1].truths == 0
    assert best_threshold(scores) <= 0.3
