"""A TensorFlow graph in OpenVINO: reading it, choosing its ends, feeding it, running it.

TensorFlow is never loaded. Graphs are read with ``read_model`` rather than ``convert_model``, which would
report its use to OpenVINO's makers. Networks run in float32 unless another ``PRECISION`` is asked for:
OpenVINO's own choice may be bfloat16, with errors of a thousandth.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Optional

import numpy as np

from ...errors import ModelDefinitionError, ModelError, ParameterError, RuntimeMissingError
from ..definition import ModelDefinition
from .devices import Device
from .fitting import shape_text
from .options import RunOptions
from .protocol import looks_like_out_of_memory

PACKAGES = {"openvino": "openvino"}

#: What OpenVINO calls ``PRECISION``; None leaves it the choice.
_PRECISIONS = {"FLOAT32": "f32", "AUTO": None, "BF16": "bf16", "FP16": "f16"}


def graph_path(definition: ModelDefinition) -> Path:
    """The frozen graph, or the folder of the SavedModel, that a definition names."""
    path = definition.model_file
    return path.parent if path.name == "saved_model.pb" else path


def refuse_cards(device: Device) -> None:
    """Refuse a graphics card that was named: OpenVINO runs graphs on the processor.

    Raises:
        RuntimeMissingError: For such a device.
    """
    if device.kind == "cuda" and device.is_demanded:
        raise RuntimeMissingError(
            f"DEVICE is {device.name}, but TensorFlow graphs run on the CPU.",
            "Use AUTO or CPU, or convert the model to ONNX, which runs on CUDA.",
        )


def read_graph(path: Path) -> Any:
    """An OpenVINO model of a frozen graph or a SavedModel.

    Raises:
        ModelError: If it is none, or made of operations that OpenVINO does not have.
    """
    import openvino

    try:
        return openvino.Core().read_model(path)
    except RuntimeError as error:
        missing = re.search(r"No conversion rule found for operations: (.+)", str(error))
        if missing:
            operations = missing.group(1).strip()
            fix = "Convert the model to ONNX where its framework is installed, for example with tf2onnx."
            if re.search(r"\bDecode\w+", operations):
                fix = "It takes encoded pictures: export it again with pixels as its input (image_tensor)."
            raise ModelError(
                f"{path.name} is made of operations that OpenVINO does not run: {operations}.", fix
            ) from error
        raise ModelError(
            f"{path.name} is no TensorFlow graph that can be read ({reason_of(error)}).",
            "Give a frozen graph (.pb) or a complete SavedModel folder. One that TensorFlow itself runs can "
            "be converted to ONNX where that is installed, for example with tf2onnx.",
        ) from error


def cut_graph(source: Any, sinks: Sequence[Any], graph: Any, name: str) -> Any:
    """The graph between one input and the outputs that count, in their order.

    Raises:
        ModelError: If these outputs need another input, too.
    """
    import openvino

    if len(graph.inputs) == len(graph.outputs) == len(sinks) == 1:
        return graph
    try:
        return openvino.Model([sink.get_node() for sink in sinks], [source.get_node()], name)
    except RuntimeError as error:
        raise ModelError(
            f"The output {' or '.join(map(port_text, sinks))} of {name} needs more than the input "
            f"{port_text(source)}: it takes {', '.join(map(port_text, graph.inputs))}.",
            "Freeze the graph with the other inputs set to constants.",
        ) from error


def choose_port(ports: Sequence[Any], wanted: Optional[str], what: str, name: str) -> Any:
    """The input or output of a name, or the only one.

    Args:
        ports: Inputs or outputs of the graph.
        wanted: Its name; None where there should be one.
        what: "input" or "output".
        name: What to call the graph.

    Raises:
        ModelDefinitionError: If there is none of that name, or not one.
    """
    if wanted is None and len(ports) == 1:
        return ports[0]
    found = [port for port in ports if str(wanted).split(":")[0] in port_names(port)]
    if wanted is not None and found:
        return found[0]
    there = ", ".join(map(port_text, ports)) or "none"
    problem = f"{len(ports)} {what}s" if wanted is None else f"no {what} {wanted}"
    raise ModelDefinitionError(
        f"{name} has {problem}: {there}.",
        f'Name the one that counts in the definition: "ModelParameters": {{"{what}": "..."}}.',
    )


def port_names(port: Any) -> set[str]:
    """Names of an input or output, without the number of the tensor."""
    return {name.split(":")[0] for name in port.get_names()}


def port_text(port: Any) -> str:
    """An input or output, for messages."""
    return min(port_names(port), default="without a name")


def port_shape(port: Any, rank: int) -> tuple[Optional[int], ...]:
    """Sides of a tensor, None where free; ``rank`` free ones where not even their number is known."""
    shape = port.get_partial_shape()
    if shape.rank.is_dynamic:
        return (None,) * rank
    return tuple(side.get_length() if side.is_static else None for side in shape)


class GraphInput:
    """What a graph of one input is fed: a picture ``[n, h, w, bands]`` or ``[n, bands, h, w]``.

    Args:
        graph: The graph.
        definition: The model.
        name: What to call the graph.

    Attributes:
        channels_first: Whether bands come before height and width.
        fixed_batch: Tiles it takes together; None for any number.
        tile_size: (height, width) that it is bound to; None where it takes any.
        is_whole: Whether it takes whole numbers, and with them raw pixel values only.

    Raises:
        ModelError: If it takes something else, or other bands than the definition extracts.
        ModelDefinitionError: If the definition normalises what has to stay raw.
    """

    def __init__(self, graph: Any, definition: ModelDefinition, name: str) -> None:
        self._name = name
        self._bands = bands = len(definition.extract_bands)
        port = graph.input(0)
        kind = port.element_type.get_type_name()
        if kind == "string":
            raise ModelError(
                f"{name} takes encoded pictures ({port_text(port)}), and no pixels.",
                "Export the model again with pixels as its input (image_tensor).",
            )
        shape = port_shape(port, 4)
        self._dtype = np.dtype(port.element_type.to_dtype())
        if len(shape) != 4 or self._dtype.kind not in "iuf":
            raise ModelError(
                f"{name} takes {shape_text(shape)} of {self._dtype}, not a picture.",
                "Export it with [batch, height, width, bands] as its input.",
            )
        # Height and width first is TensorFlow's habit: bands come first only where the shape says so.
        self.channels_first = shape[1] == bands and shape[3] != bands
        self.fixed_batch = shape[0]
        (height, width), channels = (shape[2:], shape[1]) if self.channels_first else (shape[1:3], shape[3])
        if channels not in (None, bands):
            raise ModelError(
                f"{name} takes {channels} bands and its definition extracts {bands}.",
                "Correct ExtractBands in the definition.",
            )
        self.tile_size = (height, width) if height and width else None
        self.is_whole = self._dtype.kind in "iu"
        if definition.normalisation and self.is_whole:
            raise ModelDefinitionError(
                f"{definition.name} normalises the input of {name}, which takes whole pixel values.",
                "Remove Normalization (or NormalizationStats) from the definition.",
            )

    def shape_for(self, tile: tuple[int, int]) -> list[int]:
        """Shape of the input for the smallest batch of tiles of (height, width) ``tile``."""
        picture = [self._bands, *tile] if self.channels_first else [*tile, self._bands]
        return [self.fixed_batch or 1, *picture]

    def fed(self, batch: np.ndarray) -> np.ndarray:
        """``batch`` ``[n, bands, h, w]`` in the layout and the type that the graph takes.

        Raises:
            ModelError: If it holds values beyond the range of that type.
        """
        if self.is_whole:
            limits = np.iinfo(self._dtype)
            low, high = float(batch.min()), float(batch.max())
            if low < limits.min or high > limits.max:
                raise ModelError(
                    f"{self._name} takes {limits.min} to {limits.max}, and a tile holds {low:g} to {high:g}.",
                    "Scale the raster to that range first.",
                )
            batch = np.rint(batch)
        picture = batch if self.channels_first else batch.transpose(0, 2, 3, 1)
        return np.ascontiguousarray(picture, self._dtype)

    def sides(self, fed: np.ndarray) -> tuple[int, int]:
        """(height, width) of tiles that are fed."""
        return fed.shape[2:] if self.channels_first else fed.shape[1:3]


class CompiledGraph:
    """A graph ready to run on the processor.

    Args:
        graph: The graph.
        name: What to call it.
        options: Threads and precision.

    Raises:
        ParameterError: For a precision it does not run in.
        ModelError: If OpenVINO cannot prepare it.
        MemoryError: If there is no room for it.
    """

    def __init__(self, graph: Any, name: str, options: RunOptions) -> None:
        self._name = name
        self._threads = options.threads or os.cpu_count() or 1
        self._compiled = _compile(graph, name, options)

    @property
    def description(self) -> str:
        """Runtime, version, device and the precision it really computes in."""
        import openvino

        precision = self._compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name()
        threads = f"{self._threads} thread{'s' if self._threads > 1 else ''}"
        return f"OpenVINO {openvino.__version__.split('-')[0]} on CPU ({threads}, {precision})"

    def run(self, fed: np.ndarray, sides: tuple[int, int]) -> list[np.ndarray]:
        """The outputs, in their order, for what :meth:`GraphInput.fed` gives.

        Raises:
            MemoryError: If there is no room for it.
            ModelError: If it cannot run on tiles of (height, width) ``sides``.
        """
        try:
            results = self._compiled({0: fed}, share_inputs=True)
        except RuntimeError as error:
            if looks_like_out_of_memory(error):
                raise MemoryError(str(error)) from error
            height, width = sides
            raise ModelError(
                f"{self._name} cannot run on tiles of {width} x {height} pixels ({reason_of(error)}).",
                "Give a TILE_SIZE that it was made for.",
            ) from error
        return [np.asarray(results[place]) for place in range(len(results))]


def reason_of(error: BaseException) -> str:
    """OpenVINO's words without the places in its own source that they come with."""
    lines = [line.strip() for line in str(error).splitlines()]
    telling = [line for line in lines if line and not line.startswith(("Exception from", "Check '"))]
    return " ".join(telling or lines)[:300]


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
            f"{name} cannot be prepared by OpenVINO ({reason_of(error)}).",
            "Convert the model to ONNX where its framework is installed, for example with tf2onnx.",
        ) from error
