"""``PASCAL_VOC_rectangles``: an XML file for each chip with the box and class value of each object."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Optional
from xml.sax.saxutils import escape

from ..imagery.grid import Grid
from .metadata_format import Finding, Written
from .object_format import ObjectFormat, boxes_within, written

Box = Sequence[float]

_HEAD = """\
<?xml version="1.0"?>
<annotation>
    <filename>{image}</filename>
    <source>
        <annotation>Imagery Deep Learning</annotation>
    </source>
    <size>
        <width>{width}</width>
        <height>{height}</height>
        <depth>{bands}</depth>
    </size>
"""

_OBJECT = """\
    <object>
        <name>%s</name>
        <bndbox>
            <xmin>%.2f</xmin>
            <ymin>%.2f</ymin>
            <xmax>%.2f</xmax>
            <ymax>%.2f</ymax>
        </bndbox>
    </object>
"""


class PascalVocRectangles(ObjectFormat):
    """``labels/<id>.xml``. The name of an object is its class **value**, as Esri's reader wants it."""

    label_folders = ("labels",)

    def write(self, chip_id: str, finding: Finding, grid: Grid, image: str) -> Written:
        """Write the XML file; a chip without objects has an annotation without objects."""
        objects = finding.content
        named = [(str(v), box) for v, box in zip(objects.values.tolist(), boxes_within(objects, grid))]
        name = f"labels/{chip_id}.xml"
        write_annotation(self.file(name), image, grid, self.facts.bands, named)
        return written([image, name], objects, grid)


def write_annotation(
    path: str, image: str, grid: Grid, bands: int, objects: Sequence[tuple[str, Optional[Box]]]
) -> None:
    """Write an annotation file.

    Args:
        path: The XML file.
        image: The chip it belongs to.
        grid: The chip's lattice.
        bands: Bands of the chip.
        objects: Name and box (xmin, ymin, xmax, ymax) of each object in pixels; None for all of the
            chip.
    """
    everything = (0.0, 0.0, float(grid.width), float(grid.height))
    head = _HEAD.format(
        image=escape(os.path.basename(image)), width=grid.width, height=grid.height, bands=bands
    )
    found = [_OBJECT % (escape(name), *(box or everything)) for name, box in objects]
    with open(path, "wb") as file:
        file.write("".join((head, *found, "</annotation>\n")).encode())


FORMAT = PascalVocRectangles
