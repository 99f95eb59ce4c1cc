"""Which device a run asks for, and what is there, without loading a deep-learning library."""

from __future__ import annotations

import ctypes
import sys
from dataclasses import dataclass
from functools import cache

from ...errors import ParameterError


@dataclass(frozen=True)
class Device:
    """A device asked for.

    Attributes:
        kind: "cpu" or "cuda".
        index: Number of the CUDA device.
        is_demanded: Whether the user named it; otherwise another one may stand in.
    """

    kind: str
    index: int = 0
    is_demanded: bool = True

    @property
    def name(self) -> str:
        """As parameters and messages spell it."""
        return "CPU" if self.kind == "cpu" else f"CUDA:{self.index}"


def choose_device(text: str) -> Device:
    """What ``AUTO``, ``CPU``, ``CUDA`` or ``CUDA:n`` means on this machine.

    Raises:
        ParameterError: For anything else, and for a CUDA device that is not there.
    """
    word = (text or "AUTO").strip().upper()
    if word == "CPU":
        return Device("cpu")
    count = cuda_device_count()
    if word == "AUTO":
        return Device("cuda", 0, is_demanded=False) if count else Device("cpu", is_demanded=False)
    name, _, number = word.partition(":")
    if name != "CUDA" or not (number.isdigit() or (not number and ":" not in word)):
        raise ParameterError(f"DEVICE cannot be {text!r}.", "Give AUTO, CPU, CUDA, or CUDA:0, CUDA:1...")
    index = int(number or 0)
    if index >= count:
        there = f"{count} CUDA device(s)" if count else "no CUDA device"
        raise ParameterError(f"DEVICE is {word}, but this machine has {there}.", "Use AUTO or CPU.")
    return Device("cuda", index)


@cache
def cuda_device_count() -> int:
    """CUDA devices the driver reports; 0 without a driver.

    Asks the driver itself: importing PyTorch for the answer takes longer than classifying a
    small picture.
    """
    try:
        driver = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
        count = ctypes.c_int(0)
        if driver.cuInit(0) != 0 or driver.cuDeviceGetCount(ctypes.byref(count)) != 0:
            return 0
    except (OSError, AttributeError):
        return 0
    return count.value
