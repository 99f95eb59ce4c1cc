"""What the formats that name a chip as a whole have in common."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

import numpy as np

from ..labels.objects import LabelObjects
from .metadata_format import Finding, LabelView, MetadataFormat


@dataclass(frozen=True)
class TileClass:
    """The class of a chip.

    Attributes:
        value: Class value.
        box: Of the object in the chip; None where the chip as a whole has the class.
        objects: The object; empty for a class raster.
    """

    value: int
    box: Optional[list[float]]
    objects: LabelObjects


class OneClassFormat(MetadataFormat):
    """One class a chip: that of the object it was cut around, else the one that covers most of it."""

    def find(self, view: LabelView) -> Finding:
        """The class of the chip."""
        if view.feature is None:
            return _most_frequent(view.pixels())
        objects = view.objects()
        if not len(objects) or objects.shares[0] < view.min_share:
            return Finding(is_empty=True)
        return Finding(False, TileClass(int(objects.values[0]), objects.boxes[0].tolist(), objects))

    def restrict(self, finding: Finding, valid: np.ndarray) -> Finding:
        """A chip cut around an object stays what it is."""
        return finding


def _most_frequent(pixels: np.ndarray) -> Finding:
    counts = np.bincount(pixels.ravel())
    counts[0] = 0
    if not counts.any():
        return Finding(is_empty=True)
    return Finding(False, TileClass(int(counts.argmax()), None, LabelObjects.empty()))
