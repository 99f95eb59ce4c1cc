"""Edit Model Package in QGIS."""

from ..engine.imagerydl.tools.editmodelpackage import TOOL
from ..processing_provider.algorithm import ToolAlgorithm


class Algorithm(ToolAlgorithm):
    """The tool as it is."""

    tool = TOOL
