"""Cuts chips one after the other, or in several processes; the outcomes come in order in any case."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from itertools import islice
from multiprocessing import get_context, parent_process
from multiprocessing.connection import wait
from pathlib import Path
from typing import Optional, Union

from ..events import Reporter
from .cutting import Cutter
from .plan import Cut, ExportPlan, ExportSettings
from .record import ChipRecord

#: Chips a process is given at a time, and such lots that wait for each process.
_LOT, _AHEAD = 8, 3

Outcome = Union[ChipRecord, str]


@dataclass(frozen=True)
class Task:
    """A chip to cut.

    Attributes:
        index: Its number.
        item: Number of the item to cut it from.
        cut: Where.
    """

    index: int
    item: int
    cut: Cut


def cut_all(
    plan: ExportPlan, root: Path, workers: int, tasks: Iterator[Task]
) -> Iterator[tuple[Task, Outcome]]:
    """Every task with its outcome (the note of a chip, or why there is none), in the order of the tasks.

    Args:
        plan: What to do.
        root: Folder of the export.
        workers: Processes that cut; one means this process.
        tasks: What to cut.
    """
    if workers > 1:
        yield from _cut_in_processes(plan, root, workers, tasks)
        return
    cutter = Cutter(plan, root)
    try:
        for task in tasks:
            yield task, cutter.cut(task.index, task.item, task.cut)
    finally:
        cutter.close()


def _cut_in_processes(
    plan: ExportPlan, root: Path, workers: int, tasks: Iterator[Task]
) -> Iterator[tuple[Task, Outcome]]:
    # Fresh processes: a copy of this one would share its open files, and their positions.
    pool = ProcessPoolExecutor(workers, get_context("spawn"), _begin, (plan.settings, root))
    waiting: deque[tuple[list[Task], Future[list[Outcome]]]] = deque()
    try:
        for lot in _lots(tasks):
            waiting.append((lot, pool.submit(_cut_lot, lot)))
            if len(waiting) > workers * _AHEAD:
                yield from _outcomes(*waiting.popleft())
        while waiting:
            yield from _outcomes(*waiting.popleft())
    finally:
        pool.shutdown(cancel_futures=True)


def _lots(tasks: Iterable[Task]) -> Iterator[list[Task]]:
    tasks = iter(tasks)
    while lot := list(islice(tasks, _LOT)):
        yield lot


def _outcomes(lot: list[Task], future: Future[list[Outcome]]) -> Iterator[tuple[Task, Outcome]]:
    return zip(lot, future.result())


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


def _cut_lot(lot: list[Task]) -> list[Outcome]:
    return [_cutter.cut(task.index, task.item, task.cut) for task in lot]
