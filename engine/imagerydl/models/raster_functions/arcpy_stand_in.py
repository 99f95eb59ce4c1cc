"""The few names of ``arcpy`` that a raster function may use here."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from ...events import Reporter


class ArcpyStandIn(ModuleType):
    """A module in place of ``arcpy``: processor settings and messages.

    Args:
        reporter: Hears the messages.
        gpu: Number of the graphics card, negative for the processor.
    """

    def __init__(self, reporter: Reporter, gpu: int) -> None:
        super().__init__("arcpy", "What of arcpy there is outside ArcGIS.")
        self.env = _Settings(gpu)

        def say(message: Any) -> None:
            reporter.message(str(message))

        def warn(message: Any) -> None:
            reporter.warning(str(message))

        self.AddMessage = say
        self.AddWarning = warn
        # In ArcGIS an error message ends a tool only once the tool itself returns; a function that
        # cannot go on raises.
        self.AddError = warn

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(_unavailable(f"arcpy.{name}"))


class _Settings:
    """``arcpy.env``: which processor to use."""

    __slots__ = ("gpuId", "processorType")

    def __init__(self, gpu: int) -> None:
        self.processorType = "CPU" if gpu < 0 else "GPU"
        self.gpuId = "" if gpu < 0 else str(gpu)

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(_unavailable(f"arcpy.env.{name}"))

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in self.__slots__:
            raise AttributeError(_unavailable(f"arcpy.env.{name}"))
        super().__setattr__(name, value)


def _unavailable(name: str) -> str:
    return (
        f"{name} is not available outside ArcGIS; there are arcpy.env.processorType, arcpy.env.gpuId, "
        "arcpy.AddMessage, arcpy.AddWarning and arcpy.AddError"
    )
