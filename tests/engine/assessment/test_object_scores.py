"""Matching and average precision: by hand, and as pycocotools has them."""

from __future__ import annotations

import numpy as np
import pytest
import shapely

from imagerydl.assessment.matching import find_candidates, match
from imagerydl.assessment.object_scores import curves, precision_of_class, score_objects
from imagerydl.labels.overlap import Polygons


def boxes(sides):
    return shapely.box(*np.asarray(sides, dtype=float).reshape(-1, 4).T)


def candidates_of(found, truths, scores, classes=None, at_least=0.5):
    found, truths = Polygons(boxes(found)), Polygons(boxes(truths))
    classes = classes or (np.zeros(len(found), int), np.zeros(len(truths), int))
    return find_candidates(found, truths, classes, None if scores is None else np.array(scores), at_least)


def partners(candidates, min_iou=0.5):
    pairs = match(candidates, min_iou)
    return [int(candidates.truths[pair]) if pair >= 0 else None for pair in pairs]


def test_each_object_is_found_once_by_the_surest_detection():
    two = [(0, 0, 10, 10), (0, 0, 10, 9)]
    assert partners(candidates_of(two, [(0, 0, 10, 10)], [0.5, 0.9])) == [None, 0]
    assert partners(candidates_of(two, [(0, 0, 10, 10)], [0.9, 0.5])) == [0, None]


def test_a_detection_takes_the_free_object_it_overlaps_most():
    truths = [(0, 0, 10, 10), (0, 2, 10, 12)]
    assert partners(candidates_of([(0, 1.5, 10, 11.5)], truths, [0.9])) == [1]
    found = [(0, 1.5, 10, 11.5), (0, 1.4, 10, 11.4)]
    assert partners(candidates_of(found, truths, [0.9, 0.8])) == [1, 0]


def test_an_overlap_of_exactly_the_smallest_one_counts():
    half = candidates_of([(0, 0, 10, 5)], [(0, 0, 10, 10)], [1])
    assert partners(half, 0.5) == [0]
    assert partners(half, 0.5001) == [None]
    assert partners(candidates_of([(0, 0, 10, 10)], [(0, 0, 10, 10)], [1]), 1.0) == [0]


def test_classes_do_not_mix():
    candidates = candidates_of([(0, 0, 9, 9)], [(0, 0, 9, 9)], [1], (np.array([0]), np.array([1])))
    assert partners(candidates) == [None]


def test_without_confidences_the_largest_overlap_comes_first():
    found = [(0, 0, 10, 8), (0, 0, 10, 10)]
    assert partners(candidates_of(found, [(0, 0, 10, 10)], None)) == [None, 0]


@pytest.mark.parametrize(
    ("hits", "objects", "expected"),
    [
        ([True, True], 2, 1.0),
        ([], 3, 0.0),
        ([False, False], 3, 0.0),
        # Recall 0.5 at precision 1 (51 recalls), recall 1 at precision 2/3 (the other 50).
        ([True, False, True], 2, (51 + 50 * 2 / 3) / 101),
        ([True], 4, 26 / 101),
    ],
)
def test_average_precision_by_hand(hits, objects, expected):
    assert precision_of_class(np.array(hits, dtype=bool), objects) == pytest.approx(expected)


def test_without_objects_there_is_no_average_precision():
    assert np.isnan(precision_of_class(np.array([False]), 0))


def test_without_confidences_average_precision_comes_from_one_point():
    """Three of four detections right, three of six objects found: precision 0.75 up to recall 0.5."""
    assert precision_of_class(np.array([True, False, True, True]), 6, ranked=False) == 0.75 * 51 / 101


def scene(seed):
    """Three classes of boxes on a map; detections jitter, double, miss and invent; some scores are equal."""
    random = np.random.default_rng(seed)
    corners = random.integers(0, 400, (60, 2))
    truths = np.hstack([corners, corners + random.integers(8, 30, (60, 2))]).astype(float)
    truth_classes = random.integers(0, 3, 60)
    chosen = random.integers(0, 60, 90)
    found = truths[chosen] + random.normal(0, 1.6, (90, 4)).round(1)
    found[:, 2:] = np.maximum(found[:, 2:], found[:, :2] + 1)
    strays = random.integers(0, 400, (25, 2)).astype(float)
    found = np.vstack([found, np.hstack([strays, strays + 15])])
    classes = np.concatenate([truth_classes[chosen], random.integers(0, 3, 25)])
    scores = random.random(115).round(2)
    return truths, truth_classes, found, classes, scores


