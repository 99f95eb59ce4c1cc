"""Buildings get right angles, other shapes stay."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from rasterio.features import rasterize, shapes
from shapely import affinity

from imagerydl.inference.polygons.right_angles import square_up

RECTANGLE = shapely.box(40, 50, 100, 90)
L_SHAPE = RECTANGLE.union(shapely.box(40, 20, 65, 90))
COURTYARD = shapely.box(30, 30, 110, 100).difference(shapely.box(55, 50, 85, 80))


def seen(truth, noise=0.0):
    """The largest region of a raster of ``truth``, some pixels of whose border are wrong."""
    values = rasterize([truth], out_shape=(140, 140), dtype=np.uint8)
    border = rasterize([truth.boundary], out_shape=(140, 140), all_touched=True, dtype=np.uint8) > 0
    wrong = border & (np.random.default_rng(3).random(values.shape) < noise)
    values[wrong] ^= 1
    found = [shapely.geometry.shape(shape) for shape, value in shapes(values, connectivity=4) if value]
    return max(found, key=lambda polygon: polygon.area)


def overlap(one, other):
    return one.intersection(other).area / one.union(other).area


def angles(polygon):
    for ring in (polygon.exterior, *polygon.interiors):
        points = np.array(ring.coords)[:-1]
        edges = np.roll(points, -1, axis=0) - points
        following = np.roll(edges, -1, axis=0)
        cosines = (edges * following).sum(axis=1) / np.hypot(*edges.T) / np.hypot(*following.T)
        yield from np.degrees(np.arccos(np.clip(cosines, -1, 1))).tolist()


@pytest.mark.parametrize("turn", [0, 12, 30, 45, 77])
@pytest.mark.parametrize("noise", [0.0, 0.3])
@pytest.mark.parametrize(
    ("truth", "corners"), [(RECTANGLE, 4), (L_SHAPE, 6), (COURTYARD, 8)], ids=["rectangle", "L", "courtyard"]
)
def test_a_building_gets_its_corners_back(truth, corners, turn, noise):
    truth = affinity.rotate(truth, turn, origin=(70, 65))
    outline = seen(truth, noise)
    (squared,) = square_up(np.array([outline]), tolerance=2.5)

    found = list(angles(squared))
    assert len(found) == corners
    assert found == pytest.approx([90] * corners, abs=1e-6)
    assert overlap(squared, truth) >= overlap(outline, truth) - 0.005


def test_a_round_or_slanted_shape_stays_as_it_is():
    triangle = shapely.Polygon([(10, 10), (120, 20), (60, 110)])
    outlines = np.array([seen(triangle), seen(shapely.Point(70, 70).buffer(50))])
    squared = square_up(outlines[:1], tolerance=2.0)
    assert squared[0].equals(outlines[0])


def test_a_single_pixel_stays():
    (squared,) = square_up(np.array([shapely.box(3, 4, 4, 5)]), tolerance=1.5)
    assert squared.equals(shapely.box(3, 4, 4, 5))


def test_far_from_the_origin_nothing_is_lost():
    far = affinity.translate(seen(RECTANGLE), 5e5, 4e6)
    (squared,) = square_up(np.array([far]), tolerance=1.5)
    assert overlap(squared, far) > 0.999
