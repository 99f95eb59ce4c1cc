"""What is noted of each chip when it is written, and the journal these notes are kept in.

The journal makes an interrupted export resumable: a chip counts as written when its note is in it.
Statistics, ``map.txt`` and footprints are made from the notes alone and in their order, so that a
resumed run ends with the same bytes as an unbroken one.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Optional

from ..errors import DataError

_JSON = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False)


@dataclass(frozen=True)
class ChipRecord:
    """One chip.

    Attributes:
        index: Its number: the place of its frame among all frames, also those that gave no chip.
        folder: Which of the export's folders holds it ("" or "train", "A" ...).
        item: Number of the item it was cut from.
        image: Name of that item.
        angle: Degrees it was turned by.
        corners: Map coordinates of its four corners, from the upper left one clockwise.
        files: The image first, then what stands beside it.
        bands: Per band (count, minimum, maximum, mean, squared deviations).
        bands2: The same for the second raster.
        tally: Labels by class value (see :class:`.metadata_format.Written`).
        extra: What the format noted.
        skipped: Frames left out so far, by reason.
    """

    index: int
    folder: str
    item: int
    image: str
    angle: float
    corners: list[list[float]]
    files: list[str]
    bands: list[list[float]]
    bands2: Optional[list[list[float]]] = None
    tally: dict[int, Any] = field(default_factory=dict)
    extra: Any = None
    skipped: dict[str, int] = field(default_factory=dict)

    def as_line(self) -> str:
        """One line of JSON."""
        return _JSON.encode(vars(self)) + "\n"

    @classmethod
    def from_line(cls, line: str) -> ChipRecord:
        """What :meth:`as_line` made; ValueError or TypeError where the line is not complete."""
        values = json.loads(line)
        values["tally"] = {int(value): count for value, count in values["tally"].items()}
        return cls(**values)


class Journal:
    """The notes of an export, as a file of lines.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: Any = None

    def open(self, header: Mapping[str, Any]) -> Optional[ChipRecord]:
        """Go on from what is there, if it was begun with the same header; else begin anew.

        Returns:
            The last chip noted; None for a new journal, or one without chips.
        """
        last = None
        kept = 0
        if self._header() == dict(header):
            for record, end in self._scan():
                last, kept = record, end
            # A line that a kill cut short goes.
            with open(self.path, "r+b") as file:
                kept = kept or len(file.readline())
                file.truncate(kept)
            self._file = open(self.path, "a", encoding="utf-8", newline="\n")  # noqa: SIM115 - until close()
        else:
            self._file = open(self.path, "w", encoding="utf-8", newline="\n")  # noqa: SIM115
            self._file.write(json.dumps(dict(header)) + "\n")
            self._file.flush()
        return last

    def matches(self, header: Mapping[str, Any]) -> bool:
        """Whether it was begun with that header."""
        return self._header() == dict(header)

    def add(self, record: ChipRecord) -> None:
        """Note a chip; it survives the end of this process."""
        self._file.write(record.as_line())
        self._file.flush()

    def close(self) -> None:
        """Close the file; reading opens it again."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def __iter__(self) -> Iterator[ChipRecord]:
        return (record for record, _ in self._scan())

    def _header(self) -> Optional[dict[str, Any]]:
        try:
            with open(self.path, encoding="utf-8") as file:
                return json.loads(file.readline())
        except (OSError, ValueError):
            return None

    def _scan(self) -> Iterator[tuple[ChipRecord, int]]:
        """Each record, and where in the file it ends."""
        with open(self.path, "rb") as file:
            file.readline()
            for line in file:
                if not line.endswith(b"\n"):
                    return
                try:
                    yield ChipRecord.from_line(line.decode("utf-8")), file.tell()
                except (ValueError, TypeError, KeyError) as error:
                    raise DataError(
                        f"The journal {self.path} of an interrupted export is damaged ({error}).",
                        "Remove the folder it lies in, and export again.",
                    ) from error
