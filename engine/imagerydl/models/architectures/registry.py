"""Model types and the module that builds each; a new type is one file and one line here.

A module named here has ``describe(model_type, backbone, dropout) -> ModelParameters`` and
``build(model_type, parameters, bands, outputs) -> network``; a network has ``encoder``. One that
classifies pixels or chips has ``HEAD`` too, the name of its last layer; one that finds objects is an
:class:`.object_detector.ObjectDetector`. Networks take images of any size unless they say so.
Standard library only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from ...errors import ModelError, ParameterError

if TYPE_CHECKING:
    from torch import nn

#: What a network says something about.
PIXELS, OBJECTS, CHIPS = "pixels", "objects", "chips"

#: No backbone: the plain network of the model type.
NO_BACKBONE = "NONE"

_FULL_SIZED = "resnet34"


@dataclass(frozen=True)
class ModelTraits:
    """What is known of a model type before anything is loaded.

    Attributes:
        task: :data:`PIXELS`, :data:`OBJECTS` or :data:`CHIPS`.
        module: Of its form with a backbone.
        plain: Module of its form without one; "" where there is none.
        gives_masks: Whether it learns outlines of objects.
        backbone: Taken where none is named.
        takes_two_dates: Whether its input is the bands of two dates, those of the first before the others.
        has_queries: Whether it answers queries, each one box, in place of judging anchors. It is then made
            for images of one size.
        packages: Modules it imports that not every environment has, each with the name to install it by.
    """

    task: str
    module: str
    plain: str = ""
    gives_masks: bool = False
    backbone: str = NO_BACKBONE
    takes_two_dates: bool = False
    has_queries: bool = False
    packages: Mapping[str, str] = field(default_factory=dict)

    @property
    def missing_packages(self) -> list[str]:
        """Names to install by of those :attr:`packages` that this Python does not have."""
        return [package for module, package in self.packages.items() if find_spec(module) is None]


#: transformers matches queries and objects with scipy.
_TRANSFORMERS = {"transformers": "transformers", "scipy": "scipy"}

_TRAITS: Mapping[str, ModelTraits] = {
    "UNET": ModelTraits(PIXELS, "segmentation", "unet"),
    "UNETPLUSPLUS": ModelTraits(PIXELS, "segmentation", backbone=_FULL_SIZED),
    "DEEPLAB": ModelTraits(PIXELS, "segmentation", backbone=_FULL_SIZED),
    "PSPNET": ModelTraits(PIXELS, "segmentation", backbone=_FULL_SIZED),
    "FPN": ModelTraits(PIXELS, "segmentation", backbone=_FULL_SIZED),
    "SEGFORMER": ModelTraits(PIXELS, "segmentation", backbone=_FULL_SIZED),
    "CHANGEDETECTOR": ModelTraits(PIXELS, "segmentation", "unet", takes_two_dates=True),
    "FCOS": ModelTraits(OBJECTS, "detection", "detection"),
    "RETINANET": ModelTraits(OBJECTS, "detection", "detection"),
    "SSD": ModelTraits(OBJECTS, "detection", "detection"),
    "FASTERRCNN": ModelTraits(OBJECTS, "detection", "detection"),
    "MASKRCNN": ModelTraits(OBJECTS, "detection", "detection", gives_masks=True),
    "RTDETR": ModelTraits(OBJECTS, "rtdetr", "rtdetr", has_queries=True, packages=_TRANSFORMERS),
    "FEATURE_CLASSIFIER": ModelTraits(CHIPS, "chip_classifier", "chip_classifier"),
}

MODEL_TYPES = tuple(_TRAITS)


def traits(model_type: str) -> ModelTraits:
    """What is known of a model type.

    Raises:
        ModelError: For an unknown one.
    """
    if model_type.upper() not in _TRAITS:
        raise ModelError(
            f"There is no model type {model_type!r}.", f"The model types are {', '.join(MODEL_TYPES)}."
        )
    return _TRAITS[model_type.upper()]


def types_of(task: str) -> tuple[str, ...]:
    """The model types for a task."""
    return tuple(name for name, one in _TRAITS.items() if one.task == task)


def describe_network(model_type: str, backbone: str, dropout: float) -> dict[str, Any]:
    """The ``ModelParameters`` of a new network.

    Args:
        model_type: One of :data:`MODEL_TYPES`.
        backbone: "NONE", or the name of a backbone.
        dropout: Share of the plain network's own dropout.

    Raises:
        ParameterError: For an unknown backbone, or none where the model type needs one.
        ModelError: For an unknown model type.
    """
    return _module(model_type, backbone).describe(model_type.upper(), backbone.strip(), dropout)


def build_network(model_type: str, parameters: Mapping[str, Any], bands: int, outputs: int) -> nn.Module:
    """The network of a model definition, with fresh weights.

    Args:
        model_type: One of :data:`MODEL_TYPES` (``ModelName`` of our own definitions).
        parameters: ``ModelParameters`` of the definition.
        bands: Bands it takes.
        outputs: Channels it gives, one per class.

    Raises:
        ModelError: Where it cannot be built.
    """
    module = _module(model_type, str(parameters.get("backbone", NO_BACKBONE)))
    return module.build(model_type.upper(), parameters, bands, outputs)


def _module(model_type: str, backbone: str) -> Any:
    known = traits(model_type)
    name = known.plain if backbone.strip().upper() == NO_BACKBONE else known.module
    if not name:
        raise ParameterError(
            f"{model_type} needs a backbone.",
            f"Leave BACKBONE_MODEL empty for {known.backbone}, or name another one.",
        )
    return import_module("." + name, __package__)
