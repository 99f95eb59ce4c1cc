"""Detectors of TensorFlow in OpenVINO: graphs of the Object Detection API, and others of known layouts.

Frozen graphs (``.pb``) and SavedModel folders, see :mod:`.tensorflow_graph`. Graphs of the Object Detection
API (:mod:`.object_detection_api`) scale and normalise pictures themselves and take raw pixel values. Others
are read as ONNX detectors are (:mod:`.detection_output`), and fed with raw pixel values unless their
definition states a normalisation.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Optional

import numpy as np

from ...errors import ModelError
from ..arguments import ModelArgument
from ..definition import ModelDefinition
from ..trust import ForeignCode
from .batches import filled_up
from .detection import DetectionModel, Detections
from .detection_limits import limits_of
from .detection_output import GREY, RawOutput, find_detection_output
from .listed_classes import listed_classes
from .object_detection_api import KNOWN, NEEDED, LabelNumbers, api_detections
from .options import RunOptions
from .pixel_output import noise
from .protocol import ModelInput, Position
from .tensorflow_graph import (
    PACKAGES,
    CompiledGraph,
    GraphInput,
    choose_port,
    cut_graph,
    graph_path,
    port_names,
    port_shape,
    port_text,
    read_graph,
    refuse_cards,
)

__all__ = ["PACKAGES", "foreign_code", "model_arguments", "open_detection_model"]

#: Inputs of the Object Detection API, of its first and its second generation.
_API_INPUTS = ("image_tensor", "input_tensor")

#: Counts the classes, and a background before them.
_CLASS_SCORES = "detection_multiclass_scores"

#: Overlap of duplicates where neither the user nor the definition say. The API suppresses by itself.
_API_OVERLAP, _OVERLAP = 1.0, 0.45


def open_detection_model(definition: ModelDefinition, options: RunOptions) -> DetectionModel:
    """Open a TensorFlow detector; see :mod:`.detection_opening`."""
    path = graph_path(definition)
    refuse_cards(options.device)
    graph = read_graph(path)
    there = {name for port in graph.outputs for name in port_names(port)}
    if there >= set(NEEDED):
        return ApiDetectionModel(graph, path.name, definition, options)
    if definition.configuration == "ObjectDetectionAPI" or there & set(NEEDED):
        raise ModelError(
            f"{path.name} is no graph of the Object Detection API: it has no "
            f"{', '.join(name for name in NEEDED if name not in there)} but "
            f"{', '.join(map(port_text, graph.outputs)) or 'no outputs at all'}.",
            "Export the checkpoint with export_inference_graph.py or exporter_main_v2.py of that library. Of "
            "another detector, leave ObjectDetectionAPI out of ModelConfiguration.",
        )
    return TableDetectionModel(graph, path.name, definition, options)


def model_arguments(definition: ModelDefinition, consent: bool) -> tuple[ModelArgument, ...]:
    """TensorFlow graphs declare none."""
    return ()


def foreign_code(definition: ModelDefinition) -> Optional[ForeignCode]:
    """A graph holds known operations and no code; OpenVINO refuses those that call Python."""
    return None


class _GraphDetector(DetectionModel):
    """What detectors in OpenVINO share; see :class:`DetectionModel`."""

    device = "CPU"

    def _prepare(self, graph: Any, name: str, definition: ModelDefinition, options: RunOptions) -> None:
        """Compile a graph of one input whose outputs all count."""
        self._name = name
        self._picture = GraphInput(graph, definition, name)
        self.tile_size = self._picture.tile_size
        self.input = ModelInput(definition.normalisation)
        self._compiled = CompiledGraph(graph, name, options)

    @property
    def description(self) -> str:
        """Runtime, version, device and precision."""
        return self._compiled.description

    def _runs(self, batch: np.ndarray) -> Iterator[tuple[list[np.ndarray], int]]:
        """The outputs for a batch of any number: arrays, and how many of their tiles count."""
        size = self._picture.fixed_batch or len(batch)
        for start in range(0, len(batch), size):
            piece = batch[start : start + size]
            fed = self._picture.fed(filled_up(piece, size))
            yield self._compiled.run(fed, self._picture.sides(fed)), len(piece)


class ApiDetectionModel(_GraphDetector):
    """A graph as the Object Detection API exports it; see :class:`DetectionModel`.

    Args:
        graph: The graph as it was read.
        name: What to call it.
        definition: The model.
        options: Threads, precision, arguments.

    Raises:
        EngineError: If it cannot be used.
    """

    def __init__(self, graph: Any, name: str, definition: ModelDefinition, options: RunOptions) -> None:
        self._limits = limits_of(definition, options.arguments, _API_OVERLAP)
        ports = {key: port for port in graph.outputs for key in port_names(port)}
        self._outputs = [key for key in KNOWN if key in ports]
        counted = 0
        if _CLASS_SCORES in ports:
            counted = max((port_shape(ports[_CLASS_SCORES], 3)[-1] or 1) - 1, 0)
        inputs = {key for port in graph.inputs for key in port_names(port)}
        usual = next((key for key in _API_INPUTS if key in inputs), None)
        source = choose_port(graph.inputs, definition.model_parameters.get("input") or usual, "input", name)
        graph = cut_graph(source, [ports[key] for key in self._outputs], graph, name)
        self._prepare(graph, name, definition, options)
        self.classes = listed_classes(definition, 0 if definition.classes else counted, name)
        self._numbers = LabelNumbers(definition, self.classes, counted, name)
        if self._numbers.is_guess:
            options.reporter.message(
                f"Class numbers of {name} are taken to count the Classes of {definition.name} from 1, in "
                'their order. Where they are the Values, set "ModelParameters": {"labels": "VALUE"}.'
            )

    def detect(
        self, batch: np.ndarray, valid: np.ndarray, positions: Sequence[Position] = ()
    ) -> list[Detections]:
        """Run the network; see :meth:`DetectionModel.detect`."""
        found = []
        for arrays, count in self._runs(batch):
            named = dict(zip(self._outputs, arrays))
            self._check(named, batch)
            for place in range(count):
                own = {key: array[place] for key, array in named.items()}
                found.append(api_detections(own, batch.shape[2:], self._numbers, self._limits))
        return found

    def _check(self, named: Mapping[str, np.ndarray], batch: np.ndarray) -> None:
        lists = {named[key].shape[:2] for key in self._outputs if named[key].ndim > 1}
        boxes = named[NEEDED[0]]
        if len(lists) != 1 or boxes.ndim != 3 or boxes.shape[2] != 4:
            shapes = ", ".join(f"{key} {list(array.shape)}" for key, array in named.items())
            raise ModelError(
                f"{self._name} gives {shapes} for a batch of {list(batch.shape)}.",
                "The Object Detection API gives boxes [batch, objects, 4] and lists [batch, objects].",
            )


class TableDetectionModel(_GraphDetector):
    """A graph whose outputs have one of the layouts of ONNX detectors; see :class:`DetectionModel`.

    Args:
        graph: The graph as it was read.
        name: What to call it.
        definition: The model.
        options: Threads, precision, arguments.

    Raises:
        EngineError: If it cannot be used.
    """

    def __init__(self, graph: Any, name: str, definition: ModelDefinition, options: RunOptions) -> None:
        self._limits = limits_of(definition, options.arguments, _OVERLAP)
        if not graph.inputs or not graph.outputs:
            raise ModelError(f"{name} takes no picture or gives nothing.", "Give the graph of a detector.")
        source = choose_port(graph.inputs, definition.model_parameters.get("input"), "input", name)
        graph = cut_graph(source, graph.outputs, graph, name)
        names = [port_text(port) for port in graph.outputs]
        self._prepare(graph, name, definition, options)
        self.input = replace(self.input, blank=GREY)
        tile = self.tile_size or definition.image_size
        count = self._picture.fixed_batch or 1
        probe = noise((count, len(definition.extract_bands), *tile), raw=self.input.normalisation is None)
        fed = self._picture.fed(probe)
        arrays = self._compiled.run(fed, tile)
        self._output = find_detection_output(
            [RawOutput(key, array) for key, array in zip(names, arrays)],
            tile,
            len(definition.classes),
            str(definition.model_parameters.get("detector", "")),
            name,
            int(definition.model_parameters.get("first_label", 1)),
        )
        if self._output.per_tile:
            self._picture.fixed_batch = 1
        self.classes = listed_classes(definition, self._output.classes, name)

    @property
    def description(self) -> str:
        """Runtime, version, device, precision and layout."""
        return f"{self._compiled.description} (outputs of {self._output.name})"

    def detect(
        self, batch: np.ndarray, valid: np.ndarray, positions: Sequence[Position] = ()
    ) -> list[Detections]:
        """Run the network; see :meth:`DetectionModel.detect`."""
        found = []
        for arrays, count in self._runs(batch):
            for place in range(count):
                own = arrays if self._output.per_tile else [array[place] for array in arrays]
                found.append(self._output.decode(own, self._limits, batch.shape[2:]))
        return found
