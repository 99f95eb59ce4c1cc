"""Looking at tiles flipped and turned, and bringing what is found there back."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import shapely

from ...models.runtimes.box_suppression import class_nms
from ...models.runtimes.detection import Detections

#: (quarter turns, mirrored) of the symmetries of a square, and of those a rectangle keeps.
VIEWS = tuple((turns, flipped) for turns in range(4) for flipped in (False, True))
VIEWS_OF_RECTANGLES = tuple((turns, flipped) for turns in (0, 2) for flipped in (False, True))


def detect_in_views(
    detect: Callable[[np.ndarray, np.ndarray], list[Detections]],
    batch: np.ndarray,
    valid: np.ndarray,
    max_overlap: float,
) -> list[Detections]:
    """What a detector finds in any view of each tile, without duplicates.

    Args:
        detect: The detector.
        batch: ``[n, bands, h, w]``.
        valid: ``[n, h, w]``.
        max_overlap: Intersection over union above which two finds of one class are one object.
    """
    height, width = batch.shape[2:]
    found: list[list[Detections]] = [[] for _ in batch]
    for turns, flipped in VIEWS if height == width else VIEWS_OF_RECTANGLES:
        view, view_valid = np.rot90(batch, turns, axes=(2, 3)), np.rot90(valid, turns, axes=(1, 2))
        if flipped:
            view, view_valid = view[..., ::-1], view_valid[..., ::-1]
        seen = detect(np.ascontiguousarray(view), np.ascontiguousarray(view_valid))
        for own, detections in zip(found, seen):
            own.append(_turned_back(detections, turns, flipped, (height, width)))
    return [_merged(own, max_overlap) for own in found]


def _turned_back(detections: Detections, turns: int, flipped: bool, size: tuple[int, int]) -> Detections:
    """Detections of a view in the pixels of the tile."""
    matrix = _back(turns, flipped, size)

    def move(points: np.ndarray) -> np.ndarray:
        return points @ matrix[:, :2].T + matrix[:, 2]

    corners = move(detections.boxes.astype(float).reshape(-1, 2)).reshape(-1, 4)
    boxes = np.hstack(
        [np.minimum(corners[:, :2], corners[:, 2:]), np.maximum(corners[:, :2], corners[:, 2:])]
    )
    shapes = None if detections.shapes is None else shapely.transform(detections.shapes, move)
    return Detections(boxes.astype(np.float32), detections.scores, detections.classes, shapes)


def _back(turns: int, flipped: bool, size: tuple[int, int]) -> np.ndarray:
    """From pixels of a view to pixels of the tile, ``[2, 3]``."""
    height, width = size
    seen = width if turns % 2 == 0 else height  # width of the view
    matrix = np.array([[-1.0, 0, seen], [0, 1, 0], [0, 0, 1]]) if flipped else np.eye(3)
    # np.rot90 turns counterclockwise: (x, y) of the tile is at (y, width - x) of the view.
    quarter = {
        0: np.eye(3),
        1: np.array([[0.0, -1, width], [1, 0, 0], [0, 0, 1]]),
        2: np.array([[-1.0, 0, width], [0, -1, height], [0, 0, 1]]),
        3: np.array([[0.0, 1, 0], [-1, 0, height], [0, 0, 1]]),
    }[turns]
    return (quarter @ matrix)[:2]


def _merged(found: Sequence[Detections], max_overlap: float) -> Detections:
    boxes, scores, classes = (
        np.concatenate([getattr(part, name) for part in found]) for name in ("boxes", "scores", "classes")
    )
    kept = class_nms(boxes, scores, classes, max_overlap)
    shapes = None
    if any(part.shapes is not None for part in found):
        shapes = np.concatenate([part.outlines for part in found])[kept]
    return Detections(boxes[kept], scores[kept], classes[kept], shapes)
