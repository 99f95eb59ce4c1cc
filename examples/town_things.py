"""What a made-up town consists of; metres, x to the east and y to the north."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from shapely import affinity
from shapely.geometry import LineString, MultiPolygon, Polygon, box
from shapely.geometry.base import BaseGeometry


@dataclass(frozen=True)
class House:
    """A building: a rectangle and what stands on it.

    Attributes:
        footprint: Its outline.
        angle: Direction of the ridge, radians from east.
        roof: "gable", "hip", "flat" or "metal".
        height: Of the eaves, in metres.
    """

    footprint: Polygon
    angle: float
    roof: str
    height: float


@dataclass(frozen=True)
class Tree:
    """A crown: a wobbly disc."""

    crown: Polygon
    centre: tuple[float, float]
    radius: float


@dataclass
class Town:
    """Everything in the town, and which ground belongs to what.

    Attributes:
        width: Extent to the east, metres.
        height: Extent to the north, metres.
        houses: Buildings.
        trees: Crowns.
        roads: Streets with their pavements, and paved yards.
        centrelines: Middle of the streets, with their carriageway's width.
        water: River and ponds.
        fields: Bare ground, each with the direction of its furrows (None: no furrows).
    """

    width: float
    height: float
    houses: list[House] = field(default_factory=list)
    trees: list[Tree] = field(default_factory=list)
    roads: BaseGeometry = field(default_factory=MultiPolygon)
    centrelines: list[tuple[LineString, float]] = field(default_factory=list)
    water: BaseGeometry = field(default_factory=MultiPolygon)
    fields: list[tuple[BaseGeometry, float | None]] = field(default_factory=list)

    @property
    def extent(self) -> Polygon:
        """What is shown."""
        return box(0, 0, self.width, self.height)


def rectangle(centre: tuple[float, float], length: float, depth: float, angle: float) -> Polygon:
    """A ``length`` x ``depth`` metre rectangle turned by ``angle`` radians."""
    x, y = centre
    flat = box(x - length / 2, y - depth / 2, x + length / 2, y + depth / 2)
    return affinity.rotate(flat, math.degrees(angle))


def wobble(shape: BaseGeometry, rng: np.random.Generator, amount: float = 0.8) -> BaseGeometry:
    """``shape`` with an outline nature would leave."""
    if shape.geom_type != "Polygon" or shape.is_empty:
        return shape
    outline = np.asarray(shape.exterior.coords)[:-1]
    return Polygon(outline + rng.normal(0, amount, outline.shape)).buffer(0)
