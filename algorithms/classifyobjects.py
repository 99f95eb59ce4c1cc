"""Classify Objects in QGIS: the dialog follows the model."""

from ..engine.imagerydl.inference.objects.classification_arguments import CLASSIFICATION_ARGUMENTS
from ..engine.imagerydl.tools.classifyobjects import TOOL
from ..processing_provider.algorithm import ToolAlgorithm


class Algorithm(ToolAlgorithm):
    """The tool as it is."""

    tool = TOOL
    arguments = CLASSIFICATION_ARGUMENTS
