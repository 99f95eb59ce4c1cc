"""Which runtime runs a model here.

A runtime is a module beside this one with

* ``PACKAGES``: modules it imports, each with the name to install it by,
* ``open_model(definition, options) -> PixelModel``,
* ``model_arguments(definition, consent) -> tuple[ModelArgument, ...]``: what the model itself declares,
* ``foreign_code(definition) -> Optional[ForeignCode]``: what runs code when the model is opened.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Optional

from ...environment.requirements import extra_for
from ...errors import ModelDefinitionError, RuntimeMissingError
from ...events import Reporter
from ..arguments import ModelArgument
from ..definition import ModelDefinition
from ..raster_functions.builtin import check_builtin, is_written_by_arcgis_learn
from ..trust import ForeignCode
from .devices import Device, choose_device
from .options import RunOptions
from .protocol import PixelModel

#: Runtime of a model file by its extension.
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
}


def open_pixel_model(
    definition: ModelDefinition,
    device: str = "AUTO",
    threads: Optional[int] = None,
    *,
    precision: str = "FLOAT32",
    arguments: Optional[Mapping[str, str]] = None,
    consent: bool = False,
    reporter: Optional[Reporter] = None,
) -> PixelModel:
    """Open a model with the runtime for it.

    Args:
        definition: The model.
        device: ``AUTO``, ``CPU``, ``CUDA`` or ``CUDA:n``.
        threads: CPU threads; None for all.
        precision: See :class:`RunOptions`.
        arguments: ``ARGUMENTS`` as given.
        consent: Whether the user agrees to run code that comes with the model.
        reporter: Hears what the model has to say; nobody where None.

    Raises:
        ParameterError: If the device is not there.
        ModelDefinitionError: If no runtime here takes this kind of model.
        RuntimeMissingError: If a library it needs is missing.
        TrustError: If it holds code nobody has agreed to.
        ModelError: If the model does not load.
    """
    options = run_options(device, threads, precision, arguments, consent, reporter)
    return _ready_runtime(definition, options.device, precision).open_model(definition, options)


def declared_arguments(definition: ModelDefinition, consent: bool = False) -> tuple[ModelArgument, ...]:
    """The arguments a model declares beside those that every run has.

    Raises:
        As :func:`open_pixel_model`.
    """
    return _ready_runtime(definition, choose_device("CPU")).model_arguments(definition, consent)


def foreign_code(definition: ModelDefinition) -> Optional[ForeignCode]:
    """What runs code when the model is opened; None where nothing does."""
    return _runtime(runtime_name(definition, choose_device("CPU"))).foreign_code(definition)


def runtime_name(definition: ModelDefinition, device: Device, precision: str = "FLOAT32") -> str:
    """The runtime that takes a model: by who saved it, its inference function, its file, the precision.

    Raises:
        ModelDefinitionError: If none does.
    """
    function = definition.inference_function
    if definition.is_arcgis_learn and (not function or is_written_by_arcgis_learn(function)):
        return "arcgis_learn"
    if function:
        return "raster_function"
    check_builtin(definition)
    suffix = definition.model_file.suffix.lower()
    name = "tensorflow" if definition.model_file.is_dir() else _BY_SUFFIX.get(suffix)
    if name is None:
        raise ModelDefinitionError(
            f"{definition.name} names {definition.model_file.name}, which is no model file that runs here.",
            f"Model files end with {', '.join(_BY_SUFFIX)}, or are a TensorFlow SavedModel folder.",
        )
    # bfloat16 and float16 are PyTorch's; 8-bit integers are ONNX Runtime's, on a processor.
    if name == "torch" and precision in ("BF16", "FP16"):
        return name
    # The same network as ONNX is the faster one on a processor; PyTorch is, on a graphics card.
    if name == "torch" and definition.onnx_file and find_spec("onnxruntime"):
        has_torch = bool(find_spec("torch"))
        if not has_torch or device.kind == "cpu" or not (device.is_demanded or _torch_sees_cuda()):
            return "onnx"
    return name


def _torch_sees_cuda() -> bool:
    from .torch import torch_sees_cuda

    return torch_sees_cuda()


def run_options(
    device: str,
    threads: Optional[int],
    precision: str,
    arguments: Optional[Mapping[str, str]],
    consent: bool,
    reporter: Optional[Reporter],
) -> RunOptions:
    """Options from what a job says; names of arguments in lower case.

    Raises:
        ParameterError: If the device is not there.
    """
    texts = {name.strip().lower(): str(text).strip() for name, text in (arguments or {}).items()}
    return RunOptions(choose_device(device), threads, precision, texts, consent, reporter or Reporter())


def _runtime(name: str) -> Any:
    return import_module("." + name, __package__)


def ready_runtime(name: str, model: str) -> Any:
    """A runtime, whose packages are there.

    Args:
        name: Its module.
        model: What to call the model that wants it.

    Raises:
        RuntimeMissingError: If a library it needs is missing.
    """
    runtime = _runtime(name)
    missing = [package for module, package in runtime.PACKAGES.items() if find_spec(module) is None]
    if missing:
        raise missing_packages(model, missing)
    return runtime


def _ready_runtime(definition: ModelDefinition, device: Device, precision: str = "FLOAT32") -> Any:
    return ready_runtime(runtime_name(definition, device, precision), definition.name)


def missing_packages(name: str, packages: list[str]) -> RuntimeMissingError:
    """The error for a model whose runtime is not installed, with the way to install it."""
    extra = extra_for(packages)
    named = f" with EXTRAS set to {extra}" if extra else ""
    are = "are" if len(packages) > 1 else "is"
    return RuntimeMissingError(
        f"{name} needs {' and '.join(packages)}, which {are} not installed.",
        f'Run the tool "Set up runtime" (imagerydl:setupruntime){named}.',
    )
