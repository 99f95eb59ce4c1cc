"""Confusion matrices, area estimates and samples: by hand, as scikit-learn and as published."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagerydl.assessment.area_estimates import NORMAL_95, estimate
from imagerydl.assessment.confusion import ConfusionMatrix, PairCounter, class_values
from imagerydl.assessment.drawing import Draw, allocate
from imagerydl.errors import DataError


def scene(seed, dtype=np.uint8):
    random = np.random.default_rng(seed)
    reference = random.choice([0, 2, 7, 200], 5000, p=[0.5, 0.3, 0.15, 0.05])
    classified = np.where(random.random(5000) < 0.7, reference, random.choice([0, 2, 7, 9], 5000))
    return classified.astype(dtype), reference.astype(dtype)


def matrix_of(classified, reference):
    counter = PairCounter()
    for start in range(0, len(classified), 700):
        counter.add(classified[start : start + 700], reference[start : start + 700])
    return counter.matrix()


NAN = float("nan")

#: What scikit-learn 1.9.1 gives for the first scene: confusion matrix (rows: truth), accuracy, kappa, and of
#: each class precision, recall, F1 and IoU.
SKLEARN = [
    [
        [1964, 210, 178, 165, 0],
        [113, 1141, 123, 108, 0],
        [61, 58, 576, 55, 0],
        [0, 0, 0, 0, 0],
        [16, 26, 18, 14, 174],
    ],
    0.771,
    0.6578618126,
    [0.9117920149, 0.7951219512, 0.643575419, 0.0, 1.0],
    [0.7802940008, 0.7683501684, 0.768, NAN, 0.7016129032],
    [0.840933419, 0.7815068493, 0.7003039514, 0.0, 0.8246445498],
    [0.725526413, 0.6413715571, 0.5388213283, 0.0, 0.7016129032],
]


def by_sklearn(seed):
    from sklearn import metrics

    found, truth = scene(seed)
    options = {"average": None, "zero_division": np.nan}
    return (
        metrics.confusion_matrix(truth, found).tolist(),
        metrics.accuracy_score(truth, found),
        metrics.cohen_kappa_score(truth, found),
        metrics.precision_score(truth, found, **options).tolist(),
        metrics.recall_score(truth, found, **options).tolist(),
        metrics.f1_score(truth, found, **options).tolist(),
        metrics.jaccard_score(truth, found, average=None, zero_division=0).tolist(),
    )


def check(matrix, expected):
    counts, accuracy, kappa, precision, recall, f1, iou = expected
    assert matrix.counts.T.tolist() == counts
    assert (matrix.accuracy, matrix.kappa) == pytest.approx((accuracy, kappa))
    np.testing.assert_allclose(matrix.users_accuracy, precision)
    np.testing.assert_allclose(matrix.producers_accuracy, recall)
    np.testing.assert_allclose(matrix.f1, f1)
    np.testing.assert_allclose(matrix.iou, iou)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_matrix_equals_stored_numbers_of_scikit_learn(dtype):
    matrix = matrix_of(*scene(1, dtype))
    assert matrix.values == (0, 2, 7, 9, 200)
    check(matrix, SKLEARN)


@pytest.mark.parametrize("seed", range(2, 9))
def test_matrices_equal_scikit_learn(seed):
    pytest.importorskip("sklearn", reason="compares with scikit-learn where it is installed")
    check(matrix_of(*scene(seed)), by_sklearn(seed))


def test_the_example_of_the_arcgis_page():
    """49 4 4 / 2 40 2 / 3 3 59, as its page shows it: producer's 0.9074, 0.8511, 0.9077 and kappa 0.8357."""
    matrix = ConfusionMatrix((1, 2, 3), np.array([[49, 4, 4], [2, 40, 2], [3, 3, 59]]))
    assert matrix.producers_accuracy.round(4).tolist() == [0.9074, 0.8511, 0.9077]
    assert matrix.users_accuracy.round(4).tolist() == [0.8596, 0.9091, 0.9077]
    assert round(matrix.accuracy, 4) == 0.8916
    assert round(matrix.kappa, 4) == 0.8357


def test_full_agreement_on_one_class_has_no_kappa():
    assert np.isnan(ConfusionMatrix((1,), np.array([[5]])).kappa)


