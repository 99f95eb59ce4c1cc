"""Valid geometries from invalid ones."""

from __future__ import annotations

import numpy as np
import shapely


def repaired(geometries: np.ndarray) -> np.ndarray:
    """The geometries ``[n]``, each valid: an invalid one becomes what it covers.

    One that covers nothing of its own dimension (a polygon folded to a line) becomes empty.
    """
    wrong = ~shapely.is_valid(geometries) & ~shapely.is_missing(geometries)
    if not wrong.any():
        return geometries
    result = geometries.copy()
    result[wrong] = [_repair(geometry) for geometry in geometries[wrong]]
    return result


def _repair(geometry: shapely.Geometry) -> shapely.Geometry:
    """A valid geometry that covers what ``geometry`` covers, without slivers of lower dimension."""
    dimensions = shapely.get_dimensions(geometry)
    parts = shapely.get_parts(shapely.make_valid(geometry))
    parts = shapely.get_parts(parts)  # a multi geometry inside a collection
    kept = parts[shapely.get_dimensions(parts) == dimensions]
    return shapely.union_all(kept) if len(kept) else shapely.GeometryCollection()
