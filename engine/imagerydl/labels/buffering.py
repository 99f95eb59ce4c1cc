"""Areas around points and lines, which have none of their own."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import shapely

from ..errors import ParameterError
from .geometry import Placed
from .packed import PackedGeometries

#: Segments of a quarter of a circle around a point: its area is exact to 0.04 %.
_QUARTER_CIRCLE = 32


def check_radius(radius: float) -> None:
    """Refuse a radius that makes no area.

    Raises:
        ParameterError: If it is not above 0.
    """
    if not radius > 0:
        raise ParameterError(f"BUFFER_RADIUS is {radius:g}.", "Give a radius above 0, or leave it out.")


def buffered(geometries: np.ndarray, radius: float) -> np.ndarray:
    """Points and lines ``[n]`` as areas; polygons stay as they are.

    In the system of the layer points become true circles.

    Raises:
        ParameterError: If the radius is not above 0.
    """
    check_radius(radius)
    thin = np.isin(shapely.get_dimensions(geometries), (0, 1))
    result = geometries.copy()
    result[thin] = shapely.buffer(geometries[thin], radius, quad_segs=_QUARTER_CIRCLE)
    return result


def buffered_layer(
    geometries: PackedGeometries, radius: float, layer: Placed, say: Callable[[str], None]
) -> PackedGeometries:
    """The features of a layer as areas; ``say`` receives what the user should know."""
    if (geometries.dimensions == 2).all():
        say(f"BUFFER_RADIUS is ignored: {layer.name} holds polygons only.")
        return geometries
    if layer.crs is not None and layer.crs.is_geographic:
        say(f"BUFFER_RADIUS of {radius:g} is in degrees, the unit of {layer.name}.")
    return geometries.mapped(lambda part: buffered(part, radius))
