"""Drawing on the map: rectangle, circle, freehand outline and polygon, each a map tool."""

from __future__ import annotations

import math
from typing import Optional

from qgis.core import QgsGeometry, QgsPointXY, QgsRectangle
from qgis.gui import QgsMapCanvas, QgsMapMouseEvent, QgsMapTool, QgsRubberBand
from qgis.PyQt.QtCore import Qt, pyqtSignal
from qgis.PyQt.QtGui import QColor, QKeyEvent

from ...processing_provider import compat

RECTANGLE, POLYGON, CIRCLE, FREEHAND = "rectangle", "polygon", "circle", "freehand"

#: Pixels of the screen below which a shape is a slip of the hand.
_SMALLEST = 3
#: Pixels of the screen by which a freehand outline may be simplified: less than a hand trembles.
_TREMBLE = 1.0
_QUARTER_CIRCLE = 16

_FILL_ALPHA = 60


class DrawingTool(QgsMapTool):
    """What the tools share: the shape so far, its colour, and the keys.

    Signals:
        drawn: A shape is complete; a polygon in the coordinate system of the canvas.
        digit: One of the keys 1 to 9 was pressed.
        escaped: Escape was pressed.
    """

    drawn = pyqtSignal(QgsGeometry)
    digit = pyqtSignal(int)
    escaped = pyqtSignal()

    def __init__(self, canvas: QgsMapCanvas) -> None:
        super().__init__(canvas)
        self._canvas = canvas
        self._band: Optional[QgsRubberBand] = None
        self._color = QColor(255, 176, 0)
        self.setCursor(Qt.CursorShape.CrossCursor)

    def set_color(self, color: QColor) -> None:
        """Draw in the colour of the class."""
        self._color = QColor(color)
        if self._band is not None:
            self._colour_band()

    def cancel(self) -> None:
        """Forget the shape so far."""
        if self._band is not None:
            self._canvas.scene().removeItem(self._band)
            self._band = None

    def deactivate(self) -> None:
        """Another tool was chosen."""
        self.cancel()
        super().deactivate()

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802 - the name QGIS calls
        """Escape forgets the shape so far; 1 to 9 choose a class."""
        plain = (Qt.KeyboardModifier.NoModifier, Qt.KeyboardModifier.KeypadModifier)
        if event.key() == Qt.Key.Key_Escape:
            self.cancel()
            self.escaped.emit()
        elif event.text() and event.text() in "123456789" and event.modifiers() in plain:
            self.digit.emit(int(event.text()))
        event.ignore()  # as QGIS's own tools do: the canvas has uses of its own for accepted keys

    def show_shape(self, shape: QgsGeometry) -> None:
        """Show what would be drawn if it ended here."""
        if self._band is None:
            self._band = QgsRubberBand(self._canvas, compat.GEOMETRY_POLYGON)
            self._colour_band()
        self._band.setToGeometry(shape, None)

    def finish(self, shape: QgsGeometry) -> None:
        """Hand out a shape, unless it is a slip of the hand."""
        self.cancel()
        box = shape.boundingBox()
        least = _SMALLEST * self._canvas.mapUnitsPerPixel()
        if max(box.width(), box.height()) >= least and shape.area() > 0:
            self.drawn.emit(shape)

    def _colour_band(self) -> None:
        fill = QColor(self._color)
        fill.setAlpha(_FILL_ALPHA)
        self._band.setStrokeColor(self._color)
        self._band.setFillColor(fill)
        self._band.setWidth(2)


class DragTool(DrawingTool):
    """A shape that two points make: dragged, or by two clicks."""

    def __init__(self, canvas: QgsMapCanvas) -> None:
        super().__init__(canvas)
        self._start: Optional[QgsPointXY] = None
        self._pressed_at = QgsPointXY()

    def shape(self, start: QgsPointXY, end: QgsPointXY) -> QgsGeometry:
        """The shape of two points."""
        raise NotImplementedError

    def cancel(self) -> None:
        """Forget the shape so far."""
        self._start = None
        super().cancel()

    def canvasPressEvent(self, event: QgsMapMouseEvent) -> None:  # noqa: N802 - the name QGIS calls
        """Begin."""
        if event.button() == Qt.MouseButton.RightButton:
            self.cancel()
        elif event.button() == Qt.MouseButton.LeftButton and self._start is None:
            self._start = event.mapPoint()

    def canvasMoveEvent(self, event: QgsMapMouseEvent) -> None:  # noqa: N802 - the name QGIS calls
        """Follow the pointer."""
        if self._start is not None:
            self.show_shape(self.shape(self._start, event.mapPoint()))

    def canvasReleaseEvent(self, event: QgsMapMouseEvent) -> None:  # noqa: N802 - the name QGIS calls
        """End, where the pointer was dragged; else wait for the second click."""
        if event.button() != Qt.MouseButton.LeftButton or self._start is None:
            return
        end = event.mapPoint()
        if math.sqrt(self._start.sqrDist(end)) < _SMALLEST * self._canvas.mapUnitsPerPixel():
            return
        self.finish(self.shape(self._start, end))


