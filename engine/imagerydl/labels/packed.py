"""Many geometries in little memory: their coordinates lie in a temporary file, found by an index."""

from __future__ import annotations

import tempfile
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator

import numpy as np
import shapely

from .box_index import BoxIndex

#: Geometries handled in one go when all are.
BATCH = 20_000

#: Bytes of coordinates up to which a layer stays as it is, without a file: reading geometries anew
#: for every chip takes as long as cutting them. As objects they take several times as much.
_IN_MEMORY = 4_000_000

#: From this size on, in bytes, a geometry that was read is remembered: the next chip needs it too.
_LARGE = 50_000
_LARGE_KEPT = 32


class PackedGeometries:
    """Geometries that are read when a chip needs them; safe to read from several threads.

    Beside the temporary file, which goes when this object does, each takes about 40 bytes.

    Args:
        batches: The geometries, in arrays; none missing.

    Attributes:
        dimensions: Of each, int8 ``[n]``: 0 point, 1 line, 2 polygon, -1 empty.
    """

    def __init__(self, batches: Iterable[np.ndarray]) -> None:
        self._file = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115 - lives as long as this
        self._lock = threading.Lock()
        self._large: OrderedDict[int, shapely.Geometry] = OrderedDict()
        starts, lengths, dimensions, end = [], [], [], 0
        boxes = BoxIndex()
        kept: list[np.ndarray] = []
        for batch in _small(batches):
            texts = shapely.to_wkb(batch)
            length = np.fromiter(map(len, texts), np.uint32, len(texts))
            starts.append(end + np.cumsum(length, dtype=np.int64) - length)
            end += int(length.sum())
            self._file.write(b"".join(texts))
            lengths.append(length)
            dimensions.append(shapely.get_dimensions(batch).astype(np.int8))
            boxes.add(shapely.bounds(batch).reshape(-1, 4))
            kept = [*kept, batch] if end <= _IN_MEMORY else []
        self._kept = np.concatenate([np.empty(0, object), *kept]) if end <= _IN_MEMORY else None
        self._starts = np.concatenate([np.empty(0, np.int64), *starts])
        self._lengths = np.concatenate([np.empty(0, np.uint32), *lengths])
        self.dimensions = np.concatenate([np.empty(0, np.int8), *dimensions])
        self._boxes = boxes

    def __len__(self) -> int:
        return len(self._starts)

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """(xmin, ymin, xmax, ymax) of all; NaN where there is none."""
        return self._boxes.total

    def near(self, bounds: tuple[float, float, float, float]) -> np.ndarray:
        """Positions of geometries whose bounds touch ``bounds``, ascending; perhaps a few close ones too."""
        return self._boxes.near(bounds)

    def near_each(self, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The same for several bounds ``[m, 4]`` at once: positions, and which of the bounds each is near."""
        return self._boxes.near_each(wanted)

    def take(self, positions: np.ndarray) -> np.ndarray:
        """The geometries at ``positions``."""
        if self._kept is not None:
            return self._kept[positions]
        large = np.flatnonzero(self._lengths[positions] > _LARGE).tolist()
        with self._lock:
            known = {number: self._large.get(int(positions[number])) for number in large}
            texts = [
                None if known.get(number) is not None else self._read(position)
                for number, position in enumerate(positions.tolist())
            ]
        result = shapely.from_wkb(np.array(texts, dtype=object))
        for number, geometry in known.items():
            if geometry is not None:
                result[number] = geometry
            else:
                self._remember(int(positions[number]), result[number])
        return result

    def batches(self) -> Iterator[np.ndarray]:
        """All geometries, in arrays."""
        for start in range(0, len(self), BATCH):
            yield self.take(np.arange(start, min(start + BATCH, len(self))))

    def mapped(self, change: Callable[[np.ndarray], np.ndarray]) -> PackedGeometries:
        """New geometries made of these, array by array."""
        return PackedGeometries(map(change, self.batches()))

    def select(self, which: np.ndarray) -> PackedGeometries:
        """Those that a bool mask ``[n]`` names."""
        return self if which.all() else PackedGeometries(self._selected(which))

    def _selected(self, which: np.ndarray) -> Iterator[np.ndarray]:
        positions = np.flatnonzero(which)
        for start in range(0, len(positions), BATCH):
            yield self.take(positions[start : start + BATCH])

    def _read(self, position: int) -> bytes:
        self._file.seek(int(self._starts[position]))
        return self._file.read(int(self._lengths[position]))

    def _remember(self, position: int, geometry: shapely.Geometry) -> None:
        with self._lock:
            self._large[position] = geometry
            while len(self._large) > _LARGE_KEPT:
                self._large.popitem(last=False)


def _small(batches: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    for batch in batches:
        for start in range(0, len(batch), BATCH):
            yield batch[start : start + BATCH]
