"""What a model is opened with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Optional

from ...events import Reporter
from .devices import Device


@dataclass(frozen=True)
class RunOptions:
    """How a model shall run.

    Attributes:
        device: Where.
        threads: CPU threads; None for all.
        precision: ``FLOAT32`` (exact, the default), ``AUTO``, ``BF16``, ``FP16`` or ``INT8``.
        arguments: Names and texts of ``ARGUMENTS`` as given, lower-case names; a model takes its own.
        consent: Whether the user agrees to run code that comes with the model.
        reporter: Hears what the model has to say.
    """

    device: Device
    threads: Optional[int] = None
    precision: str = "FLOAT32"
    arguments: Mapping[str, str] = field(default_factory=dict)
    consent: bool = False
    reporter: Reporter = field(default_factory=Reporter)
