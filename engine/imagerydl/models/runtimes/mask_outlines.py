"""Outlines of masks that are coarser than the tile: mixed from prototypes, or in the frames of boxes."""

from __future__ import annotations

import numpy as np
import shapely

from ...imagery.resizing import resize_linear
from .detection import outlines

#: Probability from which on a pixel belongs to an object.
_INSIDE = 0.5


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


def boxed_outlines(masks: np.ndarray, boxes: np.ndarray, tile: tuple[int, int]) -> np.ndarray:
    """The outlines of masks that are given in the frame of their boxes.

    A cell of the mask stands for its share of the box; between the centres of cells probabilities are linear,
    and beyond the outermost ones as there.

    Args:
        masks: Probabilities ``[n, h, w]``.
        boxes: ``[n, 4]`` in pixels of the tile.
        tile: (height, width).

    Returns:
        Polygons ``[n]`` in pixels of the tile, within it; empty for an empty mask.
    """
    result = np.empty(len(boxes), dtype=object)
    for place, (mask, box) in enumerate(zip(masks.astype(np.float64), boxes.astype(np.float64))):
        columns, left = _shares(box[0], box[2], mask.shape[1], tile[1])
        rows, top = _shares(box[1], box[3], mask.shape[0], tile[0])
        (outline,) = outlines((rows @ mask @ columns.T >= _INSIDE)[np.newaxis])
        result[place] = _moved(outline, (left, top))
    return result


def _shares(low: float, high: float, cells: int, side: int) -> tuple[np.ndarray, int]:
    """What each cell of a mask adds to each pixel ``[pixels, cells]`` along one axis, and the first pixel.

    Pixels are those whose centre lies between ``low`` and ``high``, and on the tile.
    """
    first, end = (int(np.clip(np.ceil(edge - 0.5), 0, side)) for edge in (low, high))
    pixels = np.arange(first, end)
    if not len(pixels):
        return np.zeros((0, cells)), first
    positions = np.clip((pixels + 0.5 - low) / (high - low) * cells - 0.5, 0, cells - 1)
    return np.clip(1 - np.abs(positions[:, np.newaxis] - np.arange(cells)), 0, 1), first


def _moved(outline: shapely.Geometry, origin: tuple[int, int]) -> shapely.Geometry:
    return shapely.transform(outline, lambda points: points + origin)
