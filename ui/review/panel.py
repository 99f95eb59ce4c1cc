"""The widgets of a review: filters, the object, buttons for verdicts, and what they amount to."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Optional

from qgis.PyQt.QtCore import Qt, pyqtSignal
from qgis.PyQt.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFormLayout,
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from ...engine.imagerydl.assessment.review import AS_STORED, AT_RANDOM, LEAST_SURE, MOST_SURE, Finding
from ...engine.imagerydl.labels.classes import ClassEntry
from ...processing_provider.translation import tr
from ..layer_classes import swatch
from .limit_box import LimitBox
from .queue import Filters

_ISSUES = ("not an object", "wrong outline", "twice", "cannot tell")


class ReviewPanel(QWidget):
    """Shows a review; the dock knows what it means.

    Signals:
        filters_changed: Other objects are wanted, or in another order.
    """

    filters_changed = pyqtSignal()

    def __init__(self, parent: Optional[QWidget] = None) -> None:
        super().__init__(parent)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(self._filter_form())
        layout.addWidget(_line())
        self.object_label = QLabel()
        self.object_label.setTextFormat(Qt.TextFormat.RichText)
        self.object_label.setMinimumHeight(3 * self.fontMetrics().height())
        layout.addWidget(self.object_label)
        self.verdict_panel = QWidget()
        self.verdict_panel.setLayout(self._verdict_buttons())
        layout.addWidget(self.verdict_panel)
        layout.addLayout(self._moving_buttons())
        layout.addWidget(_line())
        self.summary_label = QLabel()
        self.summary_label.setWordWrap(True)
        layout.addWidget(self.summary_label)
        self.samples_button = QPushButton(tr("Make Training Samples of the Approved…"))
        layout.addWidget(self.samples_button)

    def filters(self) -> Filters:
        """What is wanted."""
        return Filters(
            self.class_box.currentData(),
            self.low_box.limit(),
            self.high_box.limit(),
            self.order_box.currentData(),
            self.pending_box.isChecked(),
        )

    def offer(self, findings: Collection[Finding], classes: Sequence[ClassEntry]) -> None:
        """Offer the classes and confidences that there are; nobody is told."""
        boxes = (self.class_box, self.low_box, self.high_box, self.reclass_box)
        for box in boxes:
            box.blockSignals(True)
        self.class_box.clear()
        self.class_box.addItem(tr("All classes"), None)
        for label in sorted({finding.label for finding in findings}):
            self.class_box.addItem(label or tr("no class"), label)
        known = [finding.confidence for finding in findings if finding.confidence is not None]
        for box in (self.low_box, self.high_box):
            box.set_ends(min(known, default=0.0), max(known, default=0.0))
            box.setEnabled(bool(known))
        self.reclass_box.clear()
        for place, entry in enumerate(classes, start=1):
            shown = f"{entry.name}  ({place})" if place <= 9 else entry.name
            self.reclass_box.addItem(swatch(entry.color), shown, entry)
        for box in boxes:
            box.blockSignals(False)

    def _filter_form(self) -> QFormLayout:
        self.order_box = QComboBox()
        for order, told in (
            (LEAST_SURE, tr("Least sure first")),
            (AT_RANDOM, tr("At random (estimates precision)")),
            (MOST_SURE, tr("Most sure first")),
            (AS_STORED, tr("As stored")),
        ):
            self.order_box.addItem(told, order)
        self.class_box = QComboBox()
        self.low_box, self.high_box = LimitBox(is_upper=False), LimitBox(is_upper=True)
        confidence = QHBoxLayout()
        confidence.addWidget(self.low_box, 1)
        confidence.addWidget(QLabel(tr("to")))
        confidence.addWidget(self.high_box, 1)
        self.pending_box = QCheckBox(tr("Only those without a verdict"))
        for signal in (
            self.order_box.currentIndexChanged,
            self.class_box.currentIndexChanged,
            self.low_box.editingFinished,
            self.high_box.editingFinished,
            self.pending_box.toggled,
        ):
            signal.connect(self._tell)
        form = QFormLayout()
        form.addRow(tr("Order"), self.order_box)
        form.addRow(tr("Class"), self.class_box)
        form.addRow(tr("Confidence"), confidence)
        form.addRow("", self.pending_box)
        return form

    def _verdict_buttons(self) -> QGridLayout:
        grid = QGridLayout()
        grid.setContentsMargins(0, 0, 0, 0)
        self.approve_button = QPushButton(tr("Approve (A)"))
        self.reject_button = QPushButton(tr("Reject (R)"))
        self.issue_box = QComboBox()
        self.issue_box.setEditable(True)
        self.issue_box.addItems(["", *(tr(issue) for issue in _ISSUES)])
        self.issue_box.lineEdit().setPlaceholderText(tr("reason of a rejection"))
        self.reclass_box = QComboBox()
        self.reclass_box.setToolTip(tr("The class it really is; keys 1 to 9"))
        self.reclass_button = QPushButton(tr("Reclass"))
        self.redraw_button = QPushButton(tr("Redraw (D)"))
        grid.addWidget(self.approve_button, 0, 0)
        grid.addWidget(self.redraw_button, 0, 1)
        grid.addWidget(self.reject_button, 1, 0)
        grid.addWidget(self.issue_box, 1, 1)
        grid.addWidget(self.reclass_button, 2, 0)
        grid.addWidget(self.reclass_box, 2, 1)
        grid.setColumnStretch(0, 1)
        grid.setColumnStretch(1, 1)
        return grid

    def _moving_buttons(self) -> QHBoxLayout:
        self.back_button = QPushButton(tr("Back (P)"))
        self.next_button = QPushButton(tr("Next (N)"))
        self.undo_button = QPushButton(tr("Undo (U)"))
        self.reopen_button = QPushButton(tr("Reopen (O)"))
        self.reopen_button.setToolTip(tr("Take the verdict on this object back, also after a save"))
        self.save_button = QPushButton(tr("Save"))
        self.save_button.setToolTip(tr("Verdicts are saved by themselves within a minute"))
        row = QHBoxLayout()
        for button in (
            self.back_button,
            self.next_button,
            self.undo_button,
            self.reopen_button,
            self.save_button,
        ):
            row.addWidget(button)
        return row

    def _tell(self, *_: Any) -> None:
        self.filters_changed.emit()


def _line() -> QFrame:
    line = QFrame()
    line.setFrameShape(QFrame.Shape.HLine)
    line.setFrameShadow(QFrame.Shadow.Sunken)
    return line
