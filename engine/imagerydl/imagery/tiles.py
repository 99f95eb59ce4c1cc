"""Where tiles lie on a grid."""

from __future__ import annotations

from collections.abc import Iterator

from rasterio.windows import Window


def full_tiles(
    width: int, height: int, size_x: int, size_y: int, stride_x: int, stride_y: int
) -> Iterator[Window]:
    """Complete tiles of a ``width`` x ``height`` grid, row by row; none reaches over the border.

    Args:
        width: Pixels of the grid along x.
        height: Pixels of the grid along y.
        size_x: Pixels of a tile along x.
        size_y: Pixels of a tile along y.
        stride_x: Pixels between the left sides of neighbouring tiles; equal to ``size_x`` for
            tiles that touch, half of it for an overlap of 50 %.
        stride_y: Pixels between the upper sides of neighbouring tiles.
    """
    for top in range(0, height - size_y + 1, stride_y):
        for left in range(0, width - size_x + 1, stride_x):
            yield Window(left, top, size_x, size_y)
