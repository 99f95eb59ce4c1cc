"""Reads any window of a picture that has a border: mirrored or empty beyond it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Literal, Optional, TypeVar

import numpy as np
from rasterio.windows import Window

from .grid import Grid, intersection, reflect, slices_in

Source = TypeVar("Source", bound="FramedSource")


class FramedSource(ABC):
    """Something to read windows of; a context manager. Subclasses read what lies inside of it.

    Attributes:
        grid: The lattice; windows count columns and rows on it.
        count: Number of data bands (an alpha band tells validity and is not counted).
        dtype: Type of the data.
    """

    grid: Grid
    count: int
    dtype: np.dtype

    def __init__(self, frame: Window) -> None:
        self._frame = frame

    def __enter__(self: Source) -> Source:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    @abstractmethod
    def close(self) -> None:
        """Release the files; reading opens them again."""

    @abstractmethod
    def _read_inside(self, window: Window, bands: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
        """Data ``[bands, h, w]`` and validity ``[h, w]`` of a window within :attr:`frame`."""

    @property
    def frame(self) -> Window:
        """What there is to read, in pixels of :attr:`grid`: more than it where an extent was asked for."""
        return self._frame

    def read(
        self,
        window: Window,
        bands: Optional[Sequence[int]] = None,
        border: Literal["reflect", "zero"] = "reflect",
    ) -> tuple[np.ndarray, np.ndarray]:
        """Read a window.

        Args:
            window: In pixels of :attr:`grid`, integer; may reach outside it.
            bands: 0-based data bands in the order wanted; None for all.
            border: What stands outside the rasters: the picture mirrored at its border, or zeros.
                Outside an extent, but inside the rasters, stands the real picture.

        Returns:
            Data ``[bands, h, w]`` of the source's type, and validity ``[h, w]``, which is False
            outside the grid and where no raster has a value.

        Raises:
            DataError: If a file cannot be read.
        """
        data, valid, _ = self.read_context(window, bands, border)
        return data, valid

    def read_context(
        self,
        window: Window,
        bands: Optional[Sequence[int]] = None,
        border: Literal["reflect", "zero"] = "reflect",
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Read a window together with where its data are a picture at all.

        Returns:
            Data and validity as :meth:`read` gives them, and ``[h, w]`` where data come from a
            valid pixel, be it mirrored or outside the extent: context worth looking at.
        """
        chosen = tuple(range(self.count)) if bands is None else tuple(bands)
        inside = intersection(window, self._frame)
        if inside == window:
            data, picture = self._read_inside(window, chosen)
        elif border == "zero" or inside is None:
            data, picture = self._nothing(window, len(chosen))
            if inside is not None:
                rows, columns = slices_in(inside, window)
                data[:, rows, columns], picture[rows, columns] = self._read_inside(inside, chosen)
        else:
            needed, mirrored_rows, mirrored_columns = mirrored(window, self._frame)
            data, picture = self._read_inside(needed, chosen)
            data = data[:, mirrored_rows][:, :, mirrored_columns]
            picture = picture[mirrored_rows][:, mirrored_columns]
        return data, self._counted(picture, window, inside), picture

    def _counted(self, picture: np.ndarray, window: Window, inside: Optional[Window]) -> np.ndarray:
        """Where the picture is real and on the grid."""
        part = intersection(inside, self.grid.window) if inside is not None else None
        if part == window:
            return picture
        counted = np.zeros_like(picture)
        if part is not None:
            counted[slices_in(part, window)] = picture[slices_in(part, window)]
        return counted

    def _nothing(self, window: Window, bands: int) -> tuple[np.ndarray, np.ndarray]:
        shape = (int(window.height), int(window.width))
        return np.zeros((bands, *shape), dtype=self.dtype), np.zeros(shape, dtype=bool)


def mirrored(window: Window, frame: Window) -> tuple[Window, np.ndarray, np.ndarray]:
    """How a window that reaches over a frame is filled from inside of it.

    Args:
        window: What is wanted; integer.
        frame: What there is, in the same pixels.

    Returns:
        The part of the frame to read, and the row and the column of that part for each row and column of
        the window.
    """
    first_row, first_column = window.row_off - frame.row_off, window.col_off - frame.col_off
    rows = reflect(first_row, first_row + window.height, frame.height)
    columns = reflect(first_column, first_column + window.width, frame.width)
    top, left = int(rows.min()), int(columns.min())
    part = Window(
        left + frame.col_off,
        top + frame.row_off,
        int(columns.max()) - left + 1,
        int(rows.max()) - top + 1,
    )
    return part, rows - top, columns - left
