"""Saves a layer while it is edited, so that a crash costs a minute's work at most."""

from __future__ import annotations

from typing import Optional

from qgis.core import QgsProject, QgsVectorLayer
from qgis.PyQt.QtCore import QObject, QTimer, pyqtSignal

from ..processing_provider.translation import tr
from .layer_life import is_alive

#: Milliseconds from the first unsaved edit until all of them are saved.
DELAY = 45_000


class AutoSave(QObject):
    """Commits the edits of one layer some time after they were made; it stays in edit mode.

    Attributes:
        problem: Why saving failed last time; the edits are still there, and it is tried again. Else "".

    Signals:
        changed: What is unsaved has changed, or could not be saved.
    """

    changed = pyqtSignal()

    def __init__(self, parent: Optional[QObject] = None) -> None:
        super().__init__(parent)
        self._layer: Optional[QgsVectorLayer] = None
        self.problem = ""
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(DELAY)
        self._timer.timeout.connect(self.save)
        QgsProject.instance().layersWillBeRemoved.connect(self._layers_go)

    def watch(self, layer: Optional[QgsVectorLayer]) -> None:
        """Save ``layer`` from now on, and what is unsaved of the layer before it at once."""
        if is_alive(self._layer):
            self.save()
            self._layer.layerModified.disconnect(self._modified)
        self._timer.stop()
        self._layer, self.problem = layer, ""
        if layer is not None:
            layer.layerModified.connect(self._modified)

    @property
    def is_pending(self) -> bool:
        """Whether there are unsaved edits."""
        return is_alive(self._layer) and self._layer.isEditable() and self._layer.isModified()

    def save(self) -> bool:
        """Save now; whether nothing is unsaved afterwards."""
        self._timer.stop()
        if not self.is_pending:
            self.problem = ""
            return True
        saved = self._layer.commitChanges(False)
        self.problem = ""
        if not saved:
            reasons = "; ".join(self._layer.commitErrors())
            self.problem = tr(
                "The edits of {layer} could not be saved, and will be tried again: {reasons}"
            ).format(layer=self._layer.name(), reasons=reasons)
            self._timer.start()
        self.changed.emit()
        return saved

    def _modified(self) -> None:
        # Not started anew by every edit: whoever draws without a pause would never be saved.
        if self.is_pending and not self._timer.isActive():
            self._timer.start()
        self.changed.emit()

    def _layers_go(self, ids: list[str]) -> None:
        if is_alive(self._layer) and self._layer.id() in ids:
            self.watch(None)
