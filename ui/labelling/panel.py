"""The widgets for labelling: layers, tools, classes, samples."""

from __future__ import annotations

from typing import Optional

from qgis.gui import QgsMapLayerComboBox
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtWidgets import (
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSplitter,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from ...processing_provider import compat
from ...processing_provider.translation import tr
from ..buttons import theme_button
from . import shapes
from .class_panel import ClassPanel
from .sample_list import SampleList

_TOOL_ICONS = {
    shapes.RECTANGLE: ("mActionRectangleExtent", "Rectangle: drag, or click two corners"),
    shapes.POLYGON: ("mActionCapturePolygon", "Polygon: click its corners; a right click or Enter closes it"),
    shapes.CIRCLE: ("mActionCircleCenterPoint", "Circle: drag from the centre"),
    shapes.FREEHAND: ("mActionStreamingDigitize", "Freehand: drag along the outline"),
}


class LabelPanel(QWidget):
    """Shows what is labelled; the dock knows what it means."""

    def __init__(self, parent: Optional[QWidget] = None) -> None:
        super().__init__(parent)
        self.imagery_box = QgsMapLayerComboBox()
        self.imagery_box.setFilters(compat.LAYER_RASTER)
        self.imagery_box.setAllowEmptyLayer(True)
        self.samples_box = QgsMapLayerComboBox()
        self.samples_box.setFilters(compat.LAYER_POLYGON)
        self.samples_box.setAllowEmptyLayer(True)
        self.samples_box.setCurrentIndex(0)
        self.new_button = theme_button("mActionNewGeoPackageLayer", tr("Make or open a file of samples…"))
        layers = QFormLayout()
        layers.addRow(tr("Imagery"), self.imagery_box)
        samples_row = QHBoxLayout()
        samples_row.addWidget(self.samples_box, 1)
        samples_row.addWidget(self.new_button)
        layers.addRow(tr("Samples"), samples_row)

        self.classes = ClassPanel()
        self.sample_list = SampleList()
        lists = QSplitter(Qt.Orientation.Vertical)
        lists.addWidget(self.classes)
        lists.addWidget(self.sample_list)
        lists.setChildrenCollapsible(False)

        self.state = QLabel()
        self.state.setWordWrap(True)
        self.export_button = QPushButton(tr("Export Training Data…"))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(6, 6, 6, 6)
        layout.addLayout(layers)
        layout.addLayout(self._tool_row())
        layout.addWidget(lists, 1)
        layout.addWidget(self.state)
        layout.addWidget(self.export_button)

    def _tool_row(self) -> QHBoxLayout:
        row = QHBoxLayout()
        row.setSpacing(2)
        self.tool_buttons: dict[str, QToolButton] = {}
        for kind, (icon, tip) in _TOOL_ICONS.items():
            button = theme_button(icon, tr(tip))
            button.setCheckable(True)
            row.addWidget(button)
            self.tool_buttons[kind] = button
        self.whole_button = theme_button("mActionAddImage", tr("Give the whole image the class chosen"))
        row.addWidget(self.whole_button)
        row.addStretch(1)
        self.undo_button = theme_button("mActionUndo", tr("Undo, back to the last save"))
        self.redo_button = theme_button("mActionRedo", tr("Redo"))
        self.save_button = theme_button("mActionSaveEdits", tr("Save now"))
        for button in (self.undo_button, self.redo_button, self.save_button):
            row.addWidget(button)
        return row
