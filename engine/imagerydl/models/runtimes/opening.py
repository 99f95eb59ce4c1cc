"""Which runtime runs a model here."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Optional

from ...errors import ModelDefinitionError, RuntimeMissingError
from ..definition import ModelDefinition
from .devices import Device, choose_device
from .protocol import PixelModel

_WEIGHTS = ".safetensors"


def open_pixel_model(
    definition: ModelDefinition, device: str = "AUTO", threads: Optional[int] = None
) -> PixelModel:
    """Open a model where it runs best: PyTorch on CUDA, ONNX Runtime on the CPU.

    Args:
        definition: The model.
        device: ``AUTO``, ``CPU``, ``CUDA`` or ``CUDA:n``.
        threads: CPU threads; None for all.

    Raises:
        ParameterError: If the device is not there.
        ModelDefinitionError: If no runtime here takes this kind of model.
        RuntimeMissingError: If the library it needs is missing.
        ModelError: If the model does not load.
    """
    chosen = choose_device(device)
    weights = definition.model_file if definition.model_file.suffix.lower() == _WEIGHTS else None
    onnx = definition.onnx_file if find_spec("onnxruntime") else None
    if weights and definition.is_own and find_spec("torch") and (chosen.kind == "cuda" or onnx is None):
        from .torch import TorchPixelModel, torch_sees_cuda

        if chosen.kind == "cuda" and not chosen.is_demanded and not torch_sees_cuda():
            chosen = Device("cpu", is_demanded=False)
        if chosen.kind == "cuda" or onnx is None:
            return TorchPixelModel(definition, weights, chosen, threads)
    if onnx:
        return _open_onnx(definition, chosen, threads)
    raise _unusable(definition)


def _open_onnx(definition: ModelDefinition, device: Device, threads: Optional[int]) -> PixelModel:
    from .onnx import OnnxPixelModel

    return OnnxPixelModel(definition.onnx_file, len(definition.extract_bands), device, threads)


def _unusable(definition: ModelDefinition) -> Exception:
    suffix = definition.model_file.suffix.lower()
    if definition.onnx_file or (suffix == _WEIGHTS and definition.is_own):
        return RuntimeMissingError(
            f"{definition.model_file.name} needs PyTorch or ONNX Runtime, and neither is installed.",
            "Run the tool Set Up Deep Learning Runtime.",
        )
    return ModelDefinitionError(
        f"{definition.name} names {definition.model_file.name}, which this tool does not run.",
        "Models trained here (.safetensors) and ONNX models (.onnx) run.",
    )
