"""Objects across the seams of tiles: each comes once, and whole.

Neighbouring tiles see the same ground along their common border, and most objects there twice or more. Of
an object that lies whole within several tiles, the one counts whose counted part (the tile without its
padding) holds its centre. An object that a border cuts is known whole from another tile, or, where it is
larger than what tiles share, only in parts: parts of one class that agree where both tiles look are one
object.

Tiles are taken row by row. What no later tile can see any more is given out at the end of a row, so memory
holds the objects of a few rows of tiles. What is given out depends on the tiles alone: not on the order in
which those of a row arrive.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Union

import numpy as np
import shapely

from ...labels.overlap import Polygons, overlaps_of
from .found import Objects
from .linking import linked_groups

#: Intersection over union from which on two whole objects of different tiles are the same one, and two
#: parts of one agree where both tiles look.
SAME = 0.5

#: Share of a part from which on an object that is known whole covers it.
COVERED = 0.5

#: How close to a tile's border an object is taken to be cut by it: pixels, and a share of its side, since
#: networks place the border of a cut object no better than that.
_REACH, _REACH_SHARE = 2.0, 0.05

#: How far beyond the counted part a centre may lie for an object to stand in where the tile that the centre
#: belongs to places it on the other side of the seam.
_SLACK, _SLACK_SHARE = 2.0, 0.1

#: Pixels that tiles must share for the shapes of parts to be compared there; otherwise their bounds are.
_COMPARABLE = 8.0

_OWNED, _SPARE, _PART = 0, 1, 2


@dataclass(frozen=True)
class TileFrame:
    """A tile on its raster; boxes are left, top, right, bottom in pixels of the raster.

    Attributes:
        row: Tile row.
        column: Tile column.
        seen: What the tile shows, cut to the raster.
        counted: The part whose objects are the tile's own; the counted parts of all tiles fill the raster.
        raster: The whole raster.
    """

    row: int
    column: int
    seen: tuple[float, float, float, float]
    counted: tuple[float, float, float, float]
    raster: tuple[float, float, float, float]


@dataclass(frozen=True)
class _Held:
    """Objects with what joining them needs, columns of one length."""

    objects: Objects
    kinds: np.ndarray
    seen: np.ndarray  # [n, 4] of their tiles
    snapped: np.ndarray  # [n, 4] bounds, those of parts drawn out to the borders that cut them
    is_own: np.ndarray  # whether their centre lies in the counted part of their tile

    def __len__(self) -> int:
        return len(self.objects)

    def take(self, which: np.ndarray) -> _Held:
        return _Held(
            self.objects.take(which),
            self.kinds[which],
            self.seen[which],
            self.snapped[which],
            self.is_own[which],
        )

    @classmethod
    def joined(cls, parts: list[_Held]) -> _Held:
        return cls(
            Objects.joined([part.objects for part in parts]),
            np.concatenate([part.kinds for part in parts]),
            np.concatenate([part.seen for part in parts]),
            np.concatenate([part.snapped for part in parts]),
            np.concatenate([part.is_own for part in parts]),
        )


class SeamMerger:
    """Takes the objects of tiles, row by row, and gives each object once.

    Args:
        joins: Whether objects of several tiles are joined at all; otherwise everything found comes out.
    """

    def __init__(self, joins: bool = True) -> None:
        self._joins = joins
        self._held: list[_Held] = []
        self.watermark = 0.0

    def add(self, tile: TileFrame, objects: Objects) -> None:
        """Take the objects of a tile of the current row; they may reach beyond it."""
        within = _cut_to(objects, tile.seen)
        if len(within):
            held = _sorted_out(tile, within) if self._joins else _all(tile, within)
            if len(held):
                self._held.append(held)

    def finish_row(self, next_top: float) -> Objects:
        """The objects that no later tile can see, once a row of tiles is complete.

        :attr:`watermark` is set to a row above which nothing will be given out any more.

        Args:
            next_top: First pixel row that the next row of tiles shows; infinity behind the last one.
        """
        if not self._held:
            self.watermark = next_top
            return Objects.none()
        held = _Held.joined(self._held)
        held = held.take(_by_origin(held.objects))
        # Parts drawn out, and borders as unsure as the comparisons take them.
        boxes = held.objects.boxes
        reach = np.maximum(_REACH, _REACH_SHARE * (boxes[:, 3] - boxes[:, 1]))
        is_open = np.maximum(held.snapped[:, 3], boxes[:, 3]) + reach >= next_top
        if self._joins:
            result, waiting = _joined(held, is_open)
        else:
            result, waiting = held.objects.take(~is_open), is_open
        left = held.take(waiting)
        self._held = [left] if len(left) else []
        tops = [next_top, *left.objects.boxes[:, 1].tolist()] if len(left) else [next_top]
        self.watermark = min(tops)
        return result.in_order()


def _by_origin(objects: Objects) -> np.ndarray:
    return np.lexsort(objects.origins.T[::-1])


def _cut_to(objects: Objects, seen: tuple[float, float, float, float]) -> Objects:
    """Objects without what lies outside a tile; those that have nothing inside are left out."""
    boxes = objects.boxes
    left, top, right, bottom = seen
    beyond = (boxes[:, 0] < left) | (boxes[:, 1] < top) | (boxes[:, 2] > right) | (boxes[:, 3] > bottom)
    shapes = objects.shapes
    if beyond.any():
        shapes = shapes.copy()
        are_boxes = beyond & Polygons(shapes).are_boxes
        low, high = np.maximum(boxes[:, :2], seen[:2]), np.minimum(boxes[:, 2:], seen[2:])
        empty = (high <= low).any(axis=1)
        plain = are_boxes & ~empty
        shapes[plain] = shapely.box(*low[plain].T, *high[plain].T)
        odd = beyond & ~are_boxes & ~empty
        shapes[odd] = shapely.intersection(shapely.make_valid(shapes[odd]), shapely.box(*seen))
        shapes[beyond & empty] = shapely.Polygon()
    there = shapely.area(shapes) > 0
    return Objects(shapes, objects.scores, objects.classes, objects.origins).take(there)


def _sorted_out(tile: TileFrame, objects: Objects) -> _Held:
    """Which objects are the tile's own, which stand in, which are parts; the rest is left to other tiles."""
    boxes = objects.boxes
    seen, raster, counted = (np.array(box) for box in (tile.seen, tile.raster, tile.counted))
    sides = boxes[:, 2:] - boxes[:, :2]
    reach = np.maximum(_REACH, _REACH_SHARE * sides)
    inner = seen != raster  # borders of the tile with imagery behind them
    near = np.hstack([boxes[:, :2] - seen[:2] <= reach, seen[2:] - boxes[:, 2:] <= reach]) & inner
    is_cut = near.any(axis=1)
    snapped = np.where(near, seen, boxes)
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    is_own = _inside(centres, counted, 0.0)
    slack = np.maximum(_SLACK, _SLACK_SHARE * sides)
    kinds = np.where(is_cut, _PART, np.where(is_own, _OWNED, _SPARE))
    kept = is_cut | is_own | _inside(centres, counted, slack)
    held = _Held(objects, kinds, np.tile(seen, (len(boxes), 1)), snapped, is_own)
    return held.take(kept)


