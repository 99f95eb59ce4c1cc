"""What an export is asked for, and what it will do: items, grids, labels."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

from ..imagery.grid import Grid
from ..imagery.images import ImageEntry, find_images
from ..imagery.source import RasterSource, open_source
from ..labels.classes import ClassSchema
from ..labels.opening import Labels
from .encoding import ImageFormat
from .mask import MaskPolygons
from .metadata_format import MetadataFormat
from .pairing import pair_images


@dataclass(frozen=True)
class ExportSettings:
    """What the user asked for, one field per parameter of the tool (see its help)."""

    rasters: tuple[str, ...] = ()
    folder: Optional[str] = None
    class_data: Optional[str] = None
    class_folder: Optional[str] = None
    class_field: Optional[str] = None
    schema: Optional[ClassSchema] = None
    metadata_format: str = "Classified_Tiles"
    image_format: str = "TIFF"
    tile_size: tuple[int, int] = (256, 256)
    stride: tuple[int, int] = (128, 128)
    all_tiles: bool = False
    mask: Optional[str] = None
    refuse_unknown_colors: bool = False
    extent: Optional[dict[str, Any]] = None
    cell_size: Optional[float] = None


@dataclass(frozen=True)
class ExportItem:
    """A raster, or a mosaic of rasters, that chips are cut from.

    Attributes:
        images: Its files.
        label: The label image that belongs to it alone.
    """

    images: tuple[str, ...]
    label: Optional[str] = None

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
        tiles: Complete tiles on ``grid``.
    """

    item: ExportItem
    native: Grid
    grid: Grid
    tiles: int


@dataclass(frozen=True)
class ExportPlan:
    """Everything an export needs, checked.

    Attributes:
        settings: What was asked for.
        items: What chips are cut from, in order.
        image_format: Format of image chips.
        format_class: Metadata format.
        labels: None for an export without labels.
        label_max: Largest class value the labels can hold.
        mask: Where chips may come from; None for everywhere.
        band_names: Names of the bands, the same for all items.
    """

    settings: ExportSettings
    items: tuple[PlannedItem, ...]
    image_format: ImageFormat
    format_class: type[MetadataFormat]
    labels: Optional[Labels]
    label_max: int
    mask: Optional[MaskPolygons]
    band_names: tuple[str, ...]

    @property
    def tiles(self) -> int:
        """Complete tiles on all grids, written or not."""
        return sum(planned.tiles for planned in self.items)

    def open(self, planned: PlannedItem) -> RasterSource:
        """The images of an item, on its grid."""
        settings = self.settings
        return open_source(planned.item.images, extent=settings.extent, cell_size=settings.cell_size)


def list_items(settings: ExportSettings) -> list[ExportItem]:
    """The items of an export; images of a folder, and images with own labels, stand alone."""
    if settings.folder is None and settings.class_folder is None:
        return [ExportItem(settings.rasters)]
    if settings.folder is not None:
        images = find_images(settings.folder)
    else:
        images = [_entry(Path(raster)) for raster in settings.rasters]
    if settings.class_folder is None:
        return [ExportItem((str(image.path),)) for image in images]
    pairs = pair_images(images, find_images(settings.class_folder))
    return [ExportItem((str(image),), str(label)) for image, label in pairs]


def _entry(path: Path) -> ImageEntry:
    return ImageEntry(path, path.stem, (), (path.stem,))
