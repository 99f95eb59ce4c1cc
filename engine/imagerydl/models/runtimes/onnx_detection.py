"""Detectors in ONNX Runtime, whatever program exported them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Optional

import numpy as np

from ...errors import ModelError, OutOfMemoryError, ParameterError
from ...labels.classes import ClassEntry, ClassSchema
from ..arguments import ModelArgument
from ..definition import ModelDefinition
from ..normalisation import Normalisation
from ..onnx_file import OnnxFile, OnnxTensor, image_sides, read_onnx
from ..trust import ForeignCode
from .batches import filled_up
from .detection import DetectionModel, Detections
from .detection_output import Limits, RawOutput, find_detection_output
from .onnx_session import open_session
from .options import RunOptions
from .pixel_output import noise
from .protocol import ModelInput, Position, looks_like_out_of_memory

PACKAGES = {"onnxruntime": "onnxruntime"}

#: Input types: numpy name and whether the network normalises by itself, because it takes raw values.
_INPUT_TYPES = {"float32": False, "float16": False, "float64": False, "uint8": True, "uint16": True}

_THRESHOLD, _OVERLAP = 0.5, 0.45

#: Sides of tiles of a network that takes any: what the coarsest grid divides.
_GRID = 32

#: What stands where there is no picture: the grey that YOLOs are trained to take for nothing.
_GREY = 114.0


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
        path = definition.onnx_file
        if path is None:
            raise ModelError(f"{definition.name} names no ONNX file.", "Name one under ONNX.INFER.")
        self._path = path
        self._limits = _limits(definition, options)
        file = read_onnx(path)
        self._session, self.device = open_session(path, options.device, options.threads)
        self._take_input(definition, file.inputs)
        self._names = [output.name for output in file.outputs]
        self._find_output(definition, file)
        self.classes = _classes(definition, self._output.classes, path.name)

    @property
    def description(self) -> str:
        """Layout, runtime, version and device."""
        import onnxruntime

        return f"ONNX Runtime {onnxruntime.__version__} on {self.device} (outputs of {self._output.name})"

    def detect(
        self, batch: np.ndarray, valid: np.ndarray, positions: Sequence[Position] = ()
    ) -> list[Detections]:
        """Run the network; see :meth:`DetectionModel.detect`."""
        size = self._fixed_batch or len(batch)
        found = []
        for start in range(0, len(batch), size):
            piece = batch[start : start + size]
            arrays = self._run(filled_up(piece, size))
            for place in range(len(piece)):
                own = arrays if self._output.per_tile else [array[place] for array in arrays]
                found.append(self._output.decode(own, self._limits))
        return found

    def _take_input(self, definition: ModelDefinition, inputs: Sequence[OnnxTensor]) -> None:
        tensor = inputs[0]
        if len(inputs) != 1 or tensor.shape is None or len(tensor.shape) not in (3, 4):
            raise ModelError(
                f"{self._path.name} does not take one picture [batch, bands, height, width].",
                "Export it with a single input.",
            )
        if tensor.element not in _INPUT_TYPES:
            raise ModelError(
                f"{self._path.name} takes pictures of {tensor.element or 'an unknown type'}.",
                f"Export it with one of {', '.join(_INPUT_TYPES)}.",
            )
        # Some exports take a picture without a batch around it.
        self._is_bare = len(tensor.shape) == 3
        shape = (1, *tensor.shape) if self._is_bare else tensor.shape
        bands = len(definition.extract_bands)
        self._input, self._dtype = tensor.name, np.dtype(tensor.element)
        self._layout, own_bands, height, width = image_sides(shape, bands)
        if own_bands not in (None, bands):
            raise ModelError(
                f"{self._path.name} takes {own_bands} bands and its definition extracts {bands}.",
                "Correct ExtractBands in the definition.",
            )
        self._fixed_batch = shape[0]
        self._tile = (height or _on_grid(definition.image_height), width or _on_grid(definition.image_width))
        self.tile_size = self._tile if height or width else None
        is_raw = _INPUT_TYPES[tensor.element]
        self.input = ModelInput(None if is_raw else definition.normalisation, blank=_GREY)
        self._bands = bands

    def _find_output(self, definition: ModelDefinition, file: OnnxFile) -> None:
        """What a tile of noise tells of the outputs; it warms the session up, too."""
        arrays = self._probed()
        is_single = not all(array.ndim and len(array) == self._probe_size for array in arrays)
        classes = sum(entry.name != "__background__" for entry in definition.classes)
        kind = str(definition.model_parameters.get("detector", ""))
        outputs = [RawOutput(name, array) for name, array in zip(self._names, arrays)]
        if is_single and self._probe_size > 1:
            # Lists of a length of their own cannot be told apart by tile.
            self._fixed_batch = self._probe_size = 1
            outputs = [RawOutput(o.name, a) for o, a in zip(outputs, self._run(self._noise(1)))]
        self._output = find_detection_output(outputs, self._tile, classes, kind, self._path.name)
        if self._output.per_tile:
            self._fixed_batch = 1
        if self._output.is_yolox and not _states_input(definition):
            self.input = ModelInput(Normalisation((0.0,) * self._bands, (1.0,) * self._bands), blank=_GREY)
            if definition.extract_bands == (0, 1, 2):
                self.extract_bands = (2, 1, 0)

    def _probed(self) -> list[np.ndarray]:
        self._probe_size = self._fixed_batch or 2
        try:
            try:
                return self._run(self._noise(self._probe_size))
            except ModelError:
                # Many a graph declares a free batch and has the one it was exported with built in.
                if self._fixed_batch:
                    raise
                self._probe_size = self._fixed_batch = 1
                return self._run(self._noise(1))
        except MemoryError as error:
            raise OutOfMemoryError(
                f"{self.device} has not enough memory for tiles of {self._tile[1]} x {self._tile[0]} pixels.",
                "Close other programs that use it, or choose DEVICE CPU.",
            ) from error

    def _noise(self, count: int) -> np.ndarray:
        return noise((count, self._bands, *self._tile), raw=self.input.normalisation is None)

    def _run(self, batch: np.ndarray) -> list[np.ndarray]:
        if self._dtype.kind == "u":
            batch = np.clip(np.rint(batch), 0, np.iinfo(self._dtype).max)
        if self._layout == "NHWC":
            batch = batch.transpose(0, 2, 3, 1)
        fed = np.ascontiguousarray(batch[0] if self._is_bare else batch, dtype=self._dtype)
        try:
            return [np.asarray(array) for array in self._session.run(self._names, {self._input: fed})]
        except Exception as error:  # onnxruntime's errors share no base of their own
            if looks_like_out_of_memory(error):
                raise MemoryError(str(error)) from error
            raise ModelError(
                f"{self._path.name} cannot run on tiles of {batch.shape[3]} x {batch.shape[2]} pixels "
                f"({error}).",
                "Check that the model fits its definition; networks of free size mostly want a multiple of "
                f"{_GRID} as tile_size.",
            ) from error


def _on_grid(side: int) -> int:
    return max(_GRID, -(-side // _GRID) * _GRID)


def _states_input(definition: ModelDefinition) -> bool:
    """Whether a definition says what values the network takes, and does not merely assume it."""
    assumed = definition.model_parameters.get("normalisation") == "assumed"
    return "Normalization" in definition.raw and not assumed


def _limits(definition: ModelDefinition, options: RunOptions) -> Limits:
    threshold = _share(
        options.arguments.get("threshold"), "threshold", definition.raw.get("Threshold"), _THRESHOLD
    )
    overlap = _share(
        options.arguments.get("nms_overlap"),
        "nms_overlap",
        definition.model_parameters.get("nms_overlap"),
        _OVERLAP,
    )
    return Limits(threshold, overlap)


def _share(given: Optional[str], name: str, stated: Any, otherwise: float) -> float:
    """A number from 0 to 1: as given, else as stated, else the usual one."""
    if given:
        try:
            value = float(given)
        except ValueError:
            value = -1.0
        if not 0 <= value <= 1:
            raise ParameterError(f"The argument {name} cannot be {given!r}.", "Give a number from 0 to 1.")
        return value
    try:
        value = float(stated)
    except (TypeError, ValueError):
        return otherwise
    return value if 0 <= value <= 1 else otherwise


def _classes(definition: ModelDefinition, count: int, file: str) -> ClassSchema:
    """The classes by their number; unnamed ones where nothing names them."""
    listed = [entry for entry in definition.classes if entry.name != "__background__"]
    if count and listed and len(listed) != count:
        raise ModelError(
            f"{file} counts {count} classes and {definition.name} lists {len(listed)}.",
            "Correct Classes in the definition: one for each class of the network, in its order.",
        )
    if listed:
        return ClassSchema(listed)
    if not count:
        raise ModelError(
            f"{definition.name} lists no classes, and the outputs of {file} do not tell how many there are.",
            "Add Classes to the definition: one for each class of the network, in its order.",
        )
    return ClassSchema(ClassEntry(number, f"Class {number}") for number in range(count))
