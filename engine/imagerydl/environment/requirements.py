"""What is installed, for which hardware."""

from __future__ import annotations

import re
from pathlib import Path

from .processes import answer

#: The pinned packages, one a line; also the dependencies of the Python package.
FILE = Path(__file__).resolve().parents[2] / "requirements.txt"

CPU, CUDA = "CPU", "CUDA"

_MATCHED_PAIR = re.compile(r"^(torch|torchvision)==(\S+)$", re.MULTILINE)


def detect_hardware() -> str:
    """``CUDA`` where the driver of an NVIDIA device answers, else ``CPU``."""
    return CUDA if answer(["nvidia-smi", "-L"]) else CPU


def requirements_for(hardware: str) -> str:
    """The requirements for ``CPU`` or ``CUDA``, as the text of a requirements file."""
    text = FILE.read_text(encoding="utf-8")
    # Two distributions of one module: installed together, each breaks the other.
    return (
        re.sub(r"^onnxruntime==", "onnxruntime-gpu==", text, flags=re.MULTILINE) if hardware == CUDA else text
    )


def matched_pair(requirements: str) -> list[str]:
    """The pinned torch and torchvision alone."""
    return [match.group(0) for match in _MATCHED_PAIR.finditer(requirements)]


def index_builds_only(requirements: str) -> str:
    """``requirements`` with torch and torchvision held to the builds a package index publishes.

    ``===`` compares the whole version. With ``==``, a lone ``torch 2.13.0+cpu`` lying in a folder
    of wheels would win over the index's ``2.13.0`` and meet a torchvision built for another torch,
    which then does not load.
    """
    return _MATCHED_PAIR.sub(r"\1===\2", requirements)
