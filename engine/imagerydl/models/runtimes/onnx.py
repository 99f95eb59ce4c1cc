"""Pixel models in ONNX Runtime: any segmentation network, whatever its layout, types and outputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Optional

import numpy as np

from ...errors import ModelError, OutOfMemoryError, ParameterError
from ..arguments import ModelArgument
from ..definition import ModelDefinition
from ..onnx_file import OnnxFile, OnnxTensor, image_sides, read_onnx
from ..trust import ForeignCode
from .batches import filled_up, run_in_batches
from .onnx_session import is_narrow, open_session, tiles_at_once
from .options import RunOptions
from .pixel_output import Output, PixelOutput, find_output, noise
from .precision import AUTO, FLOAT32, INT8
from .protocol import ModelInput, PixelModel, looks_like_out_of_memory

PACKAGES = {"onnxruntime": "onnxruntime"}

#: Input types: numpy name and whether the network normalises by itself, because it takes raw values.
_INPUT_TYPES = {"float32": False, "float16": False, "float64": False, "uint8": True, "uint16": True}


def open_model(definition: ModelDefinition, options: RunOptions) -> PixelModel:
    """Open the ONNX form of a model; see :mod:`.opening`."""
    return OnnxPixelModel(definition, options)


def model_arguments(definition: ModelDefinition, consent: bool) -> tuple[ModelArgument, ...]:
    """ONNX models declare none."""
    return ()


def foreign_code(definition: ModelDefinition) -> Optional[ForeignCode]:
    """ONNX holds a graph of known operators and no code."""
    return None


class OnnxPixelModel(PixelModel):
    """An ONNX segmentation network; see :class:`PixelModel`.

    Its input is one picture ``[batch, bands, h, w]`` or ``[batch, h, w, bands]``, of floats, or of bytes
    where it normalises by itself. What its outputs mean is found out with tiles of noise; see
    :mod:`.pixel_output`. Scores are probabilities where the graph ends in a softmax or sigmoid, and
    logits otherwise.

    Args:
        definition: The model; its :attr:`~ModelDefinition.onnx_file` is what runs.
        options: Device, threads and precision.

    Raises:
        ModelError: If it does not load, does not fit the definition, or does not classify pixels.
        ParameterError: For a precision that ONNX Runtime does not run it in.
    """

    def __init__(self, definition: ModelDefinition, options: RunOptions) -> None:
        path = definition.onnx_file
        if path is None:
            raise ModelError(f"{definition.name} names no ONNX file.", "Name one under ONNX.INFER.")
        self._path, self._options = path, options
        _check_precision(options)
        file = read_onnx(path)
        self._session, self.device = open_session(
            path, options.device, options.threads, narrow=is_narrow(file)
        )
        tensor = self._picture(file)
        self._input, self._dtype = tensor.name, np.dtype(tensor.element)
        is_raw = _INPUT_TYPES[tensor.element]
        self.input = ModelInput(None if is_raw else definition.normalisation)
        bands = len(definition.extract_bands)
        self._layout, own_bands, height, width = image_sides(tensor.shape, bands)
        if own_bands not in (None, bands):
            raise ModelError(
                f"{path.name} takes {own_bands} bands and its definition extracts {bands}.",
                "Correct ExtractBands in the definition.",
            )
        self._fixed_batch = tensor.shape[0]
        tile = (height or definition.image_height, width or definition.image_width)
        self.tile_size = tile if height or width else None
        self._output = self._find_output(file, definition, (bands, *tile))
        self._names = [file.outputs[index].name for index in self._output.chosen]
        self.outputs, self.gives = self._output.channels, self._output.gives
        self.margin = self._output.margin
        self.at_once = tiles_at_once(self.device, options.threads) if self._fixed_batch in (None, 1) else None
        self._precision = FLOAT32
        self.wants_calibration = options.precision in (AUTO, INT8)

    @property
    def description(self) -> str:
        """Runtime, version, device and, where it is not float32, precision."""
        import onnxruntime

        precision = f" in {self._precision.lower()}" if self._precision != FLOAT32 else ""
        return f"ONNX Runtime {onnxruntime.__version__} on {self.device}{precision}"

    def scores(self, batch: np.ndarray, valid: np.ndarray) -> np.ndarray:
        """Run the network; see :meth:`PixelModel.scores`."""
        if self.wants_calibration and self._options.precision == INT8:
            raise ModelError(
                f"{self._path.name} is to run in INT8 and has not been calibrated.",
                "Calibrate it with tiles of the raster first.",
            )
        return self._scores(self._session, batch)

    def calibrate(self, batches: Sequence[np.ndarray]) -> str:
        """Quantise the network, or take what was quantised before; see :meth:`PixelModel.calibrate`."""
        if not self.wants_calibration:
            return ""
        if not self.device.startswith("CPU"):
            self.wants_calibration = False
            return f"float32 is the only precision ONNX Runtime has for it on {self.device}."
        from .quantisation import quantised

        found = quantised(
            self._path,
            batches,
            {"threads": self._options.threads or 0, "input": self._input},
            feed=lambda batch: {self._input: self._fed(self._feed_size(batch))},
            reopen=lambda path: open_session(path, self._options.device, self._options.threads)[0],
            scores=self._scores,
            exact=self._session,
        )
        self.agreement = found.agreement
        self.wants_calibration = False
        if self._options.precision == AUTO and not found.is_worth_it:
            self.agreement = None
            return f"{found.summary} It stays in float32."
        self._session = open_session(found.path, self._options.device, self._options.threads)[0]
        self._precision = INT8
        return found.summary

    def _picture(self, file: OnnxFile) -> OnnxTensor:
        tensor = file.inputs[0]
        if len(file.inputs) != 1 or tensor.shape is None or len(tensor.shape) != 4:
            raise ModelError(
                f"{self._path.name} does not take one picture [batch, bands, height, width].",
                "Export it with a single four-dimensional input.",
            )
        if tensor.element not in _INPUT_TYPES:
            raise ModelError(
                f"{self._path.name} takes pictures of {tensor.element or 'an unknown type'}.",
                f"Export it with one of {', '.join(_INPUT_TYPES)}.",
            )
        return tensor

    def _find_output(
        self, file: OnnxFile, definition: ModelDefinition, shape: tuple[int, int, int]
    ) -> PixelOutput:
        """What two tiles of noise tell of the outputs; they warm the session up, too."""
        names = [output.name for output in file.outputs]
        size = self._fixed_batch or 2
        try:
            try:
                arrays = self._run(self._session, names, self._noise(size, shape))
            except ModelError:
                # Many a graph declares a free batch and has the one it was exported with built in.
                if self._fixed_batch:
                    raise
                size = self._fixed_batch = 1
                arrays = self._run(self._session, names, self._noise(size, shape))
        except MemoryError as error:
            raise OutOfMemoryError(
                f"{self.device} has not enough memory for tiles of {shape[1]} x {shape[2]} pixels.",
                "Close other programs that use it, or choose DEVICE CPU.",
            ) from error
        outputs = [
            Output(array, name, file.last_operator(name))
            for name, array in zip(names, map(np.asarray, arrays))
            if array.ndim and len(array) == size
        ]
        if len(outputs) != len(names):
            shapes = ", ".join(str(list(np.shape(array))) for array in arrays)
            raise ModelError(
                f"{self._path.name} gives {shapes} for a batch of {size}.",
                "A pixel classifier gives [batch, classes, height, width].",
            )
        return find_output(outputs, shape[1:], self._layout, len(definition.output_values), self._path.name)

    def _noise(self, count: int, shape: tuple[int, int, int]) -> np.ndarray:
        return noise((count, *shape), raw=self.input.normalisation is None)

    def _scores(self, session: Any, batch: np.ndarray) -> np.ndarray:
        def run(piece: np.ndarray) -> np.ndarray:
            return self._output.scores(self._run(session, self._names, piece), piece.shape)

        return run_in_batches(batch, self._fixed_batch or len(batch), run)

    def _feed_size(self, batch: np.ndarray) -> np.ndarray:
        """A batch of the size the network is bound to, of the first tiles."""
        return filled_up(batch[: self._fixed_batch], self._fixed_batch or len(batch))

    def _fed(self, batch: np.ndarray) -> np.ndarray:
        """The batch in the network's type and layout; itself where it is in both."""
        if self._dtype.kind == "u":
            batch = np.clip(np.rint(batch), 0, np.iinfo(self._dtype).max)
        if self._layout == "NHWC":
            batch = batch.transpose(0, 2, 3, 1)
        return np.ascontiguousarray(batch, dtype=self._dtype)

    def _run(self, session: Any, names: Sequence[str], batch: np.ndarray) -> list[np.ndarray]:
        try:
            return session.run(names, {self._input: self._fed(batch)})
        except Exception as error:  # onnxruntime's errors share no base of their own
            if looks_like_out_of_memory(error):
                raise MemoryError(str(error)) from error
            raise ModelError(
                f"{self._path.name} cannot run on {batch.shape[3]} x {batch.shape[2]} pixels ({error}).",
                "Check that the model fits its definition.",
            ) from error


def _check_precision(options: RunOptions) -> None:
    if options.precision in (FLOAT32, AUTO):
        return
    if options.precision != INT8:
        raise ParameterError(
            f"PRECISION is {options.precision}, which ONNX Runtime does not run a float32 network in.",
            "Use FLOAT32, AUTO or INT8, or a model with PyTorch weights.",
        )
    if options.device.kind != "cpu":
        raise ParameterError(
            f"PRECISION is INT8, which is for processors, and the device is {options.device.name}.",
            "Use DEVICE CPU, or another precision.",
        )
