"""The chip that shows an object, as its classifier wants it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import shapely
from affine import Affine
from rasterio.features import geometry_mask
from rasterio.windows import Window

from ...imagery.resizing import resize_linear, resize_nearest
from ...imagery.source import RasterSource
from ...models.definition import ModelDefinition
from ..classification import View
from ..reading import fill_input

#: Objects are read in groups: those whose chips begin in the same square of this many pixels a side.
GROUP_SIDE = 1024

#: Part of a pixel by which a box on pixel borders may differ from them by rounding.
_SLACK = 1e-6

_IDENTITY = Affine.identity()


@dataclass(frozen=True)
class ChipForm:
    """How chips are cut.

    Attributes:
        size: (height, width) of what the classifier takes.
        largest: (height, width) of the largest chip that is cut to an object's box.
        is_fixed: Whether chips have one size with the object in the middle; otherwise they are cut to the
            object's bounding box and brought to the size.
        blackens: Whether what lies outside a polygon becomes 0.
        padding: Pixels around a bounding box.
    """

    size: tuple[int, int]
    largest: tuple[int, int]
    is_fixed: bool
    blackens: bool
    padding: int = 0

    @classmethod
    def of(cls, definition: ModelDefinition, chip_size: tuple[int, int], padding: int) -> ChipForm:
        """What a definition says: CropSizeFixed (1 where it does not) and BlackenAroundFeature (0)."""
        return cls(
            size=chip_size,
            largest=definition.image_size,
            is_fixed=_flag(definition, "CropSizeFixed", True),
            blackens=_flag(definition, "BlackenAroundFeature", False),
            padding=padding,
        )

    def windows(self, shapes: np.ndarray) -> np.ndarray:
        """Column, row, width and height of each object's chip ``[n, 4]`` int64; -1 wide for no object.

        Args:
            shapes: Objects ``[n]`` in pixels; None or empty for none.
        """
        boxes = shapely.bounds(shapes).reshape(-1, 4)
        there = np.isfinite(boxes).all(axis=1)
        boxes = np.where(there[:, None], boxes, 0.0)
        middle = (boxes[:, :2] + boxes[:, 2:]) / 2
        height, width = self.largest
        fixed = np.array([width, height])
        windows = np.hstack([np.rint(middle - fixed / 2), np.broadcast_to(fixed, middle.shape)])
        if not self.is_fixed:
            low = np.floor(boxes[:, :2] + _SLACK) - self.padding
            size = np.ceil(boxes[:, 2:] - _SLACK) + self.padding - low
            # A point has no box, and objects larger than a chip may be are handled as with fixed size.
            fits = (boxes[:, 2:] > boxes[:, :2]).any(axis=1) & (size <= fixed).all(axis=1)
            windows[fits] = np.hstack([low, np.maximum(size, 1)])[fits]
        windows = windows.astype(np.int64)
        windows[~there, 2:] = -1
        return windows


def _flag(definition: ModelDefinition, key: str, otherwise: bool) -> bool:
    value = definition.raw.get(key)
    if value is None:
        return otherwise
    return str(value).strip().lower() in ("1", "1.0", "true")


def grouped(windows: np.ndarray, which: np.ndarray) -> Iterator[np.ndarray]:
    """Positions of objects that are read together, in the order in which they lie on the raster.

    Args:
        windows: As :meth:`ChipForm.windows` gives them.
        which: Positions of the objects to group.
    """
    cells = windows[which, :2] // GROUP_SIDE
    order = np.lexsort((windows[which, 0], windows[which, 1], cells[:, 0], cells[:, 1]))
    cells = cells[order]
    breaks = np.flatnonzero((cells[1:] != cells[:-1]).any(axis=1)) + 1
    yield from (group for group in np.split(which[order], breaks) if len(group))


class ChipReader:
    """Reads the chips of objects of a raster.

    Args:
        view: The raster.
        form: How chips are cut.
    """

    def __init__(self, view: View, form: ChipForm) -> None:
        self._view, self._form = view, form

    def read(
        self, windows: np.ndarray, shapes: np.ndarray, size: int
    ) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """The chips of a group of objects, in batches; the raster is read once.

        Args:
            windows: ``[n, 4]``.
            shapes: The objects ``[n]`` in pixels.
            size: Chips of a batch.

        Yields:
            Positions in the group, input ``[k, bands, h, w]`` and validity ``[k, h, w]``; objects without a
            valid pixel are left out.
        """
        left, top = windows[:, :2].min(axis=0).tolist()
        right, bottom = (windows[:, :2] + windows[:, 2:]).max(axis=0).tolist()
        source: RasterSource = self._view.source
        data, valid, picture = source.read_context(
            Window(left, top, right - left, bottom - top), self._view.bands, "zero"
        )
        held: list[tuple[int, np.ndarray, np.ndarray]] = []
        for place, (column, row, width, height) in enumerate(windows.tolist()):
            part = (slice(row - top, row - top + height), slice(column - left, column - left + width))
            if not valid[part].any():
                continue
            held.append(
                (place, *self._chip(data[(slice(None), *part)], picture[part], shapes[place], (column, row)))
            )
            if len(held) == size:
                yield self._batch(held)
                held = []
        if held:
            yield self._batch(held)

    def _chip(
        self, data: np.ndarray, picture: np.ndarray, shape: shapely.Geometry, origin: tuple[int, int]
    ) -> tuple[np.ndarray, np.ndarray]:
        if self._form.blackens and shapely.get_dimensions(shape) == 2:
            moved = shapely.transform(shape, lambda points: points - origin)
            outside = geometry_mask([moved], picture.shape, _IDENTITY)
            data = np.where(outside, data.dtype.type(0), data)
        if picture.shape != self._form.size:
            data, picture = _resized(data, picture, self._form.size)
        return data, picture

    def _batch(
        self, held: list[tuple[int, np.ndarray, np.ndarray]]
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        places, pieces, pictures = zip(*held)
        data, valid, feed = np.stack(pieces), np.stack(pictures), self._view.feed
        chips = np.empty(data.shape, data.dtype if feed.as_read else np.float32)
        fill_input(chips, data, valid, feed)
        return np.array(places), chips, valid


def _resized(data: np.ndarray, valid: np.ndarray, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """A chip of its own type, and its validity, brought to another size."""
    mixed = resize_linear(data, size)
    if data.dtype.kind in "iu":
        mixed = np.rint(mixed)
    return mixed.astype(data.dtype), resize_nearest(valid, size)
