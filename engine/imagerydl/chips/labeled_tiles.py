"""``Labeled_Tiles``: each chip has one class, in an annotation file."""

from __future__ import annotations

from ..imagery.grid import Grid
from .metadata_format import Finding, Written
from .object_format import areas_by_class
from .pascal_voc_rectangles import write_annotation
from .tile_classes import OneClassFormat, TileClass


class LabeledTiles(OneClassFormat):
    """``labels/<id>.xml`` with exactly one object, named by its class value."""

    label_folders = ("labels",)

    def write(self, chip_id: str, finding: Finding, grid: Grid, image: str) -> Written:
        """Write the annotation."""
        found: TileClass = finding.content
        name = f"labels/{chip_id}.xml"
        write_annotation(self.file(name), image, grid, self.facts.bands, [(str(found.value), found.box)])
        tally = areas_by_class(found.objects, grid) or {found.value: [grid.area]}
        return Written([image, name], tally)


FORMAT = LabeledTiles
