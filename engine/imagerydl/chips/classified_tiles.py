"""``Classified_Tiles``: for each chip a label chip of the same size that holds class values."""

from __future__ import annotations

import numpy as np

from ..imagery.grid import Grid
from ..labels.source import label_dtype
from .encoding import ChipWriter, label_format
from .metadata_format import Finding, LabelView, MetadataFormat, Written
from .statistics import pixel_counts


class ClassifiedTiles(MetadataFormat):
    """Label chips ``labels/<id>``: one band, 0 where nothing is labelled."""

    needs_area = True
    output_features = False
    label_folders = ("labels",)

    def __init__(self, *arguments: object) -> None:
        super().__init__(*arguments)
        self._writer = ChipWriter(label_format(self.images), labels=True)
        # One type for all chips, whatever image a label comes from.
        self._dtype = label_dtype(self.facts.max_value)

    def find(self, view: LabelView) -> Finding:
        """The class values of the chip."""
        return _finding(view.pixels())

    def restrict(self, finding: Finding, valid: np.ndarray) -> Finding:
        """Nothing is learnt from pixels without data: their label is 0."""
        return _finding(finding.content * valid)

    def write(self, chip_id: str, finding: Finding, grid: Grid, image: str) -> Written:
        """Write the label chip."""
        label = finding.content.astype(self._dtype, copy=False)
        name = f"labels/{chip_id}{self._writer.format.extension}"
        self._writer.write(self.file(name), label[None], grid)
        return Written([image, name], pixel_counts(label))


def _finding(label: np.ndarray) -> Finding:
    return Finding(is_empty=not label.any(), content=label)


FORMAT = ClassifiedTiles
