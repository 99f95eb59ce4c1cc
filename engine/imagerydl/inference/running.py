"""A Classify Pixels job from its values to the published rasters."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, Optional

import numpy as np

from .. import outputs
from ..errors import ModelDefinitionError, ModelError, ParameterError
from ..events import Reporter
from ..imagery.source import RasterSource, open_source
from ..imagery.styling import write_style
from ..imagery.writing import RasterWriter
from ..labels.classes import ClassEntry, ClassSchema
from ..models.definition import ModelDefinition, load_definition
from ..models.runtimes import PixelModel, open_pixel_model
from .arguments import ClassifyArguments
from .bands import cell_size_warnings, match_bands, value_warnings
from .classification import NO_CONFIDENCE, ClassOutput, Tally, classify
from .layout import whole_layout
from .prediction import Predictor

if TYPE_CHECKING:
    from ..jobs import Job

OUTPUT_KEYS = ("OUT_CLASSIFIED_RASTER", "OUT_CONFIDENCE_RASTER")

#: Threads that read; the rest of the processor belongs to the model.
_MOST_READERS = 4


def run_classification(job: Job, reporter: Reporter) -> dict[str, Any]:
    """Run a job of the tool Classify Pixels; returns its outputs and results."""
    for key in OUTPUT_KEYS:
        if job[key]:
            outputs.ensure_free(job[key], job["OVERWRITE"])
    definition = load_definition(job["IN_MODEL_DEFINITION"])
    if definition.model_type not in ("", "ImageClassification"):
        raise ModelDefinitionError(
            f"{definition.name} is a model for {definition.model_type}, not for pixel classification.",
            "Choose a model whose ModelType is ImageClassification.",
        )
    with open_source(
        job["IN_RASTER"],
        extent=job["EXTENT"],
        cell_size=job["CELL_SIZE"] or None,
        skip_damaged=True,
    ) as source:
        bands = _checked_bands(definition, source, reporter)
        model = open_pixel_model(definition, job["DEVICE"], arguments=job["ARGUMENTS"])
        reporter.message(f"{definition.name} runs with {model.description}.")
        tally = _classify(job, reporter, definition, source, bands, model)
        _report(reporter, tally, source)
    return {**{key: job[key] for key in OUTPUT_KEYS}, "VALID_PIXELS": tally.valid_pixels}


def _checked_bands(definition: ModelDefinition, source: RasterSource, reporter: Reporter) -> tuple[int, ...]:
    bands, warnings = match_bands(definition, source)
    for warning in warnings:
        reporter.warning(warning)
    for warning in value_warnings(definition, source, bands):
        reporter.warning(warning)
    for warning in cell_size_warnings(definition, source):
        reporter.warning(warning)
    return bands


def _classify(
    job: Job,
    reporter: Reporter,
    definition: ModelDefinition,
    source: RasterSource,
    bands: tuple[int, ...],
    model: PixelModel,
) -> Tally:
    arguments = ClassifyArguments.parse(job["ARGUMENTS"])
    values, classes = _classes(definition, model)
    tile = _tile_size(definition, model)
    layout = whole_layout(source.grid.width, source.grid.height, tile, arguments.padding_for(tile))
    predictor = Predictor(
        model,
        len(values),
        reporter.warning,
        average_views=arguments.test_time_augmentation,
        excluded=_excluded_channel(values, arguments),
    )
    with _opened_outputs(job, source, values, classes) as output:
        tally = classify(
            source,
            layout,
            bands,
            model.input.normalisation,
            predictor,
            output,
            reporter,
            batch_size=arguments.batch_size_for(tile),
            readers=max(1, min(_MOST_READERS, (os.cpu_count() or 1) // 2)),
        )
    write_style(job["OUT_CLASSIFIED_RASTER"], classes)
    return tally


def _report(reporter: Reporter, tally: Tally, source: RasterSource) -> None:
    skipped = ""
    if tally.skipped:
        skipped = f" {tally.skipped} of {tally.tiles} tiles hold no data and were skipped."
    reporter.message(f"{tally.valid_pixels} pixels classified.{skipped}")
    if not tally.valid_pixels:
        reporter.warning(f"{source.name} has no valid pixel here: the result is all no-data.")
    for path, blocks in source.damage.items():
        reporter.warning(
            f"{path} is damaged: {blocks} of its blocks could not be read; they have no data in the result."
        )


def _tile_size(definition: ModelDefinition, model: PixelModel) -> tuple[int, int]:
    if model.tile_size and model.tile_size != definition.image_size:
        height, width = model.tile_size
        raise ModelError(
            f"The network is bound to tiles of {width} x {height} pixels and {definition.name} states "
            f"{definition.image_width} x {definition.image_height}.",
            "Correct ImageWidth and ImageHeight in the definition.",
        )
    return definition.image_size


def _classes(definition: ModelDefinition, model: PixelModel) -> tuple[tuple[int, ...], ClassSchema]:
    """Class value of each output channel, and all of them with names and colours."""
    values = definition.output_values
    if model.outputs == len(values) + 1 and 0 not in values:
        values = (0, *values)  # a background channel that the definition does not list
    if not values or (model.outputs and model.outputs != len(values)):
        raise ModelError(
            f"The network gives {model.outputs} channels and {definition.name} lists {len(values)} classes.",
            "Correct Classes in the definition: one for each output channel, in its order.",
        )
    known = definition.classes
    entries = [
        known[value]
        if value in known
        else ClassEntry(value, "Background" if value == 0 else f"Class {value}")
        for value in values
    ]
    return values, ClassSchema(entries).with_colors()


def _excluded_channel(values: tuple[int, ...], arguments: ClassifyArguments) -> Optional[int]:
    if arguments.predict_background or 0 not in values:
        return None
    if len(values) == 1:
        raise ParameterError(
            "predict_background is False, and the model knows no other class.", "Set it to True."
        )
    return values.index(0)


@contextmanager
def _opened_outputs(
    job: Job,
    source: RasterSource,
    values: tuple[int, ...],
    classes: ClassSchema,
) -> Iterator[ClassOutput]:
    """Open the output files under temporary names; they appear when everything is written."""
    dtype = np.uint8 if max(values) <= 254 else np.uint16
    nodata = int(np.iinfo(dtype).max)
    if nodata in values:
        raise ModelError(f"The class value {nodata} is needed for no-data.", "Give the class another value.")
    with ExitStack() as stack:

        def create(key: str, pixel_type: Any, no_value: float, **more: Any) -> RasterWriter:
            path = stack.enter_context(outputs.staged(job[key], job["OVERWRITE"]))
            return stack.enter_context(RasterWriter(path, source.grid, pixel_type, nodata=no_value, **more))

        writer = create(OUTPUT_KEYS[0], dtype, nodata, classes=classes, band_names=("Class",))
        confidence = None
        if job[OUTPUT_KEYS[1]]:
            confidence = create(OUTPUT_KEYS[1], np.float32, NO_CONFIDENCE, band_names=("Confidence",))
        yield ClassOutput(writer, np.array(values, dtype=dtype), nodata, confidence)
