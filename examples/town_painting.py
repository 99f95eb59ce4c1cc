"""What the made-up town looks like from above: colours, textures, roofs, shadows, noise."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
from affine import Affine
from rasterio.features import rasterize
from shapely import affinity, unary_union
from shapely.geometry.base import BaseGeometry
from town_things import House, Town

#: Where the sun stands: direction its light comes from (x, y), and how long shadows are.
SUN = (0.55, -0.83)
SHADOW_LENGTH = 0.85

_SHADE = np.array([0.42, 0.47, 0.58], np.float32)
_ROOFS = {
    "gable": [(168, 92, 70), (150, 80, 62), (136, 102, 84), (104, 98, 98), (178, 110, 82)],
    "hip": [(158, 86, 66), (120, 84, 72), (96, 94, 100), (172, 118, 92)],
    "flat": [(186, 184, 178), (158, 154, 150), (206, 202, 196), (128, 126, 128)],
    "metal": [(196, 202, 208), (120, 146, 170), (176, 180, 178)],
}
_CARS = [(225, 226, 228), (40, 42, 46), (150, 152, 156), (150, 36, 34), (36, 62, 120)]


class Painter:
    """Paints a town on a grid.

    Args:
        town: What to paint.
        cell_size: Metres a pixel.
        seed: Seed of everything random.
    """

    def __init__(self, town: Town, cell_size: float, seed: int) -> None:
        self._town, self._cell = town, cell_size
        self._rng = np.random.default_rng(seed + 1)
        self.shape = (round(town.height / cell_size), round(town.width / cell_size))
        #: Pixel (column, row) to metres.
        self.transform = Affine(cell_size, 0, 0, 0, -cell_size, town.height)
        self._picture = np.zeros((*self.shape, 3), np.float32)

    def paint(self) -> np.ndarray:
        """The picture, uint8 ``[height, width, 3]``."""
        self._paint_grass()
        self._paint_bare()
        self._paint_water()
        self._paint_roads()
        self._cast_shadows()
        self._paint_trees()
        for house in self._town.houses:
            self._paint_house(house)
        return self._develop()

    # Textures

    def _noise(self, metres: float) -> np.ndarray:
        """Smooth noise of about -1 to 1 whose blobs are ``metres`` wide."""
        weights = []
        for length in self.shape:
            count = max(2, math.ceil(length * self._cell / metres) + 2)
            position = (np.arange(length) + 0.5) * self._cell / metres
            left = np.minimum(position.astype(int), count - 2)
            share = position - left
            share = share * share * (3 - 2 * share)
            weight = np.zeros((length, count), np.float32)
            weight[np.arange(length), left] = 1 - share
            weight[np.arange(length), left + 1] = share
            weights.append(weight)
        grid = self._rng.normal(0, 0.6, (weights[0].shape[1], weights[1].shape[1])).astype(np.float32)
        return weights[0] @ grid @ weights[1].T

    def _grain(self, amount: float) -> np.ndarray:
        return self._rng.normal(0, amount, self.shape).astype(np.float32)

    def _window(self, area: BaseGeometry) -> tuple[slice, slice]:
        """Rows and columns of the pixels that ``area`` may touch."""
        west, south, east, north = area.bounds
        (left, top), (right, bottom) = ~self.transform @ (west, north), ~self.transform @ (east, south)
        return (
            slice(max(0, math.floor(top)), max(0, math.ceil(bottom))),
            slice(max(0, math.floor(left)), max(0, math.ceil(right))),
        )

    def _mask(self, shapes: BaseGeometry | Iterable[BaseGeometry]) -> np.ndarray:
        parts = [shapes] if isinstance(shapes, BaseGeometry) else list(shapes)
        parts = [part for part in parts if not part.is_empty]
        if not parts:
            return np.zeros(self.shape, bool)
        return rasterize(parts, self.shape, transform=self.transform).astype(bool)

    def _fill(self, mask: np.ndarray, colour: Sequence[float], texture: np.ndarray) -> None:
        self._picture[mask] = np.asarray(colour, np.float32) + texture[mask][:, None]

    # Ground

    def _paint_grass(self) -> None:
        dry = np.clip(0.42 + 0.45 * self._noise(45) + 0.25 * self._noise(12), 0, 1)[..., None]
        lush, straw = np.float32([82, 108, 58]), np.float32([132, 130, 82])
        self._picture[:] = lush + (straw - lush) * dry
        self._picture += (5 * self._noise(3) + 4 * self._noise(1) + self._grain(4))[..., None]

    def _paint_bare(self) -> None:
        soil = 9 * self._noise(20) + 6 * self._noise(3) + self._grain(5)
        browns = np.float32([(160, 132, 98), (138, 112, 84), (176, 152, 116), (150, 120, 100)])
        kinds = rasterize(
            ((area, number + 1) for number, (area, _) in enumerate(self._town.fields)),
            self.shape,
            transform=self.transform,
            dtype="int32",
        )
        for number, (area, direction) in enumerate(self._town.fields):
            window = self._window(area)
            mask, texture = kinds[window] == number + 1, soil[window]
            if direction is not None:
                rows, columns = np.indices(mask.shape, dtype=np.float32) * self._cell
                across = rows * math.cos(direction) + columns * math.sin(direction)
                texture = texture + 7 * np.sin(across * 2 * math.pi / self._rng.uniform(1.6, 2.6))
            colour = browns[self._rng.integers(len(browns))]
            self._picture[window][mask] = colour + texture[mask][:, None]

    def _paint_water(self) -> None:
        water = self._town.water
        ripples = 4 * self._noise(30) + 2 * self._noise(2.5) + self._grain(1.5)
        self._fill(self._mask(water), (92, 100, 84), ripples)
        self._fill(self._mask(water.buffer(-1.0)), (62, 86, 86), ripples)
        self._fill(self._mask(water.buffer(-3.0)), (44, 70, 80), ripples)

    def _paint_roads(self) -> None:
        town, worn = self._town, 5 * self._noise(25) + 3 * self._noise(4) + self._grain(3.5)
        self._fill(self._mask(town.roads), (150, 146, 140), worn)
        yards = town.roads.difference(unary_union([line.buffer(width) for line, width in town.centrelines]))
        self._fill(self._mask(yards), (128, 126, 124), worn)
        lanes = self._mask([line.buffer(width / 2) for line, width in town.centrelines])
        self._fill(lanes, (104, 104, 106), worn)
        dashes = []
        for line, width in town.centrelines:
            if width > 8:
                at = np.arange(0, line.length - 3, 7.5)
                dashes += [_cut(line, start, start + 3).buffer(0.16) for start in at]
        self._fill(self._mask(dashes), (206, 206, 202), self._grain(4))
        self._park_cars()

    def _park_cars(self) -> None:
        for line, width in self._town.centrelines:
            for distance in np.arange(6, line.length, 9.0):
                if self._rng.random() < 0.86:
                    continue
                side = self._rng.choice([-1, 1]) * (width / 4 if self._rng.random() < 0.5 else width / 2 - 1)
                here, ahead = line.interpolate(distance), line.interpolate(distance + 1)
                angle = math.atan2(ahead.y - here.y, ahead.x - here.x)
                x, y = here.x - side * math.sin(angle), here.y + side * math.cos(angle)
                u, v, window = self._local((x, y), angle, 3)
                car = (abs(u) < 2.1) & (abs(v) < 0.9)
                glass = car & (abs(u - 0.5) < 0.5)
                window[_shifted(car)] *= 0.6
                window[car] = _CARS[self._rng.integers(len(_CARS))]
                window[glass] *= 0.45

    # Light

    def _cast_shadows(self) -> None:
        shadows = []
        for house in self._town.houses:
            reach = house.height * SHADOW_LENGTH
            moved = affinity.translate(house.footprint, -SUN[0] * reach, -SUN[1] * reach)
            shadows.append(unary_union([house.footprint, moved]).convex_hull)
        for tree in self._town.trees:
            reach = tree.radius * 1.5 * SHADOW_LENGTH
            moved = affinity.translate(tree.crown, -SUN[0] * reach, -SUN[1] * reach)
            shadows.append(unary_union([tree.crown, moved]).convex_hull)
        strength = _blurred(self._mask(shadows).astype(np.float32))[..., None]
        self._picture *= 1 - strength * (1 - _SHADE)

    def _develop(self) -> np.ndarray:
        """What lens and sensor make of it."""
        picture = self._picture
        picture *= (1 + 0.04 * self._noise(180))[..., None]
        soft = np.stack([_blurred(picture[..., band]) for band in range(3)], axis=-1)
        picture = 0.35 * picture + 0.65 * soft
        picture += self._rng.normal(0, 2.2, picture.shape).astype(np.float32)
        return np.clip(picture * 1.04 + 4, 0, 255).astype(np.uint8)

    # Things

    def _local(
        self, centre: tuple[float, float], angle: float, reach: float, of: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Coordinates around a thing (along and across ``angle``, metres) and the picture there."""
        column, row = ~self.transform @ centre
        size = math.ceil(reach / self._cell) + 1
        rows = slice(max(0, int(row) - size), max(0, int(row) + size + 1))
        columns = slice(max(0, int(column) - size), max(0, int(column) + size + 1))
        window = (self._picture if of is None else of)[rows, columns]
        y = -(np.arange(window.shape[0]) + rows.start + 0.5 - row)[:, None] * self._cell
        x = (np.arange(window.shape[1]) + columns.start + 0.5 - column)[None, :] * self._cell
        cos, sin = math.cos(angle), math.sin(angle)
        return x * cos + y * sin, -x * sin + y * cos, window

    def _paint_house(self, house: House) -> None:
        rng = self._rng
        corners = np.asarray(house.footprint.exterior.coords)
        centre = tuple(corners[:-1].mean(axis=0))
        sides = np.hypot(*np.diff(corners[:3], axis=0).T)
        length, depth = max(sides) / 2, min(sides) / 2
        u, v, window = self._local(centre, house.angle, length + depth)
        inside = (abs(u) <= length) & (abs(v) <= depth)
        colour = np.float32(_ROOFS[house.roof][rng.integers(len(_ROOFS[house.roof]))]) + rng.normal(0, 9)
        colour += rng.normal(0, 2.5, 3)
        light = self._roof_light(house, u, v, length, depth)
        light = light + rng.normal(0, 0.025, u.shape)
        window[inside] = (colour * light[..., None].astype(np.float32))[inside]
        if house.roof in ("gable", "hip") and rng.random() < 0.7:
            chimney = (abs(u - rng.uniform(-0.5, 0.5) * length) < 0.45) & (abs(v - 0.25 * depth) < 0.45)
            window[chimney & inside] = (120, 90, 80)
        if house.roof == "flat" and length > 5:
            self._set_up_boxes(u, v, window, length, depth)

    def _set_up_boxes(
        self, u: np.ndarray, v: np.ndarray, window: np.ndarray, length: float, depth: float
    ) -> None:
        for _ in range(self._rng.integers(1, 5)):
            at = self._rng.uniform(-0.75, 0.75, 2) * (length, depth)
            size = self._rng.uniform(0.5, 1.3, 2)
            unit = (abs(u - at[0]) < size[0]) & (abs(v - at[1]) < size[1])
            window[_shifted(unit)] *= 0.7
            window[unit] = self._rng.choice([96, 150, 214])

    def _roof_light(
        self, house: House, u: np.ndarray, v: np.ndarray, length: float, depth: float
    ) -> np.ndarray:
        """How bright each point of the roof is: slopes that face the sun are bright."""
        along = (math.cos(house.angle), math.sin(house.angle))
        across = (-along[1], along[0])
        facing_v = SUN[0] * across[0] + SUN[1] * across[1]
        facing_u = SUN[0] * along[0] + SUN[1] * along[1]
        if house.roof == "flat":
            rim = np.maximum(abs(u) - length, abs(v) - depth) > -0.5
            return np.where(rim, 1.12, 1.0)
        if house.roof == "metal":
            return 1.0 + 0.05 * np.sign(np.sin(u * 2 * math.pi / 1.8)) + 0.08 * facing_v * np.sign(v)
        light = 1.0 + 0.26 * facing_v * np.sign(v)
        if house.roof == "hip":
            end = abs(u) - (length - depth) > abs(v)
            light = np.where(end, 1.0 + 0.26 * facing_u * np.sign(u), light)
        courses = 0.035 * np.sign(np.sin(v * 2 * math.pi / 0.9))
        return np.where(abs(v) < 0.25, 1.12, light + courses)

    def _paint_trees(self) -> None:
        crowns = rasterize(
            ((tree.crown, number + 1) for number, tree in enumerate(self._town.trees)),
            self.shape,
            transform=self.transform,
            dtype="int32",
        )
        for number, tree in enumerate(self._town.trees):
            u, v, window = self._local(tree.centre, 0.0, tree.radius * 1.3)
            inside = self._local(tree.centre, 0.0, tree.radius * 1.3, crowns)[2] == number + 1
            height = np.sqrt(np.clip(1 - (u**2 + v**2) / (tree.radius * 1.1) ** 2, 0.05, 1))
            facing = (u * SUN[0] + v * SUN[1]) / tree.radius
            light = 0.62 + 0.28 * height + 0.34 * facing + self._rng.normal(0, 0.11, u.shape)
            green = np.float32([66, 92, 46]) + self._rng.normal(0, 1, 3) * (10, 8, 5)
            window[inside] = (green * np.clip(light, 0.35, 1.5)[..., None])[inside]


def _cut(line: BaseGeometry, start: float, end: float) -> BaseGeometry:
    from shapely.ops import substring

    return substring(line, start, end)


def _shifted(mask: np.ndarray) -> np.ndarray:
    """Where a small thing's shadow falls: beside it, away from the sun."""
    return np.roll(mask, (-2, -1), axis=(0, 1)) & ~mask


def _blurred(band: np.ndarray) -> np.ndarray:
    """Softened by a quarter, a half, a quarter in both directions."""
    padded = np.pad(band, 1, mode="edge")
    rows = 0.25 * padded[:-2] + 0.5 * padded[1:-1] + 0.25 * padded[2:]
    return 0.25 * rows[:, :-2] + 0.5 * rows[:, 1:-1] + 0.25 * rows[:, 2:]
