"""Looks at every input of an export and checks that they go together, before anything is written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Optional

from ..errors import DataError, ParameterError
from ..events import Reporter
from ..imagery.grid import Grid
from ..imagery.placing import OutsideExtentError
from ..imagery.source import RasterSource, open_on, open_source
from ..labels.classes import ClassEntry, ClassSchema, lenient_schema
from ..labels.colors import ColorMaskLabels, ColorSurvey
from ..labels.opening import Labels
from ..labels.source import LabelSource
from .encoding import IMAGE_FORMATS, ImageFormat
from .mask import MaskPolygons
from .metadata_format import LabelFacts, MetadataFormat, folder_names, metadata_format
from .pairing import shortened
from .plan import ExportItem, ExportPlan, ExportSettings, PlannedItem, list_items, open_item
from .splitting import Splitter
from .tiling import count_cuts

#: Parts of the run that checking fills in the progress bar.
IMAGES_SPAN, LABELS_SPAN = (0.0, 0.03), (0.03, 0.1)


def make_plan(settings: ExportSettings, reporter: Reporter) -> ExportPlan:
    """Check the inputs and plan the export.

    Raises:
        EngineError: Naming the input at fault and the fix.
    """
    say = _once(reporter.message)
    format_class = metadata_format(settings.metadata_format)
    image_format = IMAGE_FORMATS[settings.image_format].with_options(settings.creation_options)
    looked_at = _look_at_images(settings, image_format, reporter)
    grids = [one.grid for one in looked_at]
    labels = _open_labels(settings, format_class, grids, say)
    instances = _open_instances(settings, grids, say)
    known = _Known()
    if labels is not None:
        labels.pair([one.item.name for one in looked_at])
        _check_labels(settings, labels, looked_at, reporter, known)
    instance_classes = ClassSchema()
    if instances is not None:
        instances.pair([one.item.name for one in looked_at])
        found = _Known()
        _check_labels(settings, instances, looked_at, reporter, found)
        instance_classes = found.classes()
        known.largest = max(known.largest, found.largest)
    items = _count_frames(settings, looked_at, labels, reporter)
    facts = LabelFacts(
        bands=len(items[0].band_names),
        max_value=known.largest,
        classes=known.classes(),
        instance_classes=instance_classes,
        folders=_folders(known, instance_classes),
    )
    return ExportPlan(
        settings=settings,
        items=items,
        image_format=image_format,
        format_class=format_class,
        labels=labels,
        instances=instances,
        facts=facts,
        described=known.described,
        mask=MaskPolygons(settings.mask, say) if settings.mask else None,
        splitter=Splitter(settings.split, [planned.grid for planned in items]) if settings.split else None,
    )


class _Known:
    """Classes that label sources tell of; the first one that names a value wins."""

    def __init__(self) -> None:
        self.largest = 0
        self.described: dict[int, ClassEntry] = {}
        self._listed: dict[int, ClassEntry] = {}

    def add(self, source: LabelSource) -> None:
        self.largest = max(self.largest, source.max_value, *source.classes.values, 0)
        for entry in source.classes:
            self._listed.setdefault(entry.value, entry)
        for value in range(self.largest + 1):
            if value not in self.described:
                self.described[value] = source.describe(value)

    def classes(self) -> ClassSchema:
        return lenient_schema(self._listed.values())


def _folders(known: _Known, instance_classes: ClassSchema) -> dict[int, str]:
    """A folder for every class value that can occur."""
    names = {value: entry.name for value, entry in known.described.items()}
    names.update({entry.value: entry.name for entry in instance_classes})
    return folder_names(sorted(names.items()))


def _open_labels(
    settings: ExportSettings,
    format_class: type[MetadataFormat],
    grids: Sequence[Grid],
    say: Callable[[str], None],
) -> Optional[Labels]:
    if not (settings.class_data or settings.class_folder):
        return None
    labels = Labels(
        settings.class_data,
        settings.class_field,
        settings.schema,
        say,
        buffer_radius=settings.buffer_radius,
        grids=grids,
    )
    if labels.features is not None and (format_class.needs_area or settings.crop_to_objects):
        labels.features.require_areas()
    if labels.features is None and not labels.is_table:
        for wanted, name in (
            (settings.min_share, "MIN_POLYGON_OVERLAP_RATIO"),
            (settings.crop_to_objects, "CROP_MODE=BOUNDING_BOX"),
            (settings.blacken, "BLACKEN_AROUND_FEATURE"),
            (settings.buffer_radius, "BUFFER_RADIUS"),
        ):
            if wanted:
                raise ParameterError(
                    f"{name} needs labels that are features; the class data are a raster.",
                    f"Leave {name} out, or give polygons.",
                )
    return labels


def _open_instances(
    settings: ExportSettings, grids: Sequence[Grid], say: Callable[[str], None]
) -> Optional[Labels]:
    if not settings.instance_data:
        return None
    instances = Labels(
        settings.instance_data,
        settings.instance_field,
        None,
        say,
        buffer_radius=settings.buffer_radius,
        grids=grids,
    )
    if instances.features is not None:
        instances.features.require_areas()
    return instances


def _once(say: Callable[[str], None]) -> Callable[[str], None]:
    """``say``, but never the same text twice: many images tend to have one thing in common."""
    said: set[str] = set()

    def say_once(text: str) -> None:
        if text not in said:
            said.add(text)
            say(text)

    return say_once


def _look_at_images(
    settings: ExportSettings, image_format: ImageFormat, reporter: Reporter
) -> tuple[PlannedItem, ...]:
    """The items with their grids; frames are counted later."""
    items = list_items(settings)
    planned: list[PlannedItem] = []
    outside: list[DataError] = []
    alike: dict[str, RasterSource] = {}
    for done, item in enumerate(items):
        reporter.progress("Checking images", done, len(items), "images", span=IMAGES_SPAN)
        with open_source(item.images) as source:
            _check_alike(alike.setdefault(item.part, source), source)
            image_format.check(source.count, source.dtype, source.name)
        try:
            with open_item(settings, item) as seen:
                grid = seen.grid
            names2 = _look_at_second(item, grid, image_format, alike)
        except OutsideExtentError as error:
            outside.append(error)
            continue
        planned.append(PlannedItem(item, source.grid, grid, 0, source.band_names, names2))
    if not planned:
        raise outside[0]
    if outside:
        reporter.message(f"{len(outside)} of {len(items)} images lie outside the extent.")
    return tuple(planned)


def _look_at_second(
    item: ExportItem, grid: Grid, image_format: ImageFormat, alike: dict[str, RasterSource]
) -> tuple[str, ...]:
    """Band names of the second raster of an item."""
    if not item.images2:
        return ()
    with open_on(item.images2, grid) as source:
        _check_alike(alike.setdefault("second", source), source)
        image_format.check(source.count, source.dtype, source.name)
        if not source.covers_any_of_grid:
            raise DataError(
                f"The second raster {source.name} lies outside the first one, {item.name}.",
                "Give two rasters of the same place.",
            )
    return source.band_names


def _check_alike(first: RasterSource, source: RasterSource) -> None:
    if (source.count, source.dtype) != (first.count, first.dtype):
        raise DataError(
            f"{source.paths[0]} has {source.count} bands of type {source.dtype}, but {first.paths[0]} has "
            f"{first.count} of type {first.dtype}.",
            "Export images of one kind at a time.",
        )


def _count_frames(
    settings: ExportSettings, looked_at: Sequence[PlannedItem], labels: Optional[Labels], reporter: Reporter
) -> tuple[PlannedItem, ...]:
    """The items with the number of chips each can give."""
    items = []
    for one in looked_at:
        source = None
        if settings.traits.crops and labels is not None:
            source = labels.open(one.native, one.item.name, one.item.label)
        try:
            items.append(replace(one, frames=count_cuts(settings, one.grid, source)))
        finally:
            if source is not None:
                source.close()
    around_objects = labels is not None and settings.traits.crops and labels.is_vector
    if not around_objects:
        _check_sizes(items, settings, reporter)
    return tuple(items)


def _check_sizes(planned: Sequence[PlannedItem], settings: ExportSettings, reporter: Reporter) -> None:
    small = [one for one in planned if not one.frames]
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
    settings: ExportSettings,
    labels: Labels,
    planned: Sequence[PlannedItem],
    reporter: Reporter,
    known: _Known,
) -> None:
    """Open every label source once, and learn what classes there are."""
    overlapping = False
    survey: Optional[ColorSurvey] = None
    for done, one in enumerate(planned):
        reporter.progress("Checking labels", done, len(planned), "images", span=LABELS_SPAN)
        source = labels.open(one.native, one.item.name, one.item.label)
        try:
            overlaps = source.overlaps(one.grid)
            if not overlaps and labels.per_image:
                raise _apart(source, one)
            overlapping |= overlaps
            known.add(source)
            # A mask that labels all images needs to be looked at once.
            if isinstance(source, ColorMaskLabels) and (survey is None or labels.per_image):
                survey = survey or ColorSurvey()
                survey.add(source.survey(reporter.check_cancelled))
        finally:
            source.close()
        if overlapping and not labels.per_image and not labels.is_table:
            break
    if not overlapping:
        raise _apart(source, planned[0])
    if survey is not None:
        _judge_colors(survey, settings, reporter)


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
