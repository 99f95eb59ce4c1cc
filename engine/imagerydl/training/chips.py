"""One collection of training chips out of one or several exported folders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Optional

from ..chips.folder import IMAGES2, ChipPair, ExportedFolder, read_exported_folder
from ..errors import DataError
from ..labels.classes import ClassEntry, ClassSchema

#: Formats whose labels are class rasters.
PIXEL_FORMATS = ("Classified_Tiles",)

#: Formats whose chips have no label file of their own: one for all, one a class, or the folder they lie in.
_WITHOUT_LABEL_FILES = ("COCO", "RCNN_Masks", "Imagenet")


@dataclass(frozen=True)
class ChipCollection:
    """Chips with labels, and what their folders say about them.

    Attributes:
        pairs: Chips and labels, folder by folder, by name within a folder.
        unlabelled: Chips without a label, left out.
        classes: Classes of all folders, by value.
        tile_size: Chip (width, height) in pixels.
        band_count: Bands of every chip.
        band_names: As the first folder says.
        band_stats: As the first folder says, raw values; empty where unknown.
        image_space: "MAP_SPACE" or "PIXEL_SPACE".
        cell_size: Of the first folder.
        metadata_format: Of all folders.
        definition: The first folder's definition.
        roots: The folders.
        exported: What each folder holds.
        incomplete: Chips without a second date where there have to be two, left out.
    """

    pairs: tuple[ChipPair, ...]
    unlabelled: tuple[Path, ...]
    classes: ClassSchema
    tile_size: tuple[int, int]
    band_count: int
    band_names: tuple[str, ...]
    band_stats: list[dict[str, Any]]
    image_space: str
    cell_size: Optional[dict[str, Any]]
    metadata_format: str
    definition: dict[str, Any]
    roots: tuple[Path, ...]
    exported: tuple[ExportedFolder, ...] = ()
    incomplete: tuple[Path, ...] = ()

    @property
    def fill(self) -> tuple[float, ...]:
        """What pixels without data become: the mean of each band, rounded; empty where unknown."""
        return tuple(round(float(band["Mean"])) for band in self.band_stats)


def collect_chips(
    folders: Sequence[Path], formats: Sequence[str] = PIXEL_FORMATS, *, two_dates: bool = False
) -> ChipCollection:
    """Read ``folders`` and join them.

    Args:
        folders: As exported.
        formats: Metadata formats that can be used.
        two_dates: Whether a chip is the bands of two dates (``images`` and ``images2``), in this order;
            otherwise a second date is left aside.

    Raises:
        DataError: Where a folder is unusable, the folders do not go together, or no chip has a
            label, or a second date.
    """
    exported = [read_exported_folder(folder) for folder in folders]
    first = exported[0]
    for other in exported:
        _check_format(other, formats)
        _check_alike(first, other)
    whole = first.metadata_format in _WITHOUT_LABEL_FILES
    pairs = [pair for folder in exported for pair in folder.chips if pair.label or whole]
    unlabelled = [pair.image for folder in exported for pair in folder.chips if not (pair.label or whole)]
    if not pairs:
        raise DataError(
            f"No chip in {', '.join(str(folder.root) for folder in exported)} has a label.",
            "Export the chips again with labels.",
        )
    collection = ChipCollection(
        pairs=tuple(pairs),
        unlabelled=tuple(unlabelled),
        classes=_union(exported),
        tile_size=first.tile_size,
        band_count=first.band_count,
        band_names=first.band_names,
        band_stats=first.band_stats,
        image_space=first.image_space,
        cell_size=first.cell_size,
        metadata_format=first.metadata_format,
        definition=first.definition,
        roots=tuple(folder.root for folder in exported),
        exported=tuple(exported),
    )
    return _of_two_dates(collection) if two_dates else _of_one_date(collection)


def _of_one_date(collection: ChipCollection) -> ChipCollection:
    return replace(collection, pairs=tuple(replace(pair, second=None) for pair in collection.pairs))


def _of_two_dates(collection: ChipCollection) -> ChipCollection:
    """The chips that have two dates, with the bands of both."""
    pairs = tuple(pair for pair in collection.pairs if pair.second)
    if not pairs:
        raise DataError(
            f"No chip in {', '.join(str(root) for root in collection.roots)} has a second date: there is no "
            f"{IMAGES2} folder with chips of the same names.",
            "Export the chips with a second raster (IN_RASTER2).",
        )
    lone = tuple(pair.image for pair in collection.pairs if not pair.second)
    return replace(
        collection,
        pairs=pairs,
        incomplete=lone,
        band_count=2 * collection.band_count,
        band_names=2 * collection.band_names,
        # Both dates by the statistics of the first: a difference of brightness between them stays one.
        band_stats=2 * collection.band_stats,
    )


def _check_format(folder: ExportedFolder, formats: Sequence[str]) -> None:
    if folder.metadata_format not in formats:
        what = "label pixels" if tuple(formats) == PIXEL_FORMATS else "say what is asked for"
        raise DataError(
            f"{folder.root} holds {folder.metadata_format}, which does not {what}.",
            f"Export the chips as {' or '.join(formats)}.",
        )


def _check_alike(first: ExportedFolder, other: ExportedFolder) -> None:
    for what, one, two in (
        ("metadata format", first.metadata_format, other.metadata_format),
        ("number of bands", first.band_count, other.band_count),
        ("tile size", "{} x {}".format(*first.tile_size), "{} x {}".format(*other.tile_size)),
        ("reference system", first.image_space, other.image_space),
    ):
        if one != two:
            raise DataError(
                f"The training folders differ in {what}: {one} in {first.root}, {two} in {other.root}.",
                "Train on folders that were exported alike.",
            )


def _union(folders: Sequence[ExportedFolder]) -> ClassSchema:
    """The classes of all folders by value; a colour that is taken stays with its first class."""
    entries: dict[int, ClassEntry] = {}
    origin: dict[int, Path] = {}
    for folder in folders:
        for entry in folder.classes:
            known = entries.get(entry.value)
            if known is None:
                taken = {other.color for other in entries.values()}
                color = None if entry.color in taken else entry.color
                entries[entry.value] = ClassEntry(entry.value, entry.name, color)
                origin[entry.value] = folder.root
            elif known.name != entry.name:
                raise DataError(
                    f"Class {entry.value} is {known.name!r} in {origin[entry.value]} and "
                    f"{entry.name!r} in {folder.root}.",
                    "Export the folders with one class schema.",
                )
    twice = _repeated([entry.name for entry in entries.values()])
    if twice:
        raise DataError(
            f"The class name {twice!r} has several values in the training folders.",
            "Export the folders with one class schema.",
        )
    return ClassSchema(entries[value] for value in sorted(entries))


def _repeated(names: Sequence[str]) -> Optional[str]:
    return next((name for name in names if names.count(name) > 1), None)
