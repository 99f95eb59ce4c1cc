"""``Imagenet``: each chip has one class, and lies in the folder of that class."""

from __future__ import annotations

from ..imagery.grid import Grid
from .metadata_format import Finding, Written
from .object_format import areas_by_class
from .tile_classes import OneClassFormat, TileClass


class Imagenet(OneClassFormat):
    """``images/<class>/<id>``; no label files."""

    names_folders = True

    def image_name(self, chip_id: str, finding: Finding) -> str:
        """In the folder of its class."""
        found: TileClass = finding.content
        return f"images/{self.facts.folder(found.value)}/{chip_id}{self.images.extension}"

    def write(self, chip_id: str, finding: Finding, grid: Grid, image: str) -> Written:
        """Nothing stands beside the image."""
        found: TileClass = finding.content
        return Written([image], areas_by_class(found.objects, grid) or {found.value: [grid.area]})


FORMAT = Imagenet
