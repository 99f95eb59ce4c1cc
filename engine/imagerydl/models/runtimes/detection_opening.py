"""Which runtime runs a detector here.

The ``open_detection_model`` of such a runtime gives a :class:`.detection.DetectionModel`.
"""

from __future__ import annotations

from typing import Optional

from ..definition import ModelDefinition
from .detection import DetectionModel
from .devices import Device
from .opener import Opener

#: What definitions call models that find objects.
DETECTOR_TYPES = ("ObjectDetection", "InstanceDetection")


def _preferred(
    definition: ModelDefinition, runtime: Optional[str], device: Device, precision: str
) -> Optional[str]:
    if definition.onnx_file is not None:
        return "onnx_detection"
    return runtime


DETECTORS: Opener[DetectionModel] = Opener(
    function="open_detection_model",
    raster_function="raster_function_detection",
    own="own_detection",
    by_suffix={
        ".onnx": "onnx_detection",
    },
    refusal="no detector",
    fix="Detectors are ONNX models (.onnx), packages trained here or by arcgis.learn, and Python raster "
    "functions with vectorize (InferenceFunction). Export the network to ONNX.",
    preferred=_preferred,
)

open_detection_model = DETECTORS.open
