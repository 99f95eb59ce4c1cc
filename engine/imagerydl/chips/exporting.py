"""The export itself: cut every chip, note it and count it in, then write what stands beside the chips."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Optional

from ..errors import CancelledError, DataError
from ..events import Reporter
from ..labels.classes import ClassEntry, ClassSchema, lenient_schema
from .checks import LABELS_SPAN
from .chip_folder import ChipFolder, EarlierExport
from .cutting import BETWEEN, OUTSIDE, UNLABELLED, WITHOUT_DATA
from .footprints import FootprintLayer
from .plan import ExportPlan, Task
from .pool import cut_all
from .record import ChipRecord, Journal
from .splitting import PARTS
from .tiling import list_cuts

#: Parts of the run that writing chips, and summing up, fill in the progress bar.
_EXPORT_SPAN, _SUM_SPAN = (LABELS_SPAN[1], 0.98), (0.98, 1.0)

#: The notes of an unfinished export, in its folder.
JOURNAL = ".journal.jsonl"

#: A cancelled export of that many chips gets its side files at once; more would take too long.
_SUMMED_UP_WHEN_CANCELLED = 5000


@dataclass(frozen=True)
class ExportResult:
    """What came out.

    Attributes:
        chip_count: Chips written.
        classes: Classes.
        chips_by_folder: Chips in each folder of the export.
    """

    chip_count: int
    classes: ClassSchema
    chips_by_folder: dict[str, int]


class Exporter:
    """Writes the chips of a plan into a folder.

    Args:
        plan: What to do.
        root: Folder to write in; unfinished until :meth:`run` returns.
        reporter: Receives progress.
        workers: Processes that cut chips; the result does not depend on it.
        earlier: By folder name ("" or "train" ...), the export that chips are added to.
    """

    def __init__(
        self,
        plan: ExportPlan,
        root: Path,
        reporter: Reporter,
        workers: int = 1,
        earlier: Optional[dict[str, EarlierExport]] = None,
    ) -> None:
        self._plan = plan
        self._root = root
        self._reporter = reporter
        self._workers = workers
        self._earlier = earlier or {}
        self._first_index = max((export.next_index for export in self._earlier.values()), default=0)
        self._journal = Journal(root / JOURNAL)
        self._skipped: Counter[str] = Counter()
        self._written = 0
        self._folders = {
            name: ChipFolder(root / name, name, plan, earlier) for name, earlier in self._earlier.items()
        }
        self._layer: Optional[FootprintLayer] = None

    def run(self, fingerprint: str, footprints: Optional[Path] = None) -> ExportResult:
        """Write everything.

        Args:
            fingerprint: Of all settings and inputs: an unfinished export of the same one is
                finished, anything else in the folder is replaced.
            footprints: Layer of chip outlines to write.

        Raises:
            DataError: If no chip comes out.
            CancelledError: What was written stays, and the next run goes on from there.
        """
        header = {"version": 1, "fingerprint": fingerprint, "first_index": self._first_index}
        if not self._journal.matches(header):
            # What another export left here goes.
            shutil.rmtree(self._root, ignore_errors=True)
        self._root.mkdir(parents=True, exist_ok=True)
        self._layer = FootprintLayer() if footprints else None
        last = self._journal.open(header)
        done = 0
        if last is not None:
            for chip in self._journal:
                self._count(chip)
            done = last.index + 1 - self._first_index
            self._skipped.update(last.skipped)
            self._written = done - self._skipped.total()
            self._reporter.message(f"Going on after {self._written} chips of an export that was interrupted.")
        try:
            self._cut_from(done)
        except CancelledError:
            self._sum_up_what_there_is()
            raise
        finally:
            self._journal.close()
        self._tell_progress(self._plan.frames)
        if not self._written:
            raise self._nothing()
        result = self._sum_up(footprints)
        self._reporter.progress("Summing up", self._written, self._written, "chips", span=_SUM_SPAN)
        self._journal.path.unlink()
        self._warn_of_empty_parts(result)
        left_out = f"; left out: {self._describe_skipped()}" if self._skipped else ""
        self._reporter.message(f"{self._written} chips of {self._plan.frames} tiles written{left_out}.")
        return result

    def _cut_from(self, done: int) -> None:
        # Closed at once when a run is cancelled: nobody writes on while the notes are summed up.
        with closing(cut_all(self._plan, self._root, self._workers, self._tasks(done))) as outcomes:
            for task, outcome in outcomes:
                if isinstance(outcome, str):
                    self._skipped[outcome] += 1
                else:
                    self._written += 1
                    chip = replace(outcome, skipped=dict(self._skipped)) if self._skipped else outcome
                    self._journal.add(chip)
                    self._count(chip)
                self._tell_progress(task.index + 1 - self._first_index)

    def _tasks(self, done: int) -> Iterator[Task]:
        """Every chip to cut but the first ``done``."""
        position = 0
        for number, planned in enumerate(self._plan.items):
            if position + planned.frames <= done:
                position += planned.frames
                continue
            labels = None
            if self._plan.settings.traits.crops:
                labels = self._plan.open_labels(planned)
            try:
                for cut in list_cuts(self._plan.settings, planned.grid, labels):
                    if position >= done:
                        yield Task(self._first_index + position, number, cut)
                    position += 1
            finally:
                if labels is not None:
                    labels.close()

    def _tell_progress(self, done: int) -> None:
        note = f"written {self._written}"
        if self._skipped:
            note += f", skipped {self._describe_skipped()}"
        self._reporter.progress(
            "Exporting chips", done, self._plan.frames, "tiles", note=note, span=_EXPORT_SPAN
        )

    def _describe_skipped(self) -> str:
        return ", ".join(f"{count} {reason}" for reason, count in sorted(self._skipped.items()))

    def _sum_up_what_there_is(self) -> None:
        """Side files for a cancelled export, so that its folder is a valid one."""
        if 0 < self._written <= _SUMMED_UP_WHEN_CANCELLED:
            self._sum_up(None)
            self._reporter.message(
                f"{self._written} chips are kept in {self._root}: the same export goes on from them."
            )

    def _count(self, chip: ChipRecord) -> None:
        """Add a note to the sums, in the order of the journal."""
        if chip.folder not in self._folders:
            self._folders[chip.folder] = ChipFolder(self._root / chip.folder, chip.folder, self._plan)
        self._folders[chip.folder].add(chip)
        if self._layer is not None:
            self._add_footprint(self._layer, chip)

    def _sum_up(self, footprints: Optional[Path]) -> ExportResult:
        """Write what stands beside the chips."""
        folders = self._folders
        classes = self._classes(folders)
        next_index = self._first_index + self._plan.frames
        for folder in folders.values():
            folder.finish(self._journal, classes, next_index)
        if footprints and self._layer is not None:
            self._layer.write(footprints, self._plan.items[0].grid.crs, classes)
        return ExportResult(self._written, classes, {name: folders[name].count for name in sorted(folders)})

    def _add_footprint(self, layer: FootprintLayer, chip: ChipRecord) -> None:
        grid = self._plan.items[chip.item].grid
        counts = {v: len(n) if isinstance(n, list) else n for v, n in chip.tally.items()}
        layer.add(
            Path(chip.files[0]).stem,
            chip.corners,
            image=chip.image,
            split=chip.folder,
            angle=chip.angle,
            counts=counts,
            crs=grid.crs,
        )

    def _classes(self, folders: dict[str, ChipFolder]) -> ClassSchema:
        """The schema's classes first, then what else is known or was found, by value."""
        plan = self._plan
        if not plan.settings.traits.needs_labels:
            return ClassSchema()
        known = {entry.value: entry for entry in plan.facts.classes}
        for export in self._earlier.values():
            known = {**{entry.value: entry for entry in export.classes}, **known}
        for value in sorted({value for folder in folders.values() for value in folder.counts.values}):
            # 0 is background unless the labels' own classes say otherwise.
            if value != 0 and value not in known:
                known[value] = plan.described.get(value, ClassEntry(value, str(value)))
        schema = plan.settings.schema
        listed = [entry for entry in schema or () if entry.value in known]
        extra = [known[value] for value in sorted(known) if not schema or value not in schema]
        if schema and extra:
            names = ", ".join(str(entry.value) for entry in extra)
            self._reporter.warning(f"The labels hold class values that the class schema lacks: {names}.")
        return lenient_schema([*listed, *extra])

    def _warn_of_empty_parts(self, result: ExportResult) -> None:
        split = self._plan.settings.split
        for part, share in zip(PARTS, split.shares if split else ()):
            if share and not any(name.split("/")[0] == part for name in result.chips_by_folder):
                self._reporter.warning(
                    f"No chip went to {part}: there are too few blocks or images to divide. "
                    "Give a smaller SPLIT_BLOCK_SIZE, or another SEED."
                )

    def _nothing(self) -> DataError:
        fixes = {
            OUTSIDE: "Check that the mask polygons hold at least one whole tile.",
            UNLABELLED: "Check the labels, or set OUTPUT_NOFEATURE_TILES.",
            WITHOUT_DATA: "Check the nodata value and the mask of the imagery.",
            BETWEEN: "Give a larger SPLIT_BLOCK_SIZE.",
        }
        return DataError(
            f"No chip came out of {self._plan.frames} tiles: {self._describe_skipped() or 'no object'}.",
            " ".join(fix for reason, fix in fixes.items() if self._skipped[reason]),
        )
