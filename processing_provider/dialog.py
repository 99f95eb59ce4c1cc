"""The dialog of a tool: parameters that do not apply to a choice are disabled as it is made.

What else belongs to the dialog of some tools comes as companions, from ``ui/``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Optional

from processing.gui.AlgorithmDialog import AlgorithmDialog
from qgis.core import QgsProcessingContext
from qgis.PyQt.QtWidgets import QWidget

from ..engine.imagerydl.tool import Param, Tool
from .companions import companions_of
from .parameters import SELECTED_ONLY, qgis_value


class ToolDialog(AlgorithmDialog):
    """The dialog that Processing makes, with its widgets following the choices made in it."""

    def __init__(self, alg: Any, parent: Optional[QWidget] = None) -> None:
        super().__init__(alg, parent=parent)
        for companion in companions_of(alg.tool):
            companion.attach(self)

    def getParametersPanel(self, alg: Any, parent: QWidget) -> QWidget:  # noqa: N802 - the name QGIS calls
        """The panel with the parameters."""
        panel = super().getParametersPanel(alg, parent)
        self._follower = ChoiceFollower(alg.tool, panel.wrappers)
        return panel

    def setParameters(self, parameters: dict[str, Any]) -> None:  # noqa: N802 - the name QGIS calls
        """Show the values of a script, the history or the clipboard."""
        with self._follower.paused():
            super().setParameters(parameters)


class ChoiceFollower:
    """Enables the widgets of what applies and disables the others, which then show their default.

    A value left in a disabled widget would be refused when the tool runs.

    Args:
        tool: The tool.
        wrappers: Widget wrappers by parameter name.
    """

    def __init__(self, tool: Tool, wrappers: Mapping[str, Any]) -> None:
        self._wrappers = wrappers
        self._dependent = [param for param in tool.params if param.only_with and param.key in wrappers]
        self._deciding = sorted({key for param in self._dependent for key, _ in param.only_with})
        self._context = QgsProcessingContext()
        self._is_paused = False
        for key in self._deciding:
            wrappers[key].widgetValueHasChanged.connect(self.follow)
        self.follow()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Look at the choices once all of them are made: those in between are nobody's."""
        self._is_paused = True
        try:
            yield
        finally:
            self._is_paused = False
            self.follow()

    def follow(self, *_: Any) -> None:
        """Look at the choices as they stand."""
        if self._is_paused:
            return
        for param in self._dependent:
            # Read anew each time: a choice that itself does not apply has just gone back.
            values = {key: self._wrappers[key].parameterValue() for key in self._deciding}
            applies = param.applies(values)
            if not applies:
                self._reset(param)
            for name in (param.key, param.key + SELECTED_ONLY):
                for widget in self._widgets(name):
                    widget.setEnabled(applies)

    def _reset(self, param: Param) -> None:
        wrapper = self._wrappers[param.key]
        default = qgis_value(param, param.default)
        if wrapper.parameterValue() not in (default, None, ""):
            wrapper.setParameterValue(default, self._context)

    def _widgets(self, name: str) -> list[QWidget]:
        """The widget and the label of a parameter; wrappers in Python keep them under other names."""
        wrapper = self._wrappers.get(name)
        if wrapper is None:
            return []
        found = [
            getattr(wrapper, "widget", None) or wrapper.wrappedWidget(),
            getattr(wrapper, "label", None) or wrapper.wrappedLabel(),
        ]
        return [widget for widget in found if isinstance(widget, QWidget)]
