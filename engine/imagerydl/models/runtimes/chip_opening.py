"""Which runtime runs a classifier of whole chips here.

The ``open_chip_classifier`` of such a runtime gives a :class:`.chip_classification.ChipClassifier`.
"""

from __future__ import annotations

from typing import Optional

from ..definition import ModelDefinition
from .chip_classification import ChipClassifier
from .devices import Device
from .opener import Opener

#: What definitions call models that classify whole objects.
CLASSIFIER_TYPE = "ObjectClassification"


def _preferred(
    definition: ModelDefinition, runtime: Optional[str], device: Device, precision: str
) -> Optional[str]:
    return "onnx_chips" if definition.onnx_file is not None else runtime


CHIP_CLASSIFIERS: Opener[ChipClassifier] = Opener(
    function="open_chip_classifier",
    raster_function="raster_function_chips",
    own=lambda definition: "own_chip_classification",
    by_suffix={".onnx": "onnx_chips"},
    refusal="no classifier of objects",
    fix="Classifiers are ONNX models (.onnx), packages trained here or by arcgis.learn, and Python raster "
    "functions with vectorize (InferenceFunction). Export the network to ONNX.",
    preferred=_preferred,
)

open_chip_classifier = CHIP_CLASSIFIERS.open
