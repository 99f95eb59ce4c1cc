"""Detectors in PyTorch: programs, whole networks, and state dicts of torchvision's detectors.

What a network is fed: a batch ``[n, bands, h, w]``, or a list of pictures where it is one of torchvision's,
or a program that takes such a list. torchvision's own take values from 0 to 1 and normalise them themselves:
where the definition states no normalisation, they get 8-bit values divided by 255.

What a network gives: torchvision's dictionaries of each picture, or tensors in one of the layouts that ONNX
detectors have (:mod:`.detection_output`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Optional

import numpy as np

from ...errors import ModelError, OutOfMemoryError
from ..arguments import ModelArgument
from ..definition import ModelDefinition
from ..normalisation import Normalisation
from ..trust import ForeignCode, ensure_trusted
from . import torch as torch_pixels
from .batches import filled_up
from .detection import DetectionModel, Detections
from .detection_limits import limits_of
from .detection_output import GREY, DetectionOutput, RawOutput, find_detection_output
from .listed_classes import listed_classes
from .options import RunOptions
from .pixel_output import noise
from .protocol import ModelInput, Position
from .torch import placed, to_numpy, usable_device
from .torch_errors import network_errors
from .torch_network import load_network
from .torchvision_detectors import build_detector, class_channels, is_torchvision, own_overlap, set_limits

PACKAGES = {"torch": "torch", "torchvision": "torchvision", "safetensors": "safetensors"}

#: Overlap of duplicates where neither the user, the definition nor the network say.
_OVERLAP = 0.45

#: What a network gives, for one picture or for a batch.
_Result = Sequence[RawOutput]


def open_detection_model(definition: ModelDefinition, options: RunOptions) -> DetectionModel:
    """Open a PyTorch detector; see :mod:`.detection_opening`."""
    return TorchDetectionModel(definition, options)


def model_arguments(definition: ModelDefinition, consent: bool) -> tuple[ModelArgument, ...]:
    """PyTorch models declare none."""
    return ()


def foreign_code(definition: ModelDefinition) -> Optional[ForeignCode]:
    """What a file holds besides weights; told from its bytes, without opening it."""
    return torch_pixels.foreign_code(definition)


class TorchDetectionModel(DetectionModel):
    """A detector in PyTorch; see :class:`DetectionModel`.

    Args:
        definition: The model; its parameters say how the network of a state dict is built.
        options: Device, threads, arguments, consent.

    Raises:
        TrustError: If the file holds code nobody has agreed to run.
        ModelError: If it does not load, does not fit the definition, or gives what is not known.
        RuntimeMissingError: If a device was named that this PyTorch does not run on.
    """

    def __init__(self, definition: ModelDefinition, options: RunOptions) -> None:
        import torch

        device = usable_device(options.device)
        code = foreign_code(definition)
        if code:
            ensure_trusted(code, options.consent)
        if options.threads:
            torch.set_num_threads(options.threads)
        # float32 means float32: TF32 would round what convolutions multiply to 10 bits.
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
        self.device, self._name = device.name, definition.model_file.name
        self._device = torch.device(device.kind, device.index if device.kind == "cuda" else None)
        network = load_network(definition, build_detector)
        self._takes_list = _takes_list(network)
        overlap = own_overlap(network)
        self._limits = limits_of(definition, options.arguments, _OVERLAP if overlap is None else overlap)
        set_limits(network, self._limits.threshold, self._limits.overlap)
        self.input = self._chosen_input(definition, options, network)
        channels = class_channels(network.state_dict())
        self._network = placed(network, self._device, self._name)
        self._fixed_batch: Optional[int] = None
        self._output = self._find_output(definition, channels)
        self.classes = listed_classes(definition, self._output.classes, self._name)

    @property
    def description(self) -> str:
        """Runtime, version, device, threads and layout."""
        import torch

        layout = f"(outputs of {self._output.name})"
        if self._device.type == "cuda":
            return f"PyTorch {torch.__version__} on {self.device} {layout}"
        threads = torch.get_num_threads()
        return f"PyTorch {torch.__version__} on CPU, {threads} thread{'s' if threads > 1 else ''} {layout}"

    def detect(
        self, batch: np.ndarray, valid: np.ndarray, positions: Sequence[Position] = ()
    ) -> list[Detections]:
        """Find objects; see :meth:`DetectionModel.detect`."""
        tile = batch.shape[2:]
        return [self._output.decode(arrays, self._limits, tile) for arrays in self._tiles(batch)]

    def close(self) -> None:
        """Release the network."""
        self._network = None

    def _tiles(self, batch: np.ndarray) -> Iterator[list[np.ndarray]]:
        """The outputs for each tile, without a batch axis."""
        # For a lone tile oneDNN takes other kernels, whose last bits differ from those of a batch.
        least = 2 if self._device.type == "cpu" else 1
        size = self._fixed_batch or max(len(batch), least)
        for start in range(0, len(batch), size):
            piece = batch[start : start + size]
            results = self._run(filled_up(piece, size))
            if self._takes_list or self._output.per_tile:
                yield from ([one.array for one in result] for result in results[: len(piece)])
            else:
                arrays = [one.array for one in results[0]]
                yield from ([array[place] for array in arrays] for place in range(len(piece)))

    def _run(self, batch: np.ndarray) -> list[_Result]:
        """What the network gives: a result a tile where it takes a list, else one for the batch."""
        import torch

        with network_errors(self._name, batch.shape), torch.inference_mode():
            tensor = torch.from_numpy(np.ascontiguousarray(batch, np.float32)).to(self._device)
            given = self._network(list(tensor) if self._takes_list else tensor)
            if isinstance(given, tuple) and len(given) == 2 and isinstance(given[1], list):
                given = given[1]  # a scripted detector gives its losses first
            if isinstance(given, list) and given and all(isinstance(one, Mapping) for one in given):
                self._takes_list = True
                return [_named(one) for one in given]
            return [_named(given)]

    def _chosen_input(self, definition: ModelDefinition, options: RunOptions, network: Any) -> ModelInput:
        bands = len(definition.extract_bands)
        if is_torchvision(network):
            wanted = len(network.transform.image_mean)
            if wanted != bands:
                raise ModelError(
                    f"{self._name} normalises {wanted} bands and its definition extracts {bands}.",
                    "Correct ExtractBands, or give image_mean and image_std in ModelParameters.",
                )
            if definition.normalisation is None:
                options.reporter.message(
                    f"{self._name} is a detector of torchvision: it is fed with pixel values divided by 255. "
                    "State Normalization in the definition where they are not 8-bit values."
                )
                return ModelInput(Normalisation((0.0,) * bands, (255.0,) * bands))
            return ModelInput(definition.normalisation)
        if definition.normalisation is None:
            options.reporter.message(
                f"{definition.name} states no Normalization: {self._name} is fed with pixel values as they "
                "are."
            )
        return ModelInput(definition.normalisation, blank=GREY)

    def _find_output(self, definition: ModelDefinition, channels: Optional[int]) -> DetectionOutput:
        """What tiles of noise tell of the outputs."""
        tile, bands = definition.image_size, len(definition.extract_bands)

        def sample(count: int) -> list[_Result]:
            return self._run(noise((count, bands, *tile), raw=self.input.normalisation is None))

        try:
            try:
                results, count = sample(2), 2
            except ModelError:
                # Programs traced or exported with a single tile often take no other number.
                results, count = sample(1), 1
                self._fixed_batch = 1
            if not self._takes_list and any(len(one.array) != count for one in results[0] if one.array.ndim):
                # Lists of a length of their own cannot be told apart by tile.
                results, self._fixed_batch = sample(1), 1
        except MemoryError as error:
            raise OutOfMemoryError(
                f"{self.device} has not enough memory for tiles of {tile[1]} x {tile[0]} pixels.",
                "Close other programs that use it, or choose DEVICE CPU.",
            ) from error
        listed = sum(entry.name != "__background__" for entry in definition.classes)
        first, counted = self._labels(definition, listed, channels)
        kind = str(definition.model_parameters.get("detector", ""))
        return find_detection_output(results[0], tile, counted, kind, self._name, first)

    def _labels(self, definition: ModelDefinition, listed: int, channels: Optional[int]) -> tuple[int, int]:
        """The number that lists have for the first class, and how many classes there are (0: unknown)."""
        stated = definition.model_parameters.get("first_label")
        if channels is None:
            return int(1 if stated is None else stated), listed
        # torchvision's count a background of number 0; some are trained without one.
        first = int(stated) if stated is not None else int(listed != channels)
        return first, channels - first


def _takes_list(network: Any) -> bool:
    """Whether a network takes a list of pictures rather than a batch."""
    import torch

    if isinstance(network, torch.jit.ScriptModule):
        arguments = network.forward.schema.arguments[1:]
        return bool(arguments) and str(arguments[0].type) == "List[Tensor]"
    return is_torchvision(network)


def _named(given: Any) -> list[RawOutput]:
    """The tensors that a network gives, by name where they have one."""
    import torch

    if isinstance(given, torch.Tensor):
        given = [given]
    if isinstance(given, (tuple, list)):
        given = {f"output{place}": one for place, one in enumerate(given)}
    if not isinstance(given, Mapping):
        # Libraries wrap what they give in classes of their own.
        given = dict(vars(given)) if hasattr(given, "__dict__") else {}
    return [
        RawOutput(str(name), to_numpy(one)) for name, one in given.items() if isinstance(one, torch.Tensor)
    ]
