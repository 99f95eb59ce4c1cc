"""Outlines of masks: from pixels of a tile to polygons."""

from __future__ import annotations

from typing import Optional

import numpy as np
import shapely
from affine import Affine
from rasterio.features import shapes as traced
from shapely.geometry import shape


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
        masks.append(_resized(logits, (left, top, right, bottom), tile) > 0)
        origins.append((left, top))
    return outlines_of(masks, np.array(origins).reshape(-1, 2))


def _resized(logits: np.ndarray, window: tuple[int, int, int, int], tile: tuple[int, int]) -> np.ndarray:
    """Part of a coarse picture at the resolution of the tile, linearly between pixel centres."""
    left, top, right, bottom = window
    rows = _places(np.arange(top, bottom), logits.shape[0], tile[0])
    columns = _places(np.arange(left, right), logits.shape[1], tile[1])
    (y0, y1, dy), (x0, x1, dx) = rows, columns
    upper = logits[y0][:, x0] * (1 - dx) + logits[y0][:, x1] * dx
    lower = logits[y1][:, x0] * (1 - dx) + logits[y1][:, x1] * dx
    return upper * (1 - dy)[:, None] + lower * dy[:, None]


def _places(pixels: np.ndarray, coarse: int, fine: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Neighbours among the coarse pixels, and how far along the way to the second one."""
    position = np.clip((pixels + 0.5) * coarse / fine - 0.5, 0, coarse - 1)
    first = np.floor(position).astype(int)
    return first, np.minimum(first + 1, coarse - 1), position - first
