"""Compute Accuracy for Pixel Classification in QGIS."""

from ..engine.imagerydl.tools.computeaccuracypixelclassification import TOOL
from ..processing_provider.algorithm import ToolAlgorithm


class Algorithm(ToolAlgorithm):
    """The tool as it is."""

    tool = TOOL