def test_classes_come_from_any_whole_numbers_in_range():
    assert class_values(np.array([3.0, 65535.0], np.float32), "a").tolist() == [3, 65535]
    for wrong in ([-1.0], [1.5], [70000.0]):
        with pytest.raises(DataError, match="map holds"):
            class_values(np.array(wrong), "map")


def test_a_raster_of_measurements_is_refused():
    values = np.arange(2000, dtype=np.uint16)
    with pytest.raises(DataError, match="more than 1000"):
        PairCounter().add(values, values)


def test_estimates_as_published():
    """The worked example of Olofsson et al. (2014): deforestation, gain, stable forest, stable non-forest."""
    sample = np.array([[66, 0, 5, 4], [0, 55, 8, 12], [1, 0, 153, 11], [2, 1, 9, 313]])
    found = estimate(sample, np.array([200_000, 150_000, 3_200_000, 6_450_000]))
    assert found.users.round(2).tolist() == [0.88, 0.73, 0.93, 0.96]
    assert (NORMAL_95 * found.users_error).round(2).tolist() == [0.07, 0.10, 0.04, 0.02]
    assert found.producers.round(2).tolist() == [0.75, 0.85, 0.93, 0.96]
    assert round(found.accuracy, 2) == 0.95
    assert round(NORMAL_95 * found.accuracy_error, 2) == 0.02
    # 10 million pixels of 30 m: 21,158 ha of deforestation, give or take 6,158 ha.
    assert round(found.area[0] * 900_000) == 21158
    assert NORMAL_95 * found.area_error[0] * 900_000 == pytest.approx(6158, abs=1)


def test_standard_errors_are_the_spread_of_many_samples():
    """Four thousand samples of one population: their estimates scatter as each one says."""
    random = np.random.default_rng(0)
    shares = np.array([[0.85, 0.05, 0.1], [0.1, 0.8, 0.1], [0.02, 0.03, 0.95]])
    mapped, sizes = np.array([2_000, 3_000, 15_000]), (60, 60, 120)
    drawn = [random.multinomial(size, row, 4000) for size, row in zip(sizes, shares)]
    found = [estimate(np.array(sample), mapped) for sample in zip(*drawn)]
    for name in ("area", "users", "producers", "accuracy"):
        values = np.array([getattr(one, name) for one in found])
        errors = np.array([getattr(one, f"{name}_error") for one in found])
        np.testing.assert_allclose(np.sqrt((errors**2).mean(axis=0)), values.std(axis=0), rtol=0.06)
    truth = (mapped[:, None] / mapped.sum() * shares).sum(axis=0)
    np.testing.assert_allclose(np.mean([one.area for one in found], axis=0), truth, rtol=0.01)


def test_classes_without_a_sample_are_left_out_of_the_estimates():
    found = estimate(np.array([[9, 1, 0], [2, 8, 0], [0, 0, 0]]), np.array([500, 300, 200]))
    assert found.covered == 0.8
    assert found.area.sum() == pytest.approx(1)
    assert np.isnan(found.users[2])
    assert np.isfinite(found.accuracy_error)


def test_a_single_pixel_has_no_variance():
    found = estimate(np.array([[1, 0], [0, 9]]), np.array([10, 90]))
    assert np.isnan(found.accuracy_error)
    assert found.accuracy == 1.0


def test_samples_are_divided_among_the_classes():
    pixels = {1: 9000, 2: 900, 3: 99, 4: 1}
    assert allocate("STRATIFIED_RANDOM", 100, pixels) == {1: 90, 2: 9, 3: 2, 4: 1}
    assert allocate("EQUALIZED_STRATIFIED_RANDOM", 100, pixels) == {1: 25, 2: 25, 3: 25, 4: 1}


@given(st.lists(st.integers(0, 40), min_size=1, max_size=8), st.integers(1, 60), st.integers(0, 99))
def test_a_draw_does_not_depend_on_how_pixels_pass_by(parts, count, seed):
    total = sum(parts)
    if not total:
        return
    whole = Draw(total, count, np.random.default_rng(seed)).take(total).tolist()
    draw, start, found = Draw(total, count, np.random.default_rng(seed)), 0, []
    for part in parts:
        found += (draw.take(part) + start).tolist()
        start += part
    assert found == whole
    assert len(set(found)) == min(count, total)
