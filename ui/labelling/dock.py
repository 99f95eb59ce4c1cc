"""The Label Objects dock: draw samples of classes on imagery, and export them as training data."""

from __future__ import annotations

import os
from functools import partial
from typing import Any, Optional

from qgis.core import (
    QgsGeometry,
    QgsMapLayer,
    QgsProject,
    QgsVectorLayer,
)
from qgis.gui import QgsDockWidget, QgsMapCanvas
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtGui import QColor, QKeySequence
from qgis.PyQt.QtWidgets import (
    QFileDialog,
    QShortcut,
    QWidget,
)

from ...engine.imagerydl.errors import DataError, EngineError, ParameterError
from ...engine.imagerydl.labels.class_tree import ClassTree
from ...engine.imagerydl.labels.classes import ClassEntry
from ...processing_provider.translation import tr
from ..autosave import AutoSave
from ..buttons import do
from ..layer_life import is_alive
from ..tool_dialog import open_tool
from . import shapes
from .imagery import Imagery, in_system
from .map_loan import MapLoan
from .panel import LabelPanel
from .sample_file import VALUE, create_samples, forget_undefined_crs, open_samples
from .sample_list import SampleList
from .samples import SCHEMA_PROPERTY, Samples

_PROBLEM = "color: #c0392b"


