"""Suppression in a sweep gives what suppression of everything at once does."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from imagerydl.inference.objects.found import Objects
from imagerydl.inference.objects.linking import linked_groups
from imagerydl.inference.objects.sweep import Suppressor
from imagerydl.inference.suppression import suppress


def crowd(count, seed, spread=1.0):
    random = np.random.default_rng(seed)
    x, y = random.uniform(0, spread * np.sqrt(count) * 12, (2, count))
    width, height = random.uniform(3, 22, (2, count))
    return Objects(
        shapely.box(x, y, x + width, y + height),
        (random.integers(1, 30, count) / 30).astype(np.float32),
        random.integers(0, 3, count),
        np.column_stack([np.zeros((count, 2), int), np.arange(count)]),
    )


def swept(objects, max_overlap, step):
    suppressor = Suppressor(max_overlap)
    tops, kept, most = objects.boxes[:, 1], [], 0
    for top in np.arange(0, tops.max() + step, step):
        now = (tops >= top) & (tops < top + step)
        kept.append(suppressor.add(objects.take(now), top + step))
        most = max(most, *(len(phase._objects) for phase in suppressor._phases))
    kept.append(suppressor.add(Objects.none(), np.inf))
    return sorted(Objects.joined(kept).origins[:, 2].tolist()), most


def at_once(objects, max_overlap):
    upright = shapely.transform(objects.shapes, lambda points: points * (1, -1))
    return np.flatnonzero(suppress(upright, objects.scores, objects.classes, max_overlap)).tolist()


@settings(max_examples=40)
@given(st.integers(0, 10**6), st.floats(0.2, 2), st.sampled_from([0.0, 0.1, 0.5]), st.floats(3, 200))
def test_the_sweep_keeps_what_a_global_suppression_keeps(seed, spread, max_overlap, step):
    objects = crowd(150, seed, spread)
    assert swept(objects, max_overlap, step)[0] == at_once(objects, max_overlap)


def test_memory_holds_a_strip_and_not_the_layer():
    objects = crowd(20_000, 1)
    kept, most = swept(objects, 0.0, 100)
    assert kept == at_once(objects, 0.0)
    assert most < 1000


@pytest.mark.parametrize(
    ("pairs", "groups"),
    [([], [0, 1, 2, 3, 4]), ([(3, 1), (4, 3)], [0, 1, 2, 1, 1]), ([(0, 4), (1, 2), (4, 2)], [0, 0, 0, 3, 0])],
)
def test_linked_things_are_a_group(pairs, groups):
    assert linked_groups(5, np.array(pairs, dtype=int).reshape(-1, 2)).tolist() == groups
