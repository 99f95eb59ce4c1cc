"""Pixel models in PyTorch: the networks trained here, with safetensors weights."""

from __future__ import annotations

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

PACKAGES = {"torch": "torch", "safetensors": "safetensors"}


def open_model(definition: ModelDefinition, options: RunOptions) -> PixelModel:
    """Open a PyTorch model; see :mod:`.opening`."""
    return TorchPixelModel(definition, options)


def model_arguments(definition: ModelDefinition, consent: bool) -> tuple[ModelArgument, ...]:
    """PyTorch models declare none."""
    return ()


def foreign_code(definition: ModelDefinition) -> Optional[ForeignCode]:
    """Safetensors hold no code."""
    return None


def torch_sees_cuda() -> bool:
    """Whether the installed PyTorch is a CUDA build that works with the driver."""
    import torch

    return torch.cuda.is_available()


class TorchPixelModel(PixelModel):
    """A network from the registry with its trained weights; see :class:`PixelModel`.

    Args:
        definition: The model; its parameters say how the network is built.
        options: Device and threads.
    """

    def __init__(self, definition: ModelDefinition, options: RunOptions) -> None:
        import torch

        weights, device = definition.model_file, options.device
        if device.kind == "cuda" and not device.is_demanded and not torch_sees_cuda():
            device = Device("cpu", is_demanded=False)
        self.input = ModelInput(definition.normalisation)
        if device.kind == "cuda" and not torch.cuda.is_available():
            raise RuntimeMissingError(
                f"DEVICE is {device.name}, but the installed PyTorch does not run on it.",
                "Set up the runtime with CUDA, or use AUTO or CPU.",
            )
        if options.threads:
            torch.set_num_threads(options.threads)
        self._name = weights.name
        self._torch_device = torch.device(device.kind, device.index if device.kind == "cuda" else None)
        self.outputs = max(len(definition.output_values), 2)  # a binary network counts as two
        self.device = device.name
        network = _load_network(definition, weights)
        self._network = network.eval().to(self._torch_device, memory_format=torch.channels_last)
        # Convolutions in TF32 where the card has it: several times the speed, and far more
        # digits than a class needs.
        torch.backends.cudnn.allow_tf32 = True

    @property
    def description(self) -> str:
        """Runtime, version and device."""
        import torch

        if self._torch_device.type == "cuda":
            card = torch.cuda.get_device_name(self._torch_device)
            return f"PyTorch {torch.__version__} on {self.device} ({card})"
        return f"PyTorch {torch.__version__} on CPU ({torch.get_num_threads()} threads)"

    def scores(self, batch: np.ndarray, valid: np.ndarray) -> np.ndarray:
        """Run the network; see :meth:`PixelModel.scores`."""
        import torch

        try:
            with torch.inference_mode():
                tensor = torch.from_numpy(batch).to(self._torch_device, memory_format=torch.channels_last)
                logits = self._network(tensor).float()
                return self._checked(two_channels(logits.contiguous().cpu().numpy()), batch)
        except RuntimeError as error:
            if looks_like_out_of_memory(error):
                torch.cuda.empty_cache()
                raise MemoryError(str(error)) from error
            raise ModelError(
                f"{self._name} cannot run on tiles of {batch.shape[3]} x {batch.shape[2]} pixels ({error}).",
                "Check that the model fits its definition.",
            ) from error

    def _checked(self, scores: np.ndarray, batch: np.ndarray) -> np.ndarray:
        expected = (batch.shape[0], self.outputs, batch.shape[2], batch.shape[3])
        if scores.shape != expected:
            raise ModelError(
                f"{self._name} gives {list(scores.shape)} for a batch of {list(batch.shape)}.",
                "Check that the model fits its definition.",
            )
        return scores


def _load_network(definition: ModelDefinition, weights: Path) -> Any:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    from ..architectures.registry import build_network

    network = build_network(
        definition.model_name,
        definition.model_parameters,
        len(definition.extract_bands),
        len(definition.output_values),
    )
    try:
        network.load_state_dict(load_file(weights))
    except (OSError, SafetensorError, RuntimeError) as error:
        raise ModelError(
            f"The weights in {weights.name} do not fit the network of {definition.name} ({error}).",
            "Use the definition and the weights of one training run.",
        ) from error
    return network
