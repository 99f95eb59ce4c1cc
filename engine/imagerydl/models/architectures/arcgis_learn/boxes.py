"""What the detectors of arcgis.learn share in turning activations into boxes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

import torch
from torch import Tensor
from torchvision.ops import nms


@dataclass(frozen=True)
class Boxes:
    """Objects in one tile, on the CPU.

    Attributes:
        corners: ``[n, 4]``, x1 y1 x2 y2 in pixels of the tile.
        scores: ``[n]``, 0 to 1.
        positions: ``[n]``, position of each one's class in the definition, from 0.
        masks: ``[n, h, w]`` of True and False, from networks that outline objects.
    """

    corners: Tensor
    scores: Tensor
    positions: Tensor
    masks: Optional[Tensor] = None


def from_centres(centres: Tensor, sizes: Tensor) -> Tensor:
    """Corners ``[n, 4]``, smaller ones first, of centres and sizes ``[n, 2]``."""
    return torch.cat([centres - sizes / 2, centres + sizes / 2], dim=1)


def rows_first_to_xy(corners: Tensor) -> Tensor:
    """x1 y1 x2 y2 of corners that name the row first."""
    return corners[:, [1, 0, 3, 2]]


def suppress_per_class(
    corners: Tensor,
    scores: Tensor,
    threshold: float,
    overlap: float,
    *,
    best: Optional[int] = None,
    includes_threshold: bool = False,
    drops_equal: bool = False,
    most: Optional[int] = None,
) -> Boxes:
    """Keep every box whose score of a class passes, less those that overlap a better one of that class.

    Args:
        corners: ``[n, 4]``, in any unit.
        scores: ``[n, classes]``.
        threshold: Scores must be above it.
        overlap: Largest intersection over union of two boxes that stay.
        best: Only so many boxes of a class are looked at, the best first.
        includes_threshold: Whether a score equal to the threshold passes.
        drops_equal: Whether an overlap equal to the largest one is too much.
        most: Most boxes of a class that stay.
    """
    if drops_equal:
        overlap = float(torch.nextafter(torch.tensor(float(overlap)), torch.tensor(-1.0)))
    kept, values, positions = [], [], []
    for position in range(scores.shape[1]):
        column = scores[:, position]
        passing = torch.nonzero(column >= threshold if includes_threshold else column > threshold).flatten()
        order = torch.argsort(column[passing], descending=True, stable=True)[:best]
        passing = passing[order]
        passing = passing[nms(corners[passing], column[passing], overlap)][:most]
        kept.append(corners[passing])
        values.append(column[passing])
        positions.append(torch.full_like(passing, position))
    return Boxes(torch.cat(kept), torch.cat(values), torch.cat(positions))
