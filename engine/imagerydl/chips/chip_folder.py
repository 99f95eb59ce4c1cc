"""One complete folder of chips: what its notes amount to, and the files beside the chips."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

from ..errors import OutputError
from ..labels.classes import ClassSchema, schema_from_items
from ..models.json_text import read_json_object
from .folder import DEFINITION_FILE, MAP_FILE, ORIGINAL_NAME, STATS_FILE
from .plan import ExportPlan
from .record import ChipRecord, Journal
from .side_files import FolderRecord, map_line, write_side_files
from .statistics import BandStatistics, ClassPixels, FeatureCounts, LabelCounts


@dataclass(frozen=True)
class EarlierExport:
    """An export that further chips are added to.

    Attributes:
        root: Its folder.
        stats: Its ``esri_accumulated_stats.json``.
        definition: Its ``esri_model_definition.emd``.
        chip_map: Its ``map.txt``.
    """

    root: Path
    stats: dict[str, Any]
    definition: dict[str, Any]
    chip_map: str

    @property
    def next_index(self) -> int:
        """The number its next chip gets."""
        return int(self.stats["NextTileIndex"])

    @property
    def classes(self) -> ClassSchema:
        """Its classes, with true names."""
        items = self.definition.get("Classes") or ()
        return schema_from_items(
            {**item, "Name": item.get(ORIGINAL_NAME, item.get("Name"))} for item in items
        )


def read_earlier(root: Path) -> EarlierExport:
    """What further chips have to fit to.

    Raises:
        OutputError: If the folder cannot be added to.
    """
    try:
        stats = read_json_object((root / STATS_FILE).read_text(encoding="utf-8-sig"), str(root / STATS_FILE))
        definition = read_json_object(
            (root / DEFINITION_FILE).read_text(encoding="utf-8-sig"), str(root / DEFINITION_FILE)
        )
        chip_map = (root / MAP_FILE).read_text(encoding="utf-8")
        stats.setdefault("NextTileIndex", 1 + max(_numbers(chip_map), default=-1))
        for key in ("MetaDataMode", "NumBands", "TileSizeX", "TileSizeY", "NumTiles", "BandStatsState"):
            stats[key]
    except (OSError, KeyError, ValueError) as error:
        raise OutputError(
            f"Chips cannot be added to {root}: its side files are missing or incomplete ({error}).",
            "Export to another folder; several folders can be trained on together.",
        ) from error
    return EarlierExport(root, stats, definition, chip_map)


def _numbers(chip_map: str) -> list[int]:
    stems = (line.split()[0].replace("\\", "/") for line in chip_map.splitlines() if line.split())
    return [int(Path(stem).stem) for stem in stems if Path(stem).stem.isdigit()]


class ChipFolder:
    """Sums up the chips of one folder and writes its side files.

    Args:
        root: The folder.
        name: Its name within the export.
        plan: What was done.
        earlier: The export that these chips are added to.
    """

    def __init__(
        self, root: Path, name: str, plan: ExportPlan, earlier: Optional[EarlierExport] = None
    ) -> None:
        self.root = root
        self.name = name
        self._plan = plan
        self._earlier = earlier
        self.count = 0
        self._items: set[int] = set()
        self._bands: Optional[BandStatistics] = None
        self._bands2: Optional[BandStatistics] = None
        self.counts: LabelCounts = FeatureCounts() if plan.format_class.output_features else ClassPixels()
        if earlier is not None:
            self._go_on_from(earlier)

    def _go_on_from(self, earlier: EarlierExport) -> None:
        stats = earlier.stats
        self.count = int(stats["NumTiles"])
        self._bands = BandStatistics(int(stats["NumBands"]))
        self._bands.restore(stats["BandStatsState"])
        if stats.get("BandStatsState2"):
            self._bands2 = BandStatistics(len(stats["BandStatsState2"]))
            self._bands2.restore(stats["BandStatsState2"])
        if stats.get(self.counts.key):
            values = [int(item["ClassValue"]) for item in stats.get("Classes", ())]
            self.counts.restore(stats[self.counts.key], values)

    def add(self, chip: ChipRecord) -> None:
        """Count a chip in."""
        self.count += 1
        self._items.add(chip.item)
        self._bands = self._bands or BandStatistics(len(chip.bands))
        self._bands.add(chip.bands)
        if chip.bands2 is not None:
            self._bands2 = self._bands2 or BandStatistics(len(chip.bands2))
            self._bands2.add(chip.bands2)
        self.counts.add(chip.tally)

    def finish(self, journal: Journal, classes: ClassSchema, next_index: int) -> None:
        """Write everything that stands beside the chips.

        Args:
            journal: Notes of all chips, those of other folders among them.
            classes: Classes of the export.
            next_index: The number the next chip would get.
        """
        chips = _ChipsOf(journal, self.name)
        earlier_map = self._earlier.chip_map if self._earlier else ""
        with open(self.root / MAP_FILE, "w", encoding="utf-8", newline="\n") as file:
            file.write(earlier_map + ("" if earlier_map.endswith("\n") or not earlier_map else "\n"))
            file.writelines(map_line(chip.files) for chip in chips)
        plan = self._plan
        kind = plan.format_class(self.root, plan.image_format, plan.facts)
        for folder in kind.label_folders:
            (self.root / folder).mkdir(exist_ok=True)
        kind.finish(classes, chips, self._earlier.root if self._earlier else None)
        first = plan.items[min(self._items)]
        write_side_files(
            self.root,
            FolderRecord(
                settings=plan.settings,
                output_features=kind.output_features,
                counts=self.counts,
                folder_names=plan.facts.folders if kind.names_folders else {},
                instance_classes=plan.facts.instance_classes,
                chip_count=self.count,
                next_index=next_index,
                classes=classes,
                band_names=first.band_names,
                band_names2=first.band_names2,
                bands=self._bands,
                bands2=self._bands2,
                grids=[plan.items[item].grid for item in sorted(self._items)],
                earlier_definition=self._earlier.definition if self._earlier else {},
            ),
        )


class _ChipsOf(Iterable[ChipRecord]):
    """The chips of one folder; can be gone through several times."""

    def __init__(self, journal: Journal, folder: str) -> None:
        self._journal, self._folder = journal, folder

    def __iter__(self) -> Iterator[ChipRecord]:
        return (chip for chip in self._journal if chip.folder == self._folder)
