"""Average precision of detectors, by hand."""

import numpy as np
import pytest

from imagerydl.training.detection_metrics import ImageObjects, overlaps, score_detections

SQUARE, OTHER, FAR = (0, 0, 10, 10), (20, 0, 30, 10), (50, 50, 60, 60)


def objects(*items):
    """(box, label, score) or (box, label)."""
    boxes = np.array([item[0] for item in items], float).reshape(-1, 4)
    labels = np.array([item[1] for item in items], int)
    return ImageObjects(boxes, labels, np.array([item[2] if len(item) > 2 else 1.0 for item in items]))


def test_overlap_is_what_is_shared_by_what_is_covered():
    table = overlaps(np.array([[0, 0, 10, 10]]), np.array([[5, 0, 15, 10], [0, 0, 10, 10], [20, 20, 30, 30]]))
    assert table.tolist() == [pytest.approx([1 / 3, 1.0, 0.0])]


def test_boxes_that_all_fit_are_worth_one_at_every_overlap():
    truth = [objects((SQUARE, 0), (OTHER, 1))]
    scores = score_detections(truth, [objects((SQUARE, 0, 0.9), (OTHER, 1, 0.3))], 2, 0.5)
    assert scores.map50 == pytest.approx(1.0)
    assert scores.map == pytest.approx(1.0)


def test_a_box_is_found_once_and_what_comes_second_is_wrong():
    found = [objects((SQUARE, 0, 0.9), (SQUARE, 0, 0.8), (OTHER, 0, 0.7))]
    scores = score_detections([objects((SQUARE, 0), (OTHER, 0))], found, 1, 0.5)
    # Precision 1 up to a recall of 0.5 (51 of 101 points), 2/3 beyond.
    assert scores.map50 == pytest.approx((51 + 50 * 2 / 3) / 101)
    assert scores.classes[0].at(0.75) == pytest.approx((0.5, 0.5, 0.5))


def test_a_half_fitting_box_counts_at_small_overlaps_only():
    (result,) = score_detections([objects((SQUARE, 0))], [objects(((0, 0, 10, 7), 0, 0.9))], 1, 0.5).classes
    assert result.precisions.tolist() == [1, 1, 1, 1, 1, 0, 0, 0, 0, 0]  # 0.5 to 0.7


def test_what_is_missed_or_never_there():
    scores = score_detections([objects((SQUARE, 0))], [objects()], 2, 0.5)
    assert scores.ap50[0] == 0
    assert np.isnan(scores.ap50[1]), "no such object is there"
    assert scores.map50 == 0


def test_scores_are_ranked_over_all_images():
    truths = [objects((SQUARE, 0)), objects((SQUARE, 0))]
    found = [objects((FAR, 0, 0.9)), objects((SQUARE, 0, 0.8))]
    # Wrong first, then right: precision 1/2 up to a recall of 0.5.
    assert score_detections(truths, found, 1, 0.5).map50 == pytest.approx(51 * 0.5 / 101)


def test_the_confusion_matrix_counts_mixed_up_missed_and_imagined_objects():
    truth = [objects((SQUARE, 0), (OTHER, 1))]
    found = [objects((SQUARE, 1, 0.9), (FAR, 0, 0.8), (OTHER, 1, 0.2))]
    confusion = score_detections(truth, found, 2, 0.5).confusion
    assert confusion.tolist() == [[0, 1, 0], [0, 0, 1], [1, 0, 0]]
