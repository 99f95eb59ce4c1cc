"""Pixel models of TensorFlow: frozen graphs (``.pb``) and SavedModel folders, in OpenVINO.

What a graph is fed: raw pixel values, unless its definition states a normalisation; graphs exported for use
hold their scaling themselves, as those of the DeepLab configuration do. One that takes whole numbers takes
no other than raw values.

Which input and output count is clear where there is one of each. Otherwise the definition says it:
``"ModelParameters": {"input": "image", "output": "scores"}``. For the configuration ``DeepLab`` they are
``ImageTensor`` and ``SemanticPredictions``.
"""

from __future__ import annotations

from typing import Any, Optional

import numpy as np

from ...errors import ModelDefinitionError, ModelError
from ..arguments import ModelArgument
from ..definition import ModelDefinition
from ..trust import ForeignCode
from .fitting import margin_of, refuse_shape, run_in_batches, shape_text
from .options import RunOptions
from .protocol import Gives, ModelInput, PixelModel, two_channels
from .tensorflow_graph import (
    PACKAGES,
    CompiledGraph,
    GraphInput,
    choose_port,
    cut_graph,
    graph_path,
    port_names,
    port_shape,
    read_graph,
    reason_of,
    refuse_cards,
)

__all__ = ["PACKAGES", "TensorFlowPixelModel", "foreign_code", "model_arguments", "open_model"]

#: Inputs and outputs of Esri's configurations.
_ENDS = {"deeplab": ("ImageTensor", "SemanticPredictions")}

#: Configurations of other tools.
_DETECTORS = ("objectdetectionapi", "maskrcnn")

#: Operations that hand on what their first input means.
_HANDS_ON = frozenset(
    {
        *("Transpose", "Reshape", "Squeeze", "Unsqueeze", "Convert", "Interpolate", "Slice", "StridedSlice"),
        *("Pad", "DepthToSpace", "BatchToSpace"),
    }
)


def open_model(definition: ModelDefinition, options: RunOptions) -> PixelModel:
    """Open a TensorFlow graph; see :mod:`.opening`."""
    return TensorFlowPixelModel(definition, options)


def model_arguments(definition: ModelDefinition, consent: bool) -> tuple[ModelArgument, ...]:
    """TensorFlow graphs declare none."""
    return ()


def foreign_code(definition: ModelDefinition) -> Optional[ForeignCode]:
    """A graph holds known operations and no code; OpenVINO refuses those that call Python."""
    return None