#: Per scene, what pycocotools 2.0.11 gives: mAP at 0.50:0.05:0.95, at 0.50, and of each class.
COCO = {
    1: (0.281253927, 0.520375808, 0.413790552, 0.134981277, 0.294989952),
    2: (0.304490689, 0.613727661, 0.292865614, 0.325572977, 0.295033476),
    3: (0.292955827, 0.555335583, 0.322027921, 0.21852823, 0.33831133),
    4: (0.24684215, 0.465282631, 0.272291496, 0.210394183, 0.257840772),
}


def scored(seed):
    truths, truth_classes, found, classes, scores = scene(seed)
    numbers = (classes, truth_classes)
    candidates = candidates_of(found, truths, scores, numbers)
    rows, _ = score_objects(candidates, numbers, ["a", "b", "c"], 0.5)
    return rows


def coco(seed):
    """The same by pycocotools: mAP, AP at 0.50, mAP of each class."""
    from pycocotools.coco import COCO as Dataset  # noqa: N811 - the library's name reads as a constant
    from pycocotools.cocoeval import COCOeval

    truths, truth_classes, found, classes, scores = scene(seed)

    def entry(box, kind, number):
        x, y, right, bottom = (float(side) for side in box)
        size = (right - x) * (bottom - y)
        box = [x, y, right - x, bottom - y]
        return {"id": number + 1, "image_id": 1, "category_id": int(kind) + 1, "bbox": box, "area": size}

    truth, result = Dataset(), Dataset()
    frame = {"images": [{"id": 1}], "categories": [{"id": k + 1, "name": str(k)} for k in range(3)]}
    objects = [{**entry(b, k, i), "iscrowd": 0} for i, (b, k) in enumerate(zip(truths, truth_classes))]
    detections = [
        {**entry(b, k, i), "score": float(s), "iscrowd": 0}
        for i, (b, k, s) in enumerate(zip(found, classes, scores))
    ]
    truth.dataset = {**frame, "annotations": objects}
    result.dataset = {**frame, "annotations": detections}
    truth.createIndex()
    result.createIndex()
    evaluation = COCOeval(truth, result, "bbox")
    evaluation.params.maxDets = [1, 10, 1000]
    evaluation.evaluate()
    evaluation.accumulate()
    precision = evaluation.eval["precision"][:, :, :, 0, -1]
    return precision.mean(), precision[0].mean(), *precision.mean(axis=(0, 1))


@pytest.mark.parametrize("seed", [1, 2, 3, 4])
def test_coco_map_equals_stored_numbers_of_pycocotools(seed):
    rows = scored(seed)
    got = (rows[-1].coco_map, rows[-1].average_precision, *(row.coco_map for row in rows[:-1]))
    assert got == pytest.approx(COCO[seed], abs=1e-6)


@pytest.mark.parametrize("seed", range(5, 25))
def test_coco_map_equals_pycocotools(seed):
    pytest.importorskip("pycocotools", reason="compares with pycocotools where it is installed")
    rows = scored(seed)
    got = (rows[-1].coco_map, rows[-1].average_precision, *(row.coco_map for row in rows[:-1]))
    assert got == pytest.approx(coco(seed), abs=1e-6)


def test_a_class_without_objects_counts_false_detections_and_leaves_the_mean_alone():
    classes = (np.array([0, 1]), np.array([0]))
    candidates = candidates_of([(0, 0, 5, 5), (50, 50, 55, 55)], [(0, 0, 5, 5)], [0.9, 0.8], classes)
    rows, _ = score_objects(candidates, classes, ["tree", "car"], 0.5)
    assert (rows[1].false_positives, np.isnan(rows[1].average_precision)) == (1, True)
    assert rows[-1].average_precision == 1.0
    assert (rows[-1].precision, rows[-1].recall, rows[-1].f1) == (0.5, 1.0, pytest.approx(2 / 3))


def test_curves_end_at_the_precision_and_recall_of_all():
    classes = (np.array([0, 0]), np.array([0, 0]))
    scores = np.array([0.9, 0.8])
    candidates = candidates_of(
        [(0, 0, 5, 5), (9, 9, 12, 12)], [(0, 0, 5, 5), (50, 50, 55, 55)], scores, classes
    )
    rows, matched = score_objects(candidates, classes, ["tree"], 0.5)
    (tree, total) = curves(candidates, classes, ["tree"], matched, scores)
    assert (tree.name, total.name) == ("tree", "All classes")
    assert (total.precision[-1], total.recall[-1]) == (rows[-1].precision, rows[-1].recall)
    assert total.confidence.tolist() == [0.9, 0.8]
