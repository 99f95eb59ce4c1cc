"""Detect Objects in QGIS: the dialog follows the model."""

from ..engine.imagerydl.inference.objects.arguments import DETECTION_ARGUMENTS
from ..engine.imagerydl.tools.detectobjects import TOOL
from ..processing_provider.algorithm import ToolAlgorithm


class Algorithm(ToolAlgorithm):
    """The tool as it is."""

    tool = TOOL
    arguments = DETECTION_ARGUMENTS
