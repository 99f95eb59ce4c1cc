"""What the formats that list objects one by one have in common."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import shapely

from ..imagery.grid import Grid
from ..labels.objects import LabelObjects
from .metadata_format import Finding, LabelView, MetadataFormat, Written

#: Digits of a pixel in the text formats, as ArcGIS writes them.
DECIMALS = 2


class ObjectFormat(MetadataFormat):
    """Finds the objects of a chip, and counts them with their areas."""

    needs_area = True

    def find(self, view: LabelView) -> Finding:
        """The objects that are visible enough."""
        return self.find_each([view])[0]

    def find_each(self, views: Sequence[LabelView]) -> list[Finding]:
        """All at once: most of the time goes into looking features up, not into what is found."""
        return [
            self.finding(objects.select(is_visible(objects.boxes)) if len(objects) else objects)
            for objects in LabelView.objects_of_each(views)
        ]

    def finding(self, objects: LabelObjects) -> Finding:
        """A finding of ``objects``."""
        return Finding(is_empty=not len(objects), content=objects)

    def restrict(self, finding: Finding, valid: np.ndarray) -> Finding:
        """Objects of which the image shows nothing are left out."""
        objects: LabelObjects = finding.content
        if not len(objects):
            return finding
        seen = [bool(valid[_pixels(box)].any()) for box in objects.boxes]
        return self.finding(objects.select(np.array(seen, dtype=bool)))


def boxes_within(objects: LabelObjects, grid: Grid) -> list[list[float]]:
    """Boxes (xmin, ymin, xmax, ymax) for text files: within the chip, and without a negative zero.

    Esri's reader fails at a minus sign, and rounding can leave one.
    """
    size = (grid.width, grid.height, grid.width, grid.height)
    return (np.clip(objects.boxes, 0, size) + 0.0).tolist()


def is_visible(boxes: np.ndarray) -> np.ndarray:
    """Which boxes ``[n, 4]`` are more than a line at the precision they are written with."""
    rounded = np.round(boxes, DECIMALS)
    return (rounded[:, 2] > rounded[:, 0]) & (rounded[:, 3] > rounded[:, 1])


def areas_by_class(objects: LabelObjects, grid: Grid) -> dict[int, list[float]]:
    """Areas by class value in map units squared."""
    pixel = abs(grid.transform.determinant)
    areas = shapely.area(objects.geometries) * pixel
    return {int(value): areas[objects.values == value].tolist() for value in np.unique(objects.values)}


def written(files: list[str], objects: LabelObjects, grid: Grid, extra: object = None) -> Written:
    """What was written, with its objects counted."""
    return Written(files, areas_by_class(objects, grid), extra)


def _pixels(box: np.ndarray) -> tuple[slice, slice]:
    """Rows and columns that a box touches."""
    xmin, ymin = np.floor(box[:2]).astype(int)
    xmax, ymax = np.ceil(box[2:]).astype(int)
    return slice(ymin, ymax), slice(xmin, xmax)
