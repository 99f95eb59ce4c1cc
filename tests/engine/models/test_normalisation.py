"""Normalisation: one subtraction and one division a band, once."""

import numpy as np
import pytest

from imagerydl.models.normalisation import Normalisation


def test_bytes_become_zero_to_one():
    """U8."""
    data = np.array([[[0, 255]], [[51, 102]]], np.uint8)
    result = Normalisation.from_byte_range(2).apply(data)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, [[[0, 1]], [[0.2, 0.4]]], rtol=1e-6)


def test_batches_and_single_chips_agree():
    data = np.random.default_rng(1).integers(0, 4000, (5, 3, 4, 6), np.uint16)
    rule = Normalisation((10, 20, 30), (2, 4, 8))
    np.testing.assert_array_equal(rule.apply(data)[3], rule.apply(data[3]))


def test_arcgis_statistics_are_min_max_then_mean_and_deviation():
    stats = {
        "band_min_values": [0, 100],
        "band_max_values": [10, 300],
        "scaled_mean_values": [0.5, 0.25],
        "scaled_std_values": [0.1, 0.2],
    }
    result = Normalisation.from_arcgis_stats(stats, [1]).apply(np.array([[[200.0]]]))
    assert result.item() == pytest.approx(((200 - 100) / 200 - 0.25) / 0.2)


def test_division_by_zero_is_impossible():
    with pytest.raises(ValueError, match="must not hold 0"):
        Normalisation((0,), (0,))
