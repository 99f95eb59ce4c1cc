"""What a pixel model looks at: the imagery of one date, or of two."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Protocol

from ..errors import ModelDefinitionError
from ..events import Reporter
from ..imagery.pairs import AnySource, PairedSource, open_pair
from ..imagery.source import RasterSource
from ..models.definition import ModelDefinition
from ..models.runtimes import PixelModel, open_pixel_model
from ..models.runtimes.change_opening import check_two_dates, open_change_model
from .bands import cell_size_warnings, match_bands, value_warnings
from .date_bands import bands_by_date
from .fitting import fit_bands
from .items import Item
from .sources import open_item


class Subject(Protocol):
    """What a run's model looks at."""

    def open_model(
        self, definition: ModelDefinition, values: Mapping[str, Any], reporter: Reporter
    ) -> PixelModel:
        """Open the model as the values of a job say."""

    def open_item(
        self, values: Mapping[str, Any], definition: ModelDefinition, item: Item, reporter: Reporter
    ) -> AnySource:
        """Open an item of imagery."""

    def fit_bands(
        self, definition: ModelDefinition, model: PixelModel, source: Any, reporter: Reporter
    ) -> tuple[int, ...]:
        """The bands of an opened item that the model takes, in its order."""


class OneDate:
    """A raster or a mosaic: Classify Pixels."""

    def open_model(
        self, definition: ModelDefinition, values: Mapping[str, Any], reporter: Reporter
    ) -> PixelModel:
        """See :class:`Subject`."""
        if definition.model_type not in ("", "ImageClassification"):
            raise ModelDefinitionError(
                f"{definition.name} is a model for {definition.model_type}, not for pixel classification.",
                "Choose a model whose ModelType is ImageClassification.",
            )
        if definition.is_own and definition.model_name.upper() == "CHANGEDETECTOR":
            raise ModelDefinitionError(
                f"{definition.name} compares two dates and does not classify the pixels of one raster.",
                "Use the tool Detect Change.",
            )
        return open_pixel_model(definition, **_options(values, reporter))

    def open_item(
        self, values: Mapping[str, Any], definition: ModelDefinition, item: Item, reporter: Reporter
    ) -> RasterSource:
        """See :class:`Subject`."""
        return open_item(values, definition, item, reporter)

    def fit_bands(
        self, definition: ModelDefinition, model: PixelModel, source: RasterSource, reporter: Reporter
    ) -> tuple[int, ...]:
        """See :class:`Subject`."""
        return fit_bands(definition, model, source, reporter)


class TwoDates:
    """Two rasters of one place, the two images of an item: Detect Change."""

    def open_model(
        self, definition: ModelDefinition, values: Mapping[str, Any], reporter: Reporter
    ) -> PixelModel:
        """See :class:`Subject`."""
        return open_change_model(definition, **_options(values, reporter))

    def open_item(
        self, values: Mapping[str, Any], definition: ModelDefinition, item: Item, reporter: Reporter
    ) -> PairedSource:
        """See :class:`Subject`."""
        before, after = item.images
        pair = open_pair(
            before,
            after,
            extent=values["EXTENT"],
            cell_size=values["CELL_SIZE"] or None,
            skip_damaged=True,
        )
        for warning in cell_size_warnings(definition, pair.before):
            reporter.warning(warning)
        return pair

    def fit_bands(
        self, definition: ModelDefinition, model: PixelModel, source: PairedSource, reporter: Reporter
    ) -> tuple[int, ...]:
        """See :class:`Subject`; each date's bands are found in its own raster."""
        wanted = definition.extract_bands if model.extract_bands is None else model.extract_bands
        check_two_dates(definition.name, len(wanted))
        found: list[int] = []
        dates = ((source.before, 0), (source.after, source.before.count))
        for (raster, offset), taken in zip(dates, bands_by_date(wanted)):
            of_date = replace(definition, extract_bands=taken)
            bands, warnings = match_bands(of_date, raster)
            for warning in (*warnings, *value_warnings(of_date, raster, bands)):
                reporter.warning(warning)
            found.extend(band + offset for band in bands)
        return tuple(found)


def _options(values: Mapping[str, Any], reporter: Reporter) -> dict[str, Any]:
    return {
        "device": values["DEVICE"],
        "precision": values["PRECISION"],
        "arguments": values["ARGUMENTS"],
        "consent": values["TRUST_MODEL"],
        "reporter": reporter,
    }
