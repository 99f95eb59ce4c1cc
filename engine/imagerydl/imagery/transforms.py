"""Affine transforms, applied and put together.

Written out in plain numbers: for both, version 3 of the affine package deprecates ``*``, and version 2 has
no ``@``.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from affine import Affine

Coordinates = TypeVar("Coordinates", float, np.ndarray)


def apply(transform: Affine, x: Coordinates, y: Coordinates) -> tuple[Coordinates, Coordinates]:
    """Where points come to lie: numbers, or arrays of any shapes that go together."""
    t = transform
    return t.a * x + t.b * y + t.c, t.d * x + t.e * y + t.f


def compose(outer: Affine, *inner: Affine) -> Affine:
    """Several transforms as one, written like a product: the last one comes first."""
    result = outer
    for then in inner:
        s, o = result, then
        result = Affine(
            s.a * o.a + s.b * o.d,
            s.a * o.b + s.b * o.e,
            s.a * o.c + s.b * o.f + s.c,
            s.d * o.a + s.e * o.d,
            s.d * o.b + s.e * o.e,
            s.d * o.c + s.e * o.f + s.f,
        )
    return result
