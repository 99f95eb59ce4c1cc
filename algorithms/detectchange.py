"""Detect Change in QGIS: the dialog follows the model."""

from ..engine.imagerydl.inference.arguments import PIXEL_ARGUMENTS
from ..engine.imagerydl.tools.detectchange import TOOL
from ..processing_provider.algorithm import ToolAlgorithm


class Algorithm(ToolAlgorithm):
    """The tool as it is."""

    tool = TOOL
    arguments = PIXEL_ARGUMENTS
