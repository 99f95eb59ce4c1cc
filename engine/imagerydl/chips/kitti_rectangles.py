"""``KITTI_rectangles``: a text file for each chip, one object a line, 15 columns."""

from __future__ import annotations

from ..imagery.grid import Grid
from .metadata_format import Finding, Written
from .object_format import ObjectFormat, boxes_within, written


class KittiRectangles(ObjectFormat):
    """``labels/<id>.txt``: class value, then left, top, right, bottom in the columns 5 to 8.

    Esri's reader cannot take a negative number, and takes the class by its value alone: columns
    that mean nothing here are 0.
    """

    label_folders = ("labels",)

    def write(self, chip_id: str, finding: Finding, grid: Grid, image: str) -> Written:
        """Write the text file; a chip without objects has an empty one."""
        objects = finding.content
        lines = [
            f"{value} 0.00 0 0.00 {left:.2f} {top:.2f} {right:.2f} {bottom:.2f} "
            "0.00 0.00 0.00 0.00 0.00 0.00 0.00\n"
            for value, (left, top, right, bottom) in zip(objects.values.tolist(), boxes_within(objects, grid))
        ]
        name = f"labels/{chip_id}.txt"
        (self.root / name).write_text("".join(lines), encoding="utf-8", newline="\n")
        return written([image, name], objects, grid)


FORMAT = KittiRectangles
