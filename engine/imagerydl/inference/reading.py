"""Reading tiles ahead: worker threads, each with its own handle, give normalised batches in order."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Optional

import numpy as np
from rasterio.windows import Window

from ..imagery.pairs import AnySource
from ..models.runtimes.protocol import ModelInput, Position
from .interest import InterestArea
from .layout import Run, TileLayout


@dataclass(frozen=True)
class Batch:
    """Tiles of a run that hold anything valid.

    Attributes:
        layout: The layout they belong to.
        run: Where they come from.
        columns: Their tile columns.
        tiles: Network input ``[n, bands, h, w]``: float32, or as read.
        valid: ``[n, h, w]``, True where the raster has a value that is asked for.
        context: Pixels on every side of a tile that are read but do not count.
    """

    layout: TileLayout
    run: Run
    columns: tuple[int, ...]
    tiles: np.ndarray
    valid: np.ndarray
    context: int = 0

    @property
    def counted(self) -> np.ndarray:
        """Validity of the pixels that count."""
        inner = slice(self.context, self.valid.shape[1] - self.context)
        across = slice(self.context, self.valid.shape[2] - self.context)
        return self.valid[:, inner, across]

    @property
    def positions(self) -> list[Position]:
        """Raster column and row of each tile's upper left pixel; negative beyond the border."""
        top = self.layout.y.start(self.run.row) - self.context
        return [(self.layout.x.start(column) - self.context, top) for column in self.columns]

    @property
    def skipped(self) -> int:
        """Tiles of the run without a valid pixel."""
        return len(self.run.columns) - len(self.columns)


class TileReader:
    """Reads the tiles of layouts with several threads.

    Args:
        source: Where from; each thread reads through a clone.
        bands: 0-based bands in the network's order.
        feed: What the model is fed with.
        context: Pixels to read on every side of a layout's tile.
        readers: Number of threads.
        area: What of the raster is asked for; None for all of it.
    """

    def __init__(
        self,
        source: AnySource,
        bands: Sequence[int],
        feed: ModelInput,
        context: int,
        readers: int,
        area: Optional[InterestArea] = None,
    ) -> None:
        self._source = source
        self._bands = tuple(bands)
        self._feed = feed
        self._context = context
        self._area = area
        self._ahead = readers + 1
        self._pool = ThreadPoolExecutor(readers, thread_name_prefix="tile-reader")
        self._own = threading.local()
        self._clones: list[AnySource] = []

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

    def _handle(self) -> AnySource:
        if not hasattr(self._own, "source"):
            self._own.source = self._source.clone()
            self._clones.append(self._own.source)
        return self._own.source

    def _read(self, layout: TileLayout, run: Run) -> Batch:
        """Read a run in one piece, make it input once, cut it into tiles."""
        context = self._context
        window = _widened(layout.window(run), context)
        if self._area is not None and not self._area.touches(self._source.grid, layout.window(run)):
            return self._nothing(layout, run)
        border = "reflect" if self._feed.mirrored else "zero"
        data, valid, picture = self._handle().read_context(window, self._bands, border)
        if self._area is not None:
            valid = valid & self._area.mask(self._source.grid, window)
        width, stride = layout.x.size + 2 * context, layout.x.stride
        counted = valid[context : context + layout.y.size]
        offsets = [index * stride for index in range(len(run.columns))]
        kept = [
            i
            for i, offset in enumerate(offsets)
            if counted[:, offset + context : offset + context + layout.x.size].any()
        ]
        if not kept:
            return self._nothing(layout, run)
        height = data.shape[1]
        dtype = data.dtype if self._feed.as_read else np.float32
        tiles = np.empty((len(kept), len(self._bands), height, width), dtype=dtype)
        masks = np.empty((len(kept), height, width), dtype=bool)
        for position, index in enumerate(kept):
            columns = slice(offsets[index], offsets[index] + width)
            fill_input(tiles[position], data[:, :, columns], picture[:, columns], self._feed)
            masks[position] = valid[:, columns]
        return Batch(layout, run, tuple(run.columns[i] for i in kept), tiles, masks, context)

    def _nothing(self, layout: TileLayout, run: Run) -> Batch:
        shape = (0, layout.y.size + 2 * self._context, layout.x.size + 2 * self._context)
        tiles = np.empty((0, len(self._bands), *shape[1:]), dtype=np.float32)
        return Batch(layout, run, (), tiles, np.empty(shape, dtype=bool), self._context)


def _widened(window: Window, pixels: int) -> Window:
    return Window(
        window.col_off - pixels,
        window.row_off - pixels,
        window.width + 2 * pixels,
        window.height + 2 * pixels,
    )


def fill_input(target: np.ndarray, data: np.ndarray, picture: np.ndarray, feed: ModelInput) -> None:
    """Put what the network sees of a tile, or of a batch, into ``target``: finite numbers.

    Args:
        target: ``[bands, h, w]`` or ``[n, bands, h, w]``, float32; the data's own type where the model takes
            them as read.
        data: As read, in the same shape.
        picture: ``[h, w]`` or ``[n, h, w]``, True where the values are a picture.
        feed: How values become input, and what stands where there is no picture.
    """
    everywhere = picture.all()
    seen = np.expand_dims(picture, -3)
    if feed.blank is not None and not everywhere:
        data = np.where(seen, data, data.dtype.type(feed.blank))
    if feed.as_read:
        target[:] = data
        return
    if feed.normalisation:
        feed.normalisation.apply_to(data, target)
    else:
        target[:] = data
    if feed.blank is None and not everywhere:
        # 0 is the mean of normalised values: the least telling thing to put beside a valid pixel.
        np.copyto(target, 0, where=~seen)
    if data.dtype.kind == "f":
        np.nan_to_num(target, copy=False, nan=0.0, posinf=0.0, neginf=0.0)
