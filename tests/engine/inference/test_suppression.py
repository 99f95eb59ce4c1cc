"""Non maximum suppression: what stays, in which order, and that an index changes nothing."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from imagerydl.inference import suppression
from imagerydl.inference.suppression import suppress


def boxes(*sides):
    return shapely.box(*np.array(sides, dtype=float).T)


def kept(geometries, scores, classes=None, ratio=0.0):
    return np.flatnonzero(suppress(np.asarray(geometries), np.array(scores), classes, ratio)).tolist()


def test_of_two_that_overlap_the_surer_one_stays():
    assert kept(boxes((0, 0, 4, 4), (1, 1, 5, 5), (9, 9, 10, 10)), [0.6, 0.9, 0.1]) == [1, 2]


def test_boxes_that_only_touch_both_stay():
    assert kept(boxes((0, 0, 4, 4), (4, 0, 8, 4)), [0.6, 0.9]) == [0, 1]


def test_only_an_overlap_greater_than_the_ratio_removes():
    # They share 2 of 6: exactly a third.
    pair = boxes((0, 0, 4, 1), (2, 0, 6, 1))
    assert kept(pair, [0.9, 0.6], ratio=1 / 3) == [0, 1]
    assert kept(pair, [0.9, 0.6], ratio=0.33) == [0]


def test_what_was_removed_removes_nothing():
    chain = boxes((0, 0, 4, 1), (3, 0, 7, 1), (6, 0, 10, 1))
    assert kept(chain, [0.9, 0.8, 0.7]) == [0, 2]


def test_classes_are_decided_each_for_itself_first():
    # The tree at 0.8 falls to the surer tree before it could remove the car.
    row = boxes((0, 0, 4, 1), (3, 0, 7, 1), (6, 0, 10, 1))
    assert kept(row, [0.9, 0.8, 0.7], np.array(["tree", "tree", "car"])) == [0, 2]


def test_across_classes_the_surer_one_stays_too():
    assert kept(boxes((0, 0, 4, 1), (1, 0, 5, 1)), [0.5, 0.9], np.array([1, 2])) == [1]


def test_outlines_count_rather_than_their_boxes():
    lower = shapely.Polygon([(0, 0), (10, 0), (0, 10)])
    upper = shapely.Polygon([(10, 10), (10, 1), (1, 10)])
    assert kept([lower, upper], [0.9, 0.8]) == [0, 1]
    assert kept([lower.envelope, upper.envelope], [0.9, 0.8]) == [0]


def test_ties_go_to_the_larger_then_the_western_then_the_southern_one():
    assert kept(boxes((0, 0, 2, 2), (1, 0, 4, 2)), [0.5, 0.5]) == [1]
    assert kept(boxes((1, 0, 3, 2), (0, 0, 2, 2)), [0.5, 0.5]) == [1]
    assert kept(boxes((0, 1, 2, 3), (0, 0, 2, 2)), [0.5, 0.5]) == [1]
    assert kept(boxes((0, 0, 2, 2), (0, 0, 2, 2)), [0.5, 0.5]) == [0]


def brute_force(sides, scores, classes, ratio):
    """Every pair compared with whole numbers."""

    def area(box):
        return max(0, box[2] - box[0]) * max(0, box[3] - box[1])

    def too_close(a, b):
        a, b = sides[a], sides[b]
        shared = area((max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3])))
        return Fraction(shared, area(a) + area(b) - shared) > ratio

    order = sorted(range(len(sides)), key=lambda i: (-scores[i], -area(sides[i]), *sides[i][:2], i))

    def greedy(members):
        stays = []
        for i in members:
            if not any(too_close(j, i) for j in stays):
                stays.append(i)
        return stays

    first = {i for value in set(classes) for i in greedy([i for i in order if classes[i] == value])}
    return sorted(greedy([i for i in order if i in first]))


@st.composite
def crowds(draw):
    count = draw(st.integers(0, 25))
    numbers = st.integers(0, 12)
    corners = draw(
        st.lists(
            st.tuples(numbers, numbers, st.integers(1, 6), st.integers(1, 6)), min_size=count, max_size=count
        )
    )
    scores = draw(st.lists(st.integers(0, 5), min_size=count, max_size=count))
    classes = draw(st.lists(st.integers(1, 3), min_size=count, max_size=count))
    return [(x, y, x + w, y + h) for x, y, w, h in corners], scores, classes


@given(crowds(), st.sampled_from([0, 0.25, 0.5, 0.75, 1]), st.sampled_from([0, 3, 20_000]), st.booleans())
def test_the_index_gives_what_comparing_every_pair_gives(crowd, ratio, size, as_polygons):
    """Also where the polygons are decided in several goes, and where they are not taken for boxes."""
    sides, scores, classes = crowd
    shapes = boxes(*sides) if sides else np.empty(0, dtype=object)
    if as_polygons:
        # Shearing keeps every area.
        shapes = shapely.transform(shapes, lambda xy: xy @ np.array([[1.0, 1.0], [0.0, 1.0]]))
        # It moves corners, which decide ties: there are none, then.
        scores = [score + place / 100 for place, score in enumerate(scores)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(suppression, "_SMALL", max(size, 1))
        found = kept(shapes, scores, np.array(classes), ratio)
    assert found == brute_force(sides, scores, classes, ratio)


@given(crowds(), st.randoms(use_true_random=False))
def test_the_order_of_the_layer_does_not_matter(crowd, random):
    sides, scores, classes = crowd
    order = list(range(len(sides)))
    random.shuffle(order)

    def staying(places):
        shapes = boxes(*(sides[i] for i in places)) if places else np.empty(0, dtype=object)
        found = kept(shapes, [scores[i] for i in places], np.array([classes[i] for i in places]), 0.2)
        return sorted((sides[places[i]], scores[places[i]]) for i in found)

    assert staying(order) == staying(list(range(len(sides))))


def test_a_search_can_be_ended():
    def stop():
        raise InterruptedError

    with pytest.raises(InterruptedError):
        suppress(boxes((0, 0, 1, 1)), np.array([1.0]), check=stop)
