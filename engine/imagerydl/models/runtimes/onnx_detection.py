"""Detectors in ONNX Runtime, whatever program exported them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Optional

import numpy as np

from ..arguments import ModelArgument
from ..definition import ModelDefinition
from ..trust import ForeignCode
from .detection import DetectionModel, Detections
from .detection_limits import limits_of
from .detection_output import GREY, DetectionOutput, RawOutput, find_detection_output
from .listed_classes import listed_classes
from .onnx_network import OnnxNetwork
from .options import RunOptions
from .protocol import Position

PACKAGES = {"onnxruntime": "onnxruntime"}

#: Overlap of duplicates where neither the user nor the definition say.
_OVERLAP = 0.45

#: Sides of tiles of a network that takes any: what the coarsest grid divides.
_GRID = 32


def open_detection_model(definition: ModelDefinition, options: RunOptions) -> DetectionModel:
    """Open the ONNX form of a detector; see :mod:`.detection_opening`."""
    return OnnxDetectionModel(definition, options)


def model_arguments(definition: ModelDefinition, consent: bool) -> tuple[ModelArgument, ...]:
    """ONNX models declare none."""
    return ()


def foreign_code(definition: ModelDefinition) -> Optional[ForeignCode]:
    """ONNX holds a graph of known operators and no code."""
    return None


class OnnxDetectionModel(DetectionModel):
    """A detector in ONNX Runtime; see :class:`DetectionModel`."""

    def __init__(self, definition: ModelDefinition, options: RunOptions) -> None:
        self._limits = limits_of(definition, options.arguments, _OVERLAP)
        self._network = network = OnnxNetwork(definition, options, grid=_GRID)
        self.device = network.device
        self.tile_size = network.tile if network.is_bound else None
        # What was trained here sees outside a picture what its network in PyTorch sees there.
        self.input = network.input if definition.is_own else replace(network.input, blank=GREY)
        self._output = self._find_output(definition, options)
        self.classes = listed_classes(definition, self._output.classes, network.name)

    @property
    def description(self) -> str:
        """Runtime, version, device and layout."""
        return f"{self._network.description} (outputs of {self._output.name})"

    def detect(
        self, batch: np.ndarray, valid: np.ndarray, positions: Sequence[Position] = ()
    ) -> list[Detections]:
        """Run the network; see :meth:`DetectionModel.detect`."""
        tile = batch.shape[2:]
        found = []
        for arrays, count in self._network.run_all(batch):
            for place in range(count):
                own = arrays if self._output.per_tile else [array[place] for array in arrays]
                found.append(self._output.decode(own, self._limits, tile))
        return found

    def _find_output(self, definition: ModelDefinition, options: RunOptions) -> DetectionOutput:
        """What tiles of noise tell of the outputs."""
        network = self._network
        arrays = network.probe()
        if network.probe_size > 1 and any(len(a) != network.probe_size for a in arrays if a.ndim):
            # Lists of a length of their own cannot be told apart by tile.
            arrays = network.probe_one()
        outputs = [RawOutput(name, array) for name, array in zip(network.output_names, arrays)]
        classes = sum(entry.name != "__background__" for entry in definition.classes)
        kind = str(definition.model_parameters.get("detector", ""))
        # What is trained here counts from 0.
        first = int(definition.model_parameters.get("first_label", 0 if definition.is_own else 1))
        output = find_detection_output(outputs, network.tile, classes, kind, network.name, first)
        if output.per_tile:
            network.fixed_batch = 1
        if output.is_yolox and not _states_input(definition):
            # YOLOX is trained on values as they are, blue first.
            self.input = replace(self.input, normalisation=None)
            if definition.extract_bands == (0, 1, 2) and not _states_bands(definition):
                self.extract_bands = (2, 1, 0)
            options.reporter.message(
                f"{network.name} is a YOLOX: it is fed with pixel values as they are"
                f"{', blue first' if self.extract_bands else ''}. State Normalization and ExtractBands in an "
                ".emd file to feed it otherwise."
            )
        return output


def _states_input(definition: ModelDefinition) -> bool:
    """Whether a definition says what values the network takes, and does not merely assume it."""
    return "Normalization" in definition.raw and not _is_assumed(definition)


def _states_bands(definition: ModelDefinition) -> bool:
    """Whether a definition says which bands the network takes."""
    return "ExtractBands" in definition.raw and not _is_assumed(definition)


def _is_assumed(definition: ModelDefinition) -> bool:
    """Whether the definition was made up for a bare file that does not say."""
    return definition.model_parameters.get("normalisation") == "assumed"
