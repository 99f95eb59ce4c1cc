"""Classifying the pixels of a raster of any size with bounded memory.

Readers cut tiles with mirrored borders, the model predicts batch after batch, and one thread
behind it blends, decides and spools: all three work at the same time.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import chain
from typing import Optional

import numpy as np

from ..events import Reporter
from ..imagery.pairs import AnySource
from ..models.runtimes.protocol import ModelInput
from .arguments import MEAN
from .assembly import Strip, make_assembler, overlaps
from .decision import FORMS, PROBABILITIES, Decider
from .interest import InterestArea
from .layout import TileLayout
from .prediction import Predictor
from .reading import Batch, TileReader
from .spool import BAND_ROWS, BandNote, Spool
from .tiles import TilePlan

#: Name of the class raster among the rasters of a spool; the others have the names of their layers.
CLASSES = "classes"


#: Classes up to which each is counted by itself.
_FEW = 32


@dataclass
class Tally:
    """What a run did, an interrupted one before it included.

    Attributes:
        tiles: Tiles gone through.
        skipped: Tiles without a valid pixel, which were not predicted.
        valid_pixels: Pixels that got a class.
        counts: Pixels by class value.
    """

    tiles: int = 0
    skipped: int = 0
    valid_pixels: int = 0
    counts: dict[int, int] = field(default_factory=dict)


@dataclass(frozen=True)
class View:
    """A raster as a model sees it.

    Attributes:
        source: The raster.
        bands: 0-based bands in the network's order.
        feed: How values become input.
        area: What of it is asked for; None for all of it.
    """

    source: AnySource
    bands: Sequence[int]
    feed: ModelInput
    area: Optional[InterestArea] = None


class _Block:
    """A column block on its way: from predicted batches to bands of rows in the spool."""

    def __init__(
        self,
        index: int,
        layout: TileLayout,
        first_row: int,
        skipped: int,
        run: _Run,
    ) -> None:
        self._index, self._layout, self._run = index, layout, run
        self._assembler = make_assembler(layout, run.decider, run.policy)
        self._first = first_row  # raster row of the first row held; earlier ones are in the spool
        self._filled = 0
        self._skipped_before = skipped
        self._skipped_by_row: dict[int, int] = {}
        decider = run.decider
        shape = (BAND_ROWS, layout.width)
        self._held = {CLASSES: np.empty(shape, dtype=decider.dtype)}
        for layer in decider.layers:
            self._held[layer] = np.empty(decider.shape_of(layer, shape), dtype=FORMS[layer].dtype)
        self._valid_pixels = 0

    def take(self, batch: Batch, pieces: Sequence[np.ndarray]) -> None:
        """Take in a predicted batch: the scores of its tiles, none where every tile was skipped."""
        run, row = self._run, batch.run.row
        self._skipped_by_row[row] = self._skipped_by_row.get(row, 0) + batch.skipped
        if run.needs_probabilities:
            pieces = [run.predictor.probabilities(piece) for piece in pieces]
        for column, tile, valid in zip(batch.columns, chain.from_iterable(pieces), batch.counted):
            self._assembler.add(column, tile, valid)
        if batch.run.ends_row:
            for strip in self._assembler.finish_row(batch.run.row):
                self._add(strip)

    def _add(self, strip: Strip) -> None:
        done = max(0, self._first + self._filled - strip.row)  # rows that an earlier run finished
        while done < len(strip.valid):
            count = min(len(strip.valid) - done, BAND_ROWS - self._filled)
            self._place(strip, slice(done, done + count), slice(self._filled, self._filled + count))
            done += count
            self._filled += count
            if self._filled == BAND_ROWS:
                self.flush()

    def _place(self, strip: Strip, rows: slice, target: slice) -> None:
        valid = strip.valid[rows]
        invalid = None if valid.all() else ~valid
        classes = self._held[CLASSES][target]
        classes[:] = strip.decided.classes[rows]
        if invalid is not None:
            classes[invalid] = self._run.decider.nodata
        self._valid_pixels += int(np.count_nonzero(valid))
        for layer, values in strip.decided.layers.items():
            held = self._held[layer][..., target, :]
            held[:] = values[..., rows, :]
            if invalid is not None:
                held[..., invalid] = FORMS[layer].nodata

    def flush(self) -> None:
        """Spool what is held."""
        if not self._filled:
            return
        tally, layout = self._run.tally, self._layout
        arrays = {name: held[..., : self._filled, :] for name, held in self._held.items()}
        counts = _counted(arrays[CLASSES], self._run.decider)
        # A valid pixel may be left without a class, where the model is not sure enough.
        valid = sum(counts.values()) if counts else self._valid_pixels
        tally.valid_pixels += valid
        for value, count in counts.items():
            tally.counts[value] = tally.counts.get(value, 0) + count
        next_row = self._first + self._filled
        again = layout.y.tiles_over(next_row, layout.y.length).start if next_row < layout.y.length else None
        skipped = sum(n for row, n in self._skipped_by_row.items() if again is None or row < again)
        note = BandNote(
            block=self._index,
            column=layout.first_column,
            width=layout.width,
            row=self._first,
            rows=self._filled,
            valid=valid,
            counts=counts,
            skipped=self._skipped_before + skipped,
            damage=self._run.view.source.damage,
        )
        self._run.spool.add(note, arrays)
        self._first, self._filled, self._valid_pixels = next_row, 0, 0


@dataclass
class _Run:
    """What the blocks of a run share."""

    view: View
    predictor: Predictor
    decider: Decider
    policy: str
    needs_probabilities: bool
    spool: Spool
    tally: Tally


def classify(
    view: View,
    plan: TilePlan,
    predictor: Predictor,
    decider: Decider,
    spool: Spool,
    reporter: Reporter,
    *,
    readers: int,
    policy: str = MEAN,
) -> Tally:
    """Give every valid pixel of a raster a class; go on where an interrupted run stopped.

    The result depends on the tiles' lattice (tile size and padding) and on nothing else: not on
    batch size, readers, the order in which tiles are done, or where a run was interrupted.

    Args:
        view: The raster.
        plan: Its tiles.
        predictor: Runs the model.
        decider: Decides pixels.
        spool: Where finished rows go.
        reporter: Hears about progress; stops the run.
        readers: Reading threads.
        policy: How overlapping tiles become one.

    Raises:
        DataError: If the raster cannot be read.
        ModelError: If the model gives what it should not.
        OutputError: If the result cannot be written.
    """
    layout, tally = plan.layout, Tally()
    blends = overlaps(layout)
    run = _Run(view, predictor, decider, policy, blends or decider.needs_probabilities, spool, tally)
    channels = decider.channels if blends else 1
    if PROBABILITIES in decider.layers:
        channels += decider.channels
    blocks = layout.column_blocks(channels)
    total = sum(block.tile_count for block in blocks)
    first_block, first_row = _go_on(spool, layout.y.length, tally)
    if spool.went_on:
        reporter.message(f"An interrupted run is gone on with at {tally.valid_pixels} classified pixels.")
    tiles = TileReader(view.source, view.bands, view.feed, plan.context, readers, view.area)
    with tiles as reader, ThreadPoolExecutor(1) as behind:
        for index in range(first_block, len(blocks)):
            columns = blocks[index]
            start = first_row if index == first_block else 0
            tile_row = columns.y.tiles_over(start, columns.y.length).start
            tally.tiles = sum(b.tile_count for b in blocks[:index]) + tile_row * len(columns.tile_columns)
            block = _Block(index, columns, start, tally.skipped, run)
            pending: deque[Future[None]] = deque()
            for batch in reader.batches(columns, columns.runs(plan.batch_size, tile_row)):
                reporter.check_cancelled()
                pieces = predictor.scores(batch.tiles, batch.valid, batch.positions) if batch.columns else []
                tally.tiles += len(batch.run.columns)
                tally.skipped += batch.skipped
                pending.append(behind.submit(block.take, batch, pieces))
                note = f"{tally.skipped} without data" if tally.skipped else ""
                reporter.progress("Classifying pixels", tally.tiles, total, "tiles", note)
                # Two batches behind the model: one is taken in, and the next is there while a band of
                # rows is on its way to the disk. Memory stays bounded.
                while len(pending) > 2:
                    pending.popleft().result()
            while pending:
                pending.popleft().result()
            block.flush()
    return tally


def _go_on(spool: Spool, height: int, tally: Tally) -> tuple[int, int]:
    """Take over what the spool holds; returns the column block and the row to go on at."""
    last = spool.open()
    for note in spool.notes:
        tally.valid_pixels += note.valid
        for value, count in note.counts.items():
            tally.counts[value] = tally.counts.get(value, 0) + count
    if last is None:
        return 0, 0
    tally.skipped = last.skipped
    row = last.row + last.rows
    return (last.block + 1, 0) if row >= height else (last.block, row)


def _counted(classes: np.ndarray, decider: Decider) -> dict[int, int]:
    """Pixels by value, without those of no data; nothing for values that are not whole numbers."""
    if classes.dtype.kind == "f":
        return {}
    if 1 < decider.channels <= _FEW:
        # A comparison a class is faster than a histogram, which goes through wide integers.
        found = {int(value): int(np.count_nonzero(classes == value)) for value in decider.values}
        if 0 not in found:  # a threshold may have made pixels background
            found[0] = int(np.count_nonzero(classes == 0))
        return {value: count for value, count in sorted(found.items()) if count and value != decider.nodata}
    values, numbers = np.unique(classes, return_counts=True)
    return {int(v): int(n) for v, n in zip(values, numbers) if v != decider.nodata}
