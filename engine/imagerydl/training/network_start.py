"""A network of another kind than a pixel classifier, before training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

from ..errors import ModelError
from ..events import Reporter
from ..models.architectures.registry import build_network, describe_network
from ..models.architectures.weights import read_weights
from ..models.definition import load_definition
from ..models.normalisation import Normalisation
from .augmentation import InputRange
from .batches import ChipSource
from .settings import TrainingSettings
from .starting_point import StartingPoint, check_pretrained, fill_encoder, stated_statistics

#: Chips looked at where the folder says nothing about its bands.
_SAMPLE = 200


def start_network(
    settings: TrainingSettings,
    data: ChipSource,
    train: np.ndarray,
    more: Mapping[str, Any],
    reporter: Reporter,
) -> StartingPoint:
    """Build the network the settings ask for.

    Args:
        settings: As asked.
        data: The chips.
        train: Indices of the training chips.
        more: ``ModelParameters`` that come from the chips.
        reporter: Hears what was decided.

    Raises:
        ParameterError: For an unknown backbone, or one that is not the pretrained model's.
        ModelError: For a pretrained model or weights that do not fit.
    """
    torch.manual_seed(settings.seed)
    bands, classes = data.collection.band_count, len(data.class_names)
    if settings.pretrained_model:
        definition = load_definition(settings.pretrained_model)
        parameters = check_pretrained(settings, definition, bands)
        network = build_network(settings.model_type, parameters, bands, classes)
        kept, total = take_over(network, read_weights(definition.model_file))
        reporter.message(f"{kept} of {total} weights come from {definition.name}.")
        scale = definition.normalisation or Normalisation.from_byte_range(bands)
        start = StartingPoint(network, parameters, InputRange.of_definition(scale), settings.freeze)
    else:
        parameters = {**describe_network(settings.model_type, settings.backbone_or_default, 0.0), **more}
        network = build_network(settings.model_type, parameters, bands, classes)
        freeze = fill_encoder(settings, network, parameters, data.collection, reporter)
        statistics = stated_statistics(data.collection) or _measured(data, train)
        start = StartingPoint(network, parameters, InputRange.of_statistics(statistics), freeze)
    if start.freeze:
        start.network.encoder.requires_grad_(False)
    start.network.to(memory_format=torch.channels_last)
    return start


def take_over(network: nn.Module, weights: Mapping[str, torch.Tensor]) -> tuple[int, int]:
    """Fill what fits; layers whose size follows from the classes keep fresh weights where those differ.

    Returns:
        How many tensors were filled, and how many there are.

    Raises:
        ModelError: Where less than half of them fit.
    """
    state = network.state_dict()
    fitting = {
        name: tensor
        for name, tensor in weights.items()
        if name in state and state[name].shape == tensor.shape
    }
    if 2 * len(fitting) < len(state):
        raise ModelError(
            f"{len(fitting)} of the {len(state)} weights of the network are in the pretrained model.",
            "Give a model of the same type and backbone that was trained here.",
        )
    network.load_state_dict({**state, **fitting})
    return len(fitting), len(state)


def _measured(data: ChipSource, train: np.ndarray) -> Normalisation:
    """Mean and deviation of some training chips."""
    pixels = [data.take(np.array([index]))[0][0].astype(np.float64) for index in train[:_SAMPLE]]
    means = np.mean([chip.mean(axis=(1, 2)) for chip in pixels], axis=0)
    squares = np.mean([(chip**2).mean(axis=(1, 2)) for chip in pixels], axis=0)
    return Normalisation.from_statistics(means.tolist(), np.sqrt(np.maximum(squares - means**2, 0)).tolist())
