"""Looks at every input of an export and checks that they go together, before anything is written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Optional

from ..errors import DataError
from ..events import Reporter
from ..imagery.grid import Grid
from ..imagery.source import RasterSource, open_source
from ..labels.classes import ClassSchema
from ..labels.colors import ColorMaskLabels, ColorSurvey
from ..labels.opening import Labels
from ..labels.source import LabelSource
from .encoding import IMAGE_FORMATS, ImageFormat
from .mask import MaskPolygons
from .metadata_format import metadata_format
from .pairing import shortened
from .plan import ExportItem, ExportPlan, ExportSettings, PlannedItem, list_items

#: Parts of the run that checking fills in the progress bar.
IMAGES_SPAN, LABELS_SPAN = (0.0, 0.03), (0.03, 0.1)


def make_plan(settings: ExportSettings, reporter: Reporter) -> ExportPlan:
    """Check the inputs and plan the export.

    Raises:
        EngineError: Naming the input at fault and the fix.
    """
    say = _once(reporter.message)
    format_class = metadata_format(settings.metadata_format)
    labels = None
    if settings.class_data or settings.class_folder:
        labels = Labels(settings.class_data, settings.class_field, settings.schema, say)
        if labels.features is not None and format_class.needs_area:
            labels.features.require_areas()
    image_format = IMAGE_FORMATS[settings.image_format]
    items, band_names = _plan_items(settings, image_format, reporter)
    label_max = _check_labels(settings, labels, items, reporter) if labels else 0
    mask = MaskPolygons(settings.mask, say) if settings.mask else None
    return ExportPlan(settings, items, image_format, format_class, labels, label_max, mask, band_names)


def _once(say: Callable[[str], None]) -> Callable[[str], None]:
    """``say``, but never the same text twice: many images tend to have one thing in common."""
    said: set[str] = set()

    def say_once(text: str) -> None:
        if text not in said:
            said.add(text)
            say(text)

    return say_once


def _plan_items(
    settings: ExportSettings, image_format: ImageFormat, reporter: Reporter
) -> tuple[tuple[PlannedItem, ...], tuple[str, ...]]:
    """The items with their grids, and the band names they share."""
    items = list_items(settings)
    planned: list[PlannedItem] = []
    outside: list[DataError] = []
    first: Optional[RasterSource] = None
    for done, item in enumerate(items):
        reporter.progress("Checking images", done, len(items), "images", span=IMAGES_SPAN)
        with open_source(item.images) as source:
            first = first or source
            _check_alike(first, source)
            image_format.check(source.count, source.dtype, source.name)
        try:
            grid = _export_grid(settings, item, source.grid)
        except DataError as error:
            outside.append(error)
            continue
        planned.append(PlannedItem(item, source.grid, grid, _count_tiles(grid, settings)))
    if not planned:
        raise outside[0]
    if outside:
        reporter.message(f"{len(outside)} of {len(items)} images lie outside the extent.")
    _check_sizes(planned, settings, reporter)
    return tuple(planned), first.band_names


def _export_grid(settings: ExportSettings, item: ExportItem, native: Grid) -> Grid:
    if settings.extent is None and settings.cell_size is None:
        return native
    with open_source(item.images, extent=settings.extent, cell_size=settings.cell_size) as source:
        return source.grid


def _check_alike(first: RasterSource, source: RasterSource) -> None:
    if (source.count, source.dtype) != (first.count, first.dtype):
        raise DataError(
            f"{source.paths[0]} has {source.count} bands of type {source.dtype}, but {first.paths[0]} has "
            f"{first.count} of type {first.dtype}.",
            "Export images of one kind at a time.",
        )


def _count_tiles(grid: Grid, settings: ExportSettings) -> int:
    counts = (
        max(0, (side - size) // stride + 1)
        for side, size, stride in zip((grid.width, grid.height), settings.tile_size, settings.stride)
    )
    columns, rows = counts
    return columns * rows


def _check_sizes(planned: Sequence[PlannedItem], settings: ExportSettings, reporter: Reporter) -> None:
    small = [one for one in planned if not one.tiles]
    if not small:
        return
    width, height = settings.tile_size
    sizes = [f"{one.item.name} ({one.grid.width} x {one.grid.height})" for one in small]
    if len(small) == len(planned):
        raise DataError(
            f"A tile of {width} x {height} pixels is larger than {shortened(sizes)}.",
            "Give a smaller TILE_SIZE_X and TILE_SIZE_Y, a larger EXTENT or a smaller CELL_SIZE.",
        )
    reporter.warning(
        f"{len(small)} of {len(planned)} images are smaller than a tile and give no chips: "
        f"{shortened(sizes)}."
    )


def _check_labels(
    settings: ExportSettings, labels: Labels, planned: Sequence[PlannedItem], reporter: Reporter
) -> int:
    """Open every label source once; returns the largest class value there can be."""
    largest, overlapping = 0, False
    survey: Optional[ColorSurvey] = None
    for done, one in enumerate(planned):
        reporter.progress("Checking labels", done, len(planned), "images", span=LABELS_SPAN)
        source = labels.open(one.native, one.item.name, one.item.label)
        try:
            overlaps = source.overlaps(one.grid)
            if not overlaps and labels.per_image:
                raise _apart(source, one)
            overlapping |= overlaps
            largest = max(largest, source.max_value)
            # A mask that labels all images needs to be looked at once.
            if isinstance(source, ColorMaskLabels) and (survey is None or labels.per_image):
                survey = survey or ColorSurvey()
                survey.add(source.survey(reporter.check_cancelled))
        finally:
            source.close()
        if overlapping and not labels.per_image:
            break
    if not overlapping:
        raise _apart(source, planned[0])
    if survey is not None:
        _judge_colors(survey, settings, reporter)
    return largest


def _apart(source: LabelSource, planned: PlannedItem) -> DataError:
    grid = planned.grid
    image_system = grid.crs.to_string() if grid.crs else "no coordinate system"
    return DataError(
        f"The labels {source.name} lie outside the imagery: they cover {_bounds(source.bounds)} in "
        f"{source.crs_name}, {planned.item.name} covers {_bounds(grid.bounds)} in {image_system}.",
        "Check the coordinate systems, and that both show the same place.",
    )


def _bounds(bounds: Sequence[float]) -> str:
    return "({:.8g}, {:.8g}, {:.8g}, {:.8g})".format(*bounds)


def _judge_colors(survey: ColorSurvey, settings: ExportSettings, reporter: Reporter) -> None:
    if not survey.unknown:
        return
    found = f"{survey.describe()}."
    if survey.unknown == survey.pixels:
        raise DataError(
            f"No pixel of the label images has a colour of the class schema. {found}",
            "Correct the colours in CLASS_SCHEMA.",
        )
    if settings.refuse_unknown_colors:
        raise DataError(
            f"Label images: {found}", "Add the colours to CLASS_SCHEMA, or set UNKNOWN_COLORS to BACKGROUND."
        )
    reporter.warning(f"Label images: {found} They become 0{_named_zero(settings.schema)}.")


def _named_zero(schema: Optional[ClassSchema]) -> str:
    return f", which is class {schema[0].name!r}" if schema is not None and 0 in schema else ""
