"""From a definition and its weights to a network that holds them, name by name."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import torch
from torch import Tensor, nn

from ....errors import ModelDefinitionError, ModelError
from .facts import NetworkFacts

#: Module beside this one for each class of arcgis.learn.
PIXEL_CLASSIFIERS = {
    "UnetClassifier": "unet",
    "DeepLab": "deeplab",
    "PSPNetClassifier": "psp",
    "MultiTaskRoadExtractor": "roads",
    "ConnectNet": "roads",
    "ChangeDetector": "change",
}
DETECTORS = {
    "SingleShotDetector": "single_shot",
    "RetinaNet": "retina",
    "FasterRCNN": "rcnn",
    "MaskRCNN": "rcnn",
    "YOLOv3": "yolo",
}
CLASSIFIERS = {"FeatureClassifier": "feature_classifier"}


def build_network(facts: NetworkFacts, weights: Mapping[str, Tensor]) -> nn.Module:
    """The network, in evaluation mode, with its weights.

    Args:
        facts: What the definition says.
        weights: The state dict.

    Raises:
        ModelDefinitionError: For a class, backbone or option that is not rebuilt.
        ModelError: If the weights do not fit the definition.
    """
    # Without memory and fresh weights, both of which the file's tensors replace.
    with torch.device("meta"):
        network = _module(facts).build(facts, weights)
    try:
        network.load_state_dict(weights, strict=True, assign=True)
    except RuntimeError as error:
        raise ModelError(
            f"The weights of {facts.name} do not fit a {facts.model_name} with {facts.bands} bands, "
            f"{facts.classes} classes and the backbone {facts.backbone} ({_shortened(error)}).",
            "Use the definition and the weights of one training run.",
        ) from error
    return network.requires_grad_(False).float().eval()


def _module(facts: NetworkFacts) -> Any:
    name = {**PIXEL_CLASSIFIERS, **DETECTORS, **CLASSIFIERS}.get(facts.model_name)
    if name is None:
        known = ", ".join({**PIXEL_CLASSIFIERS, **DETECTORS, **CLASSIFIERS})
        raise ModelDefinitionError(
            f"{facts.name} is a {facts.model_name or 'model of an unnamed class'} of arcgis.learn, "
            "which does not run here.",
            f"These do: {known}.",
        )
    return import_module("." + name, __package__)


def _shortened(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return "; ".join(lines[1:3] or lines[:1])[:400]
