"""Networks of arcgis.learn, rebuilt and filled, on a device."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import ModelError, ParameterError, RuntimeMissingError
from ..definition import ModelDefinition
from .devices import Device
from .options import RunOptions
from .protocol import looks_like_out_of_memory
from .torch import torch_sees_cuda

if TYPE_CHECKING:
    from torch import nn


def load_network(definition: ModelDefinition) -> nn.Module:
    """The network a definition describes, with its weights, on the CPU.

    Raises:
        ModelDefinitionError: If it is not rebuilt.
        ModelError: If the weights cannot be read or do not fit.
    """
    from ..architectures.arcgis_learn.building import build_network
    from ..architectures.arcgis_learn.facts import facts_of
    from ..architectures.weights import read_weights

    return build_network(facts_of(definition), read_weights(definition.model_file))


class Network:
    """A network of arcgis.learn on a device: float32 arrays in, float32 arrays out.

    Args:
        definition: The model.
        options: Device and threads.
    """

    def __init__(self, definition: ModelDefinition, options: RunOptions) -> None:
        import torch

        if options.precision not in ("FLOAT32", "AUTO"):
            raise ParameterError(
                f"{definition.name} runs in FLOAT32 only, not in {options.precision}.",
                "Set PRECISION to FLOAT32 or AUTO.",
            )
        device = _usable(options.device)
        if options.threads:
            torch.set_num_threads(options.threads)
        self.device = device.name
        self._name = definition.name
        self.torch_device = torch.device(device.kind, device.index if device.kind == "cuda" else None)
        self.module = load_network(definition).to(self.torch_device)
        threads = f"{torch.get_num_threads()} threads"
        where = torch.cuda.get_device_name(self.torch_device) if device.kind == "cuda" else threads
        self.description = f"PyTorch {torch.__version__} on {self.device} ({where})"

    def __call__(self, batch: np.ndarray, outputs: int) -> np.ndarray:
        """Run it on ``[n, bands, h, w]``; returns ``[n, outputs, h, w]``.

        Raises:
            MemoryError: If the device has no room for the batch.
            ModelError: If it cannot run on it, or gives something else.
        """
        result = self.run(batch).float().cpu().numpy()
        if result.shape != (len(batch), outputs, *batch.shape[2:]):
            raise ModelError(
                f"{self._name} gives {list(result.shape)} for a batch of {list(batch.shape)}.",
                "Check that the weights belong to the definition.",
            )
        return result

    def run(self, batch: np.ndarray) -> Any:
        """What the network itself gives for ``[n, bands, h, w]``: a tensor, or several.

        Raises:
            As :meth:`__call__`.
        """
        import torch

        try:
            with torch.inference_mode():
                tensor = torch.from_numpy(np.ascontiguousarray(batch, dtype=np.float32))
                return self.module(tensor.to(self.torch_device))
        except RuntimeError as error:
            if looks_like_out_of_memory(error):
                torch.cuda.empty_cache()
                raise MemoryError(str(error)) from error
            raise ModelError(
                f"{self._name} cannot run on tiles of {batch.shape[3]} x {batch.shape[2]} pixels ({error}).",
                "Check that the weights belong to the definition.",
            ) from error


def on_cpu(outputs: Any) -> Any:
    """Tensors, in whatever they are gathered, on the processor."""
    if isinstance(outputs, Mapping):
        return {name: value.cpu() for name, value in outputs.items()}
    if isinstance(outputs, (list, tuple)):
        return type(outputs)(on_cpu(output) for output in outputs)
    return outputs.cpu()


def _usable(device: Device) -> Device:
    if device.kind != "cuda" or torch_sees_cuda():
        return device
    if device.is_demanded:
        raise RuntimeMissingError(
            f"DEVICE is {device.name}, but the installed PyTorch does not run on it.",
            "Set up the runtime with CUDA, or use AUTO or CPU.",
        )
    return Device("cpu", is_demanded=False)
