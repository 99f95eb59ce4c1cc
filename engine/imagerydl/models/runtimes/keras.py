"""Pixel models of Keras 2 and 3 (``.h5``, ``.hdf5``, ``.keras``), in Keras 3 on PyTorch.

TensorFlow is never loaded. What Keras 3 spells otherwise than Keras 2 is rewritten in a copy of the file,
see :mod:`.keras_config`.

What a Keras model is fed: raw pixel values, unless its definition states a normalisation. Most Keras models
scale their input themselves, in a Rescaling layer; one that was trained on imagery divided by 255 outside the
network says so in its definition (``Normalization``). If both are there, both are applied.
"""

from __future__ import annotations

import os
import tempfile
import zipfile
from pathlib import Path
from typing import Any, Optional

import numpy as np

from ...errors import ModelError, ParameterError, RuntimeMissingError
from ..arguments import ModelArgument
from ..definition import ModelDefinition
from ..trust import ForeignCode, ensure_trusted
from .devices import Device
from .fitting import margin_of, refuse_shape, run_in_batches, shape_text
from .keras_config import (
    Config,
    final_activation,
    is_channels_first,
    layers_with_code,
    layers_without_code,
    modernised,
    read_config,
    write_copy,
)
from .options import RunOptions
from .protocol import Gives, ModelInput, PixelModel, looks_like_out_of_memory, two_channels

PACKAGES = {"torch": "torch", "keras": "keras", "h5py": "h5py"}

_PROBABILITIES = ("softmax", "sigmoid", "hard_sigmoid")


def open_model(definition: ModelDefinition, options: RunOptions) -> PixelModel:
    """Open a Keras model; see :mod:`.opening`."""
    return KerasPixelModel(definition, options)


def model_arguments(definition: ModelDefinition, consent: bool) -> tuple[ModelArgument, ...]:
    """Keras models declare none."""
    return ()


def foreign_code(definition: ModelDefinition) -> Optional[ForeignCode]:
    """The model file, where a layer in it carries Python code; nothing of it runs here."""
    path = definition.model_file
    return _foreign_code(path, read_config(path))


