"""What truly runs in this environment: measured, not merely listed. Runs inside the environment."""

from __future__ import annotations

import importlib
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ..events import Reporter
from ..models.runtimes.devices import Device

#: Distributions whose versions the report names; where two are alternatives, either may be absent.
PACKAGES = (
    "torch",
    "torchvision",
    "onnxruntime",
    "onnxruntime-gpu",
    "onnx",
    "onnxscript",
    "rasterio",
    "pyogrio",
    "shapely",
    "numpy",
    "lightning",
    "torchmetrics",
    "segmentation-models-pytorch",
    "timm",
    "safetensors",
    "matplotlib",
    "pillow",
    "keras",
    "h5py",
    "openvino",
    "transformers",
    "scipy",
)

#: Side of the matrices multiplied.
_SIDE = 1024


class Proof:
    """A run of checks, each one line of a report.

    Args:
        device: What was asked for.
        reporter: Told which check runs.

    Attributes:
        device: What is checked: "CPU" or "CUDA:n".
    """

    def __init__(self, device: Device, reporter: Reporter) -> None:
        self.device = device.name if device.is_demanded or _torch_has_cuda() else "CPU"
        self._reporter = reporter
        self.lines: list[str] = []
        self.failures: list[str] = []

    @property
    def text(self) -> str:
        """The report; the user's home folder is written as ``~``."""
        text = "\n".join(self.lines)
        home = str(Path.home())
        return text.replace(home, "~") if len(home) > 1 else text

    def run(self) -> None:
        """Run every check; one that fails does not stop the others."""
        checks: list[tuple[str, Callable[[], str]]] = [
            ("System", _system),
            ("Packages", _packages),
            ("Processor", _processor),
            ("CUDA", _cuda),
            ("PyTorch", lambda: multiply(self.device)),
            ("torchvision", _suppress_boxes),
            ("ONNX Runtime", lambda: run_onnx(self.device)),
            ("GDAL, PROJ", _transform),
            ("Training", _import_training),
        ]
        # Extras of "Set up runtime": nothing is missing where they are not there.
        checks += [("Keras", run_keras)] if find_spec("keras") else []
        checks += [("OpenVINO", run_openvino)] if find_spec("openvino") else []
        checks += [("transformers", run_transformers)] if find_spec("transformers") else []
        for number, (title, check) in enumerate(checks):
            self._reporter.progress("Checking the runtime", number, len(checks), "checks", note=title)
            try:
                self.lines.append(f"{title}: {check()}")
            except Exception as error:  # noqa: BLE001 - whatever a broken library raises is the finding
                words = " ".join(str(error).split())
                self.lines.append(f"{title}: FAILED, {type(error).__name__}: {words}")
                self.failures.append(title)
        self._reporter.progress("Checking the runtime", len(checks), len(checks), "checks")


def _torch_has_cuda() -> bool:
    # A driver may be there and the installed PyTorch know nothing of it.
    try:
        import torch
    except (ImportError, OSError):  # a failed check will say so
        return False
    return bool(torch.cuda.is_available())


def _system() -> str:
    from .. import __version__

    python = f"Python {platform.python_version()} at {sys.executable}"
    machine = f"{platform.system()} {platform.release()}, {platform.machine()}"
    return f"Imagery Deep Learning {__version__}, {python}, {machine}"


def _packages() -> str:
    found = []
    for name in PACKAGES:
        try:
            found.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            continue
    both = [line for line in found if line.startswith(("onnxruntime ", "onnxruntime-gpu "))]
    if len(both) > 1:
        raise RuntimeError(f"{' and '.join(both)} are both installed; they overwrite each other, keep one")
    return ", ".join(found)


def _processor() -> str:
    import torch

    return (
        f"{os.cpu_count()} cores, {torch.get_num_threads()} used, {torch.backends.cpu.get_cpu_capability()}"
    )


