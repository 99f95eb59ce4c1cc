"""The model definition that a bare ``.onnx`` file amounts to. Standard library only.

Metadata follow the convention of the QGIS plugin Deepness (its documentation, "Add metadata to the
model"): JSON texts in ``metadata_props``, with ``model_type``, ``class_names``, ``resolution``
(centimetres a pixel), ``tile_size``, ``tiles_overlap`` (percent), ``standardization_mean`` and
``standardization_std``, ``seg_thresh``, ``det_conf``, ``det_iou_thresh``, ``det_type``. What they leave
open comes from the graph.

A file that says nothing of normalisation takes values of 0 to 1, made of 0 to 255: what Deepness feeds
every model, and what 8-bit imagery gets in most training programs. One that takes bytes gets them.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Optional

from ..errors import ModelDefinitionError
from .normalisation import Normalisation
from .onnx_file import OnnxFile, OnnxTensor, Side, image_sides, read_onnx

#: Tile side in pixels where neither the graph nor the metadata state one.
DEFAULT_TILE = 512

_PIXELS, _OBJECTS, _PICTURES = "ImageClassification", "ObjectDetection", "ObjectClassification"
_INSTANCES = "InstanceDetection"

#: Deepness' words (and Ultralytics' ``task``) for the kinds of model that have a name here.
_MODEL_TYPES = {
    "segmentor": _PIXELS,
    "semantic": _PIXELS,
    "detector": _OBJECTS,
    "detect": _OBJECTS,
    "obb": _OBJECTS,
    "segment": _INSTANCES,
    "classify": _PICTURES,
}


def definition_from_onnx(path: Path) -> dict[str, Any]:
    """The model definition of a bare ONNX file, as an ``.emd`` would hold it.

    Class values are the channel numbers; a single channel is a class 1 before a background of 0, and
    so are several outputs of one channel each (1, 2, ... before a background).

    Args:
        path: The file; it becomes ``ModelFile``, relative to its own folder.

    Raises:
        ModelError: If it cannot be read as ONNX.
        ModelDefinitionError: If it takes no picture, or its metadata cannot be used.
    """
    model = read_onnx(path)
    picture = model.inputs[0]
    if len(model.inputs) != 1 or picture.shape is None or len(picture.shape) != 4:
        raise ModelDefinitionError(
            f"{path.name} does not take one picture [batch, bands, height, width].",
            "Export it with a single four-dimensional input.",
        )
    layout, bands, height, width = image_sides(picture.shape)
    metadata = _Metadata(model.metadata, path.name)
    tile = metadata.number("tile_size", "tiles_size")
    height, width = height or int(tile or DEFAULT_TILE), width or int(tile or DEFAULT_TILE)
    bands = bands or len(metadata.numbers("standardization_mean")) or 3
    model_type = metadata.model_type() or _guessed_type(model, (height, width))
    raw: dict[str, Any] = {
        "Framework": "ONNX",
        "ModelConfiguration": "ONNX",
        "ModelType": model_type,
        "ModelFile": path.name,
        "Description": f"{path.name}, written by {model.producer}" if model.producer else path.name,
        "ImageHeight": height,
        "ImageWidth": width,
        "ExtractBands": list(range(bands)),
        "ModelParameters": {"layout": layout},
        "Classes": [],
    }
    values, names = _classes(model, metadata, model_type, (height, width))
    raw["Classes"] = [{"Value": value, "Name": name} for value, name in names]
    if values:
        raw["ModelParameters"]["class_values"] = values
    if picture.element in ("float32", "float16", "float64", "bfloat16"):
        raw["Normalization"] = _normalisation(metadata, bands).to_json()
        if not (metadata.numbers("standardization_mean") or metadata.numbers("standardization_std")):
            # Some detectors are known by their outputs to want other values.
            raw["ModelParameters"]["normalisation"] = "assumed"
    resolution = metadata.number("resolution")
    if resolution:
        raw["MinCellSize"] = raw["MaxCellSize"] = {"x": resolution / 100, "y": resolution / 100}
    overlap = metadata.number("tiles_overlap")
    if overlap is not None:
        raw["Padding"] = round(min(height, width) * overlap / 200)
    finds_objects = model_type in (_OBJECTS, _INSTANCES)
    threshold = metadata.number("det_conf" if finds_objects else "seg_thresh")
    if threshold is not None:
        raw["Threshold"] = threshold
    if finds_objects:
        overlap_of_objects = metadata.number("det_iou_thresh")
        if overlap_of_objects is not None:
            raw["ModelParameters"]["nms_overlap"] = overlap_of_objects
        detector = metadata.text("det_type") or metadata.text("task")
        if detector:
            raw["ModelParameters"]["detector"] = detector
    return raw


class _Metadata:
    """``metadata_props``: JSON texts, as Deepness writes them, or plain ones."""

    def __init__(self, texts: Mapping[str, str], name: str) -> None:
        self._texts, self._name = texts, name

    def value(self, key: str) -> Any:
        text = self._texts.get(key)
        if text is None:
            return None
        for parse in (json.loads, ast.literal_eval):  # Ultralytics writes Python's literals
            try:
                return parse(text)
            except (ValueError, SyntaxError, MemoryError, RecursionError):
                continue
        return text

    def text(self, key: str) -> str:
        value = self.value(key)
        return "" if value is None else str(value)

    def number(self, *keys: str) -> Optional[float]:
        """The first of ``keys`` that is there; None where none is."""
        for key in keys:
            value = self.value(key)
            if value is None:
                continue
            try:
                return _positive(value)
            except (TypeError, ValueError) as error:
                raise self._unusable(key, "a number above 0") from error
        return None

    def numbers(self, key: str) -> list[float]:
        value = self.value(key)
        try:
            return [float(item) for item in value or ()]
        except (TypeError, ValueError) as error:
            raise self._unusable(key, "a list of numbers, one a band") from error

    def model_type(self) -> str:
        word = self.text("model_type") or self.text("task")
        return _MODEL_TYPES.get(word.lower(), word)

    def class_names(self) -> list[str]:
        """Names of the channels, in their order; of several outputs, one after the other."""
        value = self.value("class_names")
        value = self.value("names") if value is None else value
        try:
            groups = value if isinstance(value, list) else [value or {}]
            names: list[str] = []
            for group in groups:
                if isinstance(group, Mapping):
                    by_number = sorted((int(key), str(name)) for key, name in group.items())
                    if [number for number, _ in by_number] != list(range(len(by_number))):
                        raise ValueError("numbers are missing")
                    names += [name for _, name in by_number]
                else:
                    names.append(str(group))
            return names
        except (AttributeError, TypeError, ValueError) as error:
            raise self._unusable("class_names", "names by channel number, from 0 without a gap") from error

    def _unusable(self, key: str, what: str) -> ModelDefinitionError:
        return ModelDefinitionError(
            f"The metadata {key} of {self._name} cannot be used ({self._texts.get(key)!r}).",
            f"It must be {what}.",
        )


def _positive(value: Any) -> float:
    number = float(value)
    if not 0 <= number < float("inf"):
        raise ValueError("not a positive number")
    return number


def _normalisation(metadata: _Metadata, bands: int) -> Normalisation:
    means = metadata.numbers("standardization_mean") or [0.0] * bands
    deviations = metadata.numbers("standardization_std") or [1.0] * bands
    for key, numbers in (("standardization_mean", means), ("standardization_std", deviations)):
        if len(numbers) != bands or (key.endswith("std") and not all(numbers)):
            raise metadata._unusable(key, f"{bands} numbers, one for each band, and no deviation 0")
    return Normalisation(tuple(255 * m for m in means), tuple(255 * s for s in deviations))


def _guessed_type(model: OnnxFile, tile: tuple[int, int]) -> str:
    shapes = [output.shape for output in model.outputs if output.shape is not None]
    if any(len(shape) == 4 or (len(shape) == 3 and _is_map(shape, tile)) for shape in shapes):
        return _PIXELS
    if any(len(shape) == 3 for shape in shapes) or (len(shapes) > 1 and all(len(s) == 2 for s in shapes)):
        return _OBJECTS
    return _PICTURES if any(len(shape) == 2 for shape in shapes) else _PIXELS


def _is_map(shape: tuple[Side, ...], tile: tuple[int, int]) -> bool:
    """Whether ``[n, a, b]`` may be one number a pixel."""
    return all(given in (None, side) for given, side in zip(shape[1:], tile))


def _classes(
    model: OnnxFile, metadata: _Metadata, model_type: str, tile: tuple[int, int]
) -> tuple[list[int], list[tuple[int, str]]]:
    """Class value of each channel, and (value, name) of the classes."""
    names = metadata.class_names()
    if model_type != _PIXELS:
        return [], list(enumerate(names))
    channels = [_channels(output, tile) for output in model.outputs]
    single = [count == 1 for count in channels]
    if all(single) and not _is_class_map(model, model.outputs[0]):
        count, has_background = len(single), True
    else:
        known = [count for count in channels if count and count > 1]
        count, has_background = (known[0] if known else len(names)), False
    if has_background and len(names) == count + 1:
        return list(range(count + 1)), list(enumerate(names))  # the background is named, too
    if has_background:
        named = [(i + 1, names[i] if i < len(names) else _unnamed(i + 1)) for i in range(count)]
        return list(range(count + 1)), named
    named = [(i, names[i] if i < len(names) else _unnamed(i)) for i in range(count)]
    return list(range(count)), named


def _unnamed(value: int) -> str:
    return f"Class {value}"


def _is_class_map(model: OnnxFile, output: OnnxTensor) -> bool:
    return model.last_operator(output.name) == "ArgMax" or not output.element.startswith(("float", "bfloat"))


def _channels(output: OnnxTensor, tile: tuple[int, int]) -> Optional[int]:
    """Channels of an output; None where it does not say."""
    shape = output.shape
    if shape is None or len(shape) not in (3, 4):
        return None
    if len(shape) == 3:
        return 1 if _is_map(shape, tile) else None
    first, last = shape[1], shape[3]
    if first is None or last is None:
        return last if first is None else first
    # The sides that are alike are the picture's; in a square map the band count is the other one.
    is_last = last < first and shape[1] * tile[1] == shape[2] * tile[0]
    return last if is_last else first
