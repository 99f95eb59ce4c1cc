"""The Review Results dock: one object after another, judged by keys."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from typing import Any, Optional

from qgis.core import QgsGeometry, QgsMapLayer, QgsProject, QgsVectorLayer
from qgis.gui import QgsDockWidget, QgsMapCanvas, QgsMapLayerComboBox, QgsRubberBand
from qgis.PyQt.QtCore import Qt, QTimer, pyqtSignal
from qgis.PyQt.QtGui import QColor, QKeySequence
from qgis.PyQt.QtWidgets import (
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QMessageBox,
    QPushButton,
    QShortcut,
    QVBoxLayout,
    QWidget,
)

from ...engine.imagerydl.errors import DataError, EngineError
from ...engine.imagerydl.labels.classes import ClassEntry
from ...processing_provider import compat
from ...processing_provider.translation import tr
from ..autosave import AutoSave
from ..buttons import do
from ..labelling import shapes
from ..labelling.imagery import in_system
from ..labelling.map_loan import MapLoan
from ..labelling.sample_file import forget_undefined_crs
from ..layer_classes import classes_of_layer
from ..layer_life import is_alive
from .accepted import make_samples
from .panel import ReviewPanel
from .queue import ReviewQueue
from .texts import object_text, summary_text
from .verdicts import Verdicts, copy_layer

#: How much wider than the object the map shows.
_ROOM = 4.0
_BURST = 80  # milliseconds after which a burst of changes is looked at once

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
        self.verdicts: Optional[Verdicts] = None
        self.queue: Optional[ReviewQueue] = None
        self.classes: list[ClassEntry] = []
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
        self._burst.timeout.connect(self._catch_up)
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
        self.verdicts, self.queue = verdicts, ReviewQueue(verdicts)
        self.classes = classes_of_layer(layer)
        layer.attributeValueChanged.connect(self._feature_edited)
        layer.featureAdded.connect(self._feature_edited)
        layer.featuresDeleted.connect(self._features_edited)
        layer.willBeDeleted.connect(self._leave_layer)
        self._autosave.watch(layer)
        self.say("")
        self.panel.offer(list(self.queue.findings.values()), self.classes)
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
        if self.verdicts is None or self.verdicts.layer is not layer:
            self._leave_layer()
            self._show()

    def _leave_layer(self) -> None:
        self._burst.stop()
        self._autosave.watch(None)
        verdicts, self.verdicts, self.queue = self.verdicts, None, None
        if verdicts is not None and is_alive(verdicts.layer):
            layer = verdicts.layer
            layer.attributeValueChanged.disconnect(self._feature_edited)
            layer.featureAdded.disconnect(self._feature_edited)
            layer.featuresDeleted.disconnect(self._features_edited)
            layer.willBeDeleted.disconnect(self._leave_layer)
        if verdicts is not None:
            self._loan.give_back()
            self._show()

    def _feature_edited(self, feature_id: int, *_: Any) -> None:
        self._features_edited([feature_id])

    def _features_edited(self, ids: list[int]) -> None:
        if self.queue is not None:
            self.queue.note(ids)
            self._burst.start()

    def _catch_up(self) -> list[int]:
        """Show what was edited, here or elsewhere; its ids."""
        if self._ready() is None:
            return []
        edited = self.queue.catch_up()
        if edited:
            self._show()
        return edited

    def _ready(self) -> Optional[Verdicts]:
        """What is reviewed; None where nothing is, or its layer has gone."""
        return self.verdicts if self.verdicts is not None and is_alive(self.verdicts.layer) else None

    # The queue

    def restart(self) -> None:
        """Line the objects up as the filters and the order say, and go to the first one without a verdict."""
        if self._ready() is None:
            return
        self.queue.line_up(self.panel.filters())
        self._show()
        self._zoom()

    def current(self) -> Optional[int]:
        """The object under review."""
        found = self.queue.current if self._ready() is not None else None
        return None if found is None else found.number

    def step(self, by: int) -> None:
        """Go on, or back."""
        self._loan.give_back()
        if self._ready() is not None:
            self.queue.step(by)
            self._show()
            self._zoom()

    # Verdicts

    def approve(self) -> None:
        """The object is right."""
        self._judge(lambda verdicts, number: verdicts.approve(number))

    def reject(self) -> None:
        """The object is wrong."""
        issue = self.panel.issue_box.currentText().strip()
        self._judge(lambda verdicts, number: verdicts.reject(number, issue))

    def reclass(self, entry: ClassEntry) -> None:
        """The object is of another class."""
        self._judge(lambda verdicts, number: verdicts.reclass(number, entry))

    def reclass_digit(self, digit: int) -> None:
        """The object is of the class at that place of the list, 1 to 9."""
        if digit <= len(self.classes):
            self.reclass(self.classes[digit - 1])

    def undo(self) -> None:
        """Take the last verdict back, up to the last save, and look at its object again."""
        verdicts = self._ready()
        if verdicts is None or not verdicts.layer.undoStack().canUndo():
            return
        verdicts.undo()
        if self.queue.go_to(self._catch_up()):
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
        self._catch_up()
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
            layer = make_samples(verdicts, self.queue.chosen(), path)
        except EngineError as error:
            self.say(str(error))
            return None
        layer.setName(os.path.splitext(os.path.basename(path))[0])
        QgsProject.instance().addMapLayer(layer)
        told = self.queue.summary()
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
        self.panel.verdict_panel.setEnabled(number is not None)
        self._mark(number)
        if verdicts is None:
            self.panel.object_label.setText(tr("Choose a layer, and start."))
            self.panel.summary_label.setText("")
        else:
            self.panel.object_label.setText(self._object_text())
            self.panel.summary_label.setText(summary_text(self.queue.summary()))
        self._tell_saving()

    def _object_text(self) -> str:
        queue, finding = self.queue, self.queue.current
        if finding is None:
            return tr("That was the last one.") if queue.numbers else tr("No object passes the filters.")
        issue = self.verdicts.issue(finding.number)
        return object_text(finding, issue, queue.place + 1, len(queue.numbers))

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
        self._band.setToGeometry(self.verdicts.shape(number), self.verdicts.layer)

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
        verdicts, panel = self._ready(), self.panel
        panel.save_button.setEnabled(self._autosave.is_pending)
        panel.undo_button.setEnabled(verdicts is not None and verdicts.layer.undoStack().canUndo())
        finding = self.queue.current if verdicts is not None else None
        panel.reopen_button.setEnabled(finding is not None and finding.is_reviewed)
        if self._autosave.problem:
            self.say(self._autosave.problem)

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

        self.panel = panel = ReviewPanel()
        panel.filters_changed.connect(self.restart)
        for button, deed in (
            (panel.approve_button, self.approve),
            (panel.reject_button, self.reject),
            (panel.reclass_button, self._reclass_chosen),
            (panel.redraw_button, self.begin_redrawing),
            (panel.back_button, lambda: self.step(-1)),
            (panel.next_button, lambda: self.step(1)),
            (panel.undo_button, self.undo),
            (panel.reopen_button, self.reopen),
            (panel.save_button, self.save),
            (panel.samples_button, self._ask_for_samples),
        ):
            button.clicked.connect(partial(do, deed))

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
        entry = self.panel.reclass_box.currentData()
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
        if self._ready() is None:
            return
        if not self.queue.summary().approved:
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
