"""Where a network trains, and with which number format."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from ..errors import RuntimeMissingError
from ..models.runtimes import devices


@dataclass(frozen=True)
class Device:
    """A device to train on.

    Attributes:
        torch: For PyTorch.
        description: For people.
        precision: "32-true", "bf16-mixed" or "16-mixed", as Lightning names them.
    """

    torch: torch.device
    description: str
    precision: str

    @property
    def is_cpu(self) -> bool:
        """Whether it is the processor itself."""
        return self.torch.type == "cpu"

    def autocast(self) -> torch.autocast:
        """The context in which the network computes."""
        kind = torch.float16 if self.precision.startswith("16") else torch.bfloat16
        return torch.autocast(self.torch.type, kind, enabled=self.precision != "32-true")


def choose_device(name: str) -> Device:
    """The device called ``name``: AUTO, CPU, CUDA, CUDA:0...

    Raises:
        ParameterError: For a device that is not there.
        RuntimeMissingError: For a GPU that the installed PyTorch does not run on.
    """
    asked = devices.choose_device(name)
    usable = asked.kind == "cuda" and torch.cuda.is_available()
    if asked.kind == "cuda" and asked.is_demanded and not usable:
        raise RuntimeMissingError(
            f"DEVICE is {asked.name}, but the installed PyTorch does not run on it.",
            "Set up the runtime with CUDA, or use AUTO or CPU.",
        )
    if not usable:
        return Device(torch.device("cpu"), f"CPU, {torch.get_num_threads()} threads", _cpu_precision())
    # 16-bit numbers with the range of 32-bit ones, from the generation on that computes with them.
    precision = "bf16-mixed" if torch.cuda.get_device_capability(asked.index) >= (8, 0) else "16-mixed"
    title = f"{asked.name}, {torch.cuda.get_device_name(asked.index)}"
    return Device(torch.device("cuda", asked.index), title, precision)


def _cpu_precision() -> str:
    """16-bit numbers only where the processor multiplies them itself; elsewhere they cost double."""
    for probe in ("_is_amx_tile_supported", "_is_avx512_bf16_supported"):
        supported = getattr(torch.cpu, probe, None)
        if supported is not None and supported():
            return "bf16-mixed"
    return "32-true"
