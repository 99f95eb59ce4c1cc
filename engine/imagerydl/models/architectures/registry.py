"""Model types and the module that builds each; a new type is one file and one line here.

A module named here has ``describe(model_type, backbone, dropout) -> ModelParameters`` and
``build(model_type, parameters, bands, outputs) -> network``; a network has ``encoder``, ``HEAD``
(the name of its last layer) and takes images of any size.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

from ...errors import ModelError

if TYPE_CHECKING:
    from torch import nn

#: Model type -> module of its plain form (backbone NONE), module of its form with a backbone.
_MODULES = {"UNET": ("unet", "segmentation")}

MODEL_TYPES = tuple(_MODULES)


def describe_network(model_type: str, backbone: str, dropout: float) -> dict[str, Any]:
    """The ``ModelParameters`` of a new network.

    Args:
        model_type: One of :data:`MODEL_TYPES`.
        backbone: "NONE", or the name of a backbone.
        dropout: Share of the plain network's own dropout.

    Raises:
        ParameterError: For an unknown backbone.
        ModelError: For an unknown model type.
    """
    return _module(model_type, backbone).describe(model_type, backbone.strip(), dropout)


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
    module = _module(model_type, str(parameters.get("backbone", "NONE")))
    return module.build(model_type.upper(), parameters, bands, outputs)


def _module(model_type: str, backbone: str) -> Any:
    if model_type.upper() not in _MODULES:
        raise ModelError(
            f"There is no model type {model_type!r}.", f"The model types are {', '.join(MODEL_TYPES)}."
        )
    plain, with_backbone = _MODULES[model_type.upper()]
    return import_module("." + (plain if backbone.strip().upper() == "NONE" else with_backbone), __package__)
