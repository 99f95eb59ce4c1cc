"""Which runtime runs a model that compares two dates here.

Such a model is a :class:`.protocol.PixelModel` that takes the bands of both dates, those of the first
before those of the second.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Optional

from ...errors import ModelDefinitionError
from ...events import Reporter
from ..definition import ModelDefinition
from .opening import open_pixel_model, ready_runtime, run_options, runtime_name
from .protocol import PixelModel

#: What definitions call models that compare two dates; "" where they do not say.
CHANGE_TYPES = ("", "ImageClassification", "ChangeDetection", "ChangeDetector")


def open_change_model(
    definition: ModelDefinition,
    device: str = "AUTO",
    threads: Optional[int] = None,
    *,
    precision: str = "FLOAT32",
    arguments: Optional[Mapping[str, str]] = None,
    consent: bool = False,
    reporter: Optional[Reporter] = None,
) -> PixelModel:
    """Open a model that compares two dates with the runtime for it.

    Args:
        definition: The model.
        device: ``AUTO``, ``CPU``, ``CUDA`` or ``CUDA:n``.
        threads: CPU threads; None for all.
        precision: See :class:`.options.RunOptions`.
        arguments: ``ARGUMENTS`` as given.
        consent: Whether the user agrees to run code that comes with the model.
        reporter: Hears what the model has to say; nobody where None.

    Raises:
        ModelDefinitionError: For a model of another kind, or of bands that are not two dates'.
        EngineError: As :func:`.opening.open_pixel_model` does.
    """
    if definition.model_type not in CHANGE_TYPES:
        raise ModelDefinitionError(
            f"{definition.name} is a model for {definition.model_type}, not for change detection.",
            "Choose a model that compares two dates: its ModelType is ImageClassification.",
        )
    options = run_options(device, threads, precision, arguments, consent, reporter)
    if runtime_name(definition, options.device, precision) == "arcgis_learn":
        return ready_runtime("arcgis_learn", definition.name).open_change_model(definition, options)
    if not definition.inference_function:
        check_two_dates(definition.name, len(definition.extract_bands))
    return open_pixel_model(
        definition,
        device,
        threads,
        precision=precision,
        arguments=arguments,
        consent=consent,
        reporter=reporter,
    )


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
