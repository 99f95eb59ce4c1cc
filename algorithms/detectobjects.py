"""Detect Objects in QGIS."""

from ..engine.imagerydl.tools.detectobjects import TOOL
from ..processing_provider.algorithm import ToolAlgorithm


class Algorithm(ToolAlgorithm):
    """The tool as it is."""

    tool = TOOL
