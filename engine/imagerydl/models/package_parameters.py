"""The parameters that making and changing a package have in common. Standard library only."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import ParameterError
from ..tool import Kind, Param, Result
from .package import EXTENSION

#: Given for a property, lets it follow the definitions again.
UNSET = "-"

_NAMES = {
    "INPUT_TYPE": "input",
    "FRAMEWORK": "framework",
    "MODEL_CONFIGURATION": "model_configuration",
    "DESCRIPTION": "description",
    "SUMMARY": "summary",
    "TAGS": "tags",
}

#: The properties of a package, as ArcGIS shows them.
PROPERTY_PARAMS = (
    Param(
        "DESCRIPTION",
        Kind.TEXT,
        "Description",
        (
            "What the models are for, what they were trained on, how good they are. Where it was never "
            "given, the package says what its model definitions say; so it is with the properties below."
        ),
        optional=True,
        multiline=True,
    ),
    Param("SUMMARY", Kind.TEXT, "Summary", "The same in one sentence.", optional=True),
    Param("TAGS", Kind.TEXT, "Tags", "Search words, separated by commas or semicolons.", optional=True),
    Param(
        "INPUT_TYPE",
        Kind.TEXT,
        "Input",
        "What the models take, in words for people.",
        optional=True,
        advanced=True,
    ),
    Param(
        "FRAMEWORK",
        Kind.TEXT,
        "Framework",
        "What is shown as the framework; what runs is always what a definition says.",
        optional=True,
        advanced=True,
    ),
    Param(
        "MODEL_CONFIGURATION",
        Kind.TEXT,
        "Model configuration",
        "What is shown as the model configuration; what runs is always what a definition says.",
        optional=True,
        advanced=True,
    ),
)

#: What is told of a package that was written.
PACKAGE_RESULTS = (
    Result("PACKAGE", "file", "Model package"),
    Result("MODELS", "text", "Names of the models in it, separated by semicolons"),
    Result("MODEL_COUNT", "number", "Number of models in it"),
    Result("FILE_COUNT", "number", "Number of files in it"),
)


def given_properties(values: Mapping[str, Any]) -> dict[str, Any]:
    """The properties that a job sets, by their names in a package; None where one is to be unset."""
    given: dict[str, Any] = {}
    for key, name in _NAMES.items():
        text = (values[key] or "").strip()
        if text == UNSET:
            given[name] = None
        elif text and key == "TAGS":
            given[name] = tuple(dict.fromkeys(filter(None, (tag.strip() for tag in re.split("[,;]", text)))))
        elif text:
            given[name] = text
    return given


def require_extension(path: str) -> None:
    """Raise :class:`ParameterError` where a package's name does not end as one."""
    if Path(path).suffix.lower() != EXTENSION:
        raise ParameterError(f"OUT_PACKAGE is {path}.", f"Give a name that ends with {EXTENSION}.")
