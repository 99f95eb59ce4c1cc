"""The network before training: fresh, with a backbone's weights, or a trained model to go on from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Optional

import numpy as np
import torch
from torch import nn

from ..errors import ModelError, ParameterError
from ..events import Reporter
from ..imagery.band_names import red_green_blue
from ..models.architectures.registry import NO_BACKBONE, build_network, describe_network
from ..models.architectures.weights import load_encoder, read_weights, transfer_weights
from ..models.definition import OWN_CONFIGURATION, ModelDefinition, load_definition
from ..models.normalisation import Normalisation
from .augmentation import InputRange
from .channels import IGNORED
from .chips import ChipCollection
from .dataset import TrainingData
from .settings import TrainingSettings

#: Chips looked at where the folder says nothing about its bands.
_SAMPLE = 200

#: Deviations from a model's mean beyond which imagery is of another kind.
_FAR = 5.0


@dataclass
class StartingPoint:
    """A network ready to be trained.

    Attributes:
        network: The network.
        parameters: ``ModelParameters`` of its definition.
        input_range: How pixels are scaled for it.
        freeze: Whether its encoder keeps its weights.
    """

    network: nn.Module
    parameters: dict[str, Any]
    input_range: InputRange
    freeze: bool


def prepare_network(
    settings: TrainingSettings, data: TrainingData, train: np.ndarray, reporter: Reporter
) -> StartingPoint:
    """Build the network the settings ask for.

    Args:
        settings: As asked.
        data: The chips.
        train: Indices of the training chips, for statistics the folder lacks.
        reporter: Hears what was decided.

    Raises:
        ParameterError: For an unknown backbone, or one that is not the pretrained model's.
        ModelError: For a pretrained model or weights that do not fit.
    """
    torch.manual_seed(settings.seed)
    if settings.pretrained_model:
        start = _from_model(settings, load_definition(settings.pretrained_model), data, reporter)
    else:
        start = _from_scratch(settings, data, train, reporter)
    start.parameters["class_values"] = list(data.channels.values)
    if start.freeze:
        start.network.encoder.requires_grad_(False)
    start.network.to(memory_format=torch.channels_last)
    return start


def _from_scratch(
    settings: TrainingSettings, data: TrainingData, train: np.ndarray, reporter: Reporter
) -> StartingPoint:
    bands, backbone = data.collection.band_count, settings.backbone_or_default
    parameters = describe_network(settings.model_type, backbone, settings.loss.dropout)
    network = build_network(settings.model_type, parameters, bands, len(data.channels))
    freeze = fill_encoder(settings, network, parameters, data.collection, reporter)
    return StartingPoint(network, parameters, choose_input(data, train), freeze)


def _from_model(
    settings: TrainingSettings, definition: ModelDefinition, data: TrainingData, reporter: Reporter
) -> StartingPoint:
    name, bands = definition.name, data.collection.band_count
    parameters = check_pretrained(settings, definition, bands)
    network = build_network(settings.model_type, parameters, bands, len(data.channels))
    values = data.channels.values
    kept = transfer_weights(network, read_weights(definition.model_file), definition.output_values, values)
    if tuple(definition.output_values) != values:
        reporter.message(
            f"The classes differ from those of {name}: its last layer is made anew, {kept} of {len(values)} "
            "classes keep what they had learnt."
        )
    scale = definition.normalisation or Normalisation.from_byte_range(bands)
    if _looks_foreign(scale, stated_statistics(data.collection)):
        reporter.warning(f"{name} was trained on pixels of another range than these chips: check the result.")
    return StartingPoint(
        network,
        parameters,
        InputRange.of_definition(scale),
        settings.freeze,
    )


def fill_encoder(
    settings: TrainingSettings,
    network: nn.Module,
    parameters: Mapping[str, Any],
    collection: ChipCollection,
    reporter: Reporter,
) -> bool:
    """Give a fresh network's encoder the weights of ``BACKBONE_WEIGHTS``, where there are any.

    Returns:
        Whether the encoder is to keep them.
    """
    weights = settings.backbone_weights
    if weights is None:
        if settings.freeze:
            reporter.warning(
                "FREEZE is left out: the encoder has random weights. It goes with BACKBONE_WEIGHTS or "
                "PRETRAINED_MODEL."
            )
        return False
    positions = red_green_blue(collection.band_names)
    filled = load_encoder(network.encoder, weights, settings.weight_init_scheme, positions)
    reporter.message(f"{filled} weights of {parameters['backbone']} come from {weights.name}.")
    return settings.freeze


def check_pretrained(settings: TrainingSettings, definition: ModelDefinition, bands: int) -> dict[str, Any]:
    """The ``ModelParameters`` of a model to go on from.

    Raises:
        ModelError: Where it is of another kind than the model to be trained.
        ParameterError: Where another backbone was asked for.
    """
    name = definition.name
    if definition.configuration != OWN_CONFIGURATION:
        raise ModelError(
            f"{name} was not trained by this tool (ModelConfiguration {definition.configuration!r}).",
            "Give a model that Train Deep Learning Model made, or leave PRETRAINED_MODEL empty.",
        )
    if definition.model_name.upper() != settings.model_type:
        raise ModelError(
            f"{name} is a {definition.model_name}, not a {settings.model_type}.",
            f"Set MODEL_TYPE to {definition.model_name}.",
        )
    if len(definition.extract_bands) != bands:
        raise ModelError(
            f"{name} takes {len(definition.extract_bands)} bands, the chips have {bands}.",
            "Export chips with the bands the model was trained on.",
        )
    parameters = dict(definition.model_parameters)
    _check_backbone(settings, str(parameters.get("backbone", NO_BACKBONE)), name)
    return parameters


def _check_backbone(settings: TrainingSettings, backbone: str, name: str) -> None:
    if settings.backbone is None:
        return
    wanted = describe_network(settings.model_type, settings.backbone, settings.loss.dropout)["backbone"]
    if wanted.lower() != backbone.lower():
        raise ParameterError(
            f"BACKBONE_MODEL is {settings.backbone}, but {name} has the backbone {backbone}.",
            "Leave BACKBONE_MODEL empty when going on from a model.",
        )


def choose_input(data: TrainingData, train: np.ndarray) -> InputRange:
    """How the chips' pixels become network input: zero mean, unit deviation in each band.

    Networks without batch normalisation learn visibly faster from it than from 0 to 1.
    """
    return InputRange.of_statistics(stated_statistics(data.collection) or _sampled(data, train))


def _looks_foreign(scale: Normalisation, chips: Optional[Normalisation]) -> bool:
    """Whether the chips' mean lies where a model normalising by ``scale`` cannot have seen many pixels."""
    return chips is not None and any(
        abs((mean - subtract) / divide) > _FAR
        for mean, subtract, divide in zip(chips.subtract, scale.subtract, scale.divide)
    )


def stated_statistics(collection: ChipCollection) -> Optional[Normalisation]:
    """Mean and deviation of each band as the first folder says them; None where it does not."""
    stats = collection.band_stats
    if len(stats) != collection.band_count or not any(float(band["StdDev"]) > 0 for band in stats):
        return None
    return Normalisation.from_statistics(
        [float(band["Mean"]) for band in stats], [float(band["StdDev"]) for band in stats]
    )


def _sampled(data: TrainingData, train: np.ndarray) -> Normalisation:
    """Mean and deviation over the labelled pixels of some training chips."""
    count, total, squares = 0, 0.0, 0.0
    for index in train[:_SAMPLE]:
        images, labels = data.take(np.array([index]))
        pixels = images[0][:, labels[0] != IGNORED].astype(np.float64)
        count += pixels.shape[1]
        total, squares = total + pixels.sum(axis=1), squares + (pixels**2).sum(axis=1)
    if not count:
        return Normalisation.from_byte_range(data.collection.band_count)
    means = total / count
    deviations = np.sqrt(np.maximum(squares / count - means**2, 0))
    return Normalisation.from_statistics(means.tolist(), deviations.tolist())
