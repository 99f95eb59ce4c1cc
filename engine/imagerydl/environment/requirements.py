"""What is installed, for which hardware."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Optional

from .processes import answer

#: The pinned packages, one a line; also the dependencies of the Python package.
FILE = Path(__file__).resolve().parents[2] / "requirements.txt"

CPU, CUDA = "CPU", "CUDA"

#: What can be installed beside, for models of other libraries; each has a file of pinned packages.
EXTRAS = ("KERAS", "TENSORFLOW", "TRANSFORMERS")

_NAME = re.compile(r"^([\w-]+)==", re.MULTILINE)
_MATCHED_PAIR = re.compile(r"^(torch|torchvision)==(\S+)$", re.MULTILINE)


def detect_hardware() -> str:
    """``CUDA`` where the driver of an NVIDIA device answers, else ``CPU``."""
    return CUDA if answer(["nvidia-smi", "-L"]) else CPU


def requirements_for(hardware: str, extras: Iterable[str] = ()) -> str:
    """The requirements for ``CPU`` or ``CUDA`` with some of :data:`EXTRAS`, as a requirements file's text."""
    text = FILE.read_text(encoding="utf-8")
    # Two distributions of one module: installed together, each breaks the other.
    if hardware == CUDA:
        text = re.sub(r"^onnxruntime==", "onnxruntime-gpu==", text, flags=re.MULTILINE)
    return text + "".join(extra_file(extra).read_text(encoding="utf-8") for extra in extras)


def extra_file(extra: str) -> Path:
    """The pinned packages of one of :data:`EXTRAS`."""
    return FILE.parent / f"requirements-{extra.lower()}.txt"


def extra_for(packages: Iterable[str]) -> Optional[str]:
    """The one of :data:`EXTRAS` that installs ``packages``; None where they belong to none."""
    wanted = set(packages)
    for extra in EXTRAS:
        if wanted & set(_NAME.findall(extra_file(extra).read_text(encoding="utf-8"))):
            return extra
    return None


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
