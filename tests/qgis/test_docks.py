"""The docks' switches: in menu and toolbar, made late, gone with the plugin."""

from __future__ import annotations

import pytest
from qgis.PyQt.QtCore import QEvent
from qgis.PyQt.QtWidgets import QApplication, QDockWidget, QMainWindow, QToolBar

pytestmark = pytest.mark.usefixtures("raised")


class Window:
    """As much of QGIS's window as the plugin uses."""

    def __init__(self, canvas) -> None:
        self._window, self._canvas = QMainWindow(), canvas
        self.menu = {}
        self._window.show()

    def mainWindow(self):  # noqa: N802
        return self._window

    def mapCanvas(self):  # noqa: N802
        return self._canvas

    def addToolBar(self, name):  # noqa: N802
        return self._window.addToolBar(name)

    def addDockWidget(self, area, dock):  # noqa: N802
        self._window.addDockWidget(area, dock)

    def removeDockWidget(self, dock):  # noqa: N802
        self._window.removeDockWidget(dock)

    def addPluginToMenu(self, menu, action):  # noqa: N802
        self.menu.setdefault(menu, []).append(action.text())

    def removePluginMenu(self, menu, action):  # noqa: N802
        self.menu[menu].remove(action.text())


@pytest.fixture
def window(canvas):
    window = Window(canvas)
    yield window
    window.mainWindow().deleteLater()


@pytest.fixture
def plugin(window):
    from imagerydl import classFactory

    plugin = classFactory(window)
    plugin.initGui()
    yield plugin
    plugin.unload()


def docks(window) -> list[str]:
    QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    return sorted(dock.windowTitle() for dock in window.mainWindow().findChildren(QDockWidget))


def test_switches_are_there_and_docks_are_not_until_they_are_wanted(plugin, window):
    assert window.menu == {"Imagery Deep Learning": ["Label Objects", "Review Results"]}
    assert docks(window) == []
    label = plugin._switches.actions["label"]
    label.trigger()
    assert docks(window) == ["Label Objects"]
    assert plugin._switches.dock("label").isVisible()


def test_switch_and_dock_follow_each_other(plugin):
    label = plugin._switches.actions["label"]
    label.trigger()
    dock = plugin._switches.dock("label")
    dock.close()
    assert not label.isChecked()
    label.trigger()
    assert dock.isVisible()
    label.trigger()
    assert not dock.isVisible()


def test_both_docks_share_one_place(plugin, window):
    """Side by side they leave no room for the map; one above the other neither has any."""
    for name in ("label", "review"):
        plugin._switches.actions[name].trigger()
    label, review = (plugin._switches.dock(name) for name in ("label", "review"))
    assert window.mainWindow().tabifiedDockWidgets(label) == [review]


def test_samples_of_approved_objects_go_on_in_the_dock_for_labelling(plugin, project, tmp_path):
    from qgis.core import QgsCoordinateReferenceSystem

    from imagerydl.ui.labelling.sample_file import create_samples

    plugin._switches.actions["review"].trigger()
    layer = create_samples(str(tmp_path / "s.gpkg"), QgsCoordinateReferenceSystem("EPSG:32636"))
    project.addMapLayer(layer)
    plugin._switches.dock("review").samples_made.emit(layer)
    assert plugin._switches.dock("label").samples.layer is layer
    assert plugin._switches.actions["label"].isChecked()


@pytest.mark.parametrize("wanted", [(), ("label",), ("label", "review")])
def test_unloading_leaves_nothing_behind(plugin, window, canvas, wanted):
    for name in wanted:
        plugin._switches.actions[name].trigger()
    if wanted:
        plugin._switches.dock("label").set_tool("polygon")
    plugin.unload()
    assert docks(window) == []
    assert window.menu == {"Imagery Deep Learning": []}
    assert window.mainWindow().findChildren(QToolBar) == []
    assert canvas.mapTool() is None
    plugin.initGui()
    assert window.menu == {"Imagery Deep Learning": ["Label Objects", "Review Results"]}


def test_the_project_may_change_after_the_plugin_has_gone(plugin, window, project):
    plugin._switches.actions["label"].trigger()
    plugin._switches.actions["review"].trigger()
    plugin.unload()
    assert docks(window) == []
    project.clear()
    QApplication.processEvents()
