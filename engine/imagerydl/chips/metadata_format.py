"""What a metadata format has to do, and the formats there are.

A format is one module of this package with a subclass of :class:`MetadataFormat`; a new one is a
new file and a new line in :data:`FORMATS`. Standard library only at import: the tool's declaration
lists the keywords, and which parameters go with them.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Optional

if TYPE_CHECKING:
    import numpy as np
    from rasterio.windows import Window

    from ..imagery.grid import Grid
    from ..labels.classes import ClassSchema
    from ..labels.objects import LabelObjects
    from ..labels.source import LabelSource
    from .encoding import ImageFormat
    from .record import ChipRecord


@dataclass(frozen=True)
class FormatTraits:
    """What a tool has to know of a format before anything is loaded.

    Attributes:
        module: Its module in this package.
        takes_labels: Whether class data mean anything to it.
        needs_labels: Whether an export without class data is refused.
        has_objects: Whether it lists objects one by one, so that a share of overlap applies.
        crops: Whether it makes one chip for each object, so that crop modes apply.
        blackens: Whether what lies around the object can be blackened.
        has_second: Whether a second raster goes with the first.
        has_instances: Whether it takes instance data beside class data.
    """

    module: str
    takes_labels: bool = True
    needs_labels: bool = True
    has_objects: bool = False
    crops: bool = False
    blackens: bool = False
    has_second: bool = False
    has_instances: bool = False


#: By keyword, in the order shown.
FORMATS: Mapping[str, FormatTraits] = {
    "KITTI_rectangles": FormatTraits("kitti_rectangles", has_objects=True),
    "PASCAL_VOC_rectangles": FormatTraits("pascal_voc_rectangles", has_objects=True),
    "Classified_Tiles": FormatTraits("classified_tiles", has_second=True),
    "RCNN_Masks": FormatTraits("rcnn_masks", has_objects=True),
    "Labeled_Tiles": FormatTraits("labeled_tiles", has_objects=True, crops=True, blackens=True),
    "MultiLabeled_Tiles": FormatTraits("multilabeled_tiles", has_objects=True),
    "Export_Tiles": FormatTraits("export_tiles", needs_labels=False, has_second=True),
    "CycleGAN": FormatTraits("export_tiles", takes_labels=False, needs_labels=False, has_second=True),
    "Imagenet": FormatTraits("imagenet", has_objects=True, crops=True),
    "Panoptic_Segmentation": FormatTraits("panoptic_segmentation", has_objects=True, has_instances=True),
    "COCO": FormatTraits("coco", has_objects=True),
    "YOLO": FormatTraits("yolo", has_objects=True),
}

METADATA_FORMATS = tuple(FORMATS)


def formats_with(trait: str) -> tuple[str, ...]:
    """Keywords of the formats that have ``trait``, an attribute of :class:`FormatTraits`."""
    return tuple(keyword for keyword, traits in FORMATS.items() if getattr(traits, trait))


@dataclass(frozen=True)
class LabelFacts:
    """What is known of the labels before the first chip is cut.

    Attributes:
        bands: Bands of an image chip.
        max_value: Largest class value label pixels can hold.
        classes: Classes of the class data.
        instance_classes: Classes of the instance data.
        folders: Folder name of each class value, where its name would be no good folder name.
    """

    bands: int
    max_value: int
    classes: ClassSchema
    instance_classes: ClassSchema
    folders: Mapping[int, str]

    def folder(self, value: int) -> str:
        """The folder of a class in formats that sort files by class."""
        return self.folders.get(value, str(value))

    def name(self, value: int) -> str:
        """The name of a class."""
        return self.classes[value].name if value in self.classes else str(value)


@dataclass(frozen=True)
class LabelView:
    """The labels as one chip sees them.

    Attributes:
        labels: Class data; None for an export without labels.
        instances: Instance data, where the format takes them.
        grid: With ``window``, the pixels of the chip.
        window: See ``grid``.
        min_share: Smallest visible share of an object that counts.
        feature: The object the chip was cut around; None for a tile.
    """

    labels: Optional[LabelSource]
    instances: Optional[LabelSource]
    grid: Grid
    window: Window
    min_share: float = 0.0
    feature: Optional[int] = None

    def pixels(self) -> np.ndarray:
        """Class values ``[h, w]``."""
        return self.labels.rasterise(self.grid, self.window)

    def objects(self) -> LabelObjects:
        """The object the chip was cut around, else all objects that are visible enough."""
        if self.feature is not None:
            return self.labels.object_of(self.feature, self.grid, self.window)
        return self._visible(self.labels)

    @staticmethod
    def objects_of_each(views: Sequence[LabelView]) -> list[LabelObjects]:
        """:meth:`objects` of several chips of one export."""
        first = views[0]
        together = first.feature is None and all(
            view.grid is first.grid
            and (view.window.width, view.window.height) == (first.window.width, first.window.height)
            for view in views
        )
        if not together:
            return [view.objects() for view in views]
        found = first.labels.objects_of_each(first.grid, [view.window for view in views])
        return [view._visible_enough(objects) for view, objects in zip(views, found)]

    def instance_objects(self) -> LabelObjects:
        """Objects of the instance data that are visible enough."""
        return self._visible(self.instances)

    def _visible(self, source: LabelSource) -> LabelObjects:
        return self._visible_enough(source.objects(self.grid, self.window))

    def _visible_enough(self, objects: LabelObjects) -> LabelObjects:
        return objects.select(objects.shares >= self.min_share) if self.min_share else objects


@dataclass(frozen=True)
class Finding:
    """What the labels say about one chip.

    Attributes:
        is_empty: Whether there is nothing: such chips are left out unless all are wanted.
        content: What the format writes; only the format knows its type.
    """

    is_empty: bool
    content: Any = None


@dataclass(frozen=True)
class Written:
    """What a format wrote beside a chip.

    Attributes:
        files: Relative to the root, with ``/`` between the parts, as ``map.txt`` lists them.
        tally: By class value what is counted: pixels, or the areas of objects in map units.
        extra: JSON that the format wants back when the folder is finished.
    """

    files: list[str] = field(default_factory=list)
    tally: Mapping[int, Any] = field(default_factory=dict)
    extra: Any = None


class MetadataFormat(ABC):
    """Writes what stands beside the image of a chip. An instance belongs to one process.

    Args:
        root: Folder of the export, to write in.
        images: Format of the image chips.
        facts: What is known of the labels.
    """

    #: Whether only labels with an area can be written.
    needs_area: ClassVar[bool] = False
    #: Esri's OutputFeatures: whether labels are counted as features rather than as pixels.
    output_features: ClassVar[bool] = True
    #: Folders that are there even when they stay empty.
    label_folders: ClassVar[tuple[str, ...]] = ()
    #: Whether the consumer finds files by class name, so that names must be good folder names.
    names_folders: ClassVar[bool] = False

    def __init__(self, root: Path, images: ImageFormat, facts: LabelFacts) -> None:
        self.root = root
        self.images = images
        self.facts = facts
        self._beginning = os.path.join(root, "")

    def file(self, name: str) -> str:
        """The path of a file of the export; joining Path objects costs more than an empty label file."""
        return self._beginning + name

    @abstractmethod
    def find(self, view: LabelView) -> Finding:
        """What the labels say about a chip."""

    def find_each(self, views: Sequence[LabelView]) -> list[Finding]:
        """:meth:`find` for several chips; for a format that is quicker with many at once to override."""
        return [self.find(view) for view in views]

    def restrict(self, finding: Finding, valid: np.ndarray) -> Finding:
        """``finding`` without what lies where the image has no data (``valid`` is False)."""
        return finding

    def image_name(self, chip_id: str, finding: Finding) -> str:
        """File of the image chip, relative to the root."""
        return f"images/{chip_id}{self.images.extension}"

    @abstractmethod
    def write(self, chip_id: str, finding: Finding, grid: Grid, image: str) -> Written:
        """Write the label files of a chip.

        Args:
            chip_id: Name of the chip without extension.
            finding: What :meth:`find` gave.
            grid: The chip's own lattice.
            image: What :meth:`image_name` gave.
        """

    def finish(  # noqa: B027 - most formats have nothing left to write
        self, classes: ClassSchema, chips: Iterable[ChipRecord], earlier: Optional[Path] = None
    ) -> None:
        """Write what can be written only when all chips are known.

        Args:
            classes: As the definition lists them.
            chips: All chips of the folder, in order; may be gone through several times.
            earlier: Folder of the export these chips are added to.
        """


def metadata_format(keyword: str) -> type[MetadataFormat]:
    """The format with that keyword; KeyError where there is none."""
    return import_module(f".{FORMATS[keyword].module}", __package__).FORMAT


def folder_names(entries: Sequence[tuple[int, str]]) -> dict[int, str]:
    """A folder name for each (class value, name): the name, without what breaks paths or ``map.txt``.

    Esri's reader splits the lines of ``map.txt`` at blanks and finds classes by folder name.
    """
    result: dict[int, str] = {}
    taken: set[str] = set()
    for value, name in entries:
        safe = "".join(
            "_" if character in _UNSAFE or character.isspace() else character for character in name
        )
        safe = safe.strip("._") or str(value)
        # Folders of one name in another letter case are one folder on Windows.
        result[value] = f"{safe}_{value}" if safe.lower() in taken else safe
        taken.add(result[value].lower())
    return result


_UNSAFE = frozenset('<>:"/\\|?*,;')
