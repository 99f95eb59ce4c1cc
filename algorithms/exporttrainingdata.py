"""Export Training Data for Deep Learning in QGIS."""

from ..engine.imagerydl.tools.exporttrainingdata import TOOL
from ..processing_provider.algorithm import ToolAlgorithm


class Algorithm(ToolAlgorithm):
    """The tool as it is."""

    tool = TOOL
