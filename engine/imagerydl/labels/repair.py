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


def largest_dimension(geometry: shapely.Geometry) -> shapely.Geometry:
    """The areas of a collection that mixes them with lines and points; else its lines; else its points."""
    parts = shapely.get_parts(shapely.get_parts(geometry))  # a multi geometry inside a collection
    while (nested := shapely.get_type_id(parts) == shapely.GeometryType.GEOMETRYCOLLECTION).any():
        parts = shapely.get_parts(np.concatenate([parts[~nested], shapely.get_parts(parts[nested])]))
    dimensions = shapely.get_dimensions(parts)
    return shapely.union_all(parts[dimensions == dimensions.max(initial=-1)])


def _repair(geometry: shapely.Geometry) -> shapely.Geometry:
    """A valid geometry that covers what ``geometry`` covers, without slivers of lower dimension."""
    result = largest_dimension(shapely.make_valid(geometry))
    same = shapely.get_dimensions(result) == shapely.get_dimensions(geometry)
    return result if same else shapely.GeometryCollection()
