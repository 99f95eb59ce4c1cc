"""Which runtime runs a detector here.

The ``open_detection_model`` of such a runtime gives a :class:`.detection.DetectionModel`.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Optional

from ...errors import ModelDefinitionError
from ..architectures.registry import MODEL_TYPES, traits
from ..definition import ModelDefinition
from .detection import DetectionModel
from .devices import Device
from .opener import FOLDER, Opener, missing_packages

#: What definitions call models that find objects.
DETECTOR_TYPES = ("ObjectDetection", "InstanceDetection")

_KERAS = (".h5", ".hdf5", ".keras")


def _own(definition: ModelDefinition) -> str:
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


def _preferred(
    definition: ModelDefinition, runtime: Optional[str], device: Device, precision: str
) -> Optional[str]:
    if definition.onnx_file is not None:
        return "onnx_detection"
    if runtime is None and definition.model_file.suffix.lower() in _KERAS:
        raise ModelDefinitionError(
            f"{definition.name} names {definition.model_file.name}. What Keras detectors give (codes "
            "of boxes, on anchors of their own) is up to the class that made them, which is not in the file.",
            "Where its library is installed, export the model with its decoding: as a SavedModel with "
            "detection_boxes, detection_scores, detection_classes and num_detections, or to ONNX.",
        )
    return runtime


DETECTORS: Opener[DetectionModel] = Opener(
    function="open_detection_model",
    raster_function="raster_function_detection",
    own=_own,
    by_suffix={
        ".onnx": "onnx_detection",
        ".pt": "torch_detection",
        ".pth": "torch_detection",
        ".pt2": "torch_detection",
        ".safetensors": "torch_detection",
        ".pb": "tensorflow_detection",
        FOLDER: "tensorflow_detection",
    },
    refusal="no detector",
    fix="Detectors are ONNX models (.onnx), PyTorch files (.pt, .pth, .pt2, .safetensors), TensorFlow graphs "
    "(.pb, SavedModel), packages trained here or by arcgis.learn, and Python raster functions with vectorize "
    "(InferenceFunction). Export the network to ONNX.",
    preferred=_preferred,
)

open_detection_model = DETECTORS.open