def _cuda() -> str:
    import torch

    if not torch.cuda.is_available():
        built = f"built for CUDA {torch.version.cuda}" if torch.version.cuda else "built without CUDA"
        return f"no device PyTorch can use ({built})"
    names = []
    for index in range(torch.cuda.device_count()):
        free, total = torch.cuda.mem_get_info(index)
        name = torch.cuda.get_device_name(index)
        names.append(f"CUDA:{index} {name}, {free / 2**30:.1f} of {total / 2**30:.1f} GB free")
    return "; ".join(names)


def multiply(device: str) -> str:
    """Multiply matrices on ``device`` and compare with a result known beforehand.

    Raises:
        RuntimeError: If the product is wrong.
    """
    import torch

    place = torch.device(device.lower())
    # Row i holds i mod 7, column j holds j mod 5: entry (i, j) of the product is side * i%7 * j%5,
    # exact in float32.
    rows = (torch.arange(_SIDE, device=place) % 7).float()[:, None].expand(_SIDE, _SIDE).contiguous()
    columns = (torch.arange(_SIDE, device=place) % 5).float()[None, :].expand(_SIDE, _SIDE).contiguous()
    product = rows @ columns  # the first product loads the library's kernels
    if not torch.equal(product, rows * columns * _SIDE):
        raise RuntimeError(f"the product of two matrices on {device} is wrong")
    repeats, started = 5, time.perf_counter()
    for _ in range(repeats):
        product = rows @ columns
    float(product[0, 0])  # waits for the device
    seconds = (time.perf_counter() - started) / repeats
    speed = 2 * _SIDE**3 / seconds / 1e9
    took = f"{seconds * 1e3:.2f} ms ({speed:.0f} GFLOP/s)"
    return f"product of {_SIDE} x {_SIDE} matrices on {device} in {took}, correct"


def _suppress_boxes() -> str:
    import torch
    import torchvision

    # A torchvision built for another torch imports in some versions and fails here in all.
    boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 9], [20, 20, 30, 30]])
    kept = torchvision.ops.nms(boxes, torch.tensor([0.9, 0.8, 0.7]), 0.5).tolist()
    if kept != [0, 2]:
        raise RuntimeError(f"suppression kept the boxes {kept}, expected [0, 2]")
    return "native operators work"


def run_onnx(device: str) -> str:
    """Run a small network in ONNX Runtime and say which provider executed it.

    The list of available providers says what was built in, not what works, and a session that
    asks for CUDA falls back to the CPU without a word: the profile of a run tells.

    Raises:
        RuntimeError: If the result is wrong.
    """
    import numpy as np
    import onnxruntime

    providers = ["CPUExecutionProvider"]
    if device != "CPU" and "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        # CUDA's libraries come as Python packages with PyTorch.
        if hasattr(onnxruntime, "preload_dlls"):
            onnxruntime.preload_dlls()
        providers.insert(0, "CUDAExecutionProvider")
    with tempfile.TemporaryDirectory(prefix="imagerydl-proof-") as folder:
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        options.enable_profiling = True
        options.profile_file_prefix = str(Path(folder) / "profile")
        session = onnxruntime.InferenceSession(_convolution(), options, providers=providers)
        picture = np.arange(64 * 64, dtype=np.float32).reshape(1, 1, 64, 64) % 11
        (result,) = session.run(None, {"x": picture})
        ran_on = executed_by(Path(session.end_profiling()))
        del session
    if not np.array_equal(result, picture * 9):
        raise RuntimeError("a convolution gave a wrong result")
    demanded = "" if device == "CPU" or "CUDA" in ran_on else f"; {device} is not usable by this ONNX Runtime"
    return f"executed by {ran_on or 'an unnamed provider'}, correct{demanded}"


def run_keras() -> str:
    """Run a layer of Keras, which must run on PyTorch.

    Raises:
        RuntimeError: If the result is wrong.
    """
    import numpy as np

    from ..models.runtimes.keras import import_keras

    keras = import_keras()
    picture = np.arange(48, dtype=np.float32).reshape(1, 4, 4, 3)
    result = keras.layers.Rescaling(2.0, offset=1.0)(picture)
    if not np.array_equal(result.cpu().numpy(), picture * 2 + 1):
        raise RuntimeError("a layer gave a wrong result")
    return f"executed by {keras.backend.backend()}, correct"


