"""Objects found in a raster, as columns of one length."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import shapely


@dataclass(frozen=True)
class Objects:
    """Objects in pixels of a raster: x to the right, y down.

    Attributes:
        shapes: Polygons ``[n]``.
        scores: Confidences ``[n]`` float32, 0 to 1.
        classes: Positions in the model's list of classes ``[n]`` int64.
        origins: Tile row, tile column and number within the tile ``[n, 3]`` int64: no two objects have the
            same, so they put objects in an order that nothing else has a say in.
    """

    shapes: np.ndarray
    scores: np.ndarray
    classes: np.ndarray
    origins: np.ndarray

    def __len__(self) -> int:
        return len(self.scores)

    @classmethod
    def none(cls) -> Objects:
        """No objects."""
        return cls(
            np.empty(0, object), np.empty(0, np.float32), np.empty(0, np.int64), np.empty((0, 3), np.int64)
        )

    def take(self, which: np.ndarray) -> Objects:
        """Those at positions, or where a mask is True."""
        return Objects(*(getattr(self, column.name)[which] for column in fields(Objects)))

    @classmethod
    def joined(cls, parts: Sequence[Objects]) -> Objects:
        """One after the other."""
        if not parts:
            return cls.none()
        columns = ([getattr(part, column.name) for part in parts] for column in fields(Objects))
        return cls(*(np.concatenate(column) for column in columns))

    @property
    def boxes(self) -> np.ndarray:
        """Left, top, right, bottom ``[n, 4]``."""
        return shapely.bounds(self.shapes).reshape(-1, 4)

    def in_order(self) -> Objects:
        """By tile row and column; within a tile the surer first."""
        row, column, number = self.origins.T
        return self.take(np.lexsort((number, -self.scores, column, row)))
