"""A detector whose answers are known: it reports every bright patch a tile shows, as far as it shows it."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio.features
import shapely
from shapely.geometry import shape

from imagerydl.labels.classes import ClassEntry, ClassSchema
from imagerydl.models.runtimes.detection import DetectionModel, Detections

#: Pixel value of the patches of each class, in the order of classes.
VALUES = (100, 200)


class PatchDetector(DetectionModel):
    """Finds 4-connected patches of the values of :data:`VALUES` in the first band.

    Confidence is the second band's value at the patch's first pixel, in percent.
    """

    device = "CPU"
    description = "patches"
    classes = ClassSchema([ClassEntry(3, "low"), ClassEntry(7, "high")])

    def __init__(self, outlines=False):
        self.outlines = outlines
        self.batches = []

    def detect(self, batch, valid, positions=()):
        self.batches.append(len(batch))
        return [self._found(tile) for tile in batch]

    def _found(self, tile):
        shapes, scores, classes = [], [], []
        for number, value in enumerate(VALUES):
            mask = tile[0] == value
            for outline, _ in rasterio.features.shapes(mask.astype(np.uint8), mask=mask, connectivity=4):
                shapes.append(shape(outline))
                x, y = outline["coordinates"][0][0]
                scores.append(tile[1, int(y), int(x)] / 100)
                classes.append(number)
        if not shapes:
            return Detections.none()
        boxes = shapely.bounds(shapes).reshape(-1, 4).astype(np.float32)
        return Detections(
            boxes,
            np.array(scores, np.float32),
            np.array(classes, np.int64),
            np.array(shapes, dtype=object) if self.outlines else None,
        )


@pytest.fixture
def patches():
    """Draw patches: (left, top, right, bottom, value, confidence) on black; returns ``[2, h, w]`` uint8."""

    def draw(height, width, *boxes):
        data = np.zeros((2, height, width), np.uint8)
        for left, top, right, bottom, value, confidence in boxes:
            data[0, top:bottom, left:right] = value
            data[1, top:bottom, left:right] = confidence
        return data

    return draw
