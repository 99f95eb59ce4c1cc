"""``MultiLabeled_Tiles``: each chip has one or more classes, in an annotation file."""

from __future__ import annotations

import numpy as np

from ..imagery.grid import Grid
from .metadata_format import Finding, LabelView, MetadataFormat, Written
from .object_format import areas_by_class
from .pascal_voc_rectangles import write_annotation


class MultiLabeledTiles(MetadataFormat):
    """``labels/<id>.xml`` with one object, named by the class **names** with commas between them."""

    label_folders = ("labels",)

    def find(self, view: LabelView) -> Finding:
        """All classes in the chip, by value."""
        if view.labels.is_vector:
            objects = view.objects()
            return Finding(is_empty=not len(objects), content=objects)
        pixels = view.pixels()
        return Finding(is_empty=not pixels.any(), content=pixels)

    def restrict(self, finding: Finding, valid: np.ndarray) -> Finding:
        """Pixels without data have no class; objects are where they are."""
        if not isinstance(finding.content, np.ndarray):
            return finding
        pixels = finding.content * valid
        return Finding(is_empty=not pixels.any(), content=pixels)

    def write(self, chip_id: str, finding: Finding, grid: Grid, image: str) -> Written:
        """Write the annotation; a chip without any class has none in it."""
        tally = self._tally(finding, grid)
        # A comma in a name would make two names of it.
        names = ",".join(self.facts.name(value).replace(",", " ") for value in sorted(tally))
        name = f"labels/{chip_id}.xml"
        write_annotation(self.file(name), image, grid, self.facts.bands, [(names, None)] if names else [])
        return Written([image, name], tally)

    def _tally(self, finding: Finding, grid: Grid) -> dict[int, list[float]]:
        if not isinstance(finding.content, np.ndarray):
            return areas_by_class(finding.content, grid)
        counts = np.bincount(finding.content.ravel())
        counts[0] = 0
        pixel = grid.area / (grid.width * grid.height)
        return {int(value): [float(counts[value] * pixel)] for value in np.flatnonzero(counts)}


FORMAT = MultiLabeledTiles
