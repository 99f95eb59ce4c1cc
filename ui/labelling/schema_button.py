"""The button that begins, opens and saves class schemas."""

from __future__ import annotations

from functools import partial
from typing import Any, Optional

from qgis.core import QgsProject
from qgis.PyQt.QtCore import pyqtSignal
from qgis.PyQt.QtWidgets import QFileDialog, QMenu, QToolButton, QWidget

from ...engine.imagerydl.labels.class_tree import EXTENSION
from ...processing_provider.translation import tr


class SchemaButton(QToolButton):
    """A button with a menu.

    Attributes:
        suggested: Name under which the schema would be saved.

    Signals:
        anew: An empty schema is wanted.
        path_chosen: The classes of a file or folder are wanted.
        layer_chosen: The classes of a layer are wanted.
        save_wanted: The schema is to be saved, and where.
    """

    anew = pyqtSignal()
    path_chosen = pyqtSignal(str)
    layer_chosen = pyqtSignal(object)
    save_wanted = pyqtSignal(str)

    def __init__(self, parent: Optional[QWidget] = None) -> None:
        super().__init__(parent)
        self.suggested = ""
        menu = QMenu(self)
        menu.addAction(tr("New schema"), self.anew.emit)
        menu.addAction(tr("Open a file: schema, model or package…"), self._ask_for_file)
        menu.addAction(tr("Open a folder of training chips…"), self._ask_for_folder)
        self._layers = menu.addMenu(tr("Classes of a layer"))
        self._layers.aboutToShow.connect(self._list_layers)
        menu.addSeparator()
        menu.addAction(tr("Save as…"), self._ask_where_to_save)
        self.setText(tr("Schema"))
        self.setToolTip(tr("The classes to label: new ones, or those of a file, a model or a layer"))
        self.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self.setMenu(menu)

    def _ask_for_file(self) -> None:
        kinds = f"{tr('Schemas and models')} (*.json *.ecs *.txt *.csv *.emd *.dlpk);;{tr('All files')} (*)"
        path, _ = QFileDialog.getOpenFileName(self, tr("Open a class schema"), "", kinds)
        if path:
            self.path_chosen.emit(path)

    def _ask_for_folder(self) -> None:
        path = QFileDialog.getExistingDirectory(self, tr("Open a folder of training chips"))
        if path:
            self.path_chosen.emit(path)

    def _ask_where_to_save(self) -> None:
        name = f"{self.suggested or 'classes'}.{EXTENSION}"
        path, _ = QFileDialog.getSaveFileName(self, tr("Save the class schema"), name, "JSON (*.json)")
        if path:
            self.save_wanted.emit(path)

    def _list_layers(self) -> None:
        self._layers.clear()
        layers = sorted(QgsProject.instance().mapLayers().values(), key=lambda layer: layer.name().lower())
        for layer in layers:
            action = self._layers.addAction(layer.name())
            action.triggered.connect(partial(self._choose_layer, layer.id()))

    def _choose_layer(self, layer_id: str, *_: Any) -> None:
        layer = QgsProject.instance().mapLayer(layer_id)
        if layer is not None:
            self.layer_chosen.emit(layer)
