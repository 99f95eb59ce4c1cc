"""``RCNN_Masks``: for each chip and class a raster of instance numbers."""

from __future__ import annotations

import numpy as np

from ..imagery.grid import Grid
from ..labels.objects import LabelObjects
from .encoding import TIFF, ChipWriter
from .instances import instance_layers
from .metadata_format import Finding, Written
from .object_format import ObjectFormat, written


class RcnnMasks(ObjectFormat):
    """``labels/<class>/<id>``: 0 is background, instances count from 1 in each band.

    Instances that overlap lie in different bands, so that no pixel of one is lost to another.
    """

    label_folders = ("labels",)
    names_folders = True

    def __init__(self, *arguments: object) -> None:
        super().__init__(*arguments)
        self._writer = ChipWriter(TIFF, labels=True)  # PNG has no room for two bands

    def write(self, chip_id: str, finding: Finding, grid: Grid, image: str) -> Written:
        """Write one raster for each class that occurs."""
        objects: LabelObjects = finding.content
        names = []
        for value in np.unique(objects.values).tolist():
            layers = instance_layers(objects.geometries[objects.values == value], (grid.height, grid.width))
            name = f"labels/{self.facts.folder(value)}/{chip_id}{self._writer.format.extension}"
            (self.root / name).parent.mkdir(exist_ok=True)
            self._writer.write(self.file(name), layers, grid)
            names.append(name)
        return written([image, *names], objects, grid)


FORMAT = RcnnMasks
