"""Which runtime runs a detector here.

A runtime is a module beside this one like those of :mod:`.opening`; its ``open_detection_model`` gives a
:class:`.detection.DetectionModel`.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Optional

from ...errors import ModelDefinitionError
from ...events import Reporter
from ..architectures.registry import MODEL_TYPES, traits
from ..arguments import ModelArgument
from ..definition import ModelDefinition
from ..raster_functions.builtin import check_builtin, is_written_by_arcgis_learn
from ..trust import ForeignCode
from .detection import DetectionModel
from .opening import missing_packages, ready_runtime, run_options

#: What definitions call models that find objects.
DETECTOR_TYPES = ("ObjectDetection", "InstanceDetection")


def open_detection_model(
    definition: ModelDefinition,
    device: str = "AUTO",
    threads: Optional[int] = None,
    *,
    arguments: Optional[Mapping[str, str]] = None,
    consent: bool = False,
    reporter: Optional[Reporter] = None,
) -> DetectionModel:
    """Open a detector with the runtime for it.

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
    runtime = ready_runtime(detection_runtime(definition), definition.name)
    return runtime.open_detection_model(definition, options)


def detection_arguments(definition: ModelDefinition, consent: bool = False) -> tuple[ModelArgument, ...]:
    """The arguments a detector declares beside those that every one has.

    Raises:
        As :func:`open_detection_model`.
    """
    return ready_runtime(detection_runtime(definition), definition.name).model_arguments(definition, consent)


def detection_code(definition: ModelDefinition) -> Optional[ForeignCode]:
    """What runs code when the detector is opened; None where nothing does."""
    return ready_runtime(detection_runtime(definition), definition.name).foreign_code(definition)


def _own_runtime(definition: ModelDefinition) -> str:
    """PyTorch; the ONNX form, which gives the same, where a library of the network is not installed.

    Raises:
        RuntimeMissingError: Where there is no such form either.
    """
    model_type = definition.model_name.upper()
    missing = traits(model_type).missing_packages if model_type in MODEL_TYPES else []
    if not missing:
        return "own_detection"
    if definition.onnx_file is not None and find_spec("onnxruntime"):
        return "onnx_detection"
    raise missing_packages(definition.name, missing)


def detection_runtime(definition: ModelDefinition) -> str:
    """The module that takes a detector: by who made it, its inference function, its file.

    Raises:
        ModelDefinitionError: If none does.
        RuntimeMissingError: If a library of its network is missing.
    """
    function = definition.inference_function
    if definition.is_arcgis_learn and (not function or is_written_by_arcgis_learn(function)):
        return "arcgis_learn"
    if function:
        return "raster_function_detection"
    if definition.is_own:
        return _own_runtime(definition)
    check_builtin(definition)
    if definition.onnx_file is not None:
        return "onnx_detection"
    raise ModelDefinitionError(
        f"{definition.name} names {definition.model_file.name}, which is no detector that runs here.",
        "Detectors are ONNX models (.onnx), packages trained here or by arcgis.learn, and Python raster "
        "functions with vectorize (InferenceFunction). Export the network to ONNX.",
    )
