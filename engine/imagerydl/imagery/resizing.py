"""Small pictures brought to another size, linearly between pixel centres."""

from __future__ import annotations

from typing import Optional

import numpy as np


def resize_linear(
    data: np.ndarray, size: tuple[int, int], window: Optional[tuple[int, int, int, int]] = None
) -> np.ndarray:
    """A picture at another size, float32.

    Args:
        data: ``[..., h, w]``.
        size: (height, width) of the whole result.
        window: Left, top, right, bottom of the part of it that is wanted; None for all of it.
    """
    left, top, right, bottom = window or (0, 0, size[1], size[0])
    y0, y1, dy = _neighbours(np.arange(top, bottom), data.shape[-2], size[0])
    x0, x1, dx = _neighbours(np.arange(left, right), data.shape[-1], size[1])
    values = data.astype(np.float32, copy=False)
    upper, lower = values[..., y0, :], values[..., y1, :]
    upper = upper[..., x0] * (1 - dx) + upper[..., x1] * dx
    lower = lower[..., x0] * (1 - dx) + lower[..., x1] * dx
    return upper * (1 - dy)[:, None] + lower * dy[:, None]


def resize_nearest(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A mask ``[h, w]`` at another size (height, width): each pixel is the nearest one."""
    rows, columns = (((np.arange(new) + 0.5) * old / new).astype(int) for old, new in zip(mask.shape, size))
    return mask[rows][:, columns]


def _neighbours(pixels: np.ndarray, old: int, new: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The two source pixels of each pixel, and how far along the way to the second one it lies."""
    position = np.clip((pixels + 0.5) * old / new - 0.5, 0, old - 1)
    first = np.floor(position).astype(int)
    return first, np.minimum(first + 1, old - 1), (position - first).astype(np.float32)
