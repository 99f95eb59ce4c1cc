"""Pixel models in ONNX Runtime."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Optional

import numpy as np

from ...errors import ModelError, RuntimeMissingError
from ..arguments import ModelArgument
from ..definition import ModelDefinition
from ..trust import ForeignCode
from .devices import Device
from .options import RunOptions
from .protocol import ModelInput, PixelModel, looks_like_out_of_memory, two_channels

PACKAGES = {"onnxruntime": "onnxruntime"}

_INPUT_TYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16}


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
    """An ONNX network ``[n, bands, h, w] -> [n, channels, h, w]``; see :class:`PixelModel`.

    Its output is taken as logits; a single channel is the logit of a binary network.

    Args:
        definition: The model; its :attr:`~ModelDefinition.onnx_file` is what runs.
        options: Device and threads.
    """

    def __init__(self, definition: ModelDefinition, options: RunOptions) -> None:
        self._path = path = definition.onnx_file
        self.input = ModelInput(definition.normalisation)
        self._session, self.device = _open_session(path, options.device, options.threads)
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        if len(inputs) != 1 or inputs[0].type not in _INPUT_TYPES or len(inputs[0].shape) != 4:
            raise ModelError(
                f"{path.name} does not take one floating-point picture [batch, bands, height, width].",
                "Export it with a single four-dimensional input.",
            )
        self._input, self._output = inputs[0].name, outputs[0].name
        self._dtype = _INPUT_TYPES[inputs[0].type]
        batch, channels, height, width = (
            side if isinstance(side, int) and side > 0 else None for side in inputs[0].shape
        )
        bands = len(definition.extract_bands)
        if channels not in (None, bands):
            raise ModelError(
                f"{path.name} takes {channels} bands and its definition extracts {bands}.",
                "Correct ExtractBands in the definition.",
            )
        self._fixed_batch = batch
        self.tile_size = (height, width) if height and width else None
        self.outputs = _channels(outputs[0].shape, path)

    @property
    def description(self) -> str:
        """Runtime, version and device."""
        import onnxruntime

        return f"ONNX Runtime {onnxruntime.__version__} on {self.device}"

    def scores(self, batch: np.ndarray, valid: np.ndarray) -> np.ndarray:
        """Run the network; see :meth:`PixelModel.scores`."""
        if self._fixed_batch is None or self._fixed_batch == len(batch):
            return self._run(batch)
        pieces = []
        for start in range(0, len(batch), self._fixed_batch):
            piece = batch[start : start + self._fixed_batch]
            missing = self._fixed_batch - len(piece)
            full = (
                np.concatenate([piece, np.zeros((missing, *piece.shape[1:]), piece.dtype)])
                if missing
                else piece
            )
            pieces.append(self._run(full)[: len(piece)])
        return np.concatenate(pieces)

    def _run(self, batch: np.ndarray) -> np.ndarray:
        try:
            (scores,) = self._session.run(
                [self._output], {self._input: batch.astype(self._dtype, copy=False)}
            )
        except Exception as error:  # onnxruntime's errors share no base of their own
            if looks_like_out_of_memory(error):
                raise MemoryError(str(error)) from error
            raise ModelError(
                f"{self._path.name} cannot run on {batch.shape[3]} x {batch.shape[2]} pixels ({error}).",
                "Check that the model fits its definition.",
            ) from error
        expected = (batch.shape[0], batch.shape[2], batch.shape[3])
        if scores.ndim != 4 or (scores.shape[0], *scores.shape[2:]) != expected:
            raise ModelError(
                f"{self._path.name} gives {list(scores.shape)} for a batch of {list(batch.shape)}.",
                "A pixel classifier gives [batch, classes, height, width] of the input's size.",
            )
        return two_channels(scores.astype(np.float32, copy=False))


def _channels(shape: list[Any], path: Path) -> int:
    if len(shape) != 4:
        raise ModelError(
            f"{path.name} gives {len(shape)}-dimensional output.",
            "A pixel classifier gives [batch, classes, height, width].",
        )
    return max(shape[1], 2) if isinstance(shape[1], int) else 0


def _open_session(path: Path, device: Device, threads: Optional[int]) -> tuple[Any, str]:
    """An inference session and the name of the device it really runs on."""
    import onnxruntime

    count = threads or os.cpu_count() or 1
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = count
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    providers: list[Any] = ["CPUExecutionProvider"]
    if device.kind == "cuda" and "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        # The CUDA libraries may come as Python packages rather than from the system.
        if hasattr(onnxruntime, "preload_dlls"):
            onnxruntime.preload_dlls()
        providers.insert(0, ("CUDAExecutionProvider", {"device_id": device.index}))
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=providers)
    except Exception as error:  # onnxruntime's errors share no base of their own
        raise ModelError(
            f"{path} cannot be loaded ({error}).", "Check that it is a complete ONNX file."
        ) from error
    if session.get_providers()[0] == "CUDAExecutionProvider":
        return session, device.name
    if device.kind == "cuda" and device.is_demanded:
        raise RuntimeMissingError(
            f"DEVICE is {device.name}, but this ONNX Runtime does not run on it.",
            "Set up the runtime with CUDA, or use AUTO or CPU.",
        )
    return session, f"CPU ({count} thread{'s' if count > 1 else ''})"
