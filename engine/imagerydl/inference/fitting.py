"""Bringing a model and a raster together: bands, values, classes, and what should be said of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Optional

import numpy as np

from ..errors import ModelError, ParameterError
from ..events import Reporter
from ..imagery.pairs import AnySource
from ..imagery.source import RasterSource
from ..imagery.value_range import value_range
from ..labels.classes import ClassEntry, ClassSchema
from ..models.definition import ModelDefinition
from ..models.normalisation import Normalisation
from ..models.runtimes.protocol import FedModel, Gives, ModelInput, PixelModel
from .arguments import PixelArguments
from .bands import match_bands, value_warnings
from .decision import Decider, ValueDecider
from .prediction import Predictor
from .tiles import TilePlan


@dataclass(frozen=True)
class ClassTable:
    """What the channels of a model stand for.

    Attributes:
        values: Class value of each output channel; empty for a model that gives values itself.
        schema: All classes with names and colours.
    """

    values: tuple[int, ...]
    schema: ClassSchema


def class_table(definition: ModelDefinition, model: PixelModel) -> ClassTable:
    """The classes of a model.

    Raises:
        ModelError: If channels and classes do not go together.
    """
    known = model.classes or definition.classes
    if model.gives is Gives.VALUES:
        return ClassTable((), known.with_colors())
    values = model.class_values or definition.output_values
    if model.outputs == len(values) + 1 and 0 not in values:
        values = (0, *values)  # a background channel that the definition does not list
    if not values or (model.outputs and model.outputs != len(values)):
        raise ModelError(
            f"The network gives {model.outputs} channels and {definition.name} lists {len(values)} classes.",
            "Correct Classes in the definition: one for each output channel, in its order.",
        )
    entries = [
        known[value]
        if value in known
        else ClassEntry(value, "Background" if value == 0 else f"Class {value}")
        for value in values
    ]
    return ClassTable(tuple(values), ClassSchema(entries).with_colors())


def make_decider(
    table: ClassTable, model: PixelModel, arguments: PixelArguments, layers: Sequence[str]
) -> Decider:
    """What decides the pixels of a run.

    Raises:
        ModelError: If no value is left to stand for no data.
        ParameterError: If layers are asked for that the model cannot give.
    """
    if model.gives is Gives.VALUES:
        if layers:
            raise ParameterError(
                f"This model gives classes only, and no {', '.join(layers)}.",
                "Leave these outputs out.",
            )
        dtype, nodata = _value_type(model, table.schema)
        return ValueDecider(dtype, nodata, model.no_value)
    excluded = excluded_channels(table, model, arguments)
    values = [value for channel, value in enumerate(table.values) if channel not in excluded]
    dtype = np.uint8 if max(table.values) <= 254 else np.uint16
    nodata = int(np.iinfo(dtype).max)
    if nodata in table.values:
        raise ModelError(f"The class value {nodata} is needed for no-data.", "Give the class another value.")
    return Decider(np.array(values, dtype=dtype), nodata, layers, arguments.threshold)


def _value_type(model: PixelModel, schema: ClassSchema) -> tuple[np.dtype, float]:
    """Pixel type for a model's values, and one value more for no data.

    Functions announce wide types as a matter of course; where a table lists all classes, the
    narrowest unsigned type that holds them serves palettes and other programs better.
    """
    dtype = np.dtype(model.pixel_type or "uint8")
    if dtype.kind == "f":
        return dtype, -9999.0
    if len(schema):
        largest = max(schema.values)
        dtype = np.dtype(np.uint8 if largest < 255 else np.uint16 if largest < 65535 else dtype)
    limits = np.iinfo(dtype)
    return dtype, int(limits.min if limits.max in schema.values else limits.max)


def excluded_channels(table: ClassTable, model: PixelModel, arguments: PixelArguments) -> frozenset[int]:
    """Channels that must not win.

    Raises:
        ParameterError: If none is left.
    """
    excluded = set(model.never)
    if arguments.predict_background is False and 0 in table.values:
        excluded.add(table.values.index(0))
    if len(excluded) >= len(table.values):
        raise ParameterError(
            "predict_background is False, and the model knows no other class.", "Set it to True."
        )
    return frozenset(excluded)


def make_predictor(
    model: PixelModel, table: ClassTable, arguments: PixelArguments, plan: TilePlan, reporter: Reporter
) -> Predictor:
    """What runs the model."""
    if model.gives is Gives.VALUES:
        return Predictor(model, 1, reporter.warning, crop=plan.crop)
    return Predictor(
        model,
        len(table.values),
        reporter.warning,
        average_views=arguments.test_time_augmentation and model.blends,
        excluded=excluded_channels(table, model, arguments),
        crop=plan.crop,
    )


def fit_bands(
    definition: ModelDefinition, model: FedModel, source: RasterSource, reporter: Reporter
) -> tuple[int, ...]:
    """The raster's bands that the model takes, in its order; warns of what looks wrong.

    Raises:
        DataError: If the raster cannot have them.
    """
    wanted = (
        definition if model.extract_bands is None else replace(definition, extract_bands=model.extract_bands)
    )
    bands, warnings = match_bands(wanted, source)
    for warning in (*warnings, *value_warnings(wanted, source, bands)):
        reporter.warning(warning)
    return bands


def fit_input(
    definition: ModelDefinition,
    model: FedModel,
    source: AnySource,
    bands: Sequence[int],
    reporter: Reporter,
) -> ModelInput:
    """What the model is fed with from this raster: its own rule, behind the range it wants values in."""
    wanted: Optional[Any] = model.data_range or definition.data_range
    feed = model.input
    if not wanted:
        return feed
    low, high = value_range(source, bands, reporter)
    return replace(feed, normalisation=_ranged(low, high, wanted, feed.normalisation), as_read=False)


def _ranged(
    low: np.ndarray, high: np.ndarray, wanted: Sequence[float], then: Optional[Normalisation]
) -> Normalisation:
    """Values from ``low`` to ``high`` brought to the wanted range, then normalised: one step a band."""
    first, last = float(wanted[0]), float(wanted[1])
    steps = np.where(high > low, (last - first) / np.where(high > low, high - low, 1.0), 1.0)
    subtract = np.zeros(len(low)) if then is None else np.asarray(then.subtract)
    divide = np.ones(len(low)) if then is None else np.asarray(then.divide)
    # ((x - low) * step + first - subtract) / divide, as one subtraction and one division.
    return Normalisation(tuple(low - (first - subtract) / steps), tuple(divide / steps))
