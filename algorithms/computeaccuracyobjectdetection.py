"""Compute Accuracy for Object Detection in QGIS."""

from ..engine.imagerydl.tools.computeaccuracyobjectdetection import TOOL
from ..processing_provider.algorithm import ToolAlgorithm


class Algorithm(ToolAlgorithm):
    """The tool as it is."""

    tool = TOOL
