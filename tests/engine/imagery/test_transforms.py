"""Affine transforms applied and put together, by hand."""

from __future__ import annotations

import numpy as np
import pytest
from affine import Affine

from imagerydl.imagery.transforms import apply, compose

#: Half a metre a pixel, rows downwards.
PLACED = Affine(0.5, 0, 1000, 0, -0.5, 2000)


def test_points_are_numbers_or_arrays_that_go_together():
    assert apply(PLACED, 10, 20) == (1005, 1990)
    xs, ys = apply(Affine(1, 2, 3, 4, 5, 6), np.array([[0, 1]]), np.array([[0], [1]]))
    assert xs.tolist() == [[3, 4], [5, 6]]
    assert ys.tolist() == [[6, 10], [11, 15]]


def test_the_last_transform_comes_first():
    turned = compose(PLACED, Affine.translation(10, 0), Affine.rotation(90))
    # (2, 0) turns to (0, 2), moves to (10, 2), and lies there on the map.
    assert apply(turned, 2, 0) == pytest.approx((1005, 1999))
    assert compose(PLACED) == PLACED
    assert compose(~PLACED, PLACED) == Affine.identity()
