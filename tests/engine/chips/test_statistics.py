"""Running statistics against numpy over everything at once."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from imagerydl.chips.statistics import BandStatistics, ClassPixels, FeatureCounts, band_moments, pixel_counts


@given(st.lists(arrays(np.uint8, (2, 4, 5)), min_size=1, max_size=5), st.integers(0, 2**20 - 1))
def test_chips_one_by_one_equal_all_at_once(chips, mask):
    valid = np.array([mask >> i & 1 for i in range(20)], bool).reshape(4, 5)
    running = BandStatistics(2)
    for chip in chips:
        running.add(band_moments(chip, valid))
    for band, state in enumerate(running.state()):
        values = np.concatenate([chip[band][valid] for chip in chips]).astype(float)
        assert state["Num"] == values.size
        assert (state["Mean"], state["StdDev"]) == (0, 0)
        if values.size:
            assert (state["Min"], state["Max"]) == (values.min(), values.max())
            assert state["M1"] == pytest.approx(values.mean())
            assert state["M2"] == pytest.approx(values.var() * values.size, abs=1e-6)


def test_small_spread_on_a_large_offset_does_not_cancel():
    rng = np.random.default_rng(0)
    chips = [1e7 + rng.normal(0, 0.5, (1, 64, 64)) for _ in range(10)]
    running = BandStatistics(1)
    for chip in chips:
        running.add(band_moments(chip, np.ones((64, 64), bool)))
    assert running.summary(["DEM"])[0]["StdDev"] == pytest.approx(np.stack(chips).std(), rel=1e-6)


def test_no_value_of_a_float_band_counts_where_it_has_none():
    """A pixel is valid as soon as one band has a value; NaN and nodata of the others do not count."""
    data = np.array([[[1.0, 2.0, 3.0]], [[np.nan, -9999.0, 5.0]]], dtype=np.float32)
    running = BandStatistics(2)
    running.add(band_moments(data, np.ones((1, 3), bool), nodata=-9999.0))
    assert [state["Num"] for state in running.state()] == [3, 1]
    assert running.state()[1]["Min"] == 5


def test_band_without_any_value_stays_finite():
    running = BandStatistics(1)
    running.add(band_moments(np.full((1, 2, 2), np.nan), np.ones((2, 2), bool)))
    assert running.summary(["x"]) == [{"BandName": "x", "Min": 0, "Max": 0, "Mean": 0, "StdDev": 0}]


def test_class_pixels():
    pixels = ClassPixels()
    pixels.add(pixel_counts(np.array([[1, 1, 7], [0, 0, 7]], np.uint8)))
    pixels.add(pixel_counts(np.array([[1, 1, 1], [1, 1, 1]], np.uint16)))
    stats = pixels.as_json([1, 7, 9])
    assert stats["NumImagesTotal"] == 2
    assert stats["NumImagesPerClass"] == [2, 1, 0]
    assert stats["NumPixelsPerClass"] == [8, 2, 0]
    assert stats["NumClassesPerImage"] == {"Min": 1, "Max": 2, "Mean": 1.5, "Sum": 3, "Count": 2}
    assert stats["PixelsPerClass"][0] == {"Min": 2, "Max": 6, "Mean": 4, "Sum": 8, "Count": 2}
    assert stats["PixelsPerClass"][2] == {"Min": 0, "Max": 0, "Mean": 0, "Sum": 0, "Count": 0}
    assert pixels.as_json([0, 1, 7])["NumClassesPerImage"]["Max"] == 3, "0 counts where it is a class"


def test_features():
    features = FeatureCounts()
    features.add({1: [4.0, 6.0], 3: [10.0]})
    features.add({})
    features.add({1: [2.0]})
    stats = features.as_json([1, 2, 3])
    assert (stats["NumImagesTotal"], stats["NumFeaturesTotal"]) == (3, 4)
    assert stats["NumImagesPerClass"] == [2, 0, 1]
    assert stats["NumFeaturesPerClass"] == [3, 0, 1]
    assert stats["NumFeaturesPerImage"] == {"Min": 0, "Max": 3, "Mean": 4 / 3, "Sum": 4, "Count": 3}
    assert stats["FeatureAreaPerClass"][0] == {"Min": 2, "Max": 6, "Mean": 4, "Sum": 12, "Count": 3}


@pytest.mark.parametrize(
    ("kind", "tallies"),
    [(ClassPixels, [{1: 5, 7: 4}, {7: 9}, {1: 9}]), (FeatureCounts, [{1: [2.0]}, {}, {7: [3.5, 1.0]}])],
)
def test_going_on_with_what_was_told_equals_counting_all(kind, tallies):
    whole, first = kind(), kind()
    for tally in tallies:
        whole.add(tally)
    first.add(tallies[0])
    going_on = kind()
    going_on.restore(first.as_json([1, 7]), [1, 7])
    for tally in tallies[1:]:
        going_on.add(tally)
    assert going_on.as_json([1, 7]) == whole.as_json([1, 7])
