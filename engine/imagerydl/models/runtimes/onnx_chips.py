"""Classifiers of whole chips in ONNX Runtime."""

from __future__ import annotations

from typing import Optional

import numpy as np

from ...errors import ModelError
from ..arguments import ModelArgument
from ..definition import ModelDefinition
from ..trust import ForeignCode
from .chip_classification import ChipClassifier
from .listed_classes import listed_classes
from .onnx_network import OnnxNetwork
from .options import RunOptions

PACKAGES = {"onnxruntime": "onnxruntime"}


def open_chip_classifier(definition: ModelDefinition, options: RunOptions) -> ChipClassifier:
    """Open the ONNX form of a classifier; see :mod:`.chip_opening`."""
    return OnnxChipClassifier(definition, options)


def model_arguments(definition: ModelDefinition, consent: bool) -> tuple[ModelArgument, ...]:
    """ONNX models declare none."""
    return ()


def foreign_code(definition: ModelDefinition) -> Optional[ForeignCode]:
    """ONNX holds a graph of known operators and no code."""
    return None


class OnnxChipClassifier(ChipClassifier):
    """A classifier of chips in ONNX Runtime; see :class:`ChipClassifier`.

    Its output is one row of numbers a chip. Behind a softmax or a sigmoid they are probabilities, of one
    class or of several; otherwise logits.
    """

    def __init__(self, definition: ModelDefinition, options: RunOptions) -> None:
        self._network = OnnxNetwork(definition, options)
        self.device, self.input = self._network.device, self._network.input
        self.chip_size = self._network.tile
        array = self._network.probe()[0]
        rows = array.reshape(len(array), -1) if array.ndim else array
        if array.ndim < 2 or len(array) != self._network.probe_size or rows.shape[1] < 1:
            raise ModelError(
                f"{self._network.name} gives {list(array.shape)} for {self._network.probe_size} chips.",
                "A classifier of objects gives [batch, classes].",
            )
        self.classes = listed_classes(definition, rows.shape[1], self._network.name)
        operator = self._network.last_operator
        stated = definition.raw.get("MetaDataMode") == "MultiLabeled_Tiles"
        self.is_multi_label = operator == "Sigmoid" or stated
        self._gives_probabilities = operator in ("Softmax", "Sigmoid")

    @property
    def description(self) -> str:
        """Runtime, version and device."""
        return self._network.description

    def probabilities(self, batch: np.ndarray, valid: np.ndarray) -> np.ndarray:
        """Run the network; see :meth:`ChipClassifier.probabilities`."""
        rows = [arrays[0].reshape(count, -1)[:count] for arrays, count in self._network.run_all(batch)]
        values = np.concatenate(rows).astype(np.float64)
        if self._gives_probabilities:
            return values.astype(np.float32)
        if self.is_multi_label:
            return (1 / (1 + np.exp(-values))).astype(np.float32)
        shifted = np.exp(values - values.max(axis=1, keepdims=True))
        return (shifted / shifted.sum(axis=1, keepdims=True)).astype(np.float32)
