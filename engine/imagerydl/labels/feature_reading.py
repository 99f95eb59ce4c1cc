"""Reads a vector layer as labels: features, classes, areas around what has none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Optional

import numpy as np

from ..errors import DataError
from ..imagery.grid import Grid
from .buffering import buffered_layer, check_radius
from .classes import ClassSchema
from .coordinates import transform_box
from .features import FeatureLabels
from .fields import choose_field, class_column, described_classes
from .geometry import LayerFile, Placed
from .packed import PackedGeometries

#: Features from which on only those near the imagery are read.
_LARGE_LAYER = 100_000


def read_features(
    path: str,
    field: Optional[str] = None,
    schema: Optional[ClassSchema] = None,
    say: Callable[[str], None] = lambda text: None,
    buffer_radius: Optional[float] = None,
    grids: Sequence[Grid] = (),
) -> FeatureLabels:
    """The features of a vector layer.

    Of a large layer those far from all imagery are not read; classes are those of the whole layer.

    Args:
        path: File, or ``path|layername=NAME``.
        field: Class field; None for ``value`` or ``classvalue``, else all features are class 1.
        schema: Names and colours of classes, and values of named ones.
        say: Receives what the user should know.
        buffer_radius: Makes areas of points and lines; in units of the layer's system.
        grids: Where the labels will be looked at; empty for everywhere.

    Raises:
        ParameterError: If the layer has no such field, or the radius is not above 0.
        DataError: If the layer cannot be read, or holds no usable label.
    """
    if buffer_radius is not None:
        check_radius(buffer_radius)
    layer = LayerFile(path)
    name = layer.name
    chosen = choose_field(layer.fields, field, name)
    within = _surroundings(layer, grids, buffer_radius or 0) if layer.count > _LARGE_LAYER else None
    geometries = _near(layer, within)
    if chosen and within is not None:
        # Values of named classes must not depend on where the imagery lies.
        cells, places = layer.read_whole_field(chosen)
        assigned = class_column(cells, chosen, len(cells), schema, name)
        assigned = replace(assigned, values=assigned.values[places])
    else:
        column = layer.read_field(chosen) if chosen else None
        assigned = class_column(column, chosen, len(geometries), schema, name)
    keep = assigned.values >= 0
    if not keep.any():
        raise DataError(
            f"Every feature of {name} has an empty {chosen!r}.", "Fill it in, or name another field."
        )
    for text in (*layer.notes, *_empty_note(name, chosen, int((~keep).sum()))):
        say(text)
    geometries, values, classes = geometries.select(keep), assigned.values[keep], assigned.classes
    if chosen and schema is None:
        classes = described_classes(
            classes, values, layer.fields, lambda other: layer.read_field(other)[keep], say
        )
    if buffer_radius is not None:
        geometries = buffered_layer(geometries, buffer_radius, layer, say)
    return FeatureLabels(geometries, values, classes, layer.crs, name, say)


def _near(layer: LayerFile, within: Optional[tuple[float, float, float, float]]) -> PackedGeometries:
    """The features in a box; all where there is no box, or nothing in it."""
    if within is not None:
        try:
            return PackedGeometries(layer.geometries(within))
        except DataError:
            pass  # nothing lies there: the whole layer tells where it lies instead
    return PackedGeometries(layer.geometries())


def _surroundings(
    layer: Placed, grids: Sequence[Grid], margin: float
) -> Optional[tuple[float, float, float, float]]:
    """A box around all grids in the layer's system, with room to spare; None where that is not known."""
    if not grids or layer.crs is None or any(grid.crs is None for grid in grids):
        return None
    boxes = np.array(
        [
            grid.bounds if grid.crs == layer.crs else transform_box(grid.crs, layer.crs, grid.bounds)
            for grid in grids
        ]
    )
    if not np.isfinite(boxes).all():
        return None
    low, high = boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)
    # Turned chips and the curvature of other systems reach over the edge.
    room = 0.05 * (high - low) + margin
    return (*(low - room).tolist(), *(high + room).tolist())


def _empty_note(name: str, field: str, count: int) -> tuple[str, ...]:
    return (f"{count} features of {name} with an empty {field!r} were left out.",) if count else ()
