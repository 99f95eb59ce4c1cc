"""Outlines of buildings with right angles: every edge along one of two perpendicular directions."""

from __future__ import annotations

from typing import Optional

import numpy as np
import shapely

#: Parts of its area an outline may gain or lose before it is left as it was.
MAX_AREA_CHANGE = 0.1

#: Intersection over union below which the new outline is another shape.
MIN_OVERLAP = 0.8


def square_up(outlines: np.ndarray, tolerance: float) -> np.ndarray:
    """Give polygons right angles where that hardly changes them.

    The staircase of pixels is straightened (Douglas and Peucker); the dominant direction is the
    mean of the edges' directions modulo 90 degrees, weighed by length; each edge is turned to the
    nearer of the two directions about its middle, and neighbours that now run the same way become
    one. Holes smaller than ``tolerance`` squared are closed. Where the result is no valid polygon,
    or strays too far (:data:`MAX_AREA_CHANGE`, :data:`MIN_OVERLAP`), the outline stays. Each
    polygon is treated alone, so neighbours may overlap or part by up to about ``tolerance``.

    Args:
        outlines: Polygons ``[n]`` in a CRS whose units are equally long in all directions.
        tolerance: How far the straightened outline may lie from the pixels', map units.

    Returns:
        Polygons ``[n]``.
    """
    result = outlines.copy()
    for number, outline in enumerate(outlines):
        squared = _squared(outline, tolerance)
        if squared is not None and _is_alike(outline, squared):
            result[number] = squared
    return result


def _squared(outline: shapely.Polygon, tolerance: float) -> Optional[shapely.Polygon]:
    # A hole of a pixel or two is noise, which no right angles can be given to.
    holes = [ring for ring in outline.interiors if shapely.Polygon(ring).area > tolerance**2]
    straight = [_straightened(ring, tolerance) for ring in (outline.exterior, *holes)]
    direction = _dominant_direction(straight[0])
    cosine, sine = np.cos(direction), np.sin(direction)
    turn = np.array([[cosine, -sine], [sine, cosine]])
    # About a point nearby: large coordinates would lose digits.
    centre = straight[0].mean(axis=0)
    rings = []
    for ring in straight:
        corners = _corners((ring - centre) @ turn)
        if corners is None:
            return None
        rings.append(corners @ turn.T + centre)
    return shapely.Polygon(rings[0], rings[1:])


def _straightened(ring: shapely.LinearRing, tolerance: float) -> np.ndarray:
    """Vertices ``[n, 2]``, the first not repeated, of an outline without its staircase.

    The ring is cut where it is farthest from its centre, and again farthest from there: corners
    of the shape. The vertex it happens to begin at may lie in the middle of an edge.
    """
    points = shapely.get_coordinates(ring)[:-1]
    start = int(np.argmax(((points - points.mean(axis=0)) ** 2).sum(axis=1)))
    points = np.roll(points, -start, axis=0)
    far = int(np.argmax(((points - points[0]) ** 2).sum(axis=1)))
    closed = np.vstack([points, points[:1]])
    halves = shapely.simplify(
        [shapely.LineString(closed[: far + 1]), shapely.LineString(closed[far:])], tolerance
    )
    return np.vstack([shapely.get_coordinates(half)[:-1] for half in halves])


def _dominant_direction(points: np.ndarray) -> float:
    """Radians: what the edges have in common modulo a quarter turn."""
    edges = np.roll(points, -1, axis=0) - points
    lengths, angles = np.hypot(*edges.T), np.arctan2(edges[:, 1], edges[:, 0])
    # Four times the angle makes directions a quarter turn apart the same; long edges say more.
    return float(np.angle((lengths**2 * np.exp(4j * angles)).sum()) / 4)


def _corners(points: np.ndarray) -> Optional[np.ndarray]:
    """Corners ``[m, 2]`` of a ring whose edges are set along the axes; None with fewer than four."""
    edges = np.roll(points, -1, axis=0) - points
    middles = points + edges / 2
    across = np.abs(edges[:, 0]) >= np.abs(edges[:, 1])
    changes = np.flatnonzero(across != np.roll(across, 1))
    if len(changes) < 4:
        return None
    # Begin where a run of edges of one direction begins.
    across, edges, middles = (np.roll(part, -changes[0], axis=0) for part in (across, edges, middles))
    run_of = np.cumsum(np.r_[0, across[1:] != across[:-1]])
    lengths = np.hypot(*edges.T)
    # An edge along x is a line of one y, and the other way round.
    places = np.where(across, middles[:, 1], middles[:, 0])
    lines = np.bincount(run_of, weights=places * lengths) / np.bincount(run_of, weights=lengths)
    following = np.roll(lines, -1)
    first_of_run = across[np.r_[True, across[1:] != across[:-1]]]
    return np.column_stack(
        [np.where(first_of_run, following, lines), np.where(first_of_run, lines, following)]
    )


def _is_alike(outline: shapely.Polygon, squared: shapely.Polygon) -> bool:
    if not squared.is_valid or abs(squared.area - outline.area) > MAX_AREA_CHANGE * outline.area:
        return False
    common = outline.intersection(squared).area
    return common >= MIN_OVERLAP * (outline.area + squared.area - common)
