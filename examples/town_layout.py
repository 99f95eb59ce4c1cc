"""Where things stand in a small made-up town: streets, a river, blocks and what fills them.

Everything is in metres, x to the east and y to the north, from the lower left corner.
"""

from __future__ import annotations

import math

import numpy as np
from shapely import STRtree, affinity, unary_union
from shapely.geometry import LineString, Point, Polygon
from shapely.geometry.base import BaseGeometry
from shapely.ops import polygonize
from town_things import House, Town, Tree, rectangle, wobble

#: How far things are laid out beyond the border, so that nothing ends there.
MARGIN = 60.0

#: What the blocks are used for, by area.
_SHARES = {"houses": 0.41, "field": 0.18, "park": 0.13, "flats": 0.11, "works": 0.09, "meadow": 0.08}


def plan_town(width: float, height: float, seed: int) -> Town:
    """Lay out a town of ``width`` x ``height`` metres; the same seed gives the same town."""
    return _Planner(Town(width, height), np.random.default_rng(seed)).run()


class _Planner:
    """Fills a town, from the ground up."""

    def __init__(self, town: Town, rng: np.random.Generator) -> None:
        self._town, self._rng = town, rng
        self._ground = town.extent.buffer(MARGIN, join_style="mitre")
        self._yards: list[BaseGeometry] = []
        self._water: list[BaseGeometry] = []

    def run(self) -> Town:
        """The finished town."""
        town = self._town
        self._dig_river()
        streets = self._lay_streets()
        built_up = unary_union([streets, self._water[0].buffer(7)])
        blocks = [block.difference(built_up) for block in polygonize(unary_union(self._lines).geoms)]
        pieces = [piece for block in blocks for piece in getattr(block, "geoms", [block])]
        self._fill([piece for piece in pieces if piece.area > 200])
        self._plant_along_streets()
        self._plant_along_river()
        town.roads = unary_union([streets, *self._yards])
        town.water = unary_union(self._water)
        town.fields = [(area, direction) for area, direction in town.fields if not area.is_empty]
        self._thin_out_trees()
        return town

    # The ground

    def _dig_river(self) -> None:
        rng, town = self._rng, self._town
        level, swing = rng.uniform(0.2, 0.8) * town.height, rng.uniform(12, 30)
        length, phase = rng.uniform(160, 260), rng.uniform(0, 2 * math.pi)
        x = np.arange(-MARGIN - 40, town.width + MARGIN + 40, 4.0)
        slope = rng.uniform(-0.25, 0.25)
        y = level + slope * (x - town.width / 2) + swing * np.sin(x / length * 2 * math.pi + phase)
        self._river = LineString(np.column_stack([x, y]))
        left = self._river.buffer(rng.uniform(7, 10), single_sided=True)
        wobble = [
            Point(p).buffer(rng.uniform(8, 13)) for p in zip(x[::3], y[::3] + rng.normal(0, 1.5, len(x[::3])))
        ]
        self._water.append(unary_union([left, self._river.buffer(8), *wobble]).buffer(3).buffer(-3))

    def _lay_streets(self) -> BaseGeometry:
        rng, town = self._rng, self._town
        reach = math.hypot(town.width, town.height) / 2 + MARGIN + 80
        angle, centre = rng.uniform(-0.35, 0.35), (town.width / 2, town.height / 2)
        bend, length = rng.uniform(4, 9), rng.uniform(150, 240)
        self._lines: list[LineString] = [self._ground.exterior]
        paved = []
        for turn in (0.0, math.pi / 2):
            position, count = -reach, 0
            while position < reach:
                along = np.arange(-reach, reach, 6.0)
                across = position + bend * np.sin(along / length * 2 * math.pi + turn)
                line = LineString(np.column_stack([along, across]))
                line = affinity.rotate(line, math.degrees(turn + angle), origin=(0, 0))
                line = affinity.translate(line, *centre).intersection(self._ground)
                is_main = count % 3 == 1
                carriageway = 8.5 if is_main else 5.5
                if line.geom_type == "LineString" and line.length > 40:
                    self._lines.append(line)
                    town.centrelines.append((line, carriageway))
                    paved.append(line.buffer(carriageway / 2 + (2.2 if is_main else 1.3), cap_style="flat"))
                position += rng.uniform(58, 96)
                count += 1
        return unary_union(paved)

    # The blocks

    def _fill(self, blocks: list[Polygon]) -> None:
        """Give each block a use, so that every use gets its share of the blocks in sight."""
        self._rng.shuffle(blocks)
        blocks.sort(key=lambda block: not block.intersects(self._town.extent))
        shares = dict(_SHARES)
        given = dict.fromkeys(shares, 0.0)
        for block in blocks:
            # The one that lags furthest behind its share.
            use = min(shares, key=lambda name: given[name] / shares[name])
            given[use] += block.intersection(self._town.extent).area + 1
            getattr(self, f"_fill_with_{use}")(block)

    def _fill_with_houses(self, block: Polygon) -> None:
        rng = self._rng
        for x, y, angle in self._along(block, inset=rng.uniform(9, 12), step=rng.uniform(15, 19)):
            if rng.random() < 0.1:
                continue
            length, depth = rng.uniform(9.5, 14), rng.uniform(7.5, 10)
            turned = angle + (math.pi / 2 if rng.random() < 0.3 else 0)
            roof = str(rng.choice(["gable", "hip", "flat"], p=[0.62, 0.26, 0.12]))
            if self._build(block, (x, y), length, depth, turned, roof, rng.uniform(4, 6)):
                out = 7.5 + rng.uniform(0, 2)
                shed = (x + out * math.cos(angle), y + out * math.sin(angle))
                if rng.random() < 0.3:
                    self._build(block, shed, 4.5, 3.2, angle, "flat", 2.5)
        self._scatter_trees(block, 0.006, (1.4, 3.4))
        if rng.random() < 0.3:
            spot = self._spot_in(block)
            if spot is not None:
                self._town.fields.append((rectangle(spot, 9, 6, 0.3), None))

    def _fill_with_flats(self, block: Polygon) -> None:
        rng = self._rng
        for x, y, angle in self._along(block, inset=15, step=rng.uniform(44, 54)):
            length, depth = rng.uniform(26, 38), rng.uniform(11, 13)
            self._build(block, (x, y), length, depth, angle, "flat", rng.uniform(9, 15))
        inner = block.buffer(-24)
        if not inner.is_empty:
            self._yards.append(inner.intersection(block).buffer(4).buffer(-2))
        self._scatter_trees(block, 0.004, (1.8, 3.6))

    def _fill_with_works(self, block: Polygon) -> None:
        rng = self._rng
        before = len(self._town.houses)
        yard, places = block.buffer(-3), self._along(block, inset=19, step=rng.uniform(34, 46))
        for x, y, angle in places:
            length, depth = rng.uniform(22, 40), rng.uniform(15, 22)
            roof = str(rng.choice(["metal", "flat"]))
            self._build(yard, (x, y), length, depth, angle, roof, rng.uniform(6, 10))
        if len(self._town.houses) == before:  # no room for a hall
            self._fill_with_meadow(block)
            return
        self._yards.append(block.buffer(-2.0))
        spot = self._spot_in(block)
        if spot is not None:
            heap = Point(spot).buffer(rng.uniform(6, 12)).intersection(block.buffer(-4))
            self._town.fields.append((wobble(heap, rng), None))

    def _fill_with_park(self, block: Polygon) -> None:
        rng = self._rng
        spot = self._spot_in(block.buffer(-16))
        if spot is not None:
            pond = affinity.scale(Point(spot).buffer(rng.uniform(9, 15), quad_segs=4), 1.4, 0.9)
            pond = wobble(pond, rng, 1.4).buffer(3).buffer(-5).buffer(2)
            self._water.append(affinity.rotate(pond, rng.uniform(0, 180)).intersection(block.buffer(-4)))
        corners = list(block.minimum_rotated_rectangle.exterior.coords)
        path = LineString([corners[0], block.centroid.coords[0], corners[2]])
        self._town.fields.append((path.buffer(1.6).intersection(block), None))
        for _ in range(max(2, int(block.area / 700))):
            spot = self._spot_in(block)
            if spot is not None:
                grove = Point(spot).buffer(rng.uniform(8, 18)).intersection(block)
                self._scatter_trees(grove, 0.03, (2.2, 5.0))
        self._scatter_trees(block, 0.003, (2, 4.5))

    def _fill_with_field(self, block: Polygon) -> None:
        rng = self._rng
        ground = block.buffer(-1.5)
        if not ground.is_empty:
            long_side = ground.minimum_rotated_rectangle.exterior.coords
            (ax, ay), (bx, by) = long_side[0], long_side[1]
            self._town.fields.append((ground, math.atan2(by - ay, bx - ax)))
        if rng.random() < 0.4:
            self._scatter_trees(block.difference(block.buffer(-5)), 0.01, (1.6, 3.2))

    def _fill_with_meadow(self, block: Polygon) -> None:
        self._scatter_trees(block, 0.0012, (2, 5))

    # What stands in them

    def _along(self, block: Polygon, inset: float, step: float) -> list[tuple[float, float, float]]:
        """Places along the block's edge, ``inset`` from it, with the direction of the edge there."""
        ring = block.buffer(-inset)
        if ring.is_empty or ring.geom_type != "Polygon":
            return []
        line, places = ring.exterior.simplify(0.5), []
        for distance in np.arange(step / 2, line.length, step):
            before, after = line.interpolate(distance - 1), line.interpolate(distance + 1)
            here = line.interpolate(distance)
            places.append((here.x, here.y, math.atan2(after.y - before.y, after.x - before.x)))
        return places

    def _build(
        self,
        block: Polygon,
        centre: tuple[float, float],
        length: float,
        depth: float,
        angle: float,
        roof: str,
        height: float,
    ) -> bool:
        footprint = rectangle(centre, length, depth, angle)
        room = footprint.buffer(1.6)
        neighbours = (house.footprint for house in self._town.houses)
        if not block.contains(footprint) or any(room.intersects(other) for other in neighbours):
            return False
        ridge = angle if length >= depth else angle + math.pi / 2
        self._town.houses.append(House(footprint, ridge, roof, height))
        return True

    def _spot_in(self, area: BaseGeometry) -> tuple[float, float] | None:
        if area.is_empty:
            return None
        west, south, east, north = area.bounds
        for _ in range(20):
            x, y = self._rng.uniform(west, east), self._rng.uniform(south, north)
            if area.contains(Point(x, y)):
                return x, y
        return None

    def _scatter_trees(self, area: BaseGeometry, per_metre: float, radii: tuple[float, float]) -> None:
        for _ in range(self._rng.poisson(area.area * per_metre)):
            spot = self._spot_in(area)
            if spot is not None:
                self._plant(spot, self._rng.uniform(*radii))

    def _plant(self, spot: tuple[float, float], radius: float) -> None:
        crown = wobble(Point(spot).buffer(radius, quad_segs=5), self._rng, radius * 0.09)
        self._town.trees.append(Tree(crown, spot, radius))

    def _plant_along_streets(self) -> None:
        for line, carriageway in self._town.centrelines:
            if carriageway < 8 or self._rng.random() < 0.3:
                continue
            for side in (-1, 1):
                row = line.offset_curve(side * (carriageway / 2 + 2.4))
                for distance in np.arange(5, row.length, self._rng.uniform(10, 15)):
                    if self._rng.random() < 0.75:
                        here = row.interpolate(distance)
                        self._plant((here.x, here.y), self._rng.uniform(1.6, 2.6))

    def _plant_along_river(self) -> None:
        bank = self._water[0].buffer(6).difference(self._water[0].buffer(1.5))
        self._scatter_trees(bank, 0.012, (1.8, 4.2))

    def _thin_out_trees(self) -> None:
        """Take out trees that stand in houses, in water, in the middle of a street, or out of sight."""
        town = self._town
        lanes = [line.buffer(width / 2 - 0.5) for line, width in town.centrelines]
        footprints = [house.footprint.buffer(0.8) for house in town.houses]
        taken = STRtree([*footprints, *lanes, town.water, *self._yards])
        seen = town.extent.buffer(8)
        town.trees = [
            tree
            for tree in town.trees
            if seen.contains(Point(tree.centre)) and not len(taken.query(Point(tree.centre), "intersects"))
        ]