class KerasPixelModel(PixelModel):
    """A Keras network ``[n, h, w, bands] -> [n, h, w, channels]``; see :class:`PixelModel`.

    What its output means is told by the activation it comes from: softmax and sigmoid give probabilities,
    anything else scores. A single channel is a probability or, without an activation, a logit. Where the
    network takes no padding, its output is smaller than its input by a margin.

    Args:
        definition: The model.
        options: Device, threads, consent.
    """

    def __init__(self, definition: ModelDefinition, options: RunOptions) -> None:
        path = definition.model_file
        if options.precision not in ("FLOAT32", "AUTO"):
            raise ParameterError(
                f"PRECISION is {options.precision}, and Keras models run in FLOAT32.", "Use FLOAT32 or AUTO."
            )
        self._name = path.name
        written = read_config(path)
        code = _foreign_code(path, written)
        if code:
            ensure_trusted(code, options.consent)
        self._keras = import_keras()
        self._torch_device, self.device = _choose_device(options)
        config = modernised(written)
        with self._keras.device(self._torch_device):
            self._network = _load(
                self._keras, path, config, rewritten=config != written, runs_code=bool(code)
            )
        self._channels_first = is_channels_first(config)
        self.input = ModelInput(definition.normalisation)
        self._fixed_batch, self.tile_size = self._read_input(len(definition.extract_bands))
        channels, self.margin = self._read_output(self.tile_size or definition.image_size)
        self.outputs = max(channels, 2)
        self.gives = _meaning(final_activation(config), channels, self._name)

    @property
    def description(self) -> str:
        """Runtime, version and device."""
        import torch

        where = self.device if self.device != "CPU" else f"CPU ({torch.get_num_threads()} threads)"
        return f"Keras {self._keras.__version__} with PyTorch {torch.__version__} on {where}"

    def scores(self, batch: np.ndarray, valid: np.ndarray) -> np.ndarray:
        """Run the network; see :meth:`PixelModel.scores`."""
        scores = run_in_batches(batch, self._fixed_batch, self._run)
        height, width = (side - 2 * self.margin for side in batch.shape[2:])
        channels = 1 if self.outputs == 2 and scores.shape[1:2] == (1,) else self.outputs
        if scores.shape != (len(batch), channels, height, width):
            raise ModelError(
                f"{self._name} gives {list(scores.shape)} for a batch of {list(batch.shape)}.",
                "Give a TILE_SIZE that it was made for.",
            )
        if channels == 1 and self.gives is Gives.PROBABILITIES:
            return np.concatenate([1 - scores, scores], axis=1)
        return two_channels(scores)

    def _run(self, batch: np.ndarray) -> np.ndarray:
        import torch

        try:
            with torch.inference_mode(), self._keras.device(self._torch_device):
                tensor = torch.from_numpy(batch).to(self._torch_device)
                if not self._channels_first:
                    tensor = tensor.permute(0, 2, 3, 1).contiguous()  # as its convolutions want it
                result = _only(self._network(tensor, training=False))
                if not self._channels_first:
                    result = result.permute(0, 3, 1, 2)
                return result.float().cpu().contiguous().numpy()
        except Exception as error:  # layers raise what they like, code in them too
            if looks_like_out_of_memory(error):
                torch.cuda.empty_cache()
                raise MemoryError(str(error)) from error
            raise ModelError(
                f"{self._name} cannot run on tiles of {batch.shape[3]} x {batch.shape[2]} pixels "
                f"({_reason(error)}).",
                "Give a TILE_SIZE that it was made for.",
            ) from error

    def _read_input(self, bands: int) -> tuple[Optional[int], Optional[tuple[int, int]]]:
        """The batch and the tile it is bound to, None for any; checks that it takes one picture."""
        shapes = [tuple(tensor.shape) for tensor in self._network.inputs]
        if len(shapes) != 1 or len(shapes[0]) != 4:
            raise ModelError(
                f"{self._name} takes {', '.join(map(shape_text, shapes))}, not one picture.",
                "A pixel classifier takes [batch, height, width, bands].",
            )
        batch, height, width, channels = self._as_picture(shapes[0])
        if channels not in (None, bands):
            raise ModelError(
                f"{self._name} takes {channels} bands and its definition extracts {bands}.",
                "Correct ExtractBands in the definition.",
            )
        return batch, ((height, width) if height and width else None)

    def _read_output(self, tile: tuple[int, int]) -> tuple[int, int]:
        """Channels, and the margin that the network leaves along each border of ``tile``."""
        shapes = [tuple(tensor.shape) for tensor in self._network.outputs]
        if len(shapes) != 1:
            raise ModelError(
                f"{self._name} gives {len(shapes)} outputs of shape {', '.join(map(shape_text, shapes))}.",
                "Save a model with one output: keras.Model(model.input, the output that classifies).",
            )
        if len(shapes[0]) != 4:
            raise refuse_shape(self._name, len(shapes[0]), shape_text(shapes[0]))
        bands = self._as_picture(tuple(self._network.inputs[0].shape))[3] or 1
        size = (1, bands, *tile) if self._channels_first else (1, *tile, bands)
        try:
            given = self._as_picture(tuple(_only(self._network.compute_output_shape(size))))
        except Exception as error:  # every layer raises what it likes
            raise ModelError(
                f"{self._name} cannot run on tiles of {tile[1]} x {tile[0]} pixels ({_reason(error)}).",
                "Correct ImageHeight and ImageWidth in the definition.",
            ) from error
        return given[3], margin_of(self._name, tile, given[1:3])

    def _as_picture(self, shape: tuple[Any, ...]) -> tuple[Any, ...]:
        """A shape as (batch, height, width, channels)."""
        return (shape[0], *shape[2:], shape[1]) if self._channels_first else shape


