"""Outlines of masks: from pixels of a tile to polygons."""

from __future__ import annotations

from typing import Optional

import numpy as np
import shapely
from affine import Affine
from rasterio.features import shapes as traced
from shapely.geometry import shape

from ...imagery.resizing import resize_linear


def outlines_of(masks: np.ndarray, origins: Optional[np.ndarray] = None) -> tuple[np.ndarray, np.ndarray]:
    """The outlines of masks.

    Args:
        masks: bool ``[n, h, w]``, or a sequence of ``[h, w]`` of several sizes.
        origins: Column and row of each mask's first pixel ``[n, 2]``; (0, 0) for all where None.

    Returns:
        Polygons ``[n]``, of several parts where a mask has several; and which masks hold anything.
    """
    result = np.empty(len(masks), dtype=object)
    there = np.zeros(len(masks), dtype=bool)
    for place, mask in enumerate(masks):
        left, top = (0, 0) if origins is None else origins[place]
        parts = [
            shape(outline)
            for outline, _ in traced(
                mask.astype(np.uint8), mask=mask, connectivity=4, transform=Affine.translation(left, top)
            )
        ]
        result[place] = shapely.union_all(parts) if parts else shapely.Polygon()
        there[place] = bool(parts)
    return result, there


def prototype_outlines(
    prototypes: np.ndarray, numbers: np.ndarray, boxes: np.ndarray, tile: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """The outlines of masks that are mixed from prototypes, each within its box.

    Args:
        prototypes: ``[m, h, w]``, of a coarser resolution than the tile.
        numbers: Share of each prototype in each mask ``[n, m]``.
        boxes: ``[n, 4]`` in pixels of the tile.
        tile: (height, width).

    Returns:
        As :func:`outlines_of`, in pixels of the tile.
    """
    coarse = np.tensordot(numbers.astype(np.float32), prototypes.astype(np.float32), axes=1)
    masks, origins = [], []
    for logits, box in zip(coarse, boxes):
        left, top = np.clip(np.floor(box[:2]), 0, (tile[1], tile[0])).astype(int)
        right, bottom = np.clip(np.ceil(box[2:]), 0, (tile[1], tile[0])).astype(int)
        masks.append(resize_linear(logits, tile, (left, top, right, bottom)) > 0)
        origins.append((left, top))
    return outlines_of(masks, np.array(origins).reshape(-1, 2))
