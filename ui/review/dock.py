"""The Review Results dock: one object after another, judged by keys."""

from __future__ import annotations

import html
import os
from collections.abc import Callable
from typing import Any, Optional

from qgis.core import QgsGeometry, QgsMapLayer, QgsProject, QgsVectorLayer
from qgis.gui import QgsDockWidget, QgsMapCanvas, QgsMapLayerComboBox, QgsRubberBand
from qgis.PyQt.QtCore import Qt, QTimer, pyqtSignal
from qgis.PyQt.QtGui import QColor, QKeySequence
from qgis.PyQt.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFileDialog,
    QFormLayout,
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QMessageBox,
    QPushButton,
    QShortcut,
    QVBoxLayout,
    QWidget,
)

from ...engine.imagerydl.assessment.review import (
    APPROVED,
    AS_STORED,
    AT_RANDOM,
    LEAST_SURE,
    MOST_SURE,
    PENDING,
    REJECTED,
    Finding,
    Summary,
    choose,
    ordered,
    summarise,
)
from ...engine.imagerydl.errors import DataError, EngineError
from ...engine.imagerydl.labels.classes import ClassEntry
from ...processing_provider import compat
from ...processing_provider.translation import tr
from ..autosave import AutoSave
from ..labelling import shapes
from ..labelling.imagery import in_system
from ..labelling.map_loan import MapLoan
from ..labelling.samples import forget_undefined_crs
from ..layer_classes import classes_of_layer, swatch
from ..layer_life import is_alive
from .accepted import make_samples
from .limit_box import LimitBox
from .verdicts import Verdicts, copy_layer

#: How much wider than the object the map shows.
_ROOM = 4.0
_BURST = 80  # milliseconds after which a burst of changes is looked at once

_ISSUES = ("not an object", "wrong outline", "twice", "cannot tell")
_COLORS = {APPROVED: "#1e8449", REJECTED: "#c0392b", PENDING: "#707070"}
_PROBLEM = "color: #c0392b"