def _inside(points: np.ndarray, box: np.ndarray, slack: Union[np.ndarray, float]) -> np.ndarray:
    return ((points >= box[:2] - slack) & (points < box[2:] + slack)).all(axis=1)


def _all(tile: TileFrame, objects: Objects) -> _Held:
    count = len(objects)
    boxes = objects.boxes
    return _Held(
        objects, np.zeros(count, int), np.tile(tile.seen, (count, 1)), boxes, np.ones(count, dtype=bool)
    )


def _joined(held: _Held, is_open: np.ndarray) -> tuple[Objects, np.ndarray]:
    """The objects that are complete, and which of those held have to wait, bool ``[n]``.

    Whatever could still change waits: an object that a later tile may see, and all that one could change,
    directly or through others.
    """
    pairs = []
    twins = _twins(held)
    stays = _first_of_twins(held, twins)
    covers, covered = _coverings(held)
    pairs += [twins, np.column_stack([covers, covered])]
    is_part = held.kinds == _PART
    is_lone = is_part.copy()
    is_lone[covered[stays[covers]]] = False
    links = _links(held, np.flatnonzero(is_part))
    pairs.append(links)
    groups = linked_groups(len(held), np.concatenate(pairs))
    waiting = np.isin(groups, groups[is_open])
    result = [held.objects.take(~is_part & stays & ~waiting)]
    left = is_lone & ~waiting
    links = links[left[links].all(axis=1)]
    result.append(_united(held, np.flatnonzero(left), links))
    return Objects.joined(result), waiting


