"""Which chips are cut from an item: tiles in rows, or one around each object; at each angle."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Optional

import numpy as np
from rasterio.windows import Window

from ..imagery.frame import Frame
from ..imagery.grid import Grid
from ..imagery.tiles import full_tiles
from ..labels.source import LabelSource
from .plan import Cut, ExportSettings

#: Longest side of a chip that is cropped to an object, in pixels.
LARGEST_CROP = 16384


def list_cuts(settings: ExportSettings, grid: Grid, labels: Optional[LabelSource]) -> Iterator[Cut]:
    """Every chip to cut on ``grid``: all at angle 0 first, then turned ones."""
    if cuts_around_objects(settings, labels):
        features, windows = object_windows(settings, grid, labels)
        places = [(Window(*window), feature) for feature, window in zip(features.tolist(), windows.tolist())]
        for angle, (window, feature) in product(settings.angles, places):
            yield Cut(Frame(grid, window, angle), feature)
        return
    for angle in settings.angles:
        for window in full_tiles(grid.width, grid.height, *settings.tile_size, *settings.stride):
            yield Cut(Frame(grid, window, angle))


def count_cuts(settings: ExportSettings, grid: Grid, labels: Optional[LabelSource]) -> int:
    """How many :func:`list_cuts` gives."""
    if cuts_around_objects(settings, labels):
        places = len(object_windows(settings, grid, labels)[0])
    else:
        sides = zip((grid.width, grid.height), settings.tile_size, settings.stride)
        columns, rows = (max(0, (side - size) // stride + 1) for side, size, stride in sides)
        places = columns * rows
    return places * len(settings.angles)


def cuts_around_objects(settings: ExportSettings, labels: Optional[LabelSource]) -> bool:
    """Whether chips are cut around objects: formats with one class a chip, from vector labels."""
    return settings.traits.crops and labels is not None and labels.is_vector


def object_windows(
    settings: ExportSettings, grid: Grid, labels: LabelSource
) -> tuple[np.ndarray, np.ndarray]:
    """The objects whose middle lies on ``grid``, and the window of each.

    Returns:
        Feature numbers ``[n]`` and windows (column, row, width, height) ``[n, 4]``, integer. Windows
        of fixed size may reach outside the grid; cropped ones do not.
    """
    boxes = labels.feature_boxes(grid)
    middle = (boxes[:, :2] + boxes[:, 2:]) / 2
    inside = (middle >= 0).all(axis=1) & (middle < (grid.width, grid.height)).all(axis=1)  # False for NaN
    features = np.flatnonzero(inside)
    boxes, middle = boxes[features], middle[features]
    if not settings.crop_to_objects:
        size = np.array(settings.tile_size)
        return features, np.hstack([np.rint(middle - size / 2), np.tile(size, (len(features), 1))]).astype(
            int
        )
    # Of an object that reaches over the border, the visible part counts.
    over = (boxes[:, :2] < 0).any(axis=1) | (boxes[:, 2:] > (grid.width, grid.height)).any(axis=1)
    for index in np.flatnonzero(over):
        visible = labels.object_of(int(features[index]), grid, grid.window)
        boxes[index] = visible.boxes[0] if len(visible) else np.nan
    seen = np.isfinite(boxes).all(axis=1)
    features, boxes = features[seen], boxes[seen]
    low, high = np.floor(boxes[:, :2] + _SLACK), np.ceil(boxes[:, 2:] - _SLACK)
    size = np.minimum(np.maximum(high - low, 1), LARGEST_CROP)
    return features, np.hstack([low, size]).astype(int)


#: Part of a pixel by which a box on pixel borders may differ from them by rounding.
_SLACK = 1e-6
