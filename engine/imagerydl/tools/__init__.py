"""The tools, one file each; a tool's file declares it and runs it.

Importing a declaration touches only the standard library.
"""

from __future__ import annotations

from importlib import import_module

from ..errors import ParameterError
from ..tool import Tool

#: In the order shown. A new tool is a new file and a new name here.
TOOL_IDS = (
    "exporttrainingdata",
    "trainmodel",
    "classifypixels",
    "detectobjects",
    "classifyobjects",
    "detectchange",
    "nonmaximumsuppression",
    "computeaccuracyobjectdetection",
    "computeaccuracypixelclassification",
    "describemodel",
    "createmodelpackage",
    "editmodelpackage",
    "trustedmodels",
    "setupruntime",
    "checkruntime",
)


def load(tool_id: str) -> Tool:
    """The declaration of a tool.

    Raises:
        ParameterError: If there is no such tool.
    """
    if tool_id not in TOOL_IDS:
        raise ParameterError(f"There is no tool {tool_id!r}.", f"The tools are {', '.join(TOOL_IDS)}.")
    return import_module(f".{tool_id}", __name__).TOOL


def all_tools() -> tuple[Tool, ...]:
    """Every tool, in the order shown."""
    return tuple(load(tool_id) for tool_id in TOOL_IDS)
