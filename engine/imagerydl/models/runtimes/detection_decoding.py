"""From the numbers that a detector gives to what it found: boxes, turned boxes, outlines, duplicates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Optional

import numpy as np
import shapely

from .box_suppression import class_nms
from .detection import Detections
from .detection_limits import Limits
from .mask_outlines import prototype_outlines

#: Pixels of the tile a cell of each of a YOLO's grids stands for.
STRIDES = (8, 16, 32)


def with_masks(
    found: Detections,
    numbers: np.ndarray,
    arrays: Sequence[np.ndarray],
    prototypes: Optional[tuple[int, int]],
    tile: tuple[int, int],
) -> Detections:
    """Detections with the outlines of masks mixed from prototypes, where there are any."""
    if prototypes is None or not len(found):
        return found
    shapes = prototype_outlines(arrays[prototypes[0]], numbers[:, : prototypes[1]], found.boxes, tile)
    return shaped(found, shapes)


def cell_count(tile: tuple[int, int]) -> int:
    """Cells of all grids."""
    return sum((tile[0] // stride) * (tile[1] // stride) for stride in STRIDES)


def grid_boxes(rows: np.ndarray, tile: tuple[int, int]) -> np.ndarray:
    """Centre and size in pixels of what counts from its cell: (offset + cell) * stride, e^size * stride."""
    cells, strides = [], []
    for stride in STRIDES:
        y, x = np.mgrid[: tile[0] // stride, : tile[1] // stride]
        cells.append(np.column_stack([x.ravel(), y.ravel()]))
        strides.append(np.full((x.size, 1), stride))
    stride = np.concatenate(strides).astype(np.float64)
    centres = (rows[:, :2] + np.concatenate(cells)) * stride
    with np.errstate(over="ignore"):
        return np.hstack([centres, np.exp(rows[:, 2:4].astype(np.float64)) * stride])


def corners(boxes: np.ndarray) -> np.ndarray:
    """Centre and size as corners ``[n, 4]``."""
    half = boxes[:, 2:] / 2
    return np.hstack([boxes[:, :2] - half, boxes[:, :2] + half])


def detections_of(boxes: np.ndarray, scores: np.ndarray, classes: np.ndarray) -> Detections:
    """Detections in their own types, from corners ``[n, 4]``, confidences and positions of classes."""
    return Detections(
        boxes.astype(np.float32),
        np.clip(scores, 0, 1).astype(np.float32),
        classes.astype(np.int64),
    )


def suppressed_with(found: Detections, more: np.ndarray, limits: Limits) -> tuple[Detections, np.ndarray]:
    """:func:`suppressed`, and the rows of ``more`` that belong to what stays."""
    kept = class_nms(found.boxes, found.scores, found.classes, limits.overlap)
    return Detections(found.boxes[kept], found.scores[kept], found.classes[kept]), more[kept]


def suppressed(found: Detections, limits: Limits) -> Detections:
    """Detections without the duplicates of surer ones, the surest first."""
    kept = class_nms(found.boxes, found.scores, found.classes, limits.overlap)
    shapes = None if found.shapes is None else found.shapes[kept]
    return Detections(found.boxes[kept], found.scores[kept], found.classes[kept], shapes)


def shaped(found: Detections, shapes: np.ndarray) -> Detections:
    """Detections with outlines, without those whose mask is empty; boxes are those of the outlines."""
    there = ~shapely.is_empty(shapes)
    boxes = shapely.bounds(shapes).reshape(-1, 4).astype(np.float32)
    return Detections(boxes[there], found.scores[there], found.classes[there], shapes[there])


def turned_boxes(
    boxes: np.ndarray, angles: np.ndarray, scores: np.ndarray, classes: np.ndarray, limits: Limits
) -> Detections:
    """Boxes turned by an angle in radians, from the x axis towards the y axis, about their centre."""
    cosine, sine = np.cos(angles), np.sin(angles)
    along = np.column_stack([cosine, sine]) * boxes[:, 2:3] / 2
    across = np.column_stack([-sine, cosine]) * boxes[:, 3:4] / 2
    centre = boxes[:, :2]
    points = [
        centre + along + across,
        centre + along - across,
        centre - along - across,
        centre - along + across,
    ]
    shapes = np.empty(0, dtype=object)
    if len(boxes):
        shapes = shapely.polygons(np.stack(points, axis=1).astype(np.float64))
    kept = _polygon_nms(shapes, scores, classes, limits.overlap)
    shapes = shapes[kept]
    found = detections_of(shapely.bounds(shapes).reshape(-1, 4), scores[kept], classes[kept])
    return Detections(found.boxes, found.scores, found.classes, shapes)


def _polygon_nms(shapes: np.ndarray, scores: np.ndarray, classes: np.ndarray, overlap: float) -> np.ndarray:
    """:func:`.box_suppression.class_nms` for polygons."""
    order = np.argsort(-scores, kind="stable")
    shapes, classes = shapes[order], classes[order]
    areas = shapely.area(shapes)
    stays = np.ones(len(order), dtype=bool)
    left, right = shapely.STRtree(shapes).query(shapes) if len(order) else np.empty((2, 0), np.intp)
    pairs = (left < right) & (classes[left] == classes[right])
    left, right = left[pairs], right[pairs]
    shared = shapely.area(shapely.intersection(shapes[left], shapes[right]))
    conflict = shared > overlap * (areas[left] + areas[right] - shared)
    for high, low in sorted(zip(left[conflict].tolist(), right[conflict].tolist())):
        if stays[high]:
            stays[low] = False
    return order[stays]


def softmax(values: np.ndarray) -> np.ndarray:
    """Logits ``[n, classes]`` as probabilities of which one is true."""
    shifted = np.exp(values - values.max(axis=1, keepdims=True))
    return shifted / shifted.sum(axis=1, keepdims=True)


def sigmoid(values: np.ndarray) -> np.ndarray:
    """Logits as probabilities of their own."""
    return 1 / (1 + np.exp(-values))
