"""What a detector reports: how sure it has to be, and how alike two objects may be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Optional

from ...errors import ParameterError
from ..definition import ModelDefinition

#: Least confidence where neither the user nor the definition say.
_THRESHOLD = 0.5


@dataclass(frozen=True)
class Limits:
    """What is reported.

    Attributes:
        threshold: Least confidence.
        overlap: Intersection over union above which two objects of a class are one.
    """

    threshold: float
    overlap: float


def limits_of(definition: ModelDefinition, arguments: Mapping[str, str], overlap: float) -> Limits:
    """Limits as the user gives them, else as the definition states them, else the usual ones.

    Args:
        definition: The model.
        arguments: ``MODEL_ARGUMENTS`` as given.
        overlap: Where neither of them says it.

    Raises:
        ParameterError: For an argument that is no number from 0 to 1.
    """
    threshold = _share(arguments.get("threshold"), "threshold", definition.threshold, _THRESHOLD)
    stated = definition.model_parameters.get("nms_overlap")
    return Limits(threshold, _share(arguments.get("nms_overlap"), "nms_overlap", stated, overlap))


def _share(given: Optional[str], name: str, stated: Any, otherwise: float) -> float:
    """A number from 0 to 1: as given, else as stated, else the usual one."""
    if given:
        try:
            value = float(given)
        except ValueError:
            value = -1.0
        if not 0 <= value <= 1:
            raise ParameterError(f"The argument {name} cannot be {given!r}.", "Give a number from 0 to 1.")
        return value
    try:
        value = float(stated)
    except (TypeError, ValueError):
        return otherwise
    return value if 0 <= value <= 1 else otherwise