def run_openvino() -> str:
    """Run the small network in OpenVINO.

    Raises:
        RuntimeError: If the result is wrong.
    """
    import numpy as np
    import openvino

    core = openvino.Core()
    settings = {"INFERENCE_PRECISION_HINT": "f32"}
    compiled = core.compile_model(core.read_model(_convolution()), "CPU", settings)
    picture = np.arange(64 * 64, dtype=np.float32).reshape(1, 1, 64, 64) % 11
    if not np.array_equal(compiled({0: picture})[0], picture * 9):
        raise RuntimeError("a convolution gave a wrong result")
    return f"executed by {', '.join(compiled.get_property('EXECUTION_DEVICES'))}, correct"


def run_transformers() -> str:
    """Ask a small RT-DETR what it sees, and for its loss, which needs scipy.

    Raises:
        RuntimeError: If it gives something else than it should.
    """
    import torch

    from ..models.architectures.registry import build_network, describe_network

    levels = {"tile": [32, 32], "shrink": 1, "strides": [8, 16, 32], "sizes": [8, 16, 24], "queries": 5}
    network = build_network("RTDETR", {**describe_network("RTDETR", "NONE", 0.0), **levels}, 1, 2).eval()
    picture = torch.arange(32.0 * 32).reshape(1, 1, 32, 32) % 11
    known = {"boxes": torch.tensor([[8.0, 8, 24, 24]]), "labels": torch.tensor([1])}
    with torch.no_grad():
        logits, boxes = network.answers(picture)
        loss = sum(network.losses(picture, [known]).values())
    if logits.shape != (1, 5, 2) or boxes.shape != (1, 5, 4) or not torch.isfinite(loss):
        raise RuntimeError("an RT-DETR gave a wrong result")
    return "an RT-DETR runs, correct"


def executed_by(profile: Path) -> str:
    """The providers that ran the nodes in a profile ONNX Runtime wrote."""
    events: list[dict[str, Any]] = json.loads(profile.read_text(encoding="utf-8"))
    names = {event.get("args", {}).get("provider", "") for event in events if event.get("cat") == "Node"}
    return ", ".join(sorted(names - {""}))


def _convolution() -> bytes:
    """A 1 x 1 convolution that multiplies by nine, as ONNX."""
    import onnx
    from onnx import TensorProto, helper

    weight = helper.make_tensor("w", TensorProto.FLOAT, [1, 1, 1, 1], [9.0])
    shape = ["n", 1, "h", "w_"]
    graph = helper.make_graph(
        [helper.make_node("Conv", ["x", "w"], ["y"])],
        "proof",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
        [weight],
    )
    # Old enough for every ONNX Runtime in use.
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(model)
    return model.SerializeToString()


def _transform() -> str:
    import rasterio
    from rasterio.warp import transform

    # On the central meridian of UTM zone 31, on the equator: known without a computation.
    (x,), (y,) = transform("EPSG:4326", "EPSG:32631", [3.0], [0.0])
    if abs(x - 500000) > 0.001 or abs(y) > 0.001:
        raise RuntimeError(f"3° E, 0° N became {x:.3f}, {y:.3f} in EPSG:32631, expected 500000, 0")
    if rasterio.CRS.from_epsg(32631).to_epsg() != 32631:
        raise RuntimeError("a coordinate system loses its EPSG code: PROJ reads another version's database")
    return (
        f"GDAL {rasterio.__gdal_version__}, PROJ {rasterio.__proj_version__}, coordinates transform correctly"
    )


def _import_training() -> str:
    for name in ("lightning", "torchmetrics", "segmentation_models_pytorch", "timm", "safetensors.torch"):
        importlib.import_module(name)
    return "Lightning and the segmentation library load"
