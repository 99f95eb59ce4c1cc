"""Which runtime runs a pixel classifier here; its ``open_model`` gives a :class:`.protocol.PixelModel`."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Optional

from ..definition import ModelDefinition
from .devices import Device
from .opener import FOLDER, Opener
from .protocol import PixelModel

_BY_SUFFIX = {
    ".safetensors": "torch",
    ".pth": "torch",
    ".pt": "torch",
    ".pt2": "torch",
    ".onnx": "onnx",
    ".h5": "keras",
    ".hdf5": "keras",
    ".keras": "keras",
    ".pb": "tensorflow",
    FOLDER: "tensorflow",
}


def _preferred(
    definition: ModelDefinition, runtime: Optional[str], device: Device, precision: str
) -> Optional[str]:
    # bfloat16 and float16 are PyTorch's; 8-bit integers are ONNX Runtime's, on a processor.
    if runtime == "torch" and precision in ("BF16", "FP16"):
        return runtime
    # The same network as ONNX is the faster one on a processor; PyTorch is, on a graphics card.
    if runtime == "torch" and definition.onnx_file and find_spec("onnxruntime"):
        has_torch = bool(find_spec("torch"))
        if not has_torch or device.kind == "cpu" or not (device.is_demanded or _torch_sees_cuda()):
            return "onnx"
    return runtime


def _torch_sees_cuda() -> bool:
    from .torch import torch_sees_cuda

    return torch_sees_cuda()


PIXEL_MODELS: Opener[PixelModel] = Opener(
    function="open_model",
    raster_function="raster_function",
    by_suffix=_BY_SUFFIX,
    refusal="no model file",
    fix=f"Model files end with {', '.join(suffix for suffix in _BY_SUFFIX if suffix != FOLDER)}, or are a "
    "TensorFlow SavedModel folder.",
    preferred=_preferred,
)

open_pixel_model = PIXEL_MODELS.open
declared_arguments = PIXEL_MODELS.arguments
foreign_code = PIXEL_MODELS.foreign_code
