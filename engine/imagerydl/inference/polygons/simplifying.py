"""Borders of regions with fewer vertices, the same on both sides.

Where three or more regions meet, and at the corners of the raster, vertices stay: nodes. A piece of
border between two nodes depends on nothing but its own vertices and those near it, so each of the two
regions finds it for itself and both find the same: no gaps, no overlaps.

Douglas and Peucker, with one condition more: vertices are replaced by a straight edge only where no
other vertex of any border of the raster lies in their convex hull. Then no two edges cross. For what
an edge sweeps lies in that hull; another border could reach into it through the edge alone, and would
need a vertex inside to leave again; and if two new edges crossed, one border would reach into what the
other one's edge sweeps. Left are edges with the same ends: two pieces of border from one node to
another, both made straight, would be one edge and the region between them gone. Both keep a vertex
then, and so does each half of a border without nodes.

Held in memory: the vertices from the first row of the regions that are not written yet.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
import shapely
from affine import Affine

from .joining import Region

#: In place of a class value, where no region is: no class of 32 bits.
_NOTHING = -(2**40)

Found = tuple[Sequence[Region], np.ndarray]


class Simplifier:
    """Takes the regions of a raster as they are found and gives them back with simpler outlines.

    Args:
        width, height: Of the raster.
        place: From columns and rows to map coordinates.
        tolerance: How far a vertex may lie from the edge that replaces it, map units.
    """

    def __init__(self, width: int, height: int, place: Affine, tolerance: float) -> None:
        self._size = np.array([width, height])
        self._linear = np.array([[place.a, place.b], [place.d, place.e]])
        self._tolerance = tolerance
        # Rows a region can reach beyond an edge all of it lies within the tolerance of.
        self._reach = math.ceil(tolerance / np.linalg.svd(self._linear, compute_uv=False)[-1]) + 1
        self._row = 0
        self._last_row = np.full(width + 2, _NOTHING, dtype=np.int64)
        self._vertices, self._is_node = np.empty((0, 2)), np.empty(0, dtype=bool)
        # Pairs of nodes that are joined twice, about a region that must not vanish: its last row.
        self._lenses: dict[tuple[float, ...], float] = {}
        self._regions: list[Region] = []
        self._outlines = np.empty(0, dtype=object)

    def add(
        self, values: np.ndarray, chosen: np.ndarray, found: Found, first_open_row: float
    ) -> tuple[list[Region], np.ndarray, np.ndarray]:
        """Take the next rows and the regions that were complete with them.

        Args:
            values: Class values ``[rows, columns]``.
            chosen: Pixels that belong to a region.
            found: Regions in their order, and their outlines.
            first_open_row: First row of those that are not complete.

        Returns:
            Regions in their order, their outlines as they were, and simpler ones.
        """
        rows = np.full((len(values) + 1, len(self._last_row)), _NOTHING, dtype=np.int64)
        rows[0] = self._last_row
        rows[1:, 1:-1][chosen] = values[chosen]
        self._last_row = rows[-1]
        self._see(rows)
        self._row += len(values)
        self._wait(found)
        return self._released(self._row - self._reach, first_open_row)

    def finish(self, found: Found) -> tuple[list[Region], np.ndarray, np.ndarray]:
        """Take the last regions; returns all that are left, as :meth:`add` does."""
        self._see(np.vstack([self._last_row, np.full_like(self._last_row, _NOTHING)]))
        self._wait(found)
        return self._released(math.inf, math.inf)

    def _see(self, rows: np.ndarray) -> None:
        """Note the vertices of borders along all rows but the first."""
        a, b, c, d = rows[:-1, :-1], rows[:-1, 1:], rows[1:, :-1], rows[1:, 1:]
        above, right, below, left = a != b, b != d, c != d, a != c
        lines, columns = np.nonzero((above | below) & (left | right))
        degree = sum(side[lines, columns].astype(int) for side in (above, right, below, left))
        points = np.column_stack([columns, lines + self._row]).astype(float)
        at_corner = ((points == 0) | (points == self._size)).all(axis=1)
        self._vertices = np.vstack([self._vertices, points])
        self._is_node = np.r_[self._is_node, (degree > 2) | at_corner]

    def _wait(self, found: Found) -> None:
        regions, outlines = found
        if not len(regions):
            return
        self._regions += regions
        self._outlines = np.r_[self._outlines, outlines]
        plain = outlines[shapely.get_num_interior_rings(outlines) == 0]
        for ring, is_node in self._rings(shapely.get_exterior_ring(plain)):
            nodes = ring[:-1][is_node[:-1]]
            if len(nodes) == 2 and self._distances(ring, nodes[0], nodes[1]).max() <= self._tolerance:
                self._lenses[_pair(*nodes)] = float(ring[:, 1].max())

    def _released(
        self, last_row: float, first_open_row: float
    ) -> tuple[list[Region], np.ndarray, np.ndarray]:
        count = int((shapely.bounds(self._outlines)[:, 3] <= last_row).sum()) if self._regions else 0
        regions, self._regions = self._regions[:count], self._regions[count:]
        outlines, self._outlines = self._outlines[:count], self._outlines[count:]
        drawn = self._simplified(outlines) if count else outlines
        first_needed = min([first_open_row, *shapely.bounds(self._outlines)[:, 1]])
        needed = self._vertices[:, 1] >= first_needed
        self._vertices, self._is_node = self._vertices[needed], self._is_node[needed]
        self._lenses = {pair: row for pair, row in self._lenses.items() if row >= first_needed}
        return regions, outlines, drawn

    def _rings(self, rings: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Vertices ``[n, 2]`` of closed rings, those amid an edge among them; which are nodes."""
        points, ring_of = shapely.get_coordinates(rings, return_index=True)
        nodes = self._vertices[self._is_node]
        scale = float(self._size.max() + 2)
        # Along a row nodes follow each other by column, along a column by row.
        by_row = np.sort(nodes @ (1, scale))
        by_column = np.sort(nodes @ (scale, 1))
        step = np.zeros_like(points)
        step[:-1] = points[1:] - points[:-1]
        step[:-1][ring_of[1:] != ring_of[:-1]] = 0
        backward = step.sum(axis=1) < 0
        low, high = np.minimum(points, points + step), np.maximum(points, points + step)
        is_node = np.isin(points @ (1, scale), by_row)
        counts = np.zeros(len(points), dtype=np.int64)
        begins = np.zeros(len(points), dtype=np.int64)
        for axis, keys, weights in ((0, by_row, (1, scale)), (1, by_column, (scale, 1))):
            along = np.flatnonzero(step[:, axis])
            begins[along] = np.searchsorted(keys, low[along] @ weights, "right")
            counts[along] = np.searchsorted(keys, high[along] @ weights, "left") - begins[along]
        places = np.cumsum(counts + 1) - counts - 1
        full = np.repeat(points, counts + 1, axis=0)
        full_is_node = np.repeat(is_node, counts + 1)
        edge_of = np.repeat(np.arange(len(points)), counts)
        within = np.arange(len(edge_of)) - np.repeat(np.cumsum(counts) - counts, counts)
        rank = np.where(backward[edge_of], counts[edge_of] - 1 - within, within) + begins[edge_of]
        target = places[edge_of] + 1 + within
        flat = step[edge_of, 0] != 0
        full[target[flat], 0] = by_row[rank[flat]] % scale
        full[target[~flat], 1] = by_column[rank[~flat]] % scale
        full_is_node[target] = True
        ends = np.flatnonzero(np.diff(np.repeat(ring_of, counts + 1))) + 1
        yield from zip(np.split(full, ends), np.split(full_is_node, ends))

    def _simplified(self, outlines: np.ndarray) -> np.ndarray:
        rings, polygon_of = shapely.get_rings(outlines, return_index=True)
        arcs: list[np.ndarray] = []
        arcs_are_bent: list[bool] = []
        # For each arc the ring it belongs to, and whether it runs the other way there.
        ring_of: list[int] = []
        is_reversed: list[bool] = []
        for number, (ring, is_node) in enumerate(self._rings(rings)):
            for arc, is_bent in self._arcs(ring[:-1], is_node[:-1]):
                reverse = tuple(arc[0]) > tuple(arc[-1])
                arcs.append(arc[::-1] if reverse else arc)
                arcs_are_bent.append(is_bent)
                ring_of.append(number)
                is_reversed.append(reverse)
        is_bent = np.array(arcs_are_bent)
        kept = self._kept(arcs, is_bent)
        # What is left of a ring: each arc without its last vertex.
        left = np.bincount(ring_of, weights=[np.count_nonzero(keep) - 1 for keep in kept])
        if (left < 3).any():
            # A hole about no region, which nothing else has a border with.
            kept = self._kept(arcs, is_bent | (left < 3)[ring_of])
        points = [
            (arc[keep][::-1] if reverse else arc[keep])[:-1]
            for arc, keep, reverse in zip(arcs, kept, is_reversed)
        ]
        indices = np.repeat(ring_of, [len(part) for part in points])
        # Rings are closed where they are made.
        return shapely.polygons(shapely.linearrings(np.vstack(points), indices=indices), indices=polygon_of)

    def _arcs(self, ring: np.ndarray, is_node: np.ndarray) -> Iterator[tuple[np.ndarray, bool]]:
        """Pieces of a ring ``[n, 2]``, and whether each must keep a vertex between its ends."""
        cuts = np.flatnonzero(is_node)
        if len(cuts) < 2:
            # The vertex farthest from the node, or from the first one in reading order.
            start = cuts[0] if len(cuts) else np.lexsort((ring[:, 1], ring[:, 0]))[0]
            far = np.lexsort((ring[:, 1], ring[:, 0], -((ring - ring[start]) ** 2).sum(axis=1)))[0]
            cuts = np.sort([start, far])
            bent = [True, True]
        else:
            nodes = ring[cuts]
            bent = [_pair(*ends) in self._lenses for ends in zip(nodes, np.roll(nodes, -1, axis=0))]
        turned = np.vstack([ring[cuts[0] :], ring[: cuts[0] + 1]])
        bounds = [*(cuts - cuts[0]), len(ring)]
        for begin, end, is_bent in zip(bounds, bounds[1:], bent):
            yield turned[begin : end + 1], is_bent

    def _kept(self, arcs: Sequence[np.ndarray], is_bent: np.ndarray) -> list[np.ndarray]:
        """For each arc which of its vertices stay."""
        points = np.vstack(arcs)
        last = np.cumsum([len(arc) for arc in arcs]) - 1
        first = np.r_[0, last[:-1] + 1]
        keep = np.zeros(len(points), dtype=bool)
        keep[first] = keep[last] = True
        low, high = points[:, 1].min(), points[:, 1].max()
        near = self._vertices[(self._vertices[:, 1] >= low) & (self._vertices[:, 1] <= high)]
        tree = shapely.STRtree(shapely.points(near))
        begins, ends, is_refused = first, last, is_bent
        while True:
            inner = ends - begins > 1
            begins, ends, is_refused = begins[inner], ends[inner], is_refused[inner]
            if not len(begins):
                return np.split(keep, first[1:])
            which = np.repeat(np.arange(len(begins)), ends - begins - 1)
            offsets = np.cumsum(ends - begins - 1) - (ends - begins - 1)
            between = np.arange(len(which)) - offsets[which] + begins[which] + 1
            away = self._distances(points[between], points[begins[which]], points[ends[which]])
            farthest = np.maximum.reduceat(away, offsets)
            cuts = np.minimum.reduceat(np.where(away == farthest[which], between, len(points)), offsets)
            straight = ~is_refused & (farthest <= self._tolerance)
            candidates = np.flatnonzero(straight)
            straight[candidates] = _are_free(tree, points, begins[candidates], ends[candidates])
            begins, ends, cuts = begins[~straight], ends[~straight], cuts[~straight]
            keep[cuts] = True
            begins, ends = np.r_[begins, cuts], np.r_[cuts, ends]
            is_refused = np.zeros(len(begins), dtype=bool)

    def _distances(self, points: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
        """Between points ``[n, 2]`` and segments, in map units."""
        (ax, ay), (px, py) = self._in_map(ends - starts), self._in_map(points - starts)
        share = np.clip((px * ax + py * ay) / (ax * ax + ay * ay), 0, 1)
        return np.hypot(px - share * ax, py - share * ay)

    def _in_map(self, steps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        x, y = steps[..., 0], steps[..., 1]
        (a, b), (d, e) = self._linear
        return a * x + b * y, d * x + e * y


def _pair(one: np.ndarray, other: np.ndarray) -> tuple[float, ...]:
    low, high = sorted((tuple(one.tolist()), tuple(other.tolist())))
    return (*low, *high)


def _are_free(tree: shapely.STRtree, points: np.ndarray, begins: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Whether the hulls of ranges of vertices hold no vertices but those."""
    lengths = ends - begins + 1
    which = np.repeat(np.arange(len(begins)), lengths)
    own = np.arange(len(which)) - np.repeat(np.cumsum(lengths) - lengths, lengths) + begins[which]
    if not len(which):
        return np.zeros(0, dtype=bool)
    # Whole numbers: what lies on the edge of a hull is told exactly.
    hulls = shapely.convex_hull(shapely.linestrings(points[own], indices=which))
    found, _ = tree.query(hulls, predicate="intersects")
    return np.bincount(found, minlength=len(begins)) == lengths
