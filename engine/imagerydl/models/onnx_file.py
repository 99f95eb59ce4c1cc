"""What an ONNX file says about its network, read without any library. Standard library only.

ONNX is a protocol buffer, and what is asked of it here (sizes, metadata, how the graph ends) takes a
handful of its messages. The ``onnx`` package is large, and QGIS has none: a model can be described and
refused where it is chosen. Field numbers: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, Optional, Union

from ..errors import ModelError

#: A side of a tensor: its length, or None where it is free.
Side = Optional[int]

_ELEMENT_TYPES = {
    1: "float32",
    2: "uint8",
    3: "int8",
    4: "uint16",
    5: "int16",
    6: "int32",
    7: "int64",
    9: "bool",
    10: "float16",
    11: "float64",
    12: "uint32",
    13: "uint64",
    16: "bfloat16",
}

#: Operators that move or resize numbers and leave their meaning.
_PASSING = frozenset(
    {
        *("Cast", "Clip", "Identity", "DequantizeLinear", "QuantizeLinear"),
        *("Reshape", "Squeeze", "Transpose", "Unsqueeze"),
        *("Resize", "Slice", "Upsample"),
    }
)

_VARINT, _FIXED_64, _BYTES, _FIXED_32 = 0, 1, 2, 5
_EXTERNAL = 1


@dataclass(frozen=True)
class OnnxTensor:
    """An input or output of a graph.

    Attributes:
        name: Its name.
        element: numpy name of its type; "" for another one.
        shape: Its sides; None where even their number is open.
    """

    name: str
    element: str
    shape: Optional[tuple[Side, ...]]


@dataclass
class OnnxFile:
    """What an ONNX file says about its network.

    Attributes:
        inputs: What it takes, without the weights.
        outputs: What it gives.
        metadata: ``metadata_props``.
        opset: Version of the standard operators.
        producer: The program that wrote it.
        external_files: Names of the files beside it that hold weights, as written.
        convolutions: Shape of the weights of each convolution ``[out, in, h, w]``; () where they are not
            stored as such.
    """

    inputs: tuple[OnnxTensor, ...] = ()
    outputs: tuple[OnnxTensor, ...] = ()
    metadata: dict[str, str] = field(default_factory=dict)
    opset: int = 0
    producer: str = ""
    external_files: tuple[str, ...] = ()
    convolutions: tuple[tuple[int, ...], ...] = ()
    _made_by: dict[str, tuple[str, str]] = field(default_factory=dict)

    def last_operator(self, output: str) -> str:
        """The operator that gives an output its meaning: "Softmax", "Sigmoid", "ArgMax", "Conv"...

        Operators behind it that only move, resize or convert numbers are passed by.
        """
        operator, name = "", output
        for _ in range(len(self._made_by)):
            operator, name = self._made_by.get(name, ("", ""))
            if operator not in _PASSING:
                break
        return operator


def read_onnx(path: Path) -> OnnxFile:
    """Read what an ONNX file says; its weights are not loaded.

    Raises:
        ModelError: For a file that is missing, cut off, or no ONNX, and where a file with its weights
            is missing.
    """
    problem, model = "", OnnxFile()
    try:
        with path.open("rb") as stream:
            content = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
        # Not closed by hand: what failed below still holds pieces of it. The last of them closes it.
        model = _model(memoryview(content))
    except (OSError, ValueError, IndexError) as error:
        problem = "it ends too early" if isinstance(error, IndexError) else str(error)
    if problem or not model.inputs or not model.outputs:
        raise ModelError(
            f"{path.name} cannot be read as ONNX ({problem or 'it holds no network'}).",
            "Check that it is a complete ONNX file; copy or export it again.",
        )
    _check_external(model.external_files, path)
    return model


def _check_external(names: Sequence[str], path: Path) -> None:
    for name in names:
        parts = PurePosixPath(name.replace("\\", "/")).parts
        if not parts or parts[0] == "/" or ".." in parts or ":" in parts[0]:
            raise ModelError(
                f"{path.name} takes its weights from {name!r}, which leads outside its folder.",
                "Export it again, with its weights beside it.",
            )
        if not path.parent.joinpath(*parts).is_file():
            raise ModelError(
                f"{path.name} keeps its weights in {name}, which is not beside it.",
                f"Put {name} into the same folder.",
            )


def image_sides(shape: Sequence[Side], bands: Optional[int] = None) -> tuple[str, Side, Side, Side]:
    """Which side of a picture ``[batch, a, b, c]`` counts bands.

    Args:
        shape: Four sides.
        bands: Bands the definition extracts, where one is there: they settle what sizes leave open.

    Returns:
        "NCHW" or "NHWC", bands, height and width.
    """
    _, first, middle, last = shape
    if bands is not None and (first == bands) != (last == bands):
        is_last = last == bands
    elif first is not None and last is not None:
        # Pictures have fewer bands than pixels in a row.
        is_last = last < first
    else:
        is_last = first is None and last is not None
    return ("NHWC", last, first, middle) if is_last else ("NCHW", first, middle, last)


def _model(view: memoryview) -> OnnxFile:
    model = OnnxFile()
    for number, value in _fields(view):
        if number == 2:
            model.producer = _text(value)
        elif number == 7:
            _graph(value, model)
        elif number == 8:
            parts = dict(_fields(value))
            if not _text(parts.get(1, b"")):
                model.opset = int(parts.get(2, 0))
        elif number == 14:
            parts = dict(_fields(value))
            model.metadata[_text(parts.get(1, b""))] = _text(parts.get(2, b""))
    return model


def _graph(view: memoryview, model: OnnxFile) -> None:
    inputs, outputs, external, kernels = [], [], {}, []
    weights: dict[str, tuple[int, ...]] = {}
    for number, value in _fields(view):
        if number == 1:
            sources, results, operator = [], [], ""
            for part, content in _fields(value):
                if part == 1:
                    sources.append(_text(content))
                elif part == 2:
                    results.append(_text(content))
                elif part == 4:
                    operator = _text(content)
            for result in results:
                model._made_by[result] = (operator, sources[0] if sources else "")
            if operator == "Conv":
                kernels.extend(sources[1:2])
        elif number == 5:
            name, shape, files = _initializer(value)
            weights[name] = shape
            external.update(dict.fromkeys(files))
        elif number == 11:
            inputs.append(_tensor(value))
        elif number == 12:
            outputs.append(_tensor(value))
    model.inputs = tuple(tensor for tensor in inputs if tensor.name not in weights)
    model.outputs = tuple(outputs)
    model.external_files = tuple(external)
    model.convolutions = tuple(weights.get(name, ()) for name in kernels)


def _initializer(view: memoryview) -> tuple[str, tuple[int, ...], list[str]]:
    """Name and shape of a weight, and the file it lies in where that is another one."""
    name, shape, files, is_external = "", [], [], False
    for number, value in _fields(view):
        if number == 1:
            shape.extend([value] if isinstance(value, int) else _packed(value))
        elif number == 8:
            name = _text(value)
        elif number == 13:
            parts = dict(_fields(value))
            if _text(parts.get(1, b"")) == "location":
                files.append(_text(parts.get(2, b"")))
        elif number == 14:
            is_external = value == _EXTERNAL
    return name, tuple(shape), files if is_external else []


def _tensor(view: memoryview) -> OnnxTensor:
    name, element, shape = "", "", None
    for number, value in _fields(view):
        if number == 1:
            name = _text(value)
        elif number == 2:
            tensor = dict(_fields(value)).get(1)
            for part, content in _fields(tensor) if tensor is not None else ():
                if part == 1:
                    element = _ELEMENT_TYPES.get(content, "")
                elif part == 2:
                    sides = [dict(_fields(side)).get(1) for kind, side in _fields(content) if kind == 1]
                    # -1 and 0 are what some programs write for a free side.
                    shape = tuple(side if side and 0 < side < 2**31 else None for side in sides)
    return OnnxTensor(name, element, shape)


def _text(value: Any) -> str:
    return bytes(value).decode("utf-8", errors="replace")


def _fields(view: memoryview) -> Iterator[tuple[int, Union[int, memoryview]]]:
    """The fields of a protocol buffer message: number, and an integer or the bytes."""
    position, end = 0, len(view)
    while position < end:
        key, position = _varint(view, position)
        number, kind = key >> 3, key & 7
        if kind == _VARINT:
            value, position = _varint(view, position)
            yield number, value
            continue
        if kind == _BYTES:
            length, position = _varint(view, position)
        elif kind in (_FIXED_64, _FIXED_32):
            length = 8 if kind == _FIXED_64 else 4
        else:
            raise ValueError("it holds something else")
        if position + length > end:
            raise ValueError("it ends too early")
        if kind == _BYTES:
            yield number, view[position : position + length]
        position += length


def _packed(view: memoryview) -> Iterator[int]:
    """Integers stored as one field."""
    position = 0
    while position < len(view):
        value, position = _varint(view, position)
        yield value


def _varint(view: memoryview, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = view[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
        if shift > 63:
            raise ValueError("it holds something else")
