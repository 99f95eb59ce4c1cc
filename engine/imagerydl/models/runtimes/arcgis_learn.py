"""Packages saved by arcgis.learn: their networks rebuilt, their weights loaded without running code.

Pixel classifiers classify each tile alone and cut its padding off. With test time augmentation, and
always for roads, tiles of a block are blended instead: see :class:`.arcgis_learn_pixels.BlockModel`.
Detectors and FeatureClassifier are opened by functions of their own.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Optional, Union

from ...errors import ModelDefinitionError
from ..definition import ModelDefinition
from ..trust import ForeignCode
from .arcgis_learn_arguments import (
    CHANGE,
    CLASSIFIER,
    DETECTORS,
    OTHER_TOOLS,
    ROADS,
    Arguments,
    model_arguments,
)
from .arcgis_learn_objects import Detector, FeatureClassifier
from .arcgis_learn_pixels import BlockModel, RoadModel, TileModel
from .chip_classification import ChipClassifier
from .detection import DetectionModel
from .options import RunOptions
from .protocol import PixelModel

#: Also told here: the contract of a runtime asks for it.
__all__ = [
    "PACKAGES",
    "foreign_code",
    "model_arguments",
    "open_change_model",
    "open_chip_classifier",
    "open_detection_model",
    "open_model",
]

PACKAGES = {"torch": "torch", "torchvision": "torchvision", "safetensors": "safetensors"}


def open_model(definition: ModelDefinition, options: RunOptions) -> PixelModel:
    """Open a pixel classifier; see :mod:`.opening`.

    Raises:
        ModelDefinitionError: For a model of another tool, or one that is not rebuilt.
    """
    name = definition.model_name
    if name in OTHER_TOOLS:
        raise ModelDefinitionError(
            f"{definition.name} is a {name}, which does not classify the pixels of one raster.",
            f"Use the tool {OTHER_TOOLS[name]}.",
        )
    return _open(definition, options)


def open_change_model(definition: ModelDefinition, options: RunOptions) -> PixelModel:
    """Open a ChangeDetector, which is fed with the bands of both dates, before first.

    Its logits are the threshold and the distance of the dates: the larger one decides.

    Raises:
        ModelDefinitionError: For any other model.
    """
    if definition.model_name != CHANGE:
        raise ModelDefinitionError(
            f"{definition.name} is a {_class_name(definition)}, not a {CHANGE}.",
            "Choose a model that compares two dates.",
        )
    bands = definition.extract_bands
    one_date = _bands_of_one_date(definition)
    if one_date != bands:
        # The network and its statistics are known by the bands of one date.
        raw = {**definition.raw, "ExtractBands": list(one_date)}
        definition = replace(definition, extract_bands=one_date, raw=raw)
    model = _open(definition, options)
    model.extract_bands = bands if one_date != bands else (*bands, *bands)
    return model


def _bands_of_one_date(definition: ModelDefinition) -> tuple[Union[int, str], ...]:
    """The bands taken of each date: definitions list them once, or once for each date. The weights tell."""
    from ..architectures.weights import read_weights

    bands = definition.extract_bands
    first = read_weights(definition.model_file).get("netF.module.backbone.conv1.weight")
    return bands[: len(bands) // 2] if first is not None and 2 * first.shape[1] == len(bands) else bands


def open_detection_model(definition: ModelDefinition, options: RunOptions) -> DetectionModel:
    """Open a detector.

    Raises:
        ModelDefinitionError: For any other model, or one that is not rebuilt.
    """
    if definition.model_name not in DETECTORS:
        raise ModelDefinitionError(
            f"{definition.name} is a {_class_name(definition)}, no detector.",
            f"Choose one of {', '.join(DETECTORS)}.",
        )
    return Detector(definition, options)


def open_chip_classifier(definition: ModelDefinition, options: RunOptions) -> ChipClassifier:
    """Open a FeatureClassifier.

    Raises:
        ModelDefinitionError: For any other model, or one that is not rebuilt.
    """
    if definition.model_name != CLASSIFIER:
        raise ModelDefinitionError(
            f"{definition.name} is a {_class_name(definition)}, which does not classify whole objects.",
            f"Choose a {CLASSIFIER}.",
        )
    return FeatureClassifier(definition, options)


def foreign_code(definition: ModelDefinition) -> Optional[ForeignCode]:
    """None: only numbers are read from the weights, and Python files beside them are not used."""
    return None


def _open(definition: ModelDefinition, options: RunOptions) -> PixelModel:
    if definition.model_name in ROADS:
        return RoadModel(definition, options)
    is_change = definition.model_name == CHANGE
    if not is_change and Arguments(options.arguments).truth("test_time_augmentation", False):
        return BlockModel(definition, options)
    return TileModel(definition, options)


def _class_name(definition: ModelDefinition) -> str:
    return definition.model_name or "model of an unnamed class"
