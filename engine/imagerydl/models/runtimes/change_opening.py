"""Which runtime runs a model that compares two dates here.

Such a model is a :class:`.protocol.PixelModel` that takes the bands of both dates, those of the first
before those of the second. Any pixel classifier can be one.
"""

from __future__ import annotations

from dataclasses import replace

from ...errors import ModelDefinitionError
from ..definition import ModelDefinition
from .opener import Opener
from .opening import PIXEL_MODELS
from .protocol import PixelModel

#: What definitions call models that compare two dates; "" where they do not say.
CHANGE_TYPES = ("", "ImageClassification", "ChangeDetection", "ChangeDetector")


def check_two_dates(name: str, bands: int) -> None:
    """Refuse a model whose bands are not those of two dates.

    Raises:
        ModelDefinitionError: For an odd number.
    """
    if bands % 2 or not bands:
        raise ModelDefinitionError(
            f"{name} takes {bands} band{'s' if bands != 1 else ''}, which are not the bands of two dates.",
            "Choose a model that takes the bands of the first date and then as many of the second; "
            "ExtractBands lists both.",
        )


def _check(definition: ModelDefinition, runtime: str) -> None:
    if definition.model_type not in CHANGE_TYPES:
        raise ModelDefinitionError(
            f"{definition.name} is a model for {definition.model_type}, not for change detection.",
            "Choose a model that compares two dates: its ModelType is ImageClassification.",
        )
    # arcgis.learn may list the bands of one date for both; a raster function says what it takes itself.
    if runtime not in ("arcgis_learn", PIXEL_MODELS.raster_function):
        check_two_dates(definition.name, len(definition.extract_bands))


CHANGE_MODELS: Opener[PixelModel] = replace(
    PIXEL_MODELS, check=_check, otherwise={"arcgis_learn": "open_change_model"}
)

open_change_model = CHANGE_MODELS.open