def _different_tiles(held: _Held, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    origins, classes = held.objects.origins, held.objects.classes
    return (origins[left, :2] != origins[right, :2]).any(axis=1) & (classes[left] == classes[right])


def _twins(held: _Held) -> np.ndarray:
    """Pairs of whole objects of different tiles that are the same one ``[k, 2]``."""
    whole = np.flatnonzero(held.kinds != _PART)
    found = [np.empty((0, 2), np.intp)]
    for left, right, _ in overlaps_of(Polygons(held.objects.shapes[whole]), at_least=SAME):
        pair = whole[left], whole[right]
        found.append(np.column_stack(pair)[_different_tiles(held, *pair)])
    return np.concatenate(found)


def _first_of_twins(held: _Held, twins: np.ndarray) -> np.ndarray:
    """Which objects stay, bool ``[n]``: of twins the tile's own, then the surer, then the first."""
    order = np.lexsort((_ranks(held.objects.origins), -held.objects.scores, held.kinds))
    ranks = np.empty(len(held), np.intp)
    ranks[order] = np.arange(len(held))
    stays = np.ones(len(held), dtype=bool)
    first = np.where(ranks[twins[:, 0]] < ranks[twins[:, 1]], twins[:, 0], twins[:, 1])
    second = twins.sum(axis=1) - first
    for high, low in sorted(zip(first.tolist(), second.tolist()), key=lambda pair: ranks[pair[0]]):
        if stays[high]:
            stays[low] = False
    return stays


def _ranks(origins: np.ndarray) -> np.ndarray:
    ranks = np.empty(len(origins), np.intp)
    ranks[np.lexsort(origins.T[::-1])] = np.arange(len(origins))
    return ranks


def _coverings(held: _Held) -> tuple[np.ndarray, np.ndarray]:
    """Whole objects and the parts they cover, as positions ``[k]``, ``[k]``.

    A tile that shows no more than the rim of an object places that as well as any other border: a rim
    counts as covered by what comes close enough.
    """
    whole, parts = np.flatnonzero(held.kinds != _PART), np.flatnonzero(held.kinds == _PART)
    covers, covered = [np.empty(0, np.intp)], [np.empty(0, np.intp)]
    one, other = Polygons(_grown(held.objects.shapes[whole])), Polygons(held.objects.shapes[parts])
    for left, right, iou in overlaps_of(one, other):
        shared = iou * (one.areas[left] + other.areas[right]) / (1 + iou)
        pair = whole[left], parts[right]
        enough = (shared >= COVERED * other.areas[right]) & _different_tiles(held, *pair)
        covers.append(pair[0][enough])
        covered.append(pair[1][enough])
    return np.concatenate(covers), np.concatenate(covered)


def _grown(shapes: np.ndarray) -> np.ndarray:
    """Shapes and what lies around them as closely as networks place a border."""
    polygons = Polygons(shapes)
    sides = polygons.boxes[:, 2:] - polygons.boxes[:, :2]
    reach = np.maximum(_REACH, _REACH_SHARE * sides)
    result = shapely.box(*np.hstack([polygons.boxes[:, :2] - reach, polygons.boxes[:, 2:] + reach]).T)
    odd = ~polygons.are_boxes
    result[odd] = shapely.buffer(shapes[odd], reach[odd].min(axis=1), quad_segs=2)
    return result


def _links(held: _Held, parts: np.ndarray) -> np.ndarray:
    """Pairs of parts of one object ``[k, 2]``: they agree where the tiles of both look."""
    if len(parts) < 2:
        return np.empty((0, 2), np.intp)
    # Where tiles only touch, a pixel on either side is where both look.
    grown = held.snapped[parts] + (-1, -1, 1, 1)
    shapes = shapely.box(*grown.T)
    left, right = shapely.STRtree(shapes).query(shapes)
    once = left < right
    left, right = left[once], right[once]
    different = _different_tiles(held, parts[left], parts[right])
    # Neighbours suffice: the tiles that see an object lie side by side.
    tiles = held.objects.origins[parts, :2]
    different &= (np.abs(tiles[left] - tiles[right]) <= 1).all(axis=1)
    left, right = left[different], right[different]
    seen = held.seen[parts] + (-1, -1, 1, 1)
    low = np.maximum(seen[left, :2], seen[right, :2])
    high = np.minimum(seen[left, 2:], seen[right, 2:])
    common = (high > low).all(axis=1)
    left, right, low, high = left[common], right[common], low[common], high[common]
    agree = _agreement(_clipped(grown[left], low, high), _clipped(grown[right], low, high)) >= SAME
    left, right, low, high = left[agree], right[agree], low[agree], high[agree]
    pair = np.column_stack([parts[left], parts[right]])
    return pair[_shapes_agree(held, pair, low + 1, high - 1)]


def _clipped(boxes: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    return np.hstack([np.maximum(boxes[:, :2], low), np.minimum(boxes[:, 2:], high)])


def _agreement(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Intersection over union of boxes ``[n, 4]``, pair by pair; 0 for boxes turned inside out."""

    def area(boxes: np.ndarray) -> np.ndarray:
        return np.prod(np.clip(boxes[:, 2:] - boxes[:, :2], 0, None), axis=1)

    shared = area(_clipped(first, second[:, :2], second[:, 2:]))
    union = area(first) + area(second) - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)


def _shapes_agree(held: _Held, pairs: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Whether outlines agree, too, where there is room to tell; boxes have been compared already."""
    result = np.ones(len(pairs), dtype=bool)
    if not len(pairs):
        return result
    first, second = (held.objects.shapes[pairs[:, side]] for side in (0, 1))
    telling = ((high - low) >= _COMPARABLE).all(axis=1)
    telling &= ~(Polygons(first).are_boxes & Polygons(second).are_boxes)
    if telling.any():
        frames = shapely.box(*low[telling].T, *high[telling].T)
        one, other = (shapely.intersection(shapes[telling], frames) for shapes in (first, second))
        union = shapely.area(shapely.union(one, other))
        shared = shapely.area(shapely.intersection(one, other))
        result[telling] = shared >= SAME * np.maximum(union, 1e-9)
    return result


def _united(held: _Held, parts: np.ndarray, links: np.ndarray) -> Objects:
    """Parts as objects; one that no other tile goes on with counts where its centre is its tile's own."""
    if not len(parts):
        return Objects.none()
    place = np.full(len(held), -1)
    place[parts] = np.arange(len(parts))
    groups = linked_groups(len(parts), place[links])
    order = np.argsort(groups, kind="stable")
    members = np.split(parts[order], np.flatnonzero(np.diff(groups[order])) + 1)
    single = [own[0] for own in members if len(own) == 1]
    kept = np.array(single, dtype=np.intp)
    result = [held.objects.take(kept[held.is_own[kept]])]
    result += [_union(held.objects.take(own)) for own in members if len(own) > 1]
    return Objects.joined(result)


def _union(parts: Objects) -> Objects:
    """Parts as one object, as sure as the surest of them."""
    polygons = Polygons(parts.shapes)
    if polygons.are_boxes.all():
        shape = shapely.box(*shapely.total_bounds(parts.shapes))
    else:
        shape = shapely.union_all(shapely.make_valid(parts.shapes))
    first = parts.take(_by_origin(parts)[:1])
    shapes = np.empty(1, dtype=object)
    shapes[0] = shape
    return Objects(shapes, parts.scores.max(keepdims=True), first.classes, first.origins)
