"""``Panoptic_Segmentation``: for each chip a class raster, and instance rasters by class."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..imagery.grid import Grid
from ..labels.objects import LabelObjects
from ..labels.source import label_dtype
from .encoding import ChipWriter, label_format
from .instances import one_layer
from .metadata_format import Finding, LabelView, MetadataFormat, Written
from .object_format import is_visible
from .statistics import pixel_counts


@dataclass(frozen=True)
class _Content:
    pixels: np.ndarray
    instances: LabelObjects


class PanopticSegmentation(MetadataFormat):
    """``labels/<id>``: class values; ``labels2/<class>/<id>``: instances from 1.

    Where an instance lies on pixels that have no class, they get the instance's: Esri's reader
    looks for the classes of instances in the class raster, too. Pixels with a class keep it.
    """

    needs_area = True
    output_features = False
    label_folders = ("labels", "labels2")
    names_folders = True

    def __init__(self, *arguments: object) -> None:
        super().__init__(*arguments)
        self._writer = ChipWriter(label_format(self.images), labels=True)
        self._dtype = label_dtype(max(self.facts.max_value, *self.facts.instance_classes.values, 0))

    def find(self, view: LabelView) -> Finding:
        """Class values and instances."""
        instances = view.instance_objects()
        if len(instances):
            instances = instances.select(is_visible(instances.boxes))
        return _finding(view.pixels(), instances)

    def restrict(self, finding: Finding, valid: np.ndarray) -> Finding:
        """Nothing is learnt from pixels without data: their label is 0."""
        return _finding(finding.content.pixels * valid, finding.content.instances)

    def write(self, chip_id: str, finding: Finding, grid: Grid, image: str) -> Written:
        """Write the class raster and one instance raster for each class that occurs."""
        found: _Content = finding.content
        extension = self._writer.format.extension
        label = found.pixels.astype(self._dtype)
        names = [f"labels/{chip_id}{extension}"]
        for value in np.unique(found.instances.values).tolist():
            layer = one_layer(found.instances.geometries[found.instances.values == value], label.shape)
            label[(layer > 0) & (label == 0)] = value
            name = f"labels2/{self.facts.folder(value)}/{chip_id}{extension}"
            (self.root / name).parent.mkdir(exist_ok=True)
            self._writer.write(self.file(name), layer[None], grid)
            names.append(name)
        self._writer.write(self.file(names[0]), label[None], grid)
        return Written([image, *names], pixel_counts(label))


def _finding(pixels: np.ndarray, instances: LabelObjects) -> Finding:
    return Finding(is_empty=not pixels.any() and not len(instances), content=_Content(pixels, instances))


FORMAT = PanopticSegmentation
