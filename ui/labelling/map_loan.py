"""The map, lent to the tools of a dock."""

from __future__ import annotations

from collections.abc import Collection
from typing import Optional

from qgis.gui import QgsMapCanvas, QgsMapTool

from ..layer_life import is_alive


class MapLoan:
    """Gives the map the tools of a dock, and afterwards the tool it had before.

    Args:
        canvas: The map.
        tools: The dock's tools.
    """

    def __init__(self, canvas: QgsMapCanvas, tools: Collection[QgsMapTool]) -> None:
        self._canvas = canvas
        self._tools = tuple(tools)
        self._before: Optional[QgsMapTool] = None

    @property
    def is_taken(self) -> bool:
        """Whether one of the dock's tools is in use."""
        return any(self._canvas.mapTool() is tool for tool in self._tools)

    def take(self, tool: QgsMapTool) -> None:
        """Use one of the dock's tools."""
        if not self.is_taken:
            self._before = self._canvas.mapTool()
        self._canvas.setMapTool(tool)

    def give_back(self) -> None:
        """Use what was used before, unless somebody chose another tool meanwhile."""
        before, self._before = self._before, None
        if not self.is_taken:
            return
        if is_alive(before):
            self._canvas.setMapTool(before)
        else:
            self._canvas.unsetMapTool(self._canvas.mapTool())

    def end(self) -> None:
        """Give the map back for good; the dock goes, and its tools with it."""
        self.give_back()
        for tool in self._tools:
            tool.deleteLater()
        self._tools = ()