class RectangleTool(DragTool):
    """From corner to corner, along the axes of the map."""

    def shape(self, start: QgsPointXY, end: QgsPointXY) -> QgsGeometry:
        """The box of two corners."""
        return QgsGeometry.fromRect(QgsRectangle(start, end))


class CircleTool(DragTool):
    """From the centre outwards."""

    def shape(self, start: QgsPointXY, end: QgsPointXY) -> QgsGeometry:
        """The circle of a centre and a point on it."""
        return QgsGeometry.fromPointXY(start).buffer(math.sqrt(start.sqrDist(end)), _QUARTER_CIRCLE)


class FreehandTool(DrawingTool):
    """An outline that follows the pointer while the button is down."""

    def __init__(self, canvas: QgsMapCanvas) -> None:
        super().__init__(canvas)
        self._points: list[QgsPointXY] = []

    def cancel(self) -> None:
        """Forget the shape so far."""
        self._points = []
        super().cancel()

    def canvasPressEvent(self, event: QgsMapMouseEvent) -> None:  # noqa: N802 - the name QGIS calls
        """Begin."""
        if event.button() == Qt.MouseButton.LeftButton:
            self._points = [event.mapPoint()]
        else:
            self.cancel()

    def canvasMoveEvent(self, event: QgsMapMouseEvent) -> None:  # noqa: N802 - the name QGIS calls
        """Add where the pointer is."""
        if self._points:
            self._points.append(event.mapPoint())
            self.show_shape(QgsGeometry.fromPolygonXY([self._points]))

    def canvasReleaseEvent(self, event: QgsMapMouseEvent) -> None:  # noqa: N802 - the name QGIS calls
        """Close the outline."""
        if event.button() != Qt.MouseButton.LeftButton or not self._points:
            return
        outline = QgsGeometry.fromPolygonXY([[*self._points, event.mapPoint()]])
        simple = outline.simplify(_TREMBLE * self._canvas.mapUnitsPerPixel())
        self.finish(areal(outline if simple.isEmpty() else simple))


class PolygonTool(DrawingTool):
    """A corner for each click; a right click, a double click or Enter closes it, Backspace takes one back."""

    def __init__(self, canvas: QgsMapCanvas) -> None:
        super().__init__(canvas)
        self._points: list[QgsPointXY] = []

    def cancel(self) -> None:
        """Forget the shape so far."""
        self._points = []
        super().cancel()

    def canvasPressEvent(self, event: QgsMapMouseEvent) -> None:  # noqa: N802 - the name QGIS calls
        """Add a corner, or close the polygon."""
        if event.button() == Qt.MouseButton.LeftButton:
            self._points.append(event.mapPoint())
            self._follow(event.mapPoint())
        elif event.button() == Qt.MouseButton.RightButton:
            self._close()

    def canvasMoveEvent(self, event: QgsMapMouseEvent) -> None:  # noqa: N802 - the name QGIS calls
        """Follow the pointer."""
        if self._points:
            self._follow(event.mapPoint())

    def canvasDoubleClickEvent(self, event: QgsMapMouseEvent) -> None:  # noqa: N802 - the name QGIS calls
        """Close the polygon; the first click of the two added its corner."""
        self._close()

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802 - the name QGIS calls
        """Enter closes the polygon, Backspace takes the last corner back."""
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self._close()
        elif event.key() == Qt.Key.Key_Backspace and self._points:
            self._points.pop()
            if self._points:
                self._follow(self._points[-1])
            else:
                self.cancel()
        super().keyPressEvent(event)

    def _follow(self, pointer: QgsPointXY) -> None:
        self.show_shape(QgsGeometry.fromPolygonXY([[*self._points, pointer]]))

    def _close(self) -> None:
        points = self._points
        if len(points) < 3:
            self.cancel()
            return
        self.finish(areal(QgsGeometry.fromPolygonXY([points])))


#: The tools by shape, in the order they are offered.
TOOLS = {RECTANGLE: RectangleTool, POLYGON: PolygonTool, CIRCLE: CircleTool, FREEHAND: FreehandTool}


def areal(shape: QgsGeometry) -> QgsGeometry:
    """What of a shape has an area: an outline that crosses itself becomes several polygons."""
    valid = shape if shape.isGeosValid() else shape.makeValid()
    if valid.type() != compat.GEOMETRY_POLYGON:
        valid.convertGeometryCollectionToSubclass(compat.GEOMETRY_POLYGON)
    return valid
