"""A map without a window, and a hand that draws on it, for tests."""

from __future__ import annotations

import time
from collections.abc import Sequence

from qgis.core import QgsCoordinateReferenceSystem, QgsPointXY, QgsRasterLayer
from qgis.gui import QgsMapCanvas
from qgis.PyQt.QtCore import QEvent, QPoint, QPointF, Qt
from qgis.PyQt.QtGui import QMouseEvent
from qgis.PyQt.QtTest import QTest
from qgis.PyQt.QtWidgets import QApplication

#: Cells of the raster that is drawn on, along each side.
SIZE = 64

LEFT, RIGHT = Qt.MouseButton.LeftButton, Qt.MouseButton.RightButton


def settle(milliseconds: int = 150) -> None:
    """Let timers of that length run."""
    until = time.monotonic() + milliseconds / 1000
    while time.monotonic() < until:
        QApplication.processEvents()
        time.sleep(0.005)


class Hand:
    """Presses, moves and releases the mouse over map coordinates."""

    def __init__(self, canvas: QgsMapCanvas) -> None:
        self._canvas = canvas

    def drag(self, *points: Sequence[float]) -> None:
        """Hold the left button down from the first point to the last."""
        first, *others = [self._pixel(point) for point in points]
        viewport = self._canvas.viewport()
        QTest.mousePress(viewport, LEFT, Qt.KeyboardModifier.NoModifier, first)
        for pixel in others:
            # QTest's own move asks the screen for its cursor, and there is neither.
            place = QPointF(pixel)
            moved = QMouseEvent(
                QEvent.Type.MouseMove,
                place,
                place,
                Qt.MouseButton.NoButton,
                LEFT,
                Qt.KeyboardModifier.NoModifier,
            )
            QApplication.sendEvent(viewport, moved)
        QTest.mouseRelease(viewport, LEFT, Qt.KeyboardModifier.NoModifier, others[-1])
        QApplication.processEvents()

    def click(self, *points: Sequence[float], button: Qt.MouseButton = LEFT) -> None:
        """Click at each point."""
        for point in points:
            QTest.mouseClick(
                self._canvas.viewport(), button, Qt.KeyboardModifier.NoModifier, self._pixel(point)
            )
        QApplication.processEvents()

    def key(self, key: Qt.Key) -> None:
        """Press a key while the map has the focus."""
        QTest.keyClick(self._canvas, key)
        QApplication.processEvents()

    def _pixel(self, point: Sequence[float]) -> QPoint:
        place = self._canvas.getCoordinateTransform().transform(QgsPointXY(*point))
        return QPoint(round(place.x()), round(place.y()))


def make_canvas(raster: QgsRasterLayer) -> QgsMapCanvas:
    """A map of 400 x 400 pixels that shows a raster."""
    canvas = QgsMapCanvas()
    canvas.resize(400, 400)
    canvas.setDestinationCrs(raster.crs() if raster.crs().isValid() else QgsCoordinateReferenceSystem())
    canvas.setLayers([raster])
    canvas.show()
    QApplication.processEvents()
    canvas.setExtent(raster.extent())
    QApplication.processEvents()
    return canvas
