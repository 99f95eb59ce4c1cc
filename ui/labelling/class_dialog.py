"""Asks for the name, value and colour of a class."""

from __future__ import annotations

from typing import Optional

from qgis.gui import QgsColorButton
from qgis.PyQt.QtCore import pyqtSignal
from qgis.PyQt.QtGui import QColor
from qgis.PyQt.QtWidgets import QDialog, QDialogButtonBox, QFormLayout, QLineEdit, QSpinBox, QWidget

from ...engine.imagerydl.labels.classes import MAX_CLASS_VALUE, ClassEntry, distinct_color
from ...processing_provider.translation import tr


class ClassDialog(QDialog):
    """A class to be filled in.

    Args:
        entry: What is shown first.
        title: Of the window.

    Signals:
        entered: The class, once a person agreed to it.
    """

    entered = pyqtSignal(object)

    def __init__(self, entry: ClassEntry, title: str, parent: Optional[QWidget] = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(title)
        self.name = QLineEdit(entry.name)
        self.value = QSpinBox()
        self.value.setRange(0, MAX_CLASS_VALUE)
        self.value.setValue(entry.value)
        self.value.setToolTip(tr("What pixels of this class hold in rasters; 0 is the background."))
        self.color = QgsColorButton()
        self.color.setColor(QColor(*(entry.color or distinct_color(entry.value))))
        buttons = QDialogButtonBox(
            QDialogButtonBox.StandardButton.Ok | QDialogButtonBox.StandardButton.Cancel
        )
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        self._ok = buttons.button(QDialogButtonBox.StandardButton.Ok)
        self.name.textChanged.connect(self._judge)
        form = QFormLayout(self)
        form.addRow(tr("Name"), self.name)
        form.addRow(tr("Value"), self.value)
        form.addRow(tr("Colour"), self.color)
        form.addRow(buttons)
        self.name.selectAll()
        self.accepted.connect(lambda: self.entered.emit(self.entry()))
        self._judge()

    def entry(self) -> ClassEntry:
        """The class as it is filled in."""
        color = self.color.color()
        return ClassEntry(
            self.value.value(), self.name.text().strip(), (color.red(), color.green(), color.blue())
        )

    def _judge(self) -> None:
        self._ok.setEnabled(bool(self.name.text().strip()))
