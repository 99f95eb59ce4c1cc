"""Arguments that a model itself declares, beside those every run has. Standard library only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Optional

#: What an argument holds.
NUMBER, TEXT, BOOLEAN, CHOICE = "number", "text", "boolean", "choice"


@dataclass(frozen=True)
class ModelArgument:
    """An argument of a model, as a dialog shows it.

    Attributes:
        name: As it is written in ``ARGUMENTS``.
        kind: :data:`NUMBER`, :data:`TEXT`, :data:`BOOLEAN` or :data:`CHOICE`.
        default: Its text; empty where there is none.
        label: Short name.
        help: What it does.
        choices: Words of a choice.
        minimum: Smallest number.
        maximum: Largest number.
        required: Whether it must be given.
        whole: Whether a number must be a whole one.
    """

    name: str
    kind: str
    default: str = ""
    label: str = ""
    help: str = ""
    choices: tuple[str, ...] = ()
    minimum: Optional[float] = None
    maximum: Optional[float] = None
    required: bool = False
    whole: bool = False

    def to_json(self) -> dict[str, Any]:
        """As plain JSON."""
        return {**asdict(self), "choices": list(self.choices)}

    @classmethod
    def from_json(cls, item: Mapping[str, Any]) -> ModelArgument:
        """What :meth:`to_json` gave."""
        return cls(**{**item, "choices": tuple(item["choices"])})