class TensorFlowPixelModel(PixelModel):
    """A graph ``[n, h, w, bands] -> [n, h, w, channels]`` or ``-> [n, h, w]``; see :class:`PixelModel`.

    Floating-point output from a softmax or a sigmoid is a probability, any other a score; a single channel is
    binary. Whole numbers are class values: they become probabilities of 0 and 1, so that overlapping tiles
    vote.

    Args:
        definition: The model.
        options: Device, threads, precision.
    """

    device = "CPU"

    def __init__(self, definition: ModelDefinition, options: RunOptions) -> None:
        path = graph_path(definition)
        self._name = path.name
        _refuse_detectors(definition.configuration, definition.model_type, self._name)
        refuse_cards(options.device)
        graph = _only_ends(read_graph(path), definition, self._name)
        self._picture = GraphInput(graph, definition, self._name)
        self.tile_size = self._picture.tile_size
        self.input = ModelInput(definition.normalisation)
        self._read_output(graph, definition)
        self._compiled = CompiledGraph(graph, self._name, options)

    @property
    def description(self) -> str:
        """Runtime, version, device and the precision it really computes in."""
        return self._compiled.description

    def scores(self, batch: np.ndarray, valid: np.ndarray) -> np.ndarray:
        """Run the network; see :meth:`PixelModel.scores`."""
        fed = self._picture.fed(batch)
        given = run_in_batches(fed, self._picture.fixed_batch, self._run)
        sides = [side - 2 * self.margin for side in batch.shape[2:]]
        if self._class_values is not None:
            maps = given.reshape(given.shape[:3]) if given.shape[3:] == (1,) else given
            self._check(maps.shape == (len(batch), *sides), given, batch)
            return self._votes(maps)
        scores = given[:, None] if given.ndim == 3 else given
        if not self._picture.channels_first and given.ndim == 4:
            scores = scores.transpose(0, 3, 1, 2)
        self._check(
            scores.ndim == 4 and (len(scores), *scores.shape[2:]) == (len(batch), *sides), given, batch
        )
        scores = np.ascontiguousarray(scores, np.float32)
        if scores.shape[1] == 1 and self.gives is Gives.PROBABILITIES:
            return np.concatenate([1 - scores, scores], axis=1)
        return two_channels(scores)

    def _run(self, fed: np.ndarray) -> np.ndarray:
        return self._compiled.run(fed, self._picture.sides(fed))[0]

    def _votes(self, maps: np.ndarray) -> np.ndarray:
        """Class values ``[n, h, w]`` as probabilities of 0 and 1."""
        known = np.array(self._class_values)
        order = np.argsort(known)
        channels = order[np.minimum(np.searchsorted(known, maps, sorter=order), len(known) - 1)]
        unknown = known[channels] != maps
        if unknown.any():
            raise ModelError(
                f"{self._name} gives the class {maps[unknown][0]}, which its definition does not list.",
                "Add the class to Classes in the definition.",
            )
        return (channels[:, None] == np.arange(len(known))[:, None, None]).astype(np.float32)

    def _check(self, fits: bool, given: np.ndarray, batch: np.ndarray) -> None:
        if not fits:
            raise ModelError(
                f"{self._name} gives {list(given.shape)} for a batch of {list(batch.shape)}.",
                "Give a TILE_SIZE that it was made for; a pixel classifier gives as many pixels as it takes.",
            )

    def _read_output(self, graph: Any, definition: ModelDefinition) -> None:
        """What it gives, in which size."""
        declared = port_shape(graph.output(0), 4)
        is_map = not graph.output(0).element_type.is_real()
        if len(declared) not in (3, 4) or (is_map and declared[3:] not in ((), (1,), (None,))):
            raise refuse_shape(self._name, len(declared), shape_text(declared))
        tile = self.tile_size or definition.image_size
        shape = _shape_for(graph, self._name, self._picture.shape_for(tile))
        first = 2 if self._picture.channels_first and not is_map and len(shape) == 4 else 1
        sides = shape[first : first + 2]
        if None not in sides:
            self.margin = margin_of(self._name, tile, sides)
        self._class_values: Optional[tuple[int, ...]] = None
        if is_map:
            values = definition.output_values
            if not values:
                raise ModelDefinitionError(
                    f"{definition.name} lists no classes, and {self._name} gives class values.",
                    "List its Classes in the definition.",
                )
            self._class_values = self.class_values = values if 0 in values else (0, *values)
            self.outputs, self.gives = len(self._class_values), Gives.PROBABILITIES
            return
        channels = 1 if len(declared) == 3 else declared[1 if self._picture.channels_first else 3]
        self.outputs = 0 if channels is None else max(channels, 2)
        self.gives = Gives.PROBABILITIES if _ends_in_probabilities(graph) else Gives.LOGITS


def _refuse_detectors(configuration: str, model_type: str, name: str) -> None:
    if configuration.lower() in _DETECTORS or model_type == "ObjectDetection":
        raise ModelDefinitionError(
            f"{name} finds objects ({configuration or model_type}) and does not classify pixels.",
            "Use the tool Detect Objects.",
        )


def _only_ends(graph: Any, definition: ModelDefinition, name: str) -> Any:
    """The graph between the one input and the one output that count."""
    if any("detection_boxes" in names for names in map(port_names, graph.outputs)):
        _refuse_detectors("ObjectDetectionAPI", "", name)
    usual = _ENDS.get(definition.configuration.lower(), (None, None))
    parameters = definition.model_parameters
    source = choose_port(graph.inputs, parameters.get("input") or usual[0], "input", name)
    sink = choose_port(graph.outputs, parameters.get("output") or usual[1], "output", name)
    return cut_graph(source, [sink], graph, name)


def _shape_for(graph: Any, name: str, tile: list[int]) -> tuple[Optional[int], ...]:
    """Shape of the output for an input of shape ``tile``."""
    probe = graph.clone()
    try:
        probe.reshape(tile)
    except RuntimeError as error:
        raise ModelError(
            f"{name} cannot run on an input of {tile} ({reason_of(error)}).",
            "Correct ImageHeight and ImageWidth in the definition.",
        ) from error
    return port_shape(probe.output(0), 4)


def _ends_in_probabilities(graph: Any) -> bool:
    node = graph.output(0).get_node().input_value(0).get_node()
    while node.get_type_name() in _HANDS_ON:
        node = node.input_value(0).get_node()
    kind = node.get_type_name()
    if kind == "Divide":  # a softmax written out
        top, bottom = (node.input_value(i).get_node().get_type_name() for i in (0, 1))
        return (top, bottom) == ("Exp", "ReduceSum")
    return kind in ("Softmax", "Sigmoid", "HardSigmoid")
