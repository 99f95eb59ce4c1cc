"""A detector's levels and anchors, fitted to the boxes it will be trained on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import ParameterError
from .settings import LossSettings

#: Pixels that the smallest kind of object keeps along a side when images are shrunk.
_KEPT = 18.0

#: Objects smaller than this are looked for on a map 4 times smaller than the image, others on one 8 times.
_SMALL = 32.0

#: Ratios closer than this are one anchor.
_ALIKE = 1.15

_SHRINKS = (4, 2, 1)
_LEVELS = 4
_ROUNDS = 50


def fit_levels(
    boxes: Sequence[np.ndarray],
    labels: Sequence[np.ndarray],
    settings: LossSettings,
    size: tuple[int, int],
) -> dict[str, Any]:
    """``shrink``, ``strides``, ``sizes`` and ``ratios`` of a detector.

    Args:
        boxes: Of each training chip, ``[m, 4]``.
        labels: Their classes.
        settings: May name grids, zooms, scales and ratios.
        size: (height, width) of a chip.

    Raises:
        ParameterError: For grids finer or coarser than the levels there are.
    """
    everything = np.concatenate([*boxes, np.empty((0, 4), np.float32)])
    kinds = np.concatenate([*labels, np.empty(0, np.int64)])
    sides = everything[:, 2:] - everything[:, :2]
    lengths = np.sqrt(sides.prod(axis=1))
    smallest = min((float(np.median(lengths[kinds == kind])) for kind in np.unique(kinds)), default=_SMALL)
    shrink = next((factor for factor in _SHRINKS if smallest / factor >= _KEPT), 1)
    lengths = lengths / shrink
    first = 4 if smallest / shrink < _SMALL else 8
    strides = [first * 2**level for level in range(_LEVELS)]
    if settings.grids:
        side = max(size) / shrink
        strides = sorted(_stride(side, cells, max(size)) for cells in settings.grids)
        zooms = settings.zooms or (1.0,)
        sizes = [[side / cells * zoom for zoom in zooms] for cells in sorted(settings.grids, reverse=True)]
    elif settings.zooms or settings.scales:
        factors = settings.zooms or settings.scales
        sizes = [[centre * factor for factor in factors] for centre in cluster(lengths, len(strides))]
    else:
        centres = cluster(lengths, 2 * len(strides))
        sizes = [list(pair) for pair in zip(centres[::2], centres[1::2])]
    ratios = list(settings.ratios) or _apart(cluster(sides[:, 1] / sides[:, 0], 3))
    return {
        "shrink": shrink,
        "strides": strides,
        "sizes": [[round(length, 2) for length in level] for level in sizes],
        "ratios": [round(ratio, 3) for ratio in ratios],
    }


def cluster(values: np.ndarray, count: int) -> list[float]:
    """The centres of ``count`` clusters of positive numbers by their logarithm, ascending (k-means).

    Numbers that are all alike still give ``count`` centres, a little apart: each is an anchor of its own.
    """
    logs = np.log(np.maximum(np.asarray(values, np.float64), 1e-3))
    if not len(logs):
        logs = np.array([np.log(32.0)])
    centres = np.quantile(logs, (np.arange(count) + 0.5) / count)
    for _ in range(_ROUNDS):
        nearest = np.abs(logs[:, None] - centres[None]).argmin(axis=1)
        moved = np.array(
            [logs[nearest == k].mean() if (nearest == k).any() else c for k, c in enumerate(centres)]
        )
        if np.allclose(moved, centres):
            break
        centres = moved
    centres = np.sort(centres)
    for number in range(1, count):
        centres[number] = max(centres[number], centres[number - 1] + 0.02)
    return np.exp(centres).tolist()


def _apart(ratios: Sequence[float]) -> list[float]:
    """The ratios without those that are nearly another one."""
    kept: list[float] = []
    for ratio in ratios:
        if not kept or ratio > _ALIKE * kept[-1]:
            kept.append(ratio)
    return kept


def _stride(side: float, cells: int, pixels: int) -> int:
    stride = 2 ** round(np.log2(side / cells)) if cells <= side else 0
    if not 4 <= stride <= 64:
        raise ParameterError(
            f"The argument grids asks for {cells} cells along {pixels} pixels.",
            f"Give numbers from {max(1, int(side / 64))} to {int(side / 4)}.",
        )
    return int(stride)
