"""Describe Model in QGIS: the tool as it is."""

from ..engine.imagerydl.tools.describemodel import TOOL
from ..processing_provider.algorithm import ToolAlgorithm


class Algorithm(ToolAlgorithm):
    """The tool as it is."""

    tool = TOOL
