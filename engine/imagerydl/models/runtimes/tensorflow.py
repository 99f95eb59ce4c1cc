"""Pixel models of TensorFlow: frozen graphs (``.pb``) and SavedModel folders, in OpenVINO.

TensorFlow is never loaded. Graphs are read with ``read_model`` rather than ``convert_model``, which would
report its use to OpenVINO's makers. Networks run in float32 unless another ``PRECISION`` is asked for:
OpenVINO's own choice may be bfloat16, with errors of a thousandth.

What a graph is fed: raw pixel values, unless its definition states a normalisation; graphs exported for use
hold their scaling themselves, as those of the DeepLab configuration do. One that takes whole numbers takes
no other than raw values.

Which input and output count is clear where there is one of each. Otherwise the definition says it:
``"ModelParameters": {"input": "image", "output": "scores"}``. For the configuration ``DeepLab`` they are
``ImageTensor`` and ``SemanticPredictions``.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any, Optional

import numpy as np

from ...errors import ModelDefinitionError, ModelError, ParameterError, RuntimeMissingError
from ..arguments import ModelArgument
from ..definition import ModelDefinition
from ..trust import ForeignCode
from .fitting import margin_of, refuse_shape, run_in_batches, shape_text
from .options import RunOptions
from .protocol import Gives, ModelInput, PixelModel, looks_like_out_of_memory, two_channels

PACKAGES = {"openvino": "openvino"}

#: Inputs and outputs of Esri's configurations.
_ENDS = {"deeplab": ("ImageTensor", "SemanticPredictions")}

#: Configurations of other tools.
_DETECTORS = ("objectdetectionapi", "maskrcnn")

#: What OpenVINO calls ``PRECISION``; None leaves it the choice.
_PRECISIONS = {"FLOAT32": "f32", "AUTO": None, "BF16": "bf16", "FP16": "f16"}

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
        path = definition.model_file
        self._path = path.parent if path.name == "saved_model.pb" else path
        self._name = self._path.name
        _refuse_detectors(definition.configuration, definition.model_type, self._name)
        if options.device.kind == "cuda" and options.device.is_demanded:
            raise RuntimeMissingError(
                f"DEVICE is {options.device.name}, but TensorFlow graphs run on the CPU.",
                "Use AUTO or CPU, or convert the model to ONNX, which runs on CUDA.",
            )
        graph = _only_ends(_read_graph(self._path), definition, self._name)
        self._read_input(graph, definition)
        self._read_output(graph, definition)
        self._compiled = _compile(graph, self._name, options)
        self._threads = options.threads or os.cpu_count() or 1

    @property
    def description(self) -> str:
        """Runtime, version, device and the precision it really computes in."""
        import openvino

        precision = self._compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name()
        threads = f"{self._threads} thread{'s' if self._threads > 1 else ''}"
        return f"OpenVINO {openvino.__version__.split('-')[0]} on CPU ({threads}, {precision})"

    def scores(self, batch: np.ndarray, valid: np.ndarray) -> np.ndarray:
        """Run the network; see :meth:`PixelModel.scores`."""
        given = run_in_batches(self._as_input(batch), self._fixed_batch, self._run)
        sides = [side - 2 * self.margin for side in batch.shape[2:]]
        if self._class_values is not None:
            maps = given.reshape(given.shape[:3]) if given.shape[3:] == (1,) else given
            self._check(maps.shape == (len(batch), *sides), given, batch)
            return self._votes(maps)
        scores = given[:, None] if given.ndim == 3 else given
        scores = scores if self._channels_first or given.ndim == 3 else scores.transpose(0, 3, 1, 2)
        self._check(
            scores.ndim == 4 and (len(scores), *scores.shape[2:]) == (len(batch), *sides), given, batch
        )
        scores = np.ascontiguousarray(scores, np.float32)
        if scores.shape[1] == 1 and self.gives is Gives.PROBABILITIES:
            return np.concatenate([1 - scores, scores], axis=1)
        return two_channels(scores)

    def _as_input(self, batch: np.ndarray) -> np.ndarray:
        """``batch`` in the layout and the type that the graph takes."""
        if self._dtype.kind in "iu":
            limits = np.iinfo(self._dtype)
            low, high = float(batch.min()), float(batch.max())
            if low < limits.min or high > limits.max:
                raise ModelError(
                    f"{self._name} takes {limits.min} to {limits.max}, and a tile holds {low:g} to {high:g}.",
                    "Scale the raster to that range first.",
                )
            batch = np.rint(batch)
        picture = batch if self._channels_first else batch.transpose(0, 2, 3, 1)
        return np.ascontiguousarray(picture, self._dtype)

    def _run(self, batch: np.ndarray) -> np.ndarray:
        try:
            return self._compiled({0: batch}, share_inputs=True)[0]
        except RuntimeError as error:
            if looks_like_out_of_memory(error):
                raise MemoryError(str(error)) from error
            height, width = batch.shape[2:] if self._channels_first else batch.shape[1:3]
            raise ModelError(
                f"{self._name} cannot run on tiles of {width} x {height} pixels ({_reason(error)}).",
                "Give a TILE_SIZE that it was made for.",
            ) from error

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

    def _read_input(self, graph: Any, definition: ModelDefinition) -> None:
        """Layout, type and size of what it takes."""
        bands = len(definition.extract_bands)
        shape = _shape(graph.input(0), 4)
        self._dtype = np.dtype(graph.input(0).element_type.to_dtype())
        if len(shape) != 4 or self._dtype.kind not in "iuf":
            raise ModelError(
                f"{self._name} takes {shape_text(shape)} of {self._dtype}, not a picture.",
                "A pixel classifier takes [batch, height, width, bands].",
            )
        # Height and width first is TensorFlow's habit: bands come first only where the shape says so.
        self._channels_first = shape[1] == bands and shape[3] != bands
        self._fixed_batch = shape[0]
        (height, width), channels = (shape[2:], shape[1]) if self._channels_first else (shape[1:3], shape[3])
        if channels not in (None, bands):
            raise ModelError(
                f"{self._name} takes {channels} bands and its definition extracts {bands}.",
                "Correct ExtractBands in the definition.",
            )
        self.tile_size = (height, width) if height and width else None
        if definition.normalisation and self._dtype.kind in "iu":
            raise ModelDefinitionError(
                f"{definition.name} normalises the input of {self._name}, which takes whole pixel values.",
                "Remove Normalization (or NormalizationStats) from the definition.",
            )
        self.input = ModelInput(definition.normalisation)

    def _read_output(self, graph: Any, definition: ModelDefinition) -> None:
        """What it gives, in which size."""
        declared = _shape(graph.output(0), 4)
        is_map = not graph.output(0).element_type.is_real()
        if len(declared) not in (3, 4) or (is_map and declared[3:] not in ((), (1,), (None,))):
            raise refuse_shape(self._name, len(declared), shape_text(declared))
        shape = _shape_for(graph, self._name, self._tile_shape(len(definition.extract_bands), definition))
        first = 2 if self._channels_first and not is_map and len(shape) == 4 else 1
        sides = shape[first : first + 2]
        if None not in sides:
            self.margin = margin_of(self._name, self.tile_size or definition.image_size, sides)
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
        channels = 1 if len(declared) == 3 else declared[1 if self._channels_first else 3]
        self.outputs = 0 if channels is None else max(channels, 2)
        self.gives = Gives.PROBABILITIES if _ends_in_probabilities(graph) else Gives.LOGITS

    def _tile_shape(self, bands: int, definition: ModelDefinition) -> list[int]:
        height, width = self.tile_size or definition.image_size
        picture = [bands, height, width] if self._channels_first else [height, width, bands]
        return [self._fixed_batch or 1, *picture]


def _refuse_detectors(configuration: str, model_type: str, name: str) -> None:
    if configuration.lower() in _DETECTORS or model_type == "ObjectDetection":
        raise ModelDefinitionError(
            f"{name} finds objects ({configuration or model_type}) and does not classify pixels.",
            "Use the tool Detect Objects.",
        )


def _read_graph(path: Path) -> Any:
    import openvino

    try:
        return openvino.Core().read_model(path)
    except RuntimeError as error:
        missing = re.search(r"No conversion rule found for operations: (.+)", str(error))
        if missing:
            raise ModelError(
                f"{path.name} is made of operations that OpenVINO does not run: {missing.group(1).strip()}.",
                "Convert the model to ONNX where its framework is installed, for example with tf2onnx.",
            ) from error
        raise ModelError(
            f"{path.name} is no TensorFlow graph that can be read ({_reason(error)}).",
            "Give a frozen graph (.pb) or a complete SavedModel folder.",
        ) from error


def _only_ends(graph: Any, definition: ModelDefinition, name: str) -> Any:
    """The graph between the one input and the one output that count."""
    import openvino

    if any("detection_boxes" in names for names in map(_names, graph.outputs)):
        _refuse_detectors("ObjectDetectionAPI", "", name)
    usual = _ENDS.get(definition.configuration.lower(), (None, None))
    parameters = definition.model_parameters
    source = _choose(graph.inputs, parameters.get("input") or usual[0], "input", name)
    sink = _choose(graph.outputs, parameters.get("output") or usual[1], "output", name)
    if len(graph.inputs) == len(graph.outputs) == 1:
        return graph
    try:
        return openvino.Model([sink.get_node()], [source.get_node()], name)
    except RuntimeError as error:
        raise ModelError(
            f"The output {_text(sink)} of {name} needs more than the input {_text(source)}: it takes "
            f"{', '.join(map(_text, graph.inputs))}.",
            "Freeze the graph with the other inputs set to constants.",
        ) from error


def _choose(ports: list[Any], wanted: Optional[str], what: str, name: str) -> Any:
    if wanted is None and len(ports) == 1:
        return ports[0]
    found = [port for port in ports if str(wanted).split(":")[0] in _names(port)]
    if wanted is not None and found:
        return found[0]
    there = ", ".join(map(_text, ports)) or "none"
    problem = f"{len(ports)} {what}s" if wanted is None else f"no {what} {wanted}"
    raise ModelDefinitionError(
        f"{name} has {problem}: {there}.",
        f'Name the one that counts in the definition: "ModelParameters": {{"{what}": "..."}}.',
    )


def _names(port: Any) -> set[str]:
    """Names of an input or output, without the number of the tensor."""
    return {name.split(":")[0] for name in port.get_names()}


def _text(port: Any) -> str:
    return min(_names(port), default="without a name")


def _shape(port: Any, rank: int) -> tuple[Optional[int], ...]:
    """Sides of a tensor, None where free; ``rank`` free ones where not even their number is known."""
    shape = port.get_partial_shape()
    if shape.rank.is_dynamic:
        return (None,) * rank
    return tuple(side.get_length() if side.is_static else None for side in shape)


def _shape_for(graph: Any, name: str, tile: list[int]) -> tuple[Optional[int], ...]:
    """Shape of the output for an input of shape ``tile``."""
    probe = graph.clone()
    try:
        probe.reshape(tile)
    except RuntimeError as error:
        raise ModelError(
            f"{name} cannot run on an input of {tile} ({_reason(error)}).",
            "Correct ImageHeight and ImageWidth in the definition.",
        ) from error
    return _shape(probe.output(0), 4)


def _ends_in_probabilities(graph: Any) -> bool:
    node = graph.output(0).get_node().input_value(0).get_node()
    while node.get_type_name() in _HANDS_ON:
        node = node.input_value(0).get_node()
    kind = node.get_type_name()
    if kind == "Divide":  # a softmax written out
        top, bottom = (node.input_value(i).get_node().get_type_name() for i in (0, 1))
        return (top, bottom) == ("Exp", "ReduceSum")
    return kind in ("Softmax", "Sigmoid", "HardSigmoid")


def _compile(graph: Any, name: str, options: RunOptions) -> Any:
    import openvino

    if options.precision not in _PRECISIONS:
        raise ParameterError(
            f"PRECISION is {options.precision}, which TensorFlow graphs do not run in.",
            f"Use {', '.join(_PRECISIONS)}.",
        )
    precision = _PRECISIONS[options.precision]
    settings: dict[str, Any] = {"PERFORMANCE_HINT": "LATENCY"}
    if precision:
        settings["INFERENCE_PRECISION_HINT"] = precision
    if options.threads:
        settings["INFERENCE_NUM_THREADS"] = options.threads
    try:
        return openvino.Core().compile_model(graph, "CPU", settings)
    except RuntimeError as error:
        if looks_like_out_of_memory(error):
            raise MemoryError(str(error)) from error
        raise ModelError(
            f"{name} cannot be prepared by OpenVINO ({_reason(error)}).",
            "Convert the model to ONNX where its framework is installed, for example with tf2onnx.",
        ) from error


def _reason(error: BaseException) -> str:
    """OpenVINO's words without the places in its own source that they come with."""
    lines = [line.strip() for line in str(error).splitlines()]
    telling = [line for line in lines if line and not line.startswith(("Exception from", "Check '"))]
    return " ".join(telling or lines)[:300]
