"""The docks' switches in menu and toolbar; a dock is made when it is first switched on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtGui import QIcon
from qgis.PyQt.QtWidgets import QAction

from ..processing_provider.translation import tr

_ICONS = Path(__file__).resolve().parent.parent / "icons"


class DockSwitches:
    """Two switches, two docks.

    Args:
        iface: The QGIS window.
    """

    def __init__(self, iface: Any) -> None:
        self._iface = iface
        self._menu = tr("Imagery Deep Learning")
        self._docks: dict[str, Any] = {}
        self.toolbar = iface.addToolBar(self._menu)
        self.toolbar.setObjectName("ImageryDLToolbar")
        self.actions = {
            "label": self._switch("label", tr("Label Objects"), tr("Draw training samples on imagery")),
            "review": self._switch("review", tr("Review Results"), tr("Judge detected objects one by one")),
        }

    def dock(self, name: str) -> Any:
        """A dock, "label" or "review", made if it is not there yet."""
        if name not in self._docks:
            dock = self._docks[name] = self._make(name)
            self._iface.addDockWidget(Qt.DockWidgetArea.RightDockWidgetArea, dock)
            for other in self._docks.values():
                if other is not dock and other.isVisible():  # one above the other, neither has room
                    self._iface.mainWindow().tabifyDockWidget(other, dock)
            dock.closed.connect(lambda: self.actions[name].setChecked(False))
        return self._docks[name]

    def remove(self) -> None:
        """Take everything out of the window again; what is unsaved in the docks is saved."""
        for dock in self._docks.values():
            dock.leave()
            self._iface.removeDockWidget(dock)
            dock.deleteLater()
        self._docks = {}
        for action in self.actions.values():
            self._iface.removePluginMenu(self._menu, action)
            action.deleteLater()
        self.actions = {}
        self.toolbar.deleteLater()

    def _switch(self, name: str, text: str, tip: str) -> QAction:
        action = QAction(QIcon(str(_ICONS / f"{name}.svg")), text, self._iface.mainWindow())
        action.setObjectName(f"ImageryDL{name.capitalize()}")
        action.setToolTip(f"<b>{text}</b><br/>{tip}")
        action.setCheckable(True)
        action.toggled.connect(lambda is_on: self._toggle(name, is_on))
        self.toolbar.addAction(action)
        self._iface.addPluginToMenu(self._menu, action)
        return action

    def _toggle(self, name: str, is_on: bool) -> None:
        if is_on:
            self.dock(name).setUserVisible(True)
        elif name in self._docks:
            self._docks[name].close()

    def _make(self, name: str) -> Any:
        canvas, window = self._iface.mapCanvas(), self._iface.mainWindow()
        if name == "label":
            from .labelling.dock import LabelDock

            return LabelDock(canvas, self._iface, window)
        from .review.dock import ReviewDock

        dock = ReviewDock(canvas, window)
        dock.samples_made.connect(self._label)
        return dock

    def _label(self, layer: Any) -> None:
        """Go on with samples in the dock for labelling: what a model missed is drawn there."""
        self.actions["label"].setChecked(True)
        self.dock("label").use_layer(layer)