def _foreign_code(path: Path, config: Config) -> Optional[ForeignCode]:
    names = layers_with_code(config)
    if not names:
        return None
    plural = "s" if len(names) > 1 else ""
    return ForeignCode((path,), f"Python code in the layer{plural} {', '.join(names)}")


def import_keras() -> Any:
    """Keras, on PyTorch.

    Raises:
        RuntimeMissingError: If it was started on something else in this process.
    """
    os.environ["KERAS_BACKEND"] = "torch"  # read once, when Keras is first imported
    import keras

    if keras.backend.backend() != "torch":
        raise RuntimeMissingError(
            f"Keras was started on {keras.backend.backend()} in this process, and its models need PyTorch.",
            "Run the tool in a process of its own.",
        )
    # A user's own ~/.keras/keras.json may say otherwise.
    keras.config.set_floatx("float32")
    keras.config.set_image_data_format("channels_last")
    return keras


def _choose_device(options: RunOptions) -> tuple[str, str]:
    """The device as PyTorch spells it, and as messages do."""
    import torch

    device = options.device
    if device.kind == "cuda" and not torch.cuda.is_available():
        if device.is_demanded:
            raise RuntimeMissingError(
                f"DEVICE is {device.name}, but the installed PyTorch does not run on it.",
                "Set up the runtime with CUDA, or use AUTO or CPU.",
            )
        device = Device("cpu", is_demanded=False)
    if options.threads:
        torch.set_num_threads(options.threads)
    return (f"cuda:{device.index}" if device.kind == "cuda" else "cpu"), device.name


def _load(keras: Any, path: Path, config: Config, *, rewritten: bool, runs_code: bool) -> Any:
    """The network, from the file itself or, where ``config`` was rewritten, from a copy with it."""
    known = frozenset(dir(keras.layers)) | {"Functional", "Model", "Sequential"}
    unknown = layers_without_code(config, known)
    if unknown:
        raise ModelError(
            f"{path.name} needs {', '.join(unknown)}, which is neither part of Keras 3 nor in the file.",
            "Save the model without it, or export it as a TensorFlow SavedModel or as ONNX.",
        )
    # Keras goes by the extension, and files of every other name are written by Keras, too.
    kind = ".keras" if zipfile.is_zipfile(path) else ".h5"
    with tempfile.TemporaryDirectory(prefix="imagerydl-keras-") as folder:
        copied = path
        if rewritten or path.suffix != kind:
            copied = Path(folder) / f"model{kind}"
            write_copy(path, config, copied)
        try:
            return keras.models.load_model(copied, compile=False, safe_mode=not runs_code)
        except Exception as error:  # Keras raises whatever a layer does
            if looks_like_out_of_memory(error):
                raise MemoryError(str(error)) from error
            raise ModelError(
                f"{path.name} cannot be loaded by Keras {keras.__version__} ({_reason(error)}).",
                "Save it with a newer Keras, or export it as a TensorFlow SavedModel or as ONNX.",
            ) from error


def _meaning(activation: str, channels: int, name: str) -> Gives:
    if activation in _PROBABILITIES:
        if activation == "softmax" and channels == 1:
            raise ModelError(
                f"{name} ends in a softmax over a single channel, which is 1 everywhere.",
                "Train it with a sigmoid, or with one channel for each class.",
            )
        return Gives.PROBABILITIES
    if channels == 1 and activation != "linear":
        raise ModelError(
            f"{name} gives one channel from {activation or 'several layers'}, which is no class.",
            "A binary pixel classifier ends in a sigmoid, or in no activation at all.",
        )
    if activation == "softmax over space":
        raise ModelError(f"{name} ends in a softmax over other axes than its classes.")
    return Gives.LOGITS


def _only(value: Any) -> Any:
    """``value``, out of the list of one in which models of Keras 2 keep it."""
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def _reason(error: BaseException) -> str:
    """What Keras says went wrong, without the configuration it says it about."""
    words = " ".join(str(error).split("Exception encountered:")[-1].split())
    return words[:300] or type(error).__name__
