"""Opening an ONNX Runtime session on the device asked for, and knowing which one it got."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Optional

from ...errors import ModelError, RuntimeMissingError
from ..onnx_file import OnnxFile
from .devices import Device

#: Output channels that ONNX Runtime's blocked layout comes in: fewer are computed as if they were as many.
_BLOCK = 16
#: Products that its matrix kernel adds up in one go. With no more of them a sum has one order of its
#: summands, however tiles and threads share the work.
_ADDED_AT_ONCE = 128


def open_session(
    path: Path, device: Device, threads: Optional[int], *, narrow: bool = False
) -> tuple[Any, str]:
    """An inference session and the name of the device it really runs on.

    Args:
        path: The network.
        device: What was asked for.
        threads: Processor threads; None for all.
        narrow: Whether it :func:`is_narrow`.

    Raises:
        ModelError: If the file does not load.
        RuntimeMissingError: If a device was named that this ONNX Runtime does not run on.
    """
    import onnxruntime

    count = _thread_count(threads)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = count
    options.inter_op_num_threads = 1
    if narrow:
        # Threads that wait by spinning take the processor from those that read and write beside the model,
        # which have more to do than a small network. Large ones gain a tenth from threads that never sleep.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.log_severity_level = 4  # what goes wrong is raised, too
    providers: list[Any] = ["CPUExecutionProvider"]
    if device.kind == "cuda" and "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        # The CUDA libraries may come as Python packages rather than from the system.
        if hasattr(onnxruntime, "preload_dlls"):
            onnxruntime.preload_dlls()
        providers.insert(0, ("CUDAExecutionProvider", {"device_id": device.index}))
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=providers)
    except Exception as error:  # onnxruntime's errors share no base of their own
        raise _load_error(path, error, onnxruntime.__version__) from error
    if session.get_providers()[0] == "CUDAExecutionProvider":
        return session, device.name
    if device.kind == "cuda" and device.is_demanded:
        raise RuntimeMissingError(
            f"DEVICE is {device.name}, but this ONNX Runtime does not run on it.",
            "Set up the runtime with CUDA, or use AUTO or CPU.",
        )
    return session, f"CPU ({count} thread{'s' if count > 1 else ''})"


def is_narrow(file: OnnxFile) -> bool:
    """Whether all convolutions have few channels: the blocked layout then costs a multiple of what it spares.

    Decided from the graph and not by a stopwatch: the layout shows in the last bit of the scores.
    """
    return bool(file.convolutions) and all(
        len(shape) == 4 and shape[0] < _BLOCK and shape[1] * shape[2] * shape[3] <= _ADDED_AT_ONCE
        for shape in file.convolutions
    )


def tiles_at_once(device: str, threads: Optional[int]) -> Optional[int]:
    """Tiles that one call of a session is best given; None for as many as there are.

    On a processor, what a layer writes is still in the caches when the next one, or whoever decides the
    pixels, reads it, as long as tiles are few: two threads have enough to do with one.
    """
    return max(1, _thread_count(threads) // 2) if device.startswith("CPU") else None


def _thread_count(threads: Optional[int]) -> int:
    return threads or os.cpu_count() or 1


def _load_error(path: Path, error: Exception, version: str) -> ModelError:
    text = str(error)
    lower = text.lower()
    if "opset" in lower or "ir version" in lower or "ir_version" in lower:
        return ModelError(
            f"{path.name} is written for a newer ONNX than ONNX Runtime {version} knows ({text}).",
            "Export it with opset 17, or set up a newer runtime.",
        )
    if "not a registered function/op" in lower or "no op registered" in lower or "custom op" in lower:
        return ModelError(
            f"{path.name} holds an operator that ONNX Runtime {version} does not have ({text}).",
            "Export it with standard operators only.",
        )
    return ModelError(f"{path} cannot be loaded ({text}).", "Check that it is a complete ONNX file.")
