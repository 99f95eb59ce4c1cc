"""Which runtime runs a classifier of whole chips here.

A runtime is a module beside this one like those of :mod:`.opening`; its ``open_chip_classifier`` gives a
:class:`.chip_classification.ChipClassifier`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Optional

from ...errors import ModelDefinitionError
from ...events import Reporter
from ..arguments import ModelArgument
from ..definition import ModelDefinition
from ..raster_functions.builtin import check_builtin, is_written_by_arcgis_learn
from ..trust import ForeignCode
from .chip_classification import ChipClassifier
from .opening import ready_runtime, run_options

#: What definitions call models that classify whole objects.
CLASSIFIER_TYPE = "ObjectClassification"


def open_chip_classifier(
    definition: ModelDefinition,
    device: str = "AUTO",
    threads: Optional[int] = None,
    *,
    arguments: Optional[Mapping[str, str]] = None,
    consent: bool = False,
    reporter: Optional[Reporter] = None,
) -> ChipClassifier:
    """Open a classifier of chips with the runtime for it.

    Args:
        definition: The model.
        device: ``AUTO``, ``CPU``, ``CUDA`` or ``CUDA:n``.
        threads: CPU threads; None for all.
        arguments: ``MODEL_ARGUMENTS`` as given.
        consent: Whether the user agrees to run code that comes with the model.
        reporter: Hears what the model has to say; nobody where None.

    Raises:
        ParameterError: If the device is not there, or an argument of the model has no usable value.
        ModelDefinitionError: If no runtime here takes this kind of model.
        RuntimeMissingError: If a library it needs is missing.
        TrustError: If it holds code nobody has agreed to.
        ModelError: If the model does not load.
    """
    options = run_options(device, threads, "FLOAT32", arguments, consent, reporter)
    runtime = ready_runtime(chip_runtime(definition), definition.name)
    return runtime.open_chip_classifier(definition, options)


def chip_arguments(definition: ModelDefinition, consent: bool = False) -> tuple[ModelArgument, ...]:
    """The arguments a classifier declares beside those that every one has.

    Raises:
        As :func:`open_chip_classifier`.
    """
    return ready_runtime(chip_runtime(definition), definition.name).model_arguments(definition, consent)


def chip_code(definition: ModelDefinition) -> Optional[ForeignCode]:
    """What runs code when the classifier is opened; None where nothing does."""
    return ready_runtime(chip_runtime(definition), definition.name).foreign_code(definition)


def chip_runtime(definition: ModelDefinition) -> str:
    """The module that takes a classifier of chips: by who made it, its inference function, its file.

    Raises:
        ModelDefinitionError: If none does.
    """
    function = definition.inference_function
    if definition.is_arcgis_learn and (not function or is_written_by_arcgis_learn(function)):
        return "arcgis_learn"
    if function:
        return "raster_function_chips"
    if definition.is_own:
        return "own_chip_classification"
    check_builtin(definition)
    if definition.onnx_file is not None:
        return "onnx_chips"
    raise ModelDefinitionError(
        f"{definition.name} names {definition.model_file.name}, which is no classifier of objects that runs "
        "here.",
        "Classifiers are ONNX models (.onnx), packages trained here or by arcgis.learn, and Python raster "
        "functions with vectorize (InferenceFunction). Export the network to ONNX.",
    )
