"""Cuts chips one after the other, or in several processes; the outcomes come in order in any case."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from itertools import islice
from multiprocessing import get_context, parent_process
from multiprocessing.connection import wait
from pathlib import Path
from typing import Optional, Union

from rasterio.windows import Window

from ..events import Reporter
from ..imagery.frame import Frame
from .cutting import Cutter, Outcome
from .plan import Cut, ExportPlan, ExportSettings, Task

#: Pixels, and chips, that are cut in one go at most: many at once are quicker, but until they are
#: done nothing is heard of them.
_LOT_PIXELS, _LOT = 4_000_000, 32

#: Lots that wait for each process.
_AHEAD = 2

#: Lots whose outcomes wait for those of an earlier one; they would be cut again after a kill.
_HELD = 64


def cut_all(
    plan: ExportPlan, root: Path, workers: int, tasks: Iterator[Task]
) -> Iterator[tuple[Task, Outcome]]:
    """Every task with its outcome (the note of a chip, or why there is none), in the order of the tasks.

    Args:
        plan: What to do.
        root: Folder of the export.
        workers: Processes that cut, this one among them.
        tasks: What to cut.
    """
    cutter = Cutter(plan, root)
    lots = _lots(tasks, plan.settings.tile_size)
    try:
        if workers > 1:
            yield from _cut_in_processes(plan, root, workers, cutter, lots)
        else:
            for lot in lots:
                yield from zip(lot, cutter.cut(lot))
    finally:
        cutter.close()


def _cut_in_processes(
    plan: ExportPlan, root: Path, workers: int, cutter: Cutter, lots: Iterator[list[Task]]
) -> Iterator[tuple[Task, Outcome]]:
    # Fresh processes: a copy of this one would share its open files, and their positions.
    pool = ProcessPoolExecutor(workers - 1, get_context("spawn"), _begin, (plan.settings, root))
    waiting: deque[tuple[list[Task], Union[Future[list[Outcome]], list[Outcome]]]] = deque()
    try:
        for lot in lots:
            if sum(not _is_done(outcomes) for _, outcomes in waiting) < (workers - 1) * _AHEAD:
                waiting.append((lot, pool.submit(_cut_lot, [_Sent.of(task) for task in lot])))
            else:
                # The others have enough to do, or are still starting.
                waiting.append((lot, list(cutter.cut(lot))))
            while waiting and (_is_done(waiting[0][1]) or len(waiting) > _HELD):
                yield from _outcomes(*waiting.popleft())
        while waiting:
            yield from _outcomes(*waiting.popleft())
    finally:
        pool.shutdown(cancel_futures=True)


def _lots(tasks: Iterator[Task], tile_size: tuple[int, int]) -> Iterator[list[Task]]:
    size = max(1, min(_LOT, _LOT_PIXELS // (tile_size[0] * tile_size[1])))
    while lot := list(islice(tasks, size)):
        yield lot


def _is_done(outcomes: Union[Future[list[Outcome]], list[Outcome]]) -> bool:
    return outcomes.done() if isinstance(outcomes, Future) else True


def _outcomes(
    lot: list[Task], outcomes: Union[Future[list[Outcome]], list[Outcome]]
) -> Iterator[tuple[Task, Outcome]]:
    return zip(lot, outcomes.result() if isinstance(outcomes, Future) else outcomes)


#: The cutter of this process, in a process that was started to cut.
_cutter: Optional[Cutter] = None


def _begin(settings: ExportSettings, root: Path) -> None:
    """Make the same plan again: open files and trees cannot be handed over."""
    from .checks import make_plan

    global _cutter
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _cutter = Cutter(make_plan(settings, Reporter()), root)


def _end_with_parent() -> None:
    """A parent that was killed cannot end its processes."""
    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


@dataclass(frozen=True)
class _Sent:
    """A task without the grid, which the other process knows: grids are slow to send and to compare."""

    index: int
    item: int
    window: Window
    angle: float
    feature: Optional[int]

    @classmethod
    def of(cls, task: Task) -> _Sent:
        frame = task.cut.frame
        return cls(task.index, task.item, frame.window, frame.angle, task.cut.feature)

    def task(self, plan: ExportPlan) -> Task:
        frame = Frame(plan.items[self.item].grid, self.window, self.angle)
        return Task(self.index, self.item, Cut(frame, self.feature))


def _cut_lot(lot: list[_Sent]) -> list[Outcome]:
    return list(_cutter.cut([sent.task(_cutter.plan) for sent in lot]))
