"""What an export is asked for, and what it will do: items, grids, labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

from .. import __version__
from ..fingerprints import file_state, fingerprint
from ..imagery.frame import Frame
from ..imagery.grid import Grid
from ..imagery.images import ImageEntry, find_images
from ..imagery.mosaics import mosaic_members
from ..imagery.source import RasterSource, open_on, open_source
from ..labels.classes import ClassEntry, ClassSchema
from ..labels.opening import Labels
from ..labels.source import LabelSource, split_layer_name
from .encoding import ImageFormat
from .mask import MaskPolygons
from .metadata_format import FORMATS, FormatTraits, LabelFacts, MetadataFormat
from .pairing import pair_images
from .splitting import Split, Splitter

#: Parts of a CycleGAN export: chips of the first and of the second raster.
FIRST, SECOND = "A", "B"


@dataclass(frozen=True)
class ExportSettings:
    """What the user asked for, one field per parameter of the tool (see its help)."""

    rasters: tuple[str, ...] = ()
    folder: Optional[str] = None
    rasters2: tuple[str, ...] = ()
    folder2: Optional[str] = None
    separately: bool = False
    class_data: Optional[str] = None
    class_folder: Optional[str] = None
    class_field: Optional[str] = None
    instance_data: Optional[str] = None
    instance_field: Optional[str] = None
    buffer_radius: Optional[float] = None
    schema: Optional[ClassSchema] = None
    metadata_format: str = "Classified_Tiles"
    image_format: str = "TIFF"
    creation_options: tuple[tuple[str, str], ...] = ()
    tile_size: tuple[int, int] = (256, 256)
    stride: tuple[int, int] = (128, 128)
    rotation: float = 0.0
    pixel_space: bool = False
    all_tiles: bool = False
    min_share: float = 0.0
    crop_to_objects: bool = False
    blacken: bool = False
    mask: Optional[str] = None
    refuse_unknown_colors: bool = False
    extent: Optional[dict[str, Any]] = None
    cell_size: Optional[float] = None
    split: Optional[Split] = None

    @property
    def traits(self) -> FormatTraits:
        """What the metadata format is like."""
        return FORMATS[self.metadata_format]

    @property
    def angles(self) -> tuple[float, ...]:
        """Degrees each chip is turned by: 0, then every multiple of the rotation below 360."""
        if not self.rotation:
            return (0.0,)
        count = int((360 - 1e-6) // self.rotation) + 1
        return tuple(number * self.rotation for number in range(count))


@dataclass(frozen=True)
class ExportItem:
    """A raster, or a mosaic of rasters, that chips are cut from.

    Attributes:
        images: Its files.
        label: The label image that belongs to it alone.
        images2: The second raster that goes with it.
        part: Folder of the export its chips go to ("" for the export itself).
    """

    images: tuple[str, ...]
    label: Optional[str] = None
    images2: tuple[str, ...] = ()
    part: str = ""

    @property
    def name(self) -> str:
        """The first file."""
        return self.images[0]


@dataclass(frozen=True)
class PlannedItem:
    """An item that was looked at.

    Attributes:
        item: What to read.
        native: Its own grid, which labels without georeference share.
        grid: The grid chips are cut on: ``native``, or the part and cell size asked for.
        frames: Chips it gives at most.
        band_names: Names of its bands.
        band_names2: Names of the second raster's bands.
    """

    item: ExportItem
    native: Grid
    grid: Grid
    frames: int
    band_names: tuple[str, ...]
    band_names2: tuple[str, ...] = ()


@dataclass(frozen=True)
class Cut:
    """One chip to cut.

    Attributes:
        frame: Where.
        feature: The object it is cut around; None for a tile.
    """

    frame: Frame
    feature: Optional[int] = None


@dataclass(frozen=True)
class Task:
    """A chip to cut, and from what.

    Attributes:
        index: Its number.
        item: Number of the item to cut it from.
        cut: Where.
    """

    index: int
    item: int
    cut: Cut


@dataclass(frozen=True)
class ExportPlan:
    """Everything an export needs, checked.

    Attributes:
        settings: What was asked for.
        items: What chips are cut from, in order.
        image_format: Format of image chips.
        format_class: Metadata format.
        labels: None for an export without labels.
        instances: Instance data, where the format takes them.
        facts: What is known of the classes.
        described: Name and colour of every class value label pixels can hold.
        mask: Where chips may come from; None for everywhere.
        splitter: Which chip goes where; None for an export in one piece.
    """

    settings: ExportSettings
    items: tuple[PlannedItem, ...]
    image_format: ImageFormat
    format_class: type[MetadataFormat]
    labels: Optional[Labels]
    instances: Optional[Labels]
    facts: LabelFacts
    described: Mapping[int, ClassEntry]
    mask: Optional[MaskPolygons]
    splitter: Optional[Splitter]

    @property
    def frames(self) -> int:
        """Chips there are at most."""
        return sum(planned.frames for planned in self.items)

    def open(self, planned: PlannedItem) -> RasterSource:
        """The images of an item, on its grid."""
        return open_item(self.settings, planned.item)

    def open_second(self, planned: PlannedItem) -> Optional[RasterSource]:
        """The second raster of an item, on the same grid."""
        images2 = planned.item.images2
        return open_on(images2, planned.grid) if images2 else None

    def open_labels(self, planned: PlannedItem) -> Optional[LabelSource]:
        """The class data as that item sees them."""
        return _open(self.labels, planned)

    def open_instances(self, planned: PlannedItem) -> Optional[LabelSource]:
        """The instance data as that item sees them."""
        return _open(self.instances, planned)

    def fingerprint(self) -> str:
        """Changes with anything that changes the export: settings, and the files read."""
        files = [file for one in self.items for file in (*one.item.images, one.item.label, *one.item.images2)]
        settings = self.settings
        files += [settings.class_data, settings.instance_data, settings.mask]
        states = [file_state(split_layer_name(file)[0]) for file in files if file]
        return fingerprint([__version__, repr(settings), states])


def _open(labels: Optional[Labels], planned: PlannedItem) -> Optional[LabelSource]:
    return labels.open(planned.native, planned.item.name, planned.item.label) if labels else None


def open_item(settings: ExportSettings, item: ExportItem) -> RasterSource:
    """The images of an item on the grid that was asked for."""
    return open_source(
        item.images,
        extent=settings.extent,
        cell_size=settings.cell_size,
        north_up=not settings.pixel_space,
    )


def list_items(settings: ExportSettings) -> list[ExportItem]:
    """The items of an export: a mosaic, or images that stand alone."""
    images = _images(settings.rasters, settings.folder, settings.separately or bool(settings.class_folder))
    second = _images(settings.rasters2, settings.folder2, settings.separately)
    if settings.metadata_format == "CycleGAN":
        return [ExportItem(_files(one), part=FIRST) for one in images] + [
            ExportItem(_files(one), part=SECOND) for one in second
        ]
    labels: Mapping[Path, Path] = {}
    if settings.class_folder:
        labels = dict(pair_images(_entries(images), find_images(settings.class_folder)))
    partners = _partners(images, second)
    items = []
    for number, one in enumerate(images):
        files = _files(one)
        label = labels.get(Path(files[0]))
        items.append(ExportItem(files, str(label) if label else None, partners[number]))
    return items


def _images(rasters: tuple[str, ...], folder: Optional[str], separately: bool) -> list[list[ImageEntry]]:
    """The images of each item."""
    if folder:
        return [[image] for image in find_images(folder)]
    if not separately:
        return [[_entry(raster) for raster in rasters]] if rasters else []
    return [[_entry(member)] for raster in rasters for member in mosaic_members(raster)]


def _entries(images: list[list[ImageEntry]]) -> list[ImageEntry]:
    return [entry for one in images for entry in one]


def _files(images: list[ImageEntry]) -> tuple[str, ...]:
    return tuple(str(image.path) for image in images)


def _partners(images: list[list[ImageEntry]], second: list[list[ImageEntry]]) -> list[tuple[str, ...]]:
    """The second raster of each item: the one there is, or the one with the same name."""
    if not second:
        return [()] * len(images)
    if len(second) == 1 or len(images) == 1:
        everything = tuple(file for one in second for file in _files(one))
        return [everything] * len(images)
    pairs = dict(pair_images(_entries(images), _entries(second), "second image"))
    return [tuple(str(pairs[entry.path]) for entry in one) for one in images]


def _entry(raster: str) -> ImageEntry:
    path = Path(raster)
    return ImageEntry(path, path.stem, (), (path.stem,))
