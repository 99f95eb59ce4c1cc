"""A detector's levels and queries, fitted to the boxes it will be trained on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Optional

import numpy as np

from ..errors import ParameterError
from ..models.architectures.object_detector import MOST_BOXES
from ..models.architectures.pyramid import MULTIPLE
from .anchors import cluster, fit_levels
from .settings import LossSettings

#: Objects smaller than this are looked for on a map 4 times smaller than the image, others on one 8 times.
_SMALL = 12.0

_LEVELS = 3

#: Queries a detector has at least, and for each object of the fullest training chip: several of them bid
#: for an object until one wins.
_FEWEST, _FOR_AN_OBJECT = 100, 2


def fit_queries(
    boxes: Sequence[np.ndarray],
    labels: Sequence[np.ndarray],
    settings: LossSettings,
    size: tuple[int, int],
) -> dict[str, Any]:
    """``tile``, ``shrink``, ``strides``, ``sizes`` and ``queries`` of a detector.

    Args:
        boxes: Of each training chip, ``[m, 4]``.
        labels: Their classes.
        settings: As for :func:`.anchors.fit_levels`.
        size: (height, width) of a chip.
    """
    shrink = int(fit_levels(boxes, labels, settings, size)["shrink"])
    everything = np.concatenate([*boxes, np.empty((0, 4), np.float32)])
    lengths = np.sqrt((everything[:, 2:] - everything[:, :2]).prod(axis=1)) / shrink
    first = 4 if len(lengths) and np.median(lengths) < _SMALL else 8
    strides = [first * 2**level for level in range(_LEVELS)]
    seen = [-(-side // (MULTIPLE * shrink)) * MULTIPLE for side in size]
    places = sum(seen[0] // stride * (seen[1] // stride) for stride in strides)
    fullest = max((len(own) for own in boxes), default=0)
    return {
        "tile": [int(side) for side in size],
        "shrink": shrink,
        "strides": strides,
        "sizes": [round(length, 2) for length in cluster(lengths, _LEVELS)],
        # Each query starts from a place of its own.
        "queries": min(max(_FEWEST, _FOR_AN_OBJECT * fullest), MOST_BOXES, places),
    }


def check_tile(tile: Optional[tuple[int, int]], size: tuple[int, int]) -> None:
    """Refuse chips that are larger than the images a detector was made for.

    Args:
        tile: (height, width) it takes at most; None where it takes any.
        size: (height, width) of the chips.

    Raises:
        ParameterError: Where they are.
    """
    if tile is not None and (size[0] > tile[0] or size[1] > tile[1]):
        raise ParameterError(
            f"The chips have {size[1]} x {size[0]} pixels, and PRETRAINED_MODEL takes images of at most "
            f"{tile[1]} x {tile[0]}.",
            "Export chips of that size, or leave PRETRAINED_MODEL empty.",
        )
