"""``PASCAL_VOC_rectangles``: an XML file for each chip with the box and class value of each object."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Optional
from xml.sax.saxutils import escape

from ..imagery.grid import Grid
from .metadata_format import Finding, Written
from .object_format import ObjectFormat, boxes_within, written

Box = Sequence[float]


class PascalVocRectangles(ObjectFormat):
    """``labels/<id>.xml``. The name of an object is its class **value**, as Esri's reader wants it."""

    label_folders = ("labels",)

    def write(self, chip_id: str, finding: Finding, grid: Grid, image: str) -> Written:
        """Write the XML file; a chip without objects has an annotation without objects."""
        objects = finding.content
        named = [(str(v), box) for v, box in zip(objects.values.tolist(), boxes_within(objects, grid))]
        name = f"labels/{chip_id}.xml"
        write_annotation(self.root / name, image, grid, self.facts.bands, named)
        return written([image, name], objects, grid)


def write_annotation(
    path: Path, image: str, grid: Grid, bands: int, objects: Sequence[tuple[str, Optional[Box]]]
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
    lines = [
        '<?xml version="1.0"?>',
        "<annotation>",
        f"    <filename>{escape(Path(image).name)}</filename>",
        "    <source>",
        "        <annotation>Imagery Deep Learning</annotation>",
        "    </source>",
        "    <size>",
        f"        <width>{grid.width}</width>",
        f"        <height>{grid.height}</height>",
        f"        <depth>{bands}</depth>",
        "    </size>",
    ]
    for name, box in objects:
        xmin, ymin, xmax, ymax = box or everything
        lines += [
            "    <object>",
            f"        <name>{escape(name)}</name>",
            "        <bndbox>",
            f"            <xmin>{xmin:.2f}</xmin>",
            f"            <ymin>{ymin:.2f}</ymin>",
            f"            <xmax>{xmax:.2f}</xmax>",
            f"            <ymax>{ymax:.2f}</ymax>",
            "        </bndbox>",
            "    </object>",
        ]
    path.write_text("\n".join([*lines, "</annotation>"]) + "\n", encoding="utf-8", newline="\n")


FORMAT = PascalVocRectangles
