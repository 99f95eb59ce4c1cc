"""Layers of any size in little memory: packed geometries, and the index that finds them."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from imagerydl.labels import geometry, packed
from imagerydl.labels.box_index import BoxIndex
from imagerydl.labels.feature_reading import read_features
from imagerydl.labels.packed import PackedGeometries

ENGINE = Path(__file__).parents[3] / "engine"


@given(
    seed=st.integers(0, 2**32 - 1),
    count=st.sampled_from([0, 1, 5, 33, 1100, 5000]),
    origin=st.sampled_from([0.0, 2e7]),
)
def test_the_index_finds_every_box_that_touches(seed, count, origin):
    random = np.random.default_rng(seed)
    low = random.uniform(0, 1000, (count, 2)).round(1) + origin
    boxes = np.hstack([low, low + random.uniform(0, 20, (count, 2)).round(1)])
    boxes[random.random(count) < 0.1] = np.nan
    index = BoxIndex()
    for part in np.array_split(boxes, 3):
        index.add(part)
    x, y = random.uniform(0, 1000, 2).round(1) + origin
    wanted = (x, y, x + 50, y + 50)
    with np.errstate(invalid="ignore"):
        touch = (boxes[:, :2] <= wanted[2:]).all(axis=1) & (boxes[:, 2:] >= wanted[:2]).all(axis=1)
        close = (boxes[:, :2] <= np.add(wanted[2:], 0.01)).all(axis=1)
        close &= (boxes[:, 2:] >= np.subtract(wanted[:2], 0.01)).all(axis=1)
    found = index.near(wanted)
    assert set(np.flatnonzero(touch)) <= set(found.tolist()) <= set(np.flatnonzero(close))
    assert (np.diff(found) > 0).all()


def test_the_index_knows_the_bounds_of_all():
    index = BoxIndex()
    assert np.isnan(index.total).all()
    index.add(np.array([[1, 2, 3, 4], [np.nan] * 4]))
    index.add(np.array([[-1, 3, 2, 9.5]]))
    assert index.total == (-1, 2, 3, 9.5)


def test_the_index_finds_the_same_for_several_boxes_at_once():
    random = np.random.default_rng(3)
    low = random.uniform(0, 1000, (3000, 2))
    index = BoxIndex()
    index.add(np.hstack([low, low + random.uniform(0, 20, (3000, 2))]))
    corners = random.uniform(-50, 1000, (17, 2))
    wanted = np.hstack([corners, corners + random.uniform(0, 80, (17, 2))])
    found, owners = index.near_each(wanted)
    assert (np.diff(owners) >= 0).all()
    for number, box in enumerate(wanted):
        assert found[owners == number].tolist() == index.near(tuple(box)).tolist()


@pytest.mark.parametrize("memory", [packed._IN_MEMORY, 0])
def test_what_is_packed_comes_back(monkeypatch, memory):
    monkeypatch.setattr(packed, "_IN_MEMORY", memory)
    shapes = [
        shapely.Point(1, 2),
        shapely.LineString([(0, 0), (1e7 + 0.1, 1)]),
        shapely.MultiPolygon([shapely.box(0, 0, 1, 1), shapely.box(3, 3, 4, 4)]),
        shapely.GeometryCollection(),
    ]
    store = PackedGeometries([np.array(shapes[:1]), np.array(shapes[1:])])
    assert len(store) == 4
    assert store.dimensions.tolist() == [0, 1, 2, -1]
    assert shapely.equals_exact(store.take(np.array([2, 0, 1])), np.array(shapes)[[2, 0, 1]]).all()
    assert store.near((3.5, 3.5, 9, 9)).tolist() == [2]
    assert len(store.select(store.dimensions == 2)) == 1
    assert store.select(np.ones(4, bool)) is store
    moved = store.mapped(lambda part: shapely.transform(part, lambda xy: xy + 10))
    assert moved.take(np.array([0]))[0].equals(shapely.Point(11, 12))
    assert len(PackedGeometries([])) == 0


def test_layers_beyond_memory_lie_in_a_file(monkeypatch):
    """And several threads may read them."""
    monkeypatch.setattr(packed, "_IN_MEMORY", 1000)
    monkeypatch.setattr(packed, "BATCH", 64)
    monkeypatch.setattr(packed, "_LARGE", 400)
    monkeypatch.setattr(packed, "_LARGE_KEPT", 2)
    shapes = shapely.buffer(shapely.points(np.arange(500), 0), 0.4, quad_segs=2)
    shapes[::50] = shapely.buffer(shapes[::50], 0.1, quad_segs=20)
    store = PackedGeometries([shapes])

    def read(start):
        positions = np.random.default_rng(start).permutation(500)[:100]
        return shapely.equals_exact(store.take(positions), shapes[positions]).all()

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(read, range(40)))
    assert shapely.equals_exact(np.concatenate(list(store.batches())), shapes).all()
    assert len(store._large) == 2


@pytest.mark.parametrize("count", [1, 8, 9])
def test_layers_are_read_in_parts(write_layer, monkeypatch, count):
    """Nothing is lost where one part ends and the next begins, nor counted twice."""
    monkeypatch.setattr(geometry, "_PART", 4)
    shapes = [shapely.box(3 * i, 0, 3 * i + 2, 2) for i in range(count)]
    shapes[0] = None if count > 1 else shapes[0]
    said = []
    labels = read_features(write_layer(shapes, value=list(range(1, count + 1))), say=said.append)
    usable = [shape for shape in shapes if shape is not None]
    assert labels.count == len(usable)
    assert labels.bounds == tuple(shapely.total_bounds(usable))
    assert labels.classes.values == tuple(range(1, count + 1))[count - len(usable) :]
    assert any("1 features" in text for text in said) == (count > 1)


@pytest.mark.skipif(sys.platform == "win32", reason="the system does not tell the peak memory this way")
def test_a_large_layer_takes_little_memory(tmp_path):
    """250,000 polygons need a few dozen bytes each on top of what reading a part of them needs."""
    import pyogrio

    corners = np.random.default_rng(0).uniform(0, 1e4, (250_000, 2)) + (500000, 5000000)
    wkb = shapely.to_wkb(shapely.box(*corners.T, *(corners + 10).T))
    code = (
        "import sys, resource; sys.path.insert(0, sys.argv[1])\n"
        "from imagerydl.labels.feature_reading import read_features\n"
        "labels = read_features(sys.argv[2])\n"
        "print(labels.count, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)\n"
    )
    peaks = []
    for count in (1000, len(wkb)):
        path = tmp_path / f"{count}.gpkg"
        pyogrio.raw.write(path, wkb[:count], [], [], geometry_type="Polygon", crs="EPSG:32633")
        command = [sys.executable, "-W", "ignore", "-c", code, str(ENGINE), str(path)]
        answer = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
        assert int(answer[0]) == count
        peaks.append(float(answer[1]))
    assert peaks[1] - peaks[0] < 60, peaks
