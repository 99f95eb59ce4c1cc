"""``YOLO``: a text file for each chip, one object a line, in shares of the chip's sides."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Optional

from ..errors import DataError
from ..imagery.grid import Grid
from ..labels.classes import ClassSchema
from ..labels.objects import LabelObjects
from .metadata_format import Finding, Written
from .object_format import ObjectFormat, boxes_within, written
from .record import ChipRecord

DESCRIPTION = "data.yaml"


class Yolo(ObjectFormat):
    """``labels/<id>.txt``: position of the class, centre x, centre y, width, height.

    A class is known by its 0-based position among the classes, which ``data.yaml`` lists by name.
    """

    label_folders = ("labels",)

    def write(self, chip_id: str, finding: Finding, grid: Grid, image: str) -> Written:
        """Write the text file; a chip without objects has an empty one."""
        objects: LabelObjects = finding.content
        lines = []
        for value, (xmin, ymin, xmax, ymax) in zip(objects.values.tolist(), boxes_within(objects, grid)):
            numbers = (
                (xmin + xmax) / 2 / grid.width,
                (ymin + ymax) / 2 / grid.height,
                (xmax - xmin) / grid.width,
                (ymax - ymin) / grid.height,
            )
            lines.append(f"{self._position(value)} " + " ".join(f"{number:.7f}" for number in numbers) + "\n")
        name = f"labels/{chip_id}.txt"
        (self.root / name).write_text("".join(lines), encoding="utf-8", newline="\n")
        return written([image, name], objects, grid)

    def finish(
        self, classes: ClassSchema, chips: Iterable[ChipRecord], earlier: Optional[Path] = None
    ) -> None:
        """Write ``data.yaml``; the training part stands for validation where there is no split."""
        # JSON texts are YAML texts, whatever a name holds.
        names = "".join(f"  {i}: {json.dumps(e.name, ensure_ascii=False)}\n" for i, e in enumerate(classes))
        text = f"path: .\ntrain: images\nval: images\nnames:\n{names}"
        (self.root / DESCRIPTION).write_text(text, encoding="utf-8", newline="\n")

    def _position(self, value: int) -> int:
        try:
            return self.facts.classes.values.index(value)
        except ValueError:
            raise DataError(
                f"The labels hold class {value}, which is not among the classes known beforehand; YOLO "
                "knows classes by their position in the list.",
                "List all classes in CLASS_SCHEMA.",
            ) from None


FORMAT = Yolo