class ReviewDock(QgsDockWidget):
    """Steps through the objects of a layer.

    Args:
        canvas: The map that shows them.
        parent: Its window.

    Signals:
        samples_made: Approved objects became training samples; their layer.
    """

    samples_made = pyqtSignal(object)

    def __init__(self, canvas: QgsMapCanvas, parent: Optional[QWidget] = None) -> None:
        super().__init__(tr("Review Results"), parent)
        self.setObjectName("ImageryDLReviewResults")
        self._canvas = canvas
        self._verdicts: Optional[Verdicts] = None
        self._findings: dict[int, Finding] = {}
        self._classes: list[ClassEntry] = []
        self._edited: set[int] = set()
        self._queue: list[int] = []
        self._at = 0
        self._band: Optional[QgsRubberBand] = None
        self._tools = {kind: shapes.TOOLS[kind](canvas) for kind in (shapes.RECTANGLE, shapes.POLYGON)}
        for tool in self._tools.values():
            tool.drawn.connect(self._take_shape)
        self._loan = MapLoan(canvas, self._tools.values())
        self._autosave = AutoSave(self)
        self._autosave.changed.connect(self._tell_saving)
        self._burst = QTimer(self)
        self._burst.setSingleShot(True)
        self._burst.setInterval(_BURST)
        self._burst.timeout.connect(self._read_edited)
        self._build()
        self._add_shortcuts()
        self.layer_box.layerChanged.connect(self._layer_chosen)
        self.visibilityChanged.connect(self._shown_or_hidden)
        self._show()

    # The layer

    def start(self) -> None:
        """Begin with the layer chosen: it gets the fields that verdicts are kept in."""
        layer = self.layer_box.currentLayer()
        self._leave_layer()
        problem = Verdicts.problem(layer)
        if problem:
            self.say(problem)
            return
        try:
            forget_undefined_crs(layer)
            verdicts = Verdicts(layer)
            verdicts.add_fields()
        except EngineError as error:
            self.say(str(error))
            return
        self._verdicts = verdicts
        layer.attributeValueChanged.connect(self._feature_edited)
        layer.featureAdded.connect(self._feature_edited)
        layer.featuresDeleted.connect(self._features_deleted)
        layer.willBeDeleted.connect(self._leave_layer)
        self._autosave.watch(layer)
        self.say("")
        self._read()
        self._fill_filters()
        self.restart()

    def review_copy(self, path: str) -> None:
        """Begin with a copy of the layer chosen; the original stays as it is."""
        layer = self.layer_box.currentLayer()
        if not isinstance(layer, QgsVectorLayer):
            self.say(tr("Choose a layer of detected or classified objects."))
            return
        try:
            if os.path.exists(path):
                raise DataError(tr("{path} is there already.").format(path=path), tr("Choose another name."))
            copy = copy_layer(layer, path)
        except EngineError as error:
            self.say(str(error))
            return
        QgsProject.instance().addMapLayer(copy)
        self.layer_box.setLayer(copy)
        self.start()

    def _layer_chosen(self, layer: Optional[QgsMapLayer]) -> None:
        if self._verdicts is None or self._verdicts.layer is not layer:
            self._leave_layer()
            self._show()

    def _leave_layer(self) -> None:
        self._burst.stop()
        self._autosave.watch(None)
        verdicts, self._verdicts = self._verdicts, None
        self._findings, self._queue, self._at = {}, [], 0
        self._edited.clear()
        if verdicts is not None and is_alive(verdicts.layer):
            layer = verdicts.layer
            layer.attributeValueChanged.disconnect(self._feature_edited)
            layer.featureAdded.disconnect(self._feature_edited)
            layer.featuresDeleted.disconnect(self._features_deleted)
            layer.willBeDeleted.disconnect(self._leave_layer)
        if verdicts is not None:
            self._loan.give_back()
            self._show()

    def _feature_edited(self, feature_id: int, *_: Any) -> None:
        self._edited.add(feature_id)
        self._burst.start()

    def _features_deleted(self, ids: list[int]) -> None:
        self._edited.update(ids)
        self._burst.start()

    def _read(self) -> None:
        self._findings = {finding.number: finding for finding in self._verdicts.findings()}
        self._classes = classes_of_layer(self._verdicts.layer)
        self._edited.clear()

    def _read_edited(self) -> list[int]:
        """Look again at what was edited, here or elsewhere; the queue stays, without what is gone."""
        verdicts = self._ready()
        if verdicts is None or not self._edited:
            return []
        edited, here = sorted(self._edited), self.current()
        self._edited.clear()
        found = {finding.number: finding for finding in verdicts.findings(edited)}
        for number in edited:
            if number in found:
                self._findings[number] = found[number]
            else:
                self._findings.pop(number, None)
        if len(found) < len(edited):
            self._queue = [number for number in self._queue if number in self._findings]
            self._at = self._queue.index(here) if here in self._queue else min(self._at, len(self._queue))
        self._show()
        return edited

    def _ready(self) -> Optional[Verdicts]:
        """What is reviewed; None where nothing is, or its layer has gone."""
        return self._verdicts if self._verdicts is not None and is_alive(self._verdicts.layer) else None

    # The queue

    def restart(self, *_: Any) -> None:
        """Line the objects up as the filters and the order say, and go to the first one."""
        if self._ready() is None:
            return
        queue = ordered(self._filtered(), self.order_box.currentData())
        if self.pending_box.isChecked():
            queue = [finding for finding in queue if not finding.is_reviewed]
        self._queue = [finding.number for finding in queue]
        self._at = next((place for place, finding in enumerate(queue) if not finding.is_reviewed), 0)
        self._show()
        self._zoom()

    def current(self) -> Optional[int]:
        """The object under review."""
        return self._queue[self._at] if self._at < len(self._queue) else None

    def step(self, by: int) -> None:
        """Go on, or back."""
        self._loan.give_back()
        self._at = max(0, min(self._at + by, len(self._queue)))
        self._show()
        self._zoom()

    def summary(self) -> Summary:
        """What the verdicts amount to, of the objects that pass the filters."""
        return summarise(self._filtered())

    def _filtered(self) -> list[Finding]:
        label = self.class_box.currentData()
        return choose(
            list(self._findings.values()),
            None if label is None else {label},
            self.low_box.limit(),
            self.high_box.limit(),
        )

    # Verdicts

    def approve(self) -> None:
        """The object is right."""
        self._judge(lambda verdicts, number: verdicts.approve(number))

    def reject(self) -> None:
        """The object is wrong."""
        issue = self.issue_box.currentText().strip()
        self._judge(lambda verdicts, number: verdicts.reject(number, issue))

    def reclass(self, entry: ClassEntry) -> None:
        """The object is of another class."""
        self._judge(lambda verdicts, number: verdicts.reclass(number, entry))

    def reclass_digit(self, digit: int) -> None:
        """The object is of the class at that place of the list, 1 to 9."""
        if digit <= len(self._classes):
            self.reclass(self._classes[digit - 1])

    def undo(self) -> None:
        """Take the last verdict back, up to the last save, and look at its object again."""
        verdicts = self._ready()
        if verdicts is None or not verdicts.layer.undoStack().canUndo():
            return
        verdicts.undo()
        changed = next((number for number in self._read_edited() if number in self._queue), None)
        if changed is not None:
            self._at = self._queue.index(changed)
            self._show()
            self._zoom()

    def reopen(self) -> None:
        """Take the verdict on this object back, whenever it was given; what was corrected stays."""
        self._judge(lambda verdicts, number: verdicts.reopen(number), and_go_on=False)

    def begin_redrawing(self) -> None:
        """Draw the object anew: a box where it is one, else a polygon."""
        verdicts, number = self._ready(), self.current()
        if verdicts is None or number is None:
            return
        if verdicts.layer.geometryType() != compat.GEOMETRY_POLYGON:
            self.say(tr("Only polygons can be drawn anew."))
            return
        shape = verdicts.shape(number)
        # By area: a box may begin at any corner, and have a vertex more.
        is_box = abs(shape.area() - shape.boundingBox().area()) <= 1e-6 * shape.boundingBox().area()
        tool = self._tools[shapes.RECTANGLE if is_box else shapes.POLYGON]
        self._loan.take(tool)
        self._canvas.setFocus()
        self.say(
            tr("Drag the box anew.") if is_box else tr("Click the corners anew; a right click closes it.")
        )

    def _take_shape(self, shape: QgsGeometry) -> None:
        verdicts = self._ready()
        if verdicts is None:
            return
        crs = self._canvas.mapSettings().destinationCrs()
        moved = in_system(shape, crs, verdicts.layer.crs())
        if moved is not None:
            self._loan.give_back()
            self._judge(lambda verdicts, number: verdicts.redraw(number, moved))

    def _judge(self, verdict: Callable[[Verdicts, int], None], and_go_on: bool = True) -> None:
        verdicts, number = self._ready(), self.current()
        if verdicts is None or number is None:
            return
        try:
            verdict(verdicts, number)
        except EngineError as error:
            self.say(str(error))
            return
        self.say("")
        self._read_edited()
        self.step(1 if and_go_on else 0)

    # What comes of it

    def save(self) -> bool:
        """Save the verdicts now; whether all are saved."""
        return self._autosave.save()

    def make_samples(self, path: str) -> Optional[QgsVectorLayer]:
        """Training samples of the approved objects that pass the filters; their layer.

        Nothing else becomes one: neither rejected objects nor those without a verdict.
        """
        verdicts = self._ready()
        if verdicts is None:
            return None
        if not os.path.splitext(path)[1]:
            path += ".gpkg"
        try:
            if os.path.exists(path):
                raise DataError(tr("{path} is there already.").format(path=path), tr("Choose another name."))
            layer = make_samples(verdicts, self._filtered(), path)
        except EngineError as error:
            self.say(str(error))
            return None
        layer.setName(os.path.splitext(os.path.basename(path))[0])
        QgsProject.instance().addMapLayer(layer)
        told = self.summary()
        self.say(
            tr(
                "{made} approved objects are samples now. Left out: {rejected} rejected, "
                "{pending} without a verdict."
            ).format(made=layer.featureCount(), rejected=told.rejected, pending=told.total - told.reviewed),
            is_problem=False,
        )
        self.samples_made.emit(layer)
        return layer

    # What is shown

    def say(self, text: str, is_problem: bool = True) -> None:
        """Tell something, as what went wrong."""
        self.state.setStyleSheet(_PROBLEM if is_problem else "")
        self.state.setText(text)
        self.state.setVisible(bool(text))

    def _show(self) -> None:
        verdicts, number = self._ready(), self.current()
        self.panel.setEnabled(verdicts is not None)
        self.verdict_panel.setEnabled(number is not None)
        self._mark(number)
        if verdicts is None:
            self.object_label.setText(tr("Choose a layer, and start."))
            self.summary_label.setText("")
        else:
            self.object_label.setText(self._object_text(number))
            self.summary_label.setText(summary_text(self.summary()))
        self._tell_saving()

    def _object_text(self, number: Optional[int]) -> str:
        if number is None:
            return tr("That was the last one.") if self._queue else tr("No object passes the filters.")
        finding = self._findings[number]
        lines = [
            "<b>{}</b>".format(html.escape(finding.present_label or tr("object"))),
            tr("{place} of {count}").format(place=self._at + 1, count=len(self._queue)),
        ]
        if finding.confidence is not None:
            lines.append(tr("confidence {value}").format(value=f"{finding.confidence:.4g}"))
        issue = html.escape(self._verdicts.issue(number))
        former = html.escape(finding.label) if finding.true_label else ""
        status = f'<span style="color: {_COLORS[finding.status]}"><b>{tr(finding.status)}</b></span>'
        told = [status, issue, tr("was {former}").format(former=former) if former else ""]
        return " · ".join(lines) + "<br/>" + " · ".join(filter(None, told))

    def _mark(self, number: Optional[int]) -> None:
        """Show on the map which object it is."""
        if number is None or not self.isVisible():
            if self._band is not None:
                self._canvas.scene().removeItem(self._band)
                self._band = None
            return
        if self._band is None:
            self._band = QgsRubberBand(self._canvas, compat.GEOMETRY_POLYGON)
            self._band.setStrokeColor(QColor(255, 230, 0))
            self._band.setSecondaryStrokeColor(QColor(0, 0, 0, 160))
            self._band.setFillColor(QColor(0, 0, 0, 0))
            self._band.setWidth(2)
        self._band.setToGeometry(self._verdicts.shape(number), self._verdicts.layer)

    def _zoom(self) -> None:
        number = self.current()
        verdicts = self._ready()
        if verdicts is None or number is None:
            return
        shape = in_system(
            verdicts.shape(number), verdicts.layer.crs(), self._canvas.mapSettings().destinationCrs()
        )
        if shape is None or shape.isEmpty():
            return
        box = shape.boundingBox()
        if box.width() or box.height():
            box.grow(max(box.width(), box.height()) * (_ROOM - 1) / 2)
            self._canvas.setExtent(box)
        else:
            self._canvas.setCenter(box.center())
        self._canvas.refresh()

    def _tell_saving(self) -> None:
        self.save_button.setEnabled(self._autosave.is_pending)
        if self._autosave.problem:
            self.say(self._autosave.problem)
        verdicts = self._ready()
        self.undo_button.setEnabled(verdicts is not None and verdicts.layer.undoStack().canUndo())
        finding = self._findings.get(self.current())
        self.reopen_button.setEnabled(finding is not None and finding.is_reviewed)

    def _fill_filters(self) -> None:
        boxes = (self.class_box, self.low_box, self.high_box, self.reclass_box)
        for box in boxes:
            box.blockSignals(True)
        self.class_box.clear()
        self.class_box.addItem(tr("All classes"), None)
        for label in sorted({finding.label for finding in self._findings.values()}):
            self.class_box.addItem(label or tr("no class"), label)
        known = [f.confidence for f in self._findings.values() if f.confidence is not None]
        low, high = (min(known), max(known)) if known else (0.0, 0.0)
        for box in (self.low_box, self.high_box):
            box.set_ends(low, high)
            box.setEnabled(bool(known))
        self.reclass_box.clear()
        for place, entry in enumerate(self._classes, start=1):
            shown = f"{entry.name}  ({place})" if place <= 9 else entry.name
            self.reclass_box.addItem(swatch(entry.color), shown, entry)
        for box in boxes:
            box.blockSignals(False)

    def _build(self) -> None:
        self.layer_box = QgsMapLayerComboBox()
        self.layer_box.setFilters(compat.LAYER_VECTOR)
        self.layer_box.setAllowEmptyLayer(True)
        self.layer_box.setCurrentIndex(0)
        self.start_button = QPushButton(tr("Start"))
        self.start_button.setToolTip(tr("Keep verdicts in fields of this layer: Status, Issue and others"))
        self.start_button.clicked.connect(lambda *_: self.start())
        self.copy_button = QPushButton(tr("Start with a copy…"))
        self.copy_button.setToolTip(tr("Keep verdicts in a copy; the layer stays as it is"))
        self.copy_button.clicked.connect(lambda *_: self._ask_for_copy())
        begin = QHBoxLayout()
        begin.addWidget(self.start_button)
        begin.addWidget(self.copy_button)
        self.state = QLabel()
        self.state.setWordWrap(True)

        self.panel = QWidget()
        inner = QVBoxLayout(self.panel)
        inner.setContentsMargins(0, 0, 0, 0)
        inner.addLayout(self._filters())
        inner.addWidget(_line())
        self.object_label = QLabel()
        self.object_label.setTextFormat(Qt.TextFormat.RichText)
        self.object_label.setMinimumHeight(3 * self.fontMetrics().height())
        inner.addWidget(self.object_label)
        self.verdict_panel = QWidget()
        self.verdict_panel.setLayout(self._verdict_buttons())
        inner.addWidget(self.verdict_panel)
        inner.addLayout(self._moving_buttons())
        inner.addWidget(_line())
        self.summary_label = QLabel()
        self.summary_label.setWordWrap(True)
        inner.addWidget(self.summary_label)
        self.samples_button = QPushButton(tr("Make Training Samples of the Approved…"))
        self.samples_button.clicked.connect(lambda *_: self._ask_for_samples())
        inner.addWidget(self.samples_button)

        content = QWidget()
        layout = QVBoxLayout(content)
        layout.setContentsMargins(6, 6, 6, 6)
        layout.addWidget(self.layer_box)
        layout.addLayout(begin)
        layout.addWidget(self.state)
        layout.addWidget(self.panel)
        layout.addStretch(1)
        self.setWidget(content)
        self.say("")

    def _filters(self) -> QFormLayout:
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
        self.order_box.currentIndexChanged.connect(self.restart)
        self.class_box.currentIndexChanged.connect(self.restart)
        self.low_box.editingFinished.connect(self.restart)
        self.high_box.editingFinished.connect(self.restart)
        self.pending_box.toggled.connect(self.restart)
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
        self.approve_button.clicked.connect(lambda *_: self.approve())
        self.reject_button = QPushButton(tr("Reject (R)"))
        self.reject_button.clicked.connect(lambda *_: self.reject())
        self.issue_box = QComboBox()
        self.issue_box.setEditable(True)
        self.issue_box.addItems(["", *(tr(issue) for issue in _ISSUES)])
        self.issue_box.lineEdit().setPlaceholderText(tr("reason of a rejection"))
        self.reclass_box = QComboBox()
        self.reclass_box.setToolTip(tr("The class it really is; keys 1 to 9"))
        self.reclass_button = QPushButton(tr("Reclass"))
        self.reclass_button.clicked.connect(lambda *_: self._reclass_chosen())
        self.redraw_button = QPushButton(tr("Redraw (D)"))
        self.redraw_button.clicked.connect(lambda *_: self.begin_redrawing())
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
        self.back_button.clicked.connect(lambda *_: self.step(-1))
        self.next_button = QPushButton(tr("Next (N)"))
        self.next_button.clicked.connect(lambda *_: self.step(1))
        self.undo_button = QPushButton(tr("Undo (U)"))
        self.undo_button.clicked.connect(lambda *_: self.undo())
        self.reopen_button = QPushButton(tr("Reopen (O)"))
        self.reopen_button.setToolTip(tr("Take the verdict on this object back, also after a save"))
        self.reopen_button.clicked.connect(lambda *_: self.reopen())
        self.save_button = QPushButton(tr("Save"))
        self.save_button.setToolTip(tr("Verdicts are saved by themselves within a minute"))
        self.save_button.clicked.connect(lambda *_: self.save())
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

    def _add_shortcuts(self) -> None:
        deeds = {
            "A": self.approve,
            "R": self.reject,
            "D": self.begin_redrawing,
            "U": self.undo,
            "O": self.reopen,
        }
        deeds.update({"N": lambda: self.step(1), "P": lambda: self.step(-1)})
        for digit in range(1, 10):
            deeds[str(digit)] = lambda digit=digit: self.reclass_digit(digit)
        self._shortcuts: list[QShortcut] = []
        # In the dock, and on the map that was just clicked to look around.
        for place, reach in (
            (self, Qt.ShortcutContext.WidgetWithChildrenShortcut),
            (self._canvas, Qt.ShortcutContext.WidgetWithChildrenShortcut),
        ):
            for key, deed in deeds.items():
                shortcut = QShortcut(QKeySequence(key), place, context=reach)
                shortcut.activated.connect(deed)
                shortcut.setEnabled(place is self)
                self._shortcuts.append(shortcut)

    def _enable_shortcuts(self, are_enabled: bool) -> None:
        for shortcut in self._shortcuts:
            if is_alive(shortcut):
                shortcut.setEnabled(are_enabled)

    def _shown_or_hidden(self, is_visible: bool) -> None:
        self._enable_shortcuts(is_visible)
        self._mark(self.current() if is_visible and self._ready() else None)

    def _reclass_chosen(self) -> None:
        entry = self.reclass_box.currentData()
        if entry is not None:
            self.reclass(entry)

    def _ask_for_copy(self) -> None:
        path, _ = QFileDialog.getSaveFileName(
            self, tr("Review a copy"), "review.gpkg", "GeoPackage (*.gpkg)",
            options=QFileDialog.Option.DontConfirmOverwrite,  # nothing is overwritten
        )  # fmt: skip
        if path:
            self.review_copy(path if os.path.splitext(path)[1] else path + ".gpkg")

    def _ask_for_samples(self) -> None:
        told = self.summary()
        if not told.approved:
            QMessageBox.information(self, self.windowTitle(), tr("No object is approved yet."))
            return
        path, _ = QFileDialog.getSaveFileName(
            self, tr("Samples of the approved objects"), "approved.gpkg", "GeoPackage (*.gpkg)",
            options=QFileDialog.Option.DontConfirmOverwrite,
        )  # fmt: skip
        if path:
            self.make_samples(path)

    # The end

    def closeEvent(self, event: Any) -> None:  # noqa: N802 - the name Qt calls
        """Save what is unsaved, and give the map its usual tool back."""
        self.save()
        self._loan.give_back()
        self._mark(None)
        super().closeEvent(event)

    def leave(self) -> None:
        """Save, and let go of everything in QGIS; before it is deleted."""
        self.layer_box.layerChanged.disconnect(self._layer_chosen)
        self.visibilityChanged.disconnect(self._shown_or_hidden)
        self._leave_layer()
        self._mark(None)
        self._loan.end()
        for shortcut in self._shortcuts:
            if is_alive(shortcut):
                shortcut.setParent(None)
                shortcut.deleteLater()
        self._shortcuts = []


def summary_text(summary: Summary) -> str:
    """What the verdicts amount to, in words."""
    told = tr("Reviewed {reviewed} of {total}: {approved} approved, {rejected} rejected.").format(
        reviewed=summary.reviewed,
        total=summary.total,
        approved=summary.approved,
        rejected=summary.rejected,
    )
    if summary.corrected:
        told += " " + tr("{count} of those approved were corrected.").format(count=summary.corrected)
    precision = summary.precision
    if precision is None:
        return told + "\n" + tr("Review at random to estimate the precision.")
    if precision.is_exact:
        return told + "\n" + tr("Precision: {share:.1f} % of all.").format(share=100 * precision.share)
    return (
        told
        + "\n"
        + tr("Precision: {share:.0f} % ({low:.0f} to {high:.0f} %), from {count} drawn at random.").format(
            share=100 * precision.share,
            low=100 * precision.low,
            high=100 * precision.high,
            count=precision.count,
        )
    )


def _line() -> QFrame:
    line = QFrame()
    line.setFrameShape(QFrame.Shape.HLine)
    line.setFrameShadow(QFrame.Shadow.Sunken)
    return line
