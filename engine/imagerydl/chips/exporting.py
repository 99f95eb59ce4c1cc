"""The export itself: plan -> read image and labels in a window -> write the chip -> count it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Optional, TextIO

import numpy as np
from affine import Affine
from rasterio.windows import Window

from ..errors import DataError
from ..events import Reporter
from ..imagery.grid import Grid
from ..imagery.source import RasterSource
from ..imagery.tiles import full_tiles
from ..labels.classes import ClassEntry, ClassSchema, lenient_schema
from ..labels.geometry import is_pixel_space
from ..labels.source import LabelSource
from .checks import LABELS_SPAN
from .encoding import ChipWriter
from .folder import IMAGES, LABELS, MAP_FILE
from .metadata_format import Finding
from .plan import ExportPlan, PlannedItem
from .side_files import ExportRecord, map_line, write_side_files
from .statistics import BandStatistics

#: Part of the run that writing chips fills in the progress bar.
_EXPORT_SPAN = (LABELS_SPAN[1], 1.0)

#: Digits of a chip's name, as ArcGIS Pro 3 writes it.
_ID_DIGITS = 12


@dataclass
class _Skipped:
    """Tiles that gave no chip, by reason."""

    outside: int = 0
    unlabelled: int = 0
    without_data: int = 0

    @property
    def total(self) -> int:
        return self.outside + self.unlabelled + self.without_data

    def describe(self) -> str:
        reasons = {
            "outside the mask polygons": self.outside,
            "without labels": self.unlabelled,
            "without data": self.without_data,
        }
        return ", ".join(f"{count} {reason}" for reason, count in reasons.items() if count)


class Exporter:
    """Writes the chips of a plan into a folder.

    Args:
        plan: What to do.
        root: Folder to create; unfinished until :meth:`run` returns.
        reporter: Receives progress.
    """

    def __init__(self, plan: ExportPlan, root: Path, reporter: Reporter) -> None:
        self._plan = plan
        self._root = root
        self._reporter = reporter
        self._format = plan.format_class(root, plan.image_format, plan.label_max)
        self._images = ChipWriter(plan.image_format)
        self._bands: Optional[BandStatistics] = None
        # Classes that sources name although no schema lists them all.
        self._found: dict[int, ClassEntry] = {}
        self._skipped = _Skipped()
        self._written = 0
        # Counts every tile, also those not written: names stay the same whatever is left out.
        self._next_index = 0

    def run(self) -> ExportRecord:
        """Write everything.

        Raises:
            DataError: If no chip comes out.
        """
        (self._root / IMAGES).mkdir(parents=True)
        if self._plan.format_class.needs_labels:
            (self._root / LABELS).mkdir()
        with open(self._root / MAP_FILE, "w", encoding="utf-8", newline="\n") as chip_map:
            for planned in self._plan.items:
                self._export_item(planned, chip_map)
        self._tell_progress(self._plan.tiles)
        if not self._written:
            raise self._nothing()
        record = self._record()
        write_side_files(self._root, record)
        left_out = f"; left out: {self._skipped.describe()}" if self._skipped.total else ""
        self._reporter.message(f"{self._written} chips of {self._plan.tiles} tiles written{left_out}.")
        return record

    def _export_item(self, planned: PlannedItem, chip_map: TextIO) -> None:
        labels = None
        settings = self._plan.settings
        with self._plan.open(planned) as source:
            if self._plan.labels is not None:
                labels = self._plan.labels.open(planned.native, planned.item.name, planned.item.label)
            try:
                self._bands = self._bands or BandStatistics(source.count, source.nodata)
                grid = source.grid
                for window in full_tiles(grid.width, grid.height, *settings.tile_size, *settings.stride):
                    self._export_tile(source, labels, window, chip_map)
                self._note_classes(labels)
            finally:
                if labels is not None:
                    labels.close()

    def _export_tile(
        self, source: RasterSource, labels: Optional[LabelSource], window: Window, chip_map: TextIO
    ) -> None:
        index, self._next_index = self._next_index, self._next_index + 1
        self._tell_progress(index)
        if self._plan.mask is not None and not self._plan.mask.contains(source.grid, window):
            self._skipped.outside += 1
            return
        # Labels first: where nothing is labelled, the image need not be read.
        finding = self._format.find(labels, source.grid, window)
        if finding.is_empty and not self._plan.settings.all_tiles:
            self._skipped.unlabelled += 1
            return
        data, valid = source.read(window)
        if not valid.any():
            self._skipped.without_data += 1
            return
        if not valid.all():
            finding = self._format.restrict(finding, valid)
            if finding.is_empty and not self._plan.settings.all_tiles:
                self._skipped.unlabelled += 1
                return
        chip_map.write(self._write_chip(index, source, window, data, valid, finding))

    def _tell_progress(self, done: int) -> None:
        note = f"skipped {self._skipped.total}" if self._skipped.total else ""
        self._reporter.progress(
            "Exporting chips", done, self._plan.tiles, "chips", note=note, span=_EXPORT_SPAN
        )

    def _write_chip(
        self,
        index: int,
        source: RasterSource,
        window: Window,
        data: np.ndarray,
        valid: np.ndarray,
        finding: Finding,
    ) -> str:
        """Write one chip and its labels; returns its line for the map."""
        chip_id = f"{index:0{_ID_DIGITS}}"
        grid = _chip_grid(source.grid, window)
        nodata = _storable(source.nodata, data.dtype)
        self._bands.add(data, valid)
        if not valid.all():
            # Pixels masked by other means than their value would count as picture in the chip.
            data = np.where(valid, data, data.dtype.type(_fill(nodata, data.dtype)))
        name = f"{IMAGES}/{chip_id}{self._plan.image_format.extension}"
        self._images.write(self._root / name, data, grid, nodata)
        self._written += 1
        return map_line([name, *self._format.write(chip_id, finding, grid)])

    def _note_classes(self, labels: Optional[LabelSource]) -> None:
        """Remember what a label source calls the values found so far."""
        if labels is None or not self._plan.format_class.needs_labels:
            return
        for entry in labels.classes:
            self._found.setdefault(entry.value, entry)
        for value in self._format.class_values:
            # 0 is background unless the labels' own classes say otherwise.
            if value != 0 and value not in self._found:
                self._found[value] = labels.describe(value)

    def _classes(self) -> ClassSchema:
        """The schema's classes first, then what else was found, by value."""
        schema = self._plan.settings.schema
        listed = [entry for entry in schema or () if entry.value in self._found]
        extra = sorted(
            (entry for v, entry in self._found.items() if not schema or v not in schema), key=_value
        )
        if schema and extra:
            names = ", ".join(str(entry.value) for entry in extra)
            self._reporter.warning(f"The labels hold class values that the class schema lacks: {names}.")
        return lenient_schema([*listed, *extra])

    def _record(self) -> ExportRecord:
        width, height = self._plan.settings.tile_size
        return ExportRecord(
            metadata_format=self._format,
            tile_size=(width, height),
            chip_count=self._written,
            next_index=self._next_index,
            classes=self._classes(),
            band_names=self._plan.band_names,
            bands=self._bands,
            grids=[planned.grid for planned in self._plan.items],
        )

    def _nothing(self) -> DataError:
        fixes = []
        if self._skipped.outside:
            fixes.append("Check that the mask polygons hold at least one whole tile.")
        if self._skipped.unlabelled:
            fixes.append("Check the labels, or set OUTPUT_NOFEATURE_TILES.")
        if self._skipped.without_data:
            fixes.append("Check the nodata value and the mask of the imagery.")
        return DataError(
            f"No chip came out of {self._plan.tiles} tiles: {self._skipped.describe()}.", " ".join(fixes)
        )


def _chip_grid(grid: Grid, window: Window) -> Grid:
    """The lattice of a chip; a chip of an image without georeference has none either."""
    if is_pixel_space(grid):
        return Grid(None, Affine.identity(), int(window.width), int(window.height))
    return grid.subgrid(window)


def _value(entry: ClassEntry) -> int:
    return entry.value


def _storable(nodata: Optional[float], dtype: np.dtype) -> Optional[float]:
    """``nodata`` where pixels of ``dtype`` can hold it."""
    if nodata is None or dtype.kind == "f":
        return nodata
    limits = np.iinfo(dtype)
    return nodata if nodata == int(nodata) and limits.min <= nodata <= limits.max else None


def _fill(nodata: Optional[float], dtype: np.dtype) -> float:
    if nodata is not None:
        return nodata
    return float("nan") if dtype.kind == "f" else 0
