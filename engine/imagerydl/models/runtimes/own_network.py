"""A network that was trained here, of whatever kind, on its device."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...errors import ModelError
from ..architectures.registry import build_network
from ..architectures.weights import read_weights
from ..definition import ModelDefinition
from .options import RunOptions
from .torch import usable_device
from .torch_errors import network_errors


class OwnNetwork:
    """Builds a network from its definition and runs it.

    Args:
        definition: Of a model that was trained here.
        options: Device and threads.
        outputs: Number of its classes.

    Attributes:
        network: In evaluation mode.
        device: Where it runs: "CPU", "CUDA:0"...
        description: Runtime, device and threads, as a phrase for messages.

    Raises:
        ModelError: If it does not load or does not fit its definition.
        RuntimeMissingError: If a device was named that this PyTorch does not run on.
    """

    def __init__(self, definition: ModelDefinition, options: RunOptions, outputs: int) -> None:
        import torch

        device = usable_device(options.device)
        if options.threads:
            torch.set_num_threads(options.threads)
        self._name = definition.name
        self._device = torch.device(device.kind, device.index if device.kind == "cuda" else None)
        # float32 means float32: TF32 would round what convolutions multiply to 10 bits.
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
        bands = len(definition.extract_bands)
        network = build_network(definition.model_name, definition.model_parameters, bands, outputs)
        try:
            network.load_state_dict(read_weights(definition.model_file))
        except RuntimeError as error:
            raise ModelError(
                f"The weights in {definition.model_file.name} do not fit the network of {definition.name} "
                f"({str(error).splitlines()[0]}).",
                "Use the definition and the weights of one training run.",
            ) from error
        self.network = network.eval().to(self._device, memory_format=torch.channels_last)
        self.device = device.name
        threads = torch.get_num_threads()
        where = "CPU" if device.kind == "cpu" else device.name
        more = f" ({threads} thread{'s' if threads > 1 else ''})" if device.kind == "cpu" else ""
        self.description = f"PyTorch {torch.__version__} on {where}{more}"

    def run(self, batch: np.ndarray) -> Any:
        """What the network gives for a batch, float32 ``[n, bands, h, w]``.

        Raises:
            MemoryError: If the device has no room for the batch.
            ModelError: If the network cannot run on it.
        """
        import torch

        with network_errors(self._name, batch.shape), torch.inference_mode():
            tensor = torch.from_numpy(np.ascontiguousarray(batch, np.float32))
            return self.network(tensor.to(self._device, memory_format=torch.channels_last))

    def close(self) -> None:
        """Release the network."""
        self.network = None