class LabelDock(QgsDockWidget):
    """Classes, tools and samples.

    Args:
        canvas: The map to draw on.
        iface: The QGIS window, for its vertex tool; None where there is none.
        parent: Its window.
    """

    def __init__(self, canvas: QgsMapCanvas, iface: Any = None, parent: Optional[QWidget] = None) -> None:
        super().__init__(tr("Label Objects"), parent)
        self.setObjectName("ImageryDLLabelObjects")
        self._canvas, self._iface = canvas, iface
        self.samples: Optional[Samples] = None
        self._redrawn: Optional[int] = None
        self._problem = ""
        self._autosave = AutoSave(self)
        self._autosave.changed.connect(self._tell_state)
        self._tools = {kind: make(canvas) for kind, make in shapes.TOOLS.items()}
        for tool in self._tools.values():
            tool.drawn.connect(self._take_shape)
            tool.digit.connect(self._choose_digit)
            tool.escaped.connect(self._stop_redrawing)
        self._loan = MapLoan(canvas, self._tools.values())
        self._build()
        self._add_shortcuts()
        self._canvas.mapToolSet.connect(self._tool_changed)
        QgsProject.instance().readProject.connect(self._adopt)
        QgsProject.instance().layersAdded.connect(self._find_imagery)
        self.imagery_box.layerChanged.connect(self._imagery_changed)
        self.samples_box.layerChanged.connect(self.use_layer)
        self._adopt()

    # Layers

    def imagery(self) -> Optional[Imagery]:
        """The imagery chosen."""
        layer = self.imagery_box.currentLayer()
        return Imagery(layer) if is_alive(layer) else None

    def _imagery_changed(self, *_: Any) -> None:
        self._tell_state()

    def use_layer(self, layer: Optional[QgsMapLayer]) -> None:
        """Put samples into ``layer`` from now on; None for nowhere."""
        if self._living() is not None and self.samples.layer is layer:
            return
        self._leave_layer()
        if is_alive(layer):
            if self.samples_box.currentLayer() is not layer:
                self.samples_box.setLayer(layer)
                return  # comes back here
            self._problem = Samples.problem(layer)
            if not self._problem:
                self._enter_layer(layer)
        self._refresh()

    def new_samples(self, path: str) -> None:
        """Make a file of samples in the imagery's coordinate system, or open the one that is there."""
        if not os.path.splitext(path)[1]:
            path += ".gpkg"
        try:
            if os.path.exists(path):
                layer = open_samples(path)
            else:
                imagery = self.imagery()
                crs = imagery.crs if imagery else self._canvas.mapSettings().destinationCrs()
                layer = create_samples(path, crs, imagery is not None and imagery.is_pixel_space)
        except EngineError as error:
            self.say(str(error))
            return
        layer.setName(os.path.splitext(os.path.basename(path))[0])
        QgsProject.instance().addMapLayer(layer)
        self.use_layer(layer)
        if self.samples is not None and not layer.customProperty(SCHEMA_PROPERTY):
            self.samples.keep_schema(self.classes.tree)

    def _enter_layer(self, layer: QgsVectorLayer) -> None:
        forget_undefined_crs(layer)
        self.samples = Samples(layer, self)
        self.samples.changed.connect(self._refresh)
        layer.selectionChanged.connect(self._selected_on_map)
        layer.willBeDeleted.connect(self._leave_layer)
        self._autosave.watch(layer)
        tree = self.samples.schema()
        if tree.nodes:
            self.classes.set_tree(tree)

    def _leave_layer(self) -> None:
        self._problem = ""
        self._redrawn = None
        self._autosave.watch(None)
        if self.samples is None:
            return
        samples, self.samples = self.samples, None
        samples.leave()
        if is_alive(samples.layer):
            samples.layer.selectionChanged.disconnect(self._selected_on_map)
            samples.layer.willBeDeleted.disconnect(self._leave_layer)
        samples.deleteLater()
        self._refresh()

    def _living(self) -> Optional[Samples]:
        """The samples; None where there are none, or their layer has gone."""
        return self.samples if self.samples is not None and is_alive(self.samples.layer) else None

    def _find_imagery(self, *_: Any) -> None:
        """Take the first raster there is, until somebody chooses."""
        if self.imagery_box.currentLayer() is None and self.imagery_box.count() > 1:
            self.imagery_box.setCurrentIndex(1)

    def _adopt(self, *_: Any) -> None:
        """Go on with the samples of a project where they were left."""
        self._find_imagery()
        if self.samples is not None or self.samples_box.currentLayer() is not None:
            return
        for layer in QgsProject.instance().mapLayers().values():
            if isinstance(layer, QgsVectorLayer) and layer.customProperty(SCHEMA_PROPERTY):
                self.use_layer(layer)
                return

    # Drawing

    def set_tool(self, kind: str) -> None:
        """Draw with one of the tools of :data:`shapes.TOOLS`."""
        self._loan.take(self._tools[kind])
        self._tool_changed(self._canvas.mapTool())
        self._color_tools()
        if self._iface is not None and self._living() is not None:
            self._iface.setActiveLayer(self.samples.layer)  # whose edits QGIS's own Undo takes back

    def label_whole_image(self) -> None:
        """Give the whole image the class chosen."""
        imagery = self.imagery()
        if imagery is None:
            self.say(tr("Choose the imagery first."))
            return
        self._draw(imagery.outline(), imagery.crs)

    def _take_shape(self, shape: QgsGeometry) -> None:
        self._draw(shape, self._canvas.mapSettings().destinationCrs())

    def _draw(self, shape: QgsGeometry, crs: Any) -> None:
        try:
            samples, entry = self._ready()
            moved, pixels = self._fitted(shape, crs, samples)
            if self._redrawn is not None:
                samples.redraw(self._redrawn, moved, pixels)
                self._redrawn = None
            else:
                imagery = self.imagery()
                samples.add(moved, entry, pixels, imagery.name if imagery else "")
        except EngineError as error:
            self.say(str(error))
        else:
            self._tell_state()

    def _ready(self) -> tuple[Samples, ClassEntry]:
        if self._living() is None:
            raise ParameterError(self._problem or tr("Choose a layer for the samples, or make one."))
        entry = self.classes.current()
        if entry is None:
            raise ParameterError(tr("Choose a class first."))
        mismatch = self._mismatch()
        if mismatch:
            raise ParameterError(mismatch)
        if self.samples.has_images and self.imagery() is None:
            raise ParameterError(tr("Choose the imagery first."))
        # Not before: a layer that was only looked at keeps its own style.
        if not self.samples.layer.customProperty(SCHEMA_PROPERTY):
            self.samples.keep_schema(self.classes.tree)
        return self.samples, entry

    def _mismatch(self) -> str:
        """Why the samples cannot be of this imagery."""
        imagery = self.imagery()
        if imagery is None or self.samples is None:
            return ""
        has, needs = self.samples.layer.crs().isValid(), imagery.crs.isValid()
        if has == needs:
            return ""
        text = tr("{with_crs} has a coordinate system and {without} has none: use another layer of samples.")
        names = (self.samples.layer.name(), imagery.layer.name())
        return text.format(with_crs=names[0 if has else 1], without=names[1 if has else 0])

    def _fitted(self, shape: QgsGeometry, crs: Any, samples: Samples) -> tuple[QgsGeometry, Optional[int]]:
        """A shape in the samples' system, and its pixels."""
        imagery = self.imagery()
        if imagery is not None:
            shape = imagery.fitted(shape)
            if shape.isEmpty():
                raise DataError(tr("That lies outside of {image}.").format(image=imagery.layer.name()))
        moved = in_system(shape, crs, samples.layer.crs())
        if moved is None:
            raise DataError(
                tr("That cannot be shown in the coordinate system of {layer}.").format(
                    layer=samples.layer.name()
                )
            )
        return moved, imagery.pixels(moved, samples.layer.crs()) if imagery else None

    def _color_tools(self) -> None:
        entry = self.classes.current()
        for tool in self._tools.values():
            if entry is not None and entry.color is not None:
                tool.set_color(QColor(*entry.color))

    def _tool_changed(self, tool: Any, *_: Any) -> None:
        for kind, button in self.panel.tool_buttons.items():
            button.setChecked(tool is self._tools[kind])
        if not self._loan.is_taken:
            self._stop_redrawing()

    # Samples

    def _do(self, word: str) -> None:
        ids = self.sample_list.selection()
        if self._living() is None:
            return
        try:
            if word == SampleList.VERTICES:
                self._edit_vertices()
            elif not ids:
                return
            elif word == SampleList.ZOOM:
                self._canvas.zoomToFeatureIds(self.samples.layer, ids)
            elif word == SampleList.DELETE:
                self.samples.delete(ids)
            elif word == SampleList.MERGE and len(ids) > 1:
                self.samples.merge(ids, self._pixels)
            elif word == SampleList.ASSIGN:
                _, entry = self._ready()
                self.samples.reassign(ids, entry)
            elif word == SampleList.REDRAW:
                self._begin_redrawing(ids[0])
        except EngineError as error:
            self.say(str(error))

    def _pixels(self, shape: QgsGeometry) -> Optional[int]:
        imagery = self.imagery()
        return imagery.pixels(shape, self.samples.layer.crs()) if imagery else None

    def _begin_redrawing(self, number: int) -> None:
        if number < 0:  # not saved yet: saving, at whatever moment, would give it another number
            number = self._saved_number(number)
        if not self._loan.is_taken:
            self.set_tool(shapes.POLYGON)
        self._redrawn = number
        self.state.setText(tr("Draw the sample anew, with any of the tools; Escape leaves it as it is."))

    def _stop_redrawing(self) -> None:
        if self._redrawn is not None:
            self._redrawn = None
            self._tell_state()

    def _saved_number(self, number: int) -> int:
        """Save; the number that a new sample has then."""
        shape = self.samples.shape(number)
        if not self.save():
            raise DataError(tr("The sample could not be saved."))
        return self.samples.find(shape)

    def _edit_vertices(self) -> None:
        layer = self.samples.layer
        if not layer.isEditable():
            layer.startEditing()
        if self._iface is not None:
            self._iface.setActiveLayer(layer)
            self._iface.actionVertexToolActiveLayer().trigger()

    def _undo(self) -> None:
        samples = self._living()
        if samples is not None:
            samples.undo()

    def _redo(self) -> None:
        samples = self._living()
        if samples is not None:
            samples.redo()

    def _selected_in_list(self, ids: list[int]) -> None:
        if self._living() is not None:
            self.samples.layer.selectByIds(ids)

    def _selected_on_map(self, *_: Any) -> None:
        if self._living() is not None:
            self.sample_list.select(self.samples.layer.selectedFeatureIds())

    # Classes

    def _class_chosen(self, entry: Optional[ClassEntry]) -> None:
        self._color_tools()
        self.sample_list.set_class(entry.value if entry else None)

    def _choose_digit(self, digit: int) -> None:
        self.classes.choose_digit(digit)

    def _schema_edited(self, tree: ClassTree) -> None:
        if self._living() is not None:
            self.samples.keep_schema(tree)
            self._refresh()

    def _class_renamed(self, value: int, entry: ClassEntry) -> None:
        if self._living() is None:
            return
        try:
            self.samples.rename_class(value, entry)
        except EngineError as error:
            self.say(str(error))

    def _objection(self, tree: ClassTree) -> str:
        """Why samples that are there forbid another schema: a class of theirs would become another."""
        if self._living() is None:
            return ""
        used = {sample.value for sample in self.samples.rows()}
        for value in sorted(value for value in used if value is not None):
            here, there = self.classes.tree.entry(value), tree.entry(value)
            if there is None or (here is not None and here.name.lower() != there.name.lower()):
                return tr(
                    "There are samples of class {value}, {name}, which the schema does not have so. "
                    "Use another layer of samples, or give them a class that it has."
                ).format(value=value, name=here.name if here else value)
        return ""

    # Export

    def save(self) -> bool:
        """Save the samples now; whether all are saved."""
        return self._autosave.save()

    def export(self) -> Optional[QWidget]:
        """Open Export Training Data with the samples, their class field and the imagery; its dialog."""
        try:
            if self._living() is None:
                raise ParameterError(tr("There are no samples to export."))
            if self._mismatch():
                raise ParameterError(self._mismatch())
            self.samples.align(self.classes.tree)
            if not self.save():
                return None
            if not self.samples.rows():
                raise ParameterError(tr("There are no samples to export."))
            values = {
                "IN_CLASS_DATA": self.samples.layer.id(),
                "CLASS_VALUE_FIELD": self.samples.field(VALUE),
            }
            imagery = self.imagery()
            if imagery is not None:
                values["IN_RASTER"] = [imagery.layer.id()]
            return open_tool("exporttrainingdata", values, self.window())
        except EngineError as error:
            self.say(str(error))
            return None

    # What is shown

    def say(self, text: str) -> None:
        """Tell what went wrong."""
        self.state.setStyleSheet(_PROBLEM)
        self.state.setText(text)

    def _refresh(self) -> None:
        samples = self._living()
        rows = samples.rows() if samples else []
        amounts: dict[int, tuple[int, int]] = {}
        for row in rows:
            if row.value is not None:
                count, pixels = amounts.get(row.value, (0, 0))
                amounts[row.value] = (count + 1, pixels + (row.pixels or 0))
        self.classes.set_amounts(amounts)
        self.sample_list.show_samples(rows, self.classes.tree, bool(samples and samples.has_images))
        self._tell_state()

    def _tell_state(self) -> None:
        self.state.setStyleSheet("")
        samples = self._living()
        self.panel.undo_button.setEnabled(bool(samples) and samples.layer.undoStack().canUndo())
        self.panel.redo_button.setEnabled(bool(samples) and samples.layer.undoStack().canRedo())
        self.panel.save_button.setEnabled(self._autosave.is_pending)
        self.panel.export_button.setEnabled(bool(samples))
        problem = self._problem or self._mismatch() or self._autosave.problem
        if problem:
            self.say(problem)
        elif samples is None:
            self.state.setText(tr("Choose a layer for the samples, or make one."))
        elif not self.classes.tree.entries:
            self.state.setText(tr("Add a class, or open a schema."))
        elif self._autosave.is_pending:
            self.state.setText(tr("Unsaved edits are saved within a minute."))
        else:
            self.state.setText(tr("Everything is saved."))

    def _build(self) -> None:
        self.panel = panel = LabelPanel()
        self.imagery_box, self.samples_box = panel.imagery_box, panel.samples_box
        self.classes, self.sample_list, self.state = panel.classes, panel.sample_list, panel.state
        self.classes.objection = self._objection
        self.classes.chosen.connect(self._class_chosen)
        self.classes.edited.connect(self._schema_edited)
        self.classes.renamed.connect(self._class_renamed)
        self.classes.failed.connect(self.say)
        self.sample_list.selected.connect(self._selected_in_list)
        self.sample_list.wanted.connect(self._do)
        for kind, tool_button in panel.tool_buttons.items():
            tool_button.clicked.connect(partial(self._tool_clicked, kind))
        for button, deed in (
            (panel.new_button, self._ask_for_samples),
            (panel.whole_button, self.label_whole_image),
            (panel.undo_button, self._undo),
            (panel.redo_button, self._redo),
            (panel.save_button, self.save),
            (panel.export_button, self.export),
        ):
            button.clicked.connect(partial(do, deed))
        self.setWidget(panel)

    def _tool_clicked(self, kind: str, *_: Any) -> None:
        self.set_tool(kind)

    def _add_shortcuts(self) -> None:
        here = Qt.ShortcutContext.WidgetWithChildrenShortcut
        for digit in range(1, 10):
            shortcut = QShortcut(QKeySequence(str(digit)), self.classes.view, context=here)
            shortcut.activated.connect(lambda digit=digit: self._choose_digit(digit))
        delete = QShortcut(QKeySequence(QKeySequence.StandardKey.Delete), self.sample_list.view, context=here)
        delete.activated.connect(lambda: self._do(SampleList.DELETE))

    def _ask_for_samples(self) -> None:
        path, _ = QFileDialog.getSaveFileName(
            self,
            tr("Make or open a file of samples"),
            "samples.gpkg",
            "GeoPackage (*.gpkg)",
            options=QFileDialog.Option.DontConfirmOverwrite,  # what is there is opened
        )
        if path:
            self.new_samples(path)

    def closeEvent(self, event: Any) -> None:  # noqa: N802 - the name Qt calls
        """Save what is unsaved, and give the map its usual tool back."""
        self.save()
        self._loan.give_back()
        super().closeEvent(event)

    def leave(self) -> None:
        """Save, and let go of everything in QGIS; before it is deleted."""
        self.imagery_box.layerChanged.disconnect(self._imagery_changed)
        self.samples_box.layerChanged.disconnect(self.use_layer)
        QgsProject.instance().readProject.disconnect(self._adopt)
        QgsProject.instance().layersAdded.disconnect(self._find_imagery)
        self._canvas.mapToolSet.disconnect(self._tool_changed)
        self._loan.end()
        self._leave_layer()
