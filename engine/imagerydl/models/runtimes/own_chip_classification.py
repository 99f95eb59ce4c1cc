"""Classifiers of chips that were trained here."""

from __future__ import annotations

from typing import Optional

import numpy as np

from ..arguments import ModelArgument
from ..definition import ModelDefinition
from ..trust import ForeignCode
from .chip_classification import ChipClassifier
from .options import RunOptions
from .own_network import OwnNetwork
from .protocol import ModelInput

PACKAGES = {"torch": "torch", "safetensors": "safetensors"}


def open_chip_classifier(definition: ModelDefinition, options: RunOptions) -> ChipClassifier:
    """Open a classifier of chips that was trained here; see :mod:`.opening`."""
    return OwnChipClassifier(definition, options)


def model_arguments(definition: ModelDefinition, consent: bool) -> tuple[ModelArgument, ...]:
    """It declares none: from which probability on a label counts is the tool's to ask."""
    return ()


def foreign_code(definition: ModelDefinition) -> Optional[ForeignCode]:
    """Nothing: weights are safetensors, and the network is built from code of this engine."""
    return None


class OwnChipClassifier(ChipClassifier):
    """A classifier of chips trained here; see :class:`.chip_classification.ChipClassifier`.

    Args:
        definition: The model.
        options: Device and threads.

    Raises:
        ModelError: If it does not load or does not fit its definition.
        RuntimeMissingError: If a device was named that this PyTorch does not run on.
    """

    def __init__(self, definition: ModelDefinition, options: RunOptions) -> None:
        self.classes = definition.classes
        self.input = ModelInput(definition.normalisation)
        self.chip_size = definition.image_size
        self.is_multi_label = bool(definition.model_parameters.get("multi_label"))
        self._runner = OwnNetwork(definition, options, len(self.classes))
        self.device, self.description = self._runner.device, self._runner.description

    def probabilities(self, batch: np.ndarray, valid: np.ndarray) -> np.ndarray:
        """Classify chips; see :meth:`.chip_classification.ChipClassifier.probabilities`."""
        # A lone chip takes other kernels, whose last bits differ from those of a batch.
        pair = len(batch) == 1
        logits = self._runner.run(np.concatenate([batch, batch]) if pair else batch)[: len(batch)].float()
        given = logits.sigmoid() if self.is_multi_label else logits.softmax(dim=1)
        return given.cpu().numpy()

    def close(self) -> None:
        """Release what it holds."""
        self._runner.close()
