"""Cuts chips: reads the labels and the image in a frame, and writes the files."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, Optional, Union

import numpy as np
from affine import Affine
from rasterio.env import Env
from rasterio.features import rasterize

from ..imagery.frame import Frame
from ..imagery.grid import Grid
from ..imagery.source import RasterSource
from ..labels.geometry import is_pixel_space
from ..labels.source import LabelSource
from .encoding import ChipWriter
from .metadata_format import Finding, LabelView, MetadataFormat
from .plan import Cut, ExportPlan, Task
from .record import ChipRecord
from .statistics import band_moments
from .tile_classes import TileClass

#: Digits of a chip's name, as ArcGIS Pro 3 writes it.
ID_DIGITS = 12

#: The note of a chip, or why a frame gave none.
Outcome = Union[ChipRecord, str]

#: Why a frame gave no chip.
OUTSIDE = "outside the mask polygons"
UNLABELLED = "without labels"
WITHOUT_DATA = "without data"
BETWEEN = "between two parts of the split"


class Cutter:
    """Cuts the chips of an export; belongs to one process.

    Args:
        plan: What to do; also an attribute.
        root: Folder of the export.
    """

    def __init__(self, plan: ExportPlan, root: Path) -> None:
        self.plan = plan
        self._root = root
        self._images = ChipWriter(plan.image_format)
        self._images2 = ChipWriter(plan.image_format)
        self._formats: dict[str, MetadataFormat] = {}
        self._made: set[str] = set()
        self._item = -1
        self._source: Optional[RasterSource] = None
        self._second: Optional[RasterSource] = None
        self._labels: Optional[LabelSource] = None
        self._instances: Optional[LabelSource] = None

    def close(self) -> None:
        """Release the files."""
        for opened in (self._source, self._second, self._labels, self._instances):
            if opened is not None:
                opened.close()
        self._source = self._second = self._labels = self._instances = None
        self._item = -1

    def cut(self, tasks: Sequence[Task]) -> Iterator[Outcome]:
        """Cut chips; the labels of all are looked up together.

        Args:
            tasks: In the order of their items.

        Yields:
            For each the note of the chip, or why there is none.
        """
        # Without one around them, each call of the library sets up an environment of its own.
        with Env():
            for item, run in groupby(tasks, key=lambda task: task.item):
                self._open(item)
                run = list(run)
                for task, found in zip(run, self._found(item, [task.cut for task in run])):
                    yield found if isinstance(found, str) else self._cut(task, *found)

    def _found(self, item: int, cuts: Sequence[Cut]) -> list[Union[str, tuple[str, Finding]]]:
        """For each chip the folder it goes to and what the labels say, or why there is none."""
        found: list[Any] = [OUTSIDE] * len(cuts)
        by_folder: dict[str, list[int]] = {}
        for number, cut in enumerate(cuts):
            if self.plan.mask is None or self.plan.mask.contains(*cut.frame.view):
                folder = self._folder(item, cut.frame)
                if folder is None:
                    found[number] = BETWEEN
                else:
                    by_folder.setdefault(folder, []).append(number)
        for folder, numbers in by_folder.items():
            # Labels first: where nothing is labelled, the image need not be read.
            findings = self._format(folder).find_each([self._view(cuts[number]) for number in numbers])
            for number, finding in zip(numbers, findings):
                found[number] = UNLABELLED if self._unwanted(finding) else (folder, finding)
        return found

    def _cut(self, task: Task, folder: str, finding: Finding) -> Outcome:
        frame = task.cut.frame
        data, valid = frame.read(self._source, nearest=self._source.colormap is not None)
        second = frame.read(self._second) if self._second is not None else None
        if not valid.any() or (second is not None and not second[1].any()):
            return WITHOUT_DATA
        if not valid.all():
            finding = self._format(folder).restrict(finding, valid)
            if self._unwanted(finding):
                return UNLABELLED
        return self._write(task, folder, finding, (data, valid), second)

    def _open(self, item: int) -> None:
        if item == self._item:
            return
        self.close()
        planned = self.plan.items[item]
        self._source = self.plan.open(planned)
        self._second = self.plan.open_second(planned)
        self._labels = self.plan.open_labels(planned)
        self._instances = self.plan.open_instances(planned)
        self._item = item

    def _folder(self, item: int, frame: Frame) -> Optional[str]:
        """Where in the export the chip goes; None for nowhere."""
        part = self.plan.items[item].item.part
        if self.plan.splitter is None:
            return part
        split = self.plan.splitter.part(item, frame)
        return None if split is None else f"{split}/{part}".rstrip("/")

    def _format(self, folder: str) -> MetadataFormat:
        if folder not in self._formats:
            plan = self.plan
            kind = plan.format_class(self._root / folder, plan.image_format, plan.facts)
            for name in ("images", *kind.label_folders):
                (self._root / folder / name).mkdir(parents=True, exist_ok=True)
            self._formats[folder] = kind
        return self._formats[folder]

    def _view(self, cut: Cut) -> LabelView:
        grid, window = cut.frame.view
        return LabelView(
            self._labels, self._instances, grid, window, self.plan.settings.min_share, cut.feature
        )

    def _unwanted(self, finding: Finding) -> bool:
        settings = self.plan.settings
        # A chip of a class cannot be without one.
        return finding.is_empty and (settings.traits.crops or not settings.all_tiles)

    def _write(
        self,
        task: Task,
        folder: str,
        finding: Finding,
        first: tuple[np.ndarray, np.ndarray],
        second: Optional[tuple[np.ndarray, np.ndarray]],
    ) -> ChipRecord:
        """Write the files of a chip."""
        chip_id = f"{task.index:0{ID_DIGITS}}"
        frame, kind = task.cut.frame, self._format(folder)
        own = _own_grid(frame)
        data, valid = first
        if self.plan.settings.blacken:
            data = _blackened(data, finding.content)
        name = kind.image_name(chip_id, finding)
        moments = self._write_image(self._images, kind.file(name), data, valid, own, self._source)
        moments2 = None
        if second is not None:
            name2 = f"images2/{chip_id}{self.plan.image_format.extension}"
            moments2 = self._write_image(self._images2, kind.file(name2), *second, own, self._second)
        written = kind.write(chip_id, finding, own, name)
        files = written.files if second is None else [name, name2, *written.files[1:]]
        return ChipRecord(
            index=task.index,
            folder=folder,
            item=task.item,
            image=os.path.basename(self.plan.items[task.item].item.name),
            angle=frame.angle,
            corners=[list(corner) for corner in frame.grid.corners],
            files=files,
            bands=moments,
            bands2=moments2,
            tally=dict(written.tally),
            extra=written.extra,
        )

    def _write_image(
        self,
        writer: ChipWriter,
        path: str,
        data: np.ndarray,
        valid: np.ndarray,
        grid: Grid,
        source: RasterSource,
    ) -> list[list[float]]:
        nodata = _storable(source.nodata, data.dtype)
        moments = band_moments(data, valid, source.nodata)
        if not valid.all():
            # Pixels masked by other means than their value would count as picture in the chip.
            data = np.where(valid, data, data.dtype.type(_fill(nodata, data.dtype)))
        folder = os.path.dirname(path)
        if folder not in self._made:
            os.makedirs(folder, exist_ok=True)
            self._made.add(folder)
        writer.write(path, data, grid, nodata)
        return moments


def _own_grid(frame: Frame) -> Grid:
    """The lattice of a chip file; a chip of an image without georeference has none either."""
    if is_pixel_space(frame.lattice):
        return Grid(None, Affine.identity(), int(frame.window.width), int(frame.window.height))
    return frame.grid


def _blackened(data: np.ndarray, found: TileClass) -> np.ndarray:
    """``data`` with 0 outside the object; unchanged where the chip as a whole has the class."""
    if not len(found.objects):
        return data
    inside = rasterize(found.objects.geometries, data.shape[1:], transform=Affine.identity(), dtype="uint8")
    return data * inside.astype(data.dtype)


def _storable(nodata: Optional[float], dtype: np.dtype) -> Optional[float]:
    """``nodata`` where pixels of ``dtype`` can hold it."""
    if nodata is None or dtype.kind == "f":
        return nodata
    limits = np.iinfo(dtype)
    return nodata if nodata == int(nodata) and limits.min <= nodata <= limits.max else None


def _fill(nodata: Optional[float], dtype: np.dtype) -> Any:
    if nodata is not None:
        return nodata
    return float("nan") if dtype.kind == "f" else 0
