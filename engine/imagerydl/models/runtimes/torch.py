"""Pixel models in PyTorch: networks trained here, and any other file PyTorch writes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Optional

import numpy as np

from ...errors import ModelError, OutOfMemoryError, ParameterError, RuntimeMissingError
from ..arguments import ModelArgument
from ..definition import ModelDefinition
from ..pickles import code_in
from ..trust import ForeignCode, ensure_trusted
from .batches import run_in_batches
from .devices import Device
from .options import RunOptions
from .pixel_output import Output, PixelOutput, find_output, noise
from .precision import AUTO, BF16, FLOAT32, FP16, INT8, agreement, is_worth_it, sentence, speedup
from .protocol import ModelInput, PixelModel
from .torch_errors import network_errors

PACKAGES = {"torch": "torch", "safetensors": "safetensors"}


def open_model(definition: ModelDefinition, options: RunOptions) -> PixelModel:
    """Open a PyTorch model; see :mod:`.opening`."""
    return TorchPixelModel(definition, options)


def model_arguments(definition: ModelDefinition, consent: bool) -> tuple[ModelArgument, ...]:
    """PyTorch models declare none."""
    return ()


def foreign_code(definition: ModelDefinition) -> Optional[ForeignCode]:
    """What a file holds besides weights; told from its bytes, without opening it."""
    reason = code_in(definition.model_file)
    return ForeignCode((definition.model_file,), reason) if reason else None


def torch_sees_cuda() -> bool:
    """Whether the installed PyTorch is a CUDA build that works with the driver."""
    import torch

    return torch.cuda.is_available()


class TorchPixelModel(PixelModel):
    """A PyTorch segmentation network; see :class:`PixelModel`.

    Its input is ``[n, bands, h, w]``; what it gives is found out with tiles of noise
    (:mod:`.pixel_output`): a tensor, the entry ``out`` or ``logits`` of a dictionary, or of a tuple the
    first with a score for each class.

    Args:
        definition: The model; its parameters say how the network of a state dict is built.
        options: Device, threads, precision, consent.

    Raises:
        TrustError: If the file holds code nobody has agreed to run.
        ModelError: If it does not load, does not fit the definition, or does not classify pixels.
        ParameterError: For a precision the device has no instructions for.
        RuntimeMissingError: If a device was named that this PyTorch does not run on.
    """

    def __init__(self, definition: ModelDefinition, options: RunOptions) -> None:
        import torch

        from .torch_network import last_operator, load_network

        device = usable_device(options.device)
        self._candidates = _candidates(options.precision, device)
        code = foreign_code(definition)
        if code:
            ensure_trusted(code, options.consent)
        if options.threads:
            torch.set_num_threads(options.threads)
        self.device = device.name
        self.input = ModelInput(definition.normalisation)
        self._asked, self._name = options.precision, definition.model_file.name
        self._torch_device = torch.device(device.kind, device.index if device.kind == "cuda" else None)
        # float32 means float32: TF32 would round what convolutions multiply to 10 bits.
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
        network = load_network(definition)
        ending = last_operator(network, definition)
        self._network = placed(network, self._torch_device, self._name)
        self._fixed_batch: Optional[int] = None
        self._chosen: tuple[int, ...] = ()
        self._precision = FLOAT32
        self._output = self._find_output(definition, ending)
        self._chosen = self._output.chosen
        self.outputs, self.gives = self._output.channels, self._output.gives
        self.margin = self._output.margin
        if options.precision not in (FLOAT32, AUTO):
            self._precision = options.precision
        self.wants_calibration = options.precision != FLOAT32

    @property
    def description(self) -> str:
        """Runtime, version, device and, where it is not float32, precision."""
        import torch

        precision = f" in {self._precision.lower()}" if self._precision != FLOAT32 else ""
        if self._torch_device.type == "cuda":
            card = torch.cuda.get_device_name(self._torch_device)
            return f"PyTorch {torch.__version__} on {self.device} ({card}){precision}"
        threads = torch.get_num_threads()
        return f"PyTorch {torch.__version__} on CPU ({threads} thread{'s' if threads > 1 else ''}){precision}"

    def scores(self, batch: np.ndarray, valid: np.ndarray) -> np.ndarray:
        """Run the network; see :meth:`PixelModel.scores`."""
        return self._scores(batch, self._precision)

    def calibrate(self, batches: Sequence[np.ndarray]) -> str:
        """Measure the lower precisions asked for, and take one; see :meth:`PixelModel.calibrate`."""
        if not self.wants_calibration:
            return ""
        self.wants_calibration = False
        if not self._candidates:
            return f"float32 is the fastest precision PyTorch has on {self.device}."
        found = []
        for precision in self._candidates if batches else ():
            alike = agreement(self._exact, self._runner(precision), batches)
            faster = speedup(self._exact, self._runner(precision), batches[0])
            found.append((faster, alike, precision))
        if not found:
            return "The raster has no tile to measure precisions with."
        if self._asked == AUTO:
            faster, alike, precision = max(found, key=lambda item: (is_worth_it(*item[:2]), item[0]))
            if not is_worth_it(faster, alike):
                return f"{sentence(precision, faster, alike)} It stays in float32."
        else:
            ((faster, alike, precision),) = found
        self._precision, self.agreement = precision, alike
        return sentence(precision, faster, alike)

    def _exact(self, batch: np.ndarray) -> np.ndarray:
        return self._scores(batch, FLOAT32)

    def _runner(self, precision: str) -> Any:
        return lambda batch: self._scores(batch, precision)

    def _scores(self, batch: np.ndarray, precision: str) -> np.ndarray:
        def run(piece: np.ndarray) -> np.ndarray:
            return self._output.scores(self._run(piece, precision), piece.shape)

        if self._fixed_batch:
            return run_in_batches(batch, self._fixed_batch, run)
        if len(batch) == 1 and self._torch_device.type == "cpu":
            # For a lone tile oneDNN takes other kernels, whose last bits differ. Two give what any
            # number gives, so that the result does not depend on the batch.
            return run_in_batches(batch, 2, run)
        return run(batch)

    def _find_output(self, definition: ModelDefinition, ending: str) -> PixelOutput:
        tile, bands = definition.image_size, len(definition.extract_bands)

        def sample(count: int) -> list[np.ndarray]:
            return self._run(
                noise((count, bands, *tile), raw=self.input.normalisation is None), self._precision
            )

        try:
            try:
                arrays, count = sample(2), 2
            except ModelError:
                # Programs traced or exported with a single tile often take no other number.
                arrays, count = sample(1), 1
                self._fixed_batch = 1
        except MemoryError as error:
            raise OutOfMemoryError(
                f"{self.device} has not enough memory for tiles of {tile[1]} x {tile[0]} pixels.",
                "Close other programs that use it, or choose DEVICE CPU.",
            ) from error
        outputs = [Output(array, ending=ending) for array in arrays if array.ndim and len(array) == count]
        if not outputs:
            shapes = ", ".join(str(list(array.shape)) for array in arrays) or "nothing"
            raise ModelError(
                f"{self._name} gives {shapes} for {count} tiles.",
                "A pixel classifier gives [batch, classes, height, width].",
            )
        return find_output(outputs, tile, "NCHW", len(definition.output_values), self._name)

    def _run(self, batch: np.ndarray, precision: str) -> list[np.ndarray]:
        """The outputs that count as arrays; all of them before it is known which do."""
        import torch

        shape = batch.shape
        with network_errors(self._name, shape), torch.inference_mode(), self._autocast(precision):
            tensor = torch.from_numpy(np.ascontiguousarray(batch))
            tensor = tensor.to(self._torch_device, memory_format=torch.channels_last)
            tensors = _tensors(self._network(tensor))
            chosen = [tensors[i] for i in self._chosen] if self._chosen else tensors
            return [to_numpy(item) for item in chosen]

    def _autocast(self, precision: str) -> AbstractContextManager[Any]:
        import torch

        if precision == FLOAT32:
            return nullcontext()
        dtype = torch.bfloat16 if precision == BF16 else torch.float16
        return torch.autocast(self._torch_device.type, dtype)


def usable_device(device: Device) -> Device:
    """The device, or the processor where PyTorch does not run on it and it was not demanded.

    Raises:
        RuntimeMissingError: If a device was named that this PyTorch does not run on.
    """
    if device.kind != "cuda" or torch_sees_cuda():
        return device
    if device.is_demanded:
        raise RuntimeMissingError(
            f"DEVICE is {device.name}, but the installed PyTorch does not run on it.",
            "Set up the runtime with CUDA, or use AUTO or CPU.",
        )
    return Device("cpu", is_demanded=False)


def _candidates(precision: str, device: Device) -> tuple[str, ...]:
    """Lower precisions to measure.

    Raises:
        ParameterError: For one the device is not made for.
    """
    if precision == FLOAT32:
        return ()
    if precision == INT8:
        raise ParameterError(
            "PRECISION is INT8, which runs in ONNX Runtime, and the model has no ONNX form or is to run on "
            "a graphics card.",
            "Use FLOAT32 or AUTO, or export the model as ONNX and choose DEVICE CPU.",
        )
    there = _lower_precisions(device)
    if precision == AUTO:
        return there
    if precision not in there:
        raise ParameterError(
            f"PRECISION is {precision}, for which {device.name} has no fast instructions.",
            f"Use FLOAT32, AUTO{''.join(f' or {name}' for name in there)}.",
        )
    return (precision,)


def _lower_precisions(device: Device) -> tuple[str, ...]:
    import torch

    if device.kind == "cuda":
        has_bf16 = torch.cuda.get_device_capability(device.index) >= (8, 0)
        return (BF16, FP16) if has_bf16 else (FP16,)
    # A processor without instructions for it takes longer in bfloat16 than in float32.
    probes = ("_is_amx_tile_supported", "_is_avx512_bf16_supported")
    fast = any(getattr(torch.cpu, probe, bool)() for probe in probes)
    return (BF16,) if fast else ()


def placed(network: Any, device: Any, name: str) -> Any:
    """The network in evaluation mode on its device, in the layout convolutions are fastest in."""
    import torch

    try:
        if isinstance(network, torch.fx.GraphModule):
            return network.to(device)  # exported for evaluation, with its layout fixed
        network = network.eval()
        if isinstance(network, torch.jit.ScriptModule):
            return network.to(device)
        return network.to(device, memory_format=torch.channels_last)
    except Exception as error:  # a network is a program, and may raise anything
        raise ModelError(
            f"{name} cannot be brought to {device} ({error}).", "Check that the model was saved whole."
        ) from error


def _tensors(result: Any) -> list[Any]:
    """The tensors in what a network returns."""
    import torch

    if isinstance(result, torch.Tensor):
        return [result]
    if isinstance(result, Mapping):
        for key in ("out", "logits"):
            if key in result:
                return _tensors(result[key])
        result = list(result.values())
    if isinstance(result, (tuple, list)):
        return [tensor for item in result for tensor in _tensors(item)]
    return []


def to_numpy(tensor: Any) -> np.ndarray:
    """A tensor as float32 or int64."""
    import torch

    return (tensor.float() if tensor.is_floating_point() else tensor.to(torch.int64)).cpu().numpy()
