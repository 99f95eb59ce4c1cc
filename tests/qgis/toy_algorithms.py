"""The toy tool bound as real tools are, in ``algorithms/``."""

from toy_tool import make_tool

from imagerydl.engine.imagerydl import errors, tool
from imagerydl.processing_provider.algorithm import ToolAlgorithm


class Toy(ToolAlgorithm):
    """Runs in the worker."""

    tool = make_tool(tool, errors)


class QuickToy(ToolAlgorithm):
    """Runs inside QGIS."""

    tool = make_tool(tool, errors, needs_runtime=False)
