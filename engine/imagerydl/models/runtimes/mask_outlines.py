"""Outlines of masks that are mixed from prototypes."""

from __future__ import annotations

import numpy as np
import shapely

from ...imagery.resizing import resize_linear
from .detection import outlines


def prototype_outlines(
    prototypes: np.ndarray, numbers: np.ndarray, boxes: np.ndarray, tile: tuple[int, int]
) -> np.ndarray:
    """The outlines of masks that are mixed from prototypes, each within its box.

    Args:
        prototypes: ``[m, h, w]``, of a coarser resolution than the tile.
        numbers: Share of each prototype in each mask ``[n, m]``.
        boxes: ``[n, 4]`` in pixels of the tile.
        tile: (height, width).

    Returns:
        Polygons ``[n]`` in pixels of the tile, of several parts where the mask has them; empty for an empty
        mask.
    """
    result = np.empty(len(boxes), dtype=object)
    coarse = np.tensordot(numbers.astype(np.float32), prototypes.astype(np.float32), axes=1)
    for place, (logits, box) in enumerate(zip(coarse, boxes)):
        left, top = np.clip(np.floor(box[:2]), 0, tile[::-1]).astype(int)
        right, bottom = np.clip(np.ceil(box[2:]), 0, tile[::-1]).astype(int)
        mask = resize_linear(logits, tile, (left, top, right, bottom)) > 0
        (outline,) = outlines(mask[np.newaxis])
        result[place] = _moved(outline, (left, top))
    return result


def _moved(outline: shapely.Geometry, origin: tuple[int, int]) -> shapely.Geometry:
    return shapely.transform(outline, lambda points: points + origin)
