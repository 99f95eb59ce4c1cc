"""Classifying the pixels of a raster of any size with bounded memory.

Readers cut tiles with mirrored borders, the model predicts batch after batch, and one thread
behind it blends, decides and writes: all three work at the same time.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Optional

import numpy as np
from rasterio.windows import Window

from ..events import Reporter
from ..imagery.source import RasterSource
from ..imagery.writing import BLOCK_SIZE, RasterWriter
from ..models.normalisation import Normalisation
from .assembly import Assembler, Strip, make_assembler
from .layout import TileLayout
from .prediction import Predictor
from .reading import Batch, TileReader

#: Value of pixels without data in a confidence raster.
NO_CONFIDENCE = -1.0


@dataclass(frozen=True)
class ClassOutput:
    """Where results go and how output channels become class values.

    Attributes:
        writer: Of the class raster.
        values: Class value of each output channel.
        nodata: Class raster's value for pixels without data.
        confidence: Writer of the confidence raster, where one is wanted.
    """

    writer: RasterWriter
    values: np.ndarray
    nodata: int
    confidence: Optional[RasterWriter] = None


@dataclass
class Tally:
    """What a run did.

    Attributes:
        tiles: Tiles gone through.
        skipped: Tiles without a valid pixel, which were not predicted.
        valid_pixels: Pixels that got a class.
    """

    tiles: int = 0
    skipped: int = 0
    valid_pixels: int = 0


class _BlockRows:
    """Gathers finished rows until whole blocks of the output file can be written at once."""

    def __init__(self, layout: TileLayout, output: ClassOutput, tally: Tally) -> None:
        self._layout, self._output, self._tally = layout, output, tally
        self._classes = np.empty((BLOCK_SIZE, layout.width), dtype=output.values.dtype)
        self._confidence = np.empty(self._classes.shape, np.float32) if output.confidence else None
        self._first = self._filled = 0  # raster row of the first row held; rows held

    def add(self, strip: Strip) -> None:
        """Take finished rows, which follow the ones before without a gap."""
        done = 0
        while done < len(strip.valid):
            count = min(len(strip.valid) - done, BLOCK_SIZE - self._filled)
            self._place(strip, slice(done, done + count), slice(self._filled, self._filled + count))
            done += count
            self._filled += count
            if self._filled == BLOCK_SIZE:
                self.flush()

    def _place(self, strip: Strip, rows: slice, target: slice) -> None:
        invalid = ~strip.valid[rows]
        classes = self._output.values[strip.channels[rows]]
        classes[invalid] = self._output.nodata
        self._classes[target] = classes
        self._tally.valid_pixels += invalid.size - int(np.count_nonzero(invalid))
        if self._confidence is not None:
            self._confidence[target] = np.where(invalid, NO_CONFIDENCE, strip.confidence[rows])

    def flush(self) -> None:
        """Write what is held."""
        if not self._filled:
            return
        window = Window(self._layout.first_column, self._first, self._layout.width, self._filled)
        self._output.writer.write(self._classes[: self._filled], window)
        if self._confidence is not None:
            self._output.confidence.write(self._confidence[: self._filled], window)
        self._first += self._filled
        self._filled = 0


class _Finisher:
    """What happens to a batch behind the model: blend, decide, gather, write."""

    def __init__(
        self, layout: TileLayout, predictor: Predictor, outputs: int, output: ClassOutput, tally: Tally
    ) -> None:
        with_confidence = output.confidence is not None
        self._predictor = predictor
        self._assembler: Assembler = make_assembler(layout, outputs, with_confidence)
        self._needs_probabilities = with_confidence or layout.x.padding > 0
        self._rows = _BlockRows(layout, output, tally)

    def take(self, batch: Batch, scores: Optional[np.ndarray]) -> None:
        """Take in a predicted batch; ``scores`` is None where every tile was skipped."""
        if scores is not None:
            self._predictor.check(scores)
            if self._needs_probabilities:
                scores = self._predictor.probabilities(scores)
            for column, tile, valid in zip(batch.columns, scores, batch.valid):
                self._assembler.add(column, tile, valid)
        if batch.run.ends_row:
            for strip in self._assembler.finish_row(batch.run.row):
                self._rows.add(strip)

    def close(self) -> None:
        """Write the last rows."""
        self._rows.flush()


def classify(
    source: RasterSource,
    layout: TileLayout,
    bands: Sequence[int],
    normalisation: Optional[Normalisation],
    predictor: Predictor,
    output: ClassOutput,
    reporter: Reporter,
    *,
    batch_size: int,
    readers: int,
) -> Tally:
    """Give every valid pixel of ``source`` a class.

    The result depends on the tiles' lattice (tile size and padding) and on nothing else: not on
    batch size, readers, or the order in which tiles are done.

    Args:
        source: The raster.
        layout: Its tiles.
        bands: 0-based bands in the network's order.
        normalisation: From values to network input.
        predictor: Runs the model.
        output: Where results go.
        reporter: Hears about progress; stops the run.
        batch_size: Tiles predicted together.
        readers: Reading threads.

    Raises:
        DataError: If the raster cannot be read.
        ModelError: If the model gives what it should not.
        OutputError: If the result cannot be written.
    """
    tally = Tally()
    outputs = len(output.values)
    blocks = layout.column_blocks(outputs if layout.x.padding else 1)
    total = sum(block.tile_count for block in blocks)
    with TileReader(source, bands, normalisation, readers) as reader, ThreadPoolExecutor(1) as behind:
        for block in blocks:
            finisher = _Finisher(block, predictor, outputs, output, tally)
            pending: deque[Future[None]] = deque()
            for batch in reader.batches(block, block.runs(batch_size)):
                reporter.check_cancelled()
                scores = predictor.scores(batch.tiles, batch.valid) if batch.columns else None
                pending.append(behind.submit(finisher.take, batch, scores))
                _report(reporter, batch, tally, total)
                # One batch behind the model at a time: enough to overlap, and memory stays bounded.
                while len(pending) > 1:
                    pending.popleft().result()
            while pending:
                pending.popleft().result()
            finisher.close()
    return tally


def _report(reporter: Reporter, batch: Batch, tally: Tally, total: int) -> None:
    tally.tiles += len(batch.run.columns)
    tally.skipped += batch.skipped
    note = f"{tally.skipped} without data" if tally.skipped else ""
    reporter.progress("Classifying pixels", tally.tiles, total, "tiles", note)
