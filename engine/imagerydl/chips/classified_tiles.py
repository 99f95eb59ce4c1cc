"""``Classified_Tiles``: for each chip a label chip of the same size that holds class values."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Optional

import numpy as np
from rasterio.windows import Window

from ..imagery.grid import Grid
from ..labels.classes import ClassEntry
from ..labels.source import LabelSource, label_dtype
from .encoding import ChipWriter, ImageFormat, label_format
from .folder import LABELS
from .metadata_format import Finding, MetadataFormat
from .statistics import ClassPixels


class ClassifiedTiles(MetadataFormat):
    """Label chips ``labels/<id>``: one band, 0 where nothing is labelled."""

    keyword = "Classified_Tiles"
    needs_labels = True
    needs_area = True
    output_features = False

    def __init__(self, root: Path, images: ImageFormat, label_max: int = 0) -> None:
        super().__init__(root, images, label_max)
        self._writer = ChipWriter(label_format(images), labels=True)
        # One type for all chips, whatever image a label comes from.
        self._dtype = label_dtype(label_max)
        self._pixels = ClassPixels()

    def find(self, labels: Optional[LabelSource], grid: Grid, window: Window) -> Finding:
        """The class values of the window."""
        return _finding(labels.rasterise(grid, window))

    def restrict(self, finding: Finding, valid: np.ndarray) -> Finding:
        """Nothing is learnt from pixels without data: their label is 0."""
        return _finding(finding.content * valid)

    def write(self, chip_id: str, finding: Finding, grid: Grid) -> list[str]:
        """Write the label chip."""
        label = finding.content.astype(self._dtype, copy=False)
        name = f"{LABELS}/{chip_id}{self._writer.format.extension}"
        self._writer.write(self.root / name, label[None], grid)
        self._pixels.add(label)
        return [name]

    @property
    def class_values(self) -> Sequence[int]:
        """Values in the label chips."""
        return self._pixels.values

    def statistics(self, classes: Sequence[int]) -> dict[str, Any]:
        """Pixels per class."""
        return {"ClassPixelStats": self._pixels.as_json(classes)}

    def summary(self, classes: Sequence[ClassEntry]) -> list[str]:
        """One row per class."""
        per_image = self._pixels.per_image([entry.value for entry in classes])
        low, high = (per_image.minimum, per_image.maximum) if per_image.count else (0, 0)
        head = ("cls name", "cls value", "images", "pixels", "min size", "mean size", "max size")
        return [
            "",
            "Class feature statistics:",
            f"classes = {len(classes)}",
            f"classes per image = [min = {low}, mean = {per_image.mean:.2f}, max = {high}]",
            f"{head[0]:<24}" + "".join(f"{title:>14}" for title in head[1:]),
            *(self._row(entry) for entry in classes),
        ]

    def _row(self, entry: ClassEntry) -> str:
        numbers = self._pixels.of(entry.value).as_json()
        sizes = "".join(f"{numbers[key]:>14.2f}" for key in ("Min", "Mean", "Max"))
        return f"{entry.name:<24}{entry.value:>14}{numbers['Count']:>14}{int(numbers['Sum']):>14}{sizes}"


def _finding(label: np.ndarray) -> Finding:
    return Finding(is_empty=not label.any(), content=label)


FORMAT = ClassifiedTiles
