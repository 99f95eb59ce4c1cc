"""Reading tiles ahead: worker threads, each with its own handle, give normalised batches in order."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Optional

import numpy as np

from ..imagery.source import RasterSource
from ..models.normalisation import Normalisation
from .layout import Run, TileLayout


@dataclass(frozen=True)
class Batch:
    """Tiles of a run that hold anything valid.

    Attributes:
        run: Where they come from.
        columns: Their tile columns.
        tiles: Network input ``[n, bands, h, w]``, float32.
        valid: ``[n, h, w]``.
    """

    run: Run
    columns: tuple[int, ...]
    tiles: np.ndarray
    valid: np.ndarray

    @property
    def skipped(self) -> int:
        """Tiles of the run without a valid pixel."""
        return len(self.run.columns) - len(self.columns)


class TileReader:
    """Reads the tiles of layouts with several threads.

    Args:
        source: Where from; each thread reads through a clone.
        bands: 0-based bands in the network's order.
        normalisation: From values to input; None where the network takes raw values.
        readers: Number of threads.
    """

    def __init__(
        self,
        source: RasterSource,
        bands: Sequence[int],
        normalisation: Optional[Normalisation],
        readers: int,
    ) -> None:
        self._source = source
        self._bands = tuple(bands)
        self._normalisation = normalisation
        self._ahead = readers + 1
        self._pool = ThreadPoolExecutor(readers, thread_name_prefix="tile-reader")
        self._own = threading.local()
        self._clones: list[RasterSource] = []

    def __enter__(self) -> TileReader:
        return self

    def __exit__(self, *exception: object) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)
        for clone in self._clones:
            clone.close()

    def batches(self, layout: TileLayout, runs: Iterable[Run]) -> Iterator[Batch]:
        """The runs' batches in order; a few are read ahead, and never more."""
        pending: deque[Future[Batch]] = deque()
        for run in runs:
            pending.append(self._pool.submit(self._read, layout, run))
            if len(pending) > self._ahead:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()

    def _handle(self) -> RasterSource:
        if not hasattr(self._own, "source"):
            self._own.source = self._source.clone()
            self._clones.append(self._own.source)
        return self._own.source

    def _read(self, layout: TileLayout, run: Run) -> Batch:
        """Read a run in one piece, normalise it once, cut it into tiles."""
        data, valid, picture = self._handle().read_context(layout.window(run), self._bands)
        size, stride = layout.x.size, layout.x.stride
        offsets = [index * stride for index in range(len(run.columns))]
        kept = [i for i, offset in enumerate(offsets) if valid[:, offset : offset + size].any()]
        tiles = np.empty((len(kept), len(self._bands), layout.y.size, size), dtype=np.float32)
        masks = np.empty((len(kept), layout.y.size, size), dtype=bool)
        if kept:
            values = network_input(data, picture, self._normalisation)
            for position, index in enumerate(kept):
                columns = slice(offsets[index], offsets[index] + size)
                tiles[position] = values[:, :, columns]
                masks[position] = valid[:, columns]
        return Batch(run, tuple(run.columns[i] for i in kept), tiles, masks)


def network_input(
    data: np.ndarray, picture: np.ndarray, normalisation: Optional[Normalisation]
) -> np.ndarray:
    """What the network sees: normalised values, 0 where there is no picture.

    Args:
        data: ``[bands, h, w]`` as read.
        picture: ``[h, w]``, True where the values are a picture.
        normalisation: How to normalise; None for raw values.

    Returns:
        Float32 ``[bands, h, w]``, finite.
    """
    # 0 is the mean of normalised values: the least telling thing to put beside a valid pixel.
    values = normalisation.apply(data) if normalisation else data.astype(np.float32)
    if not picture.all():
        values[:, ~picture] = 0
    if data.dtype.kind == "f":
        np.nan_to_num(values, copy=False, nan=0.0, posinf=0.0, neginf=0.0)
    return values
