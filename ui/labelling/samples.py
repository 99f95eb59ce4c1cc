"""Training samples in a polygon layer, with the fields that ArcGIS gives them.

Every change is one step of the layer's undo stack.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Optional

from qgis.core import (
    QgsFeatureRequest,
    QgsGeometry,
    QgsVectorLayer,
    QgsVectorLayerUtils,
)
from qgis.PyQt.QtCore import QObject, QTimer, pyqtSignal

from ...engine.imagerydl.errors import DataError, EngineError
from ...engine.imagerydl.labels.class_tree import ClassTree
from ...engine.imagerydl.labels.classes import ClassEntry, distinct_color
from ...processing_provider import compat
from ...processing_provider.translation import tr
from ..cells import number, text
from ..layer_geometry import typed
from ..layer_life import is_alive
from ..layer_style import keep_style
from .sample_file import BLUE, COUNT, GREEN, IMAGE, NAME, RED, VALUE, is_own_file
from .sample_style import sample_renderer

#: Where a layer keeps its class schema; it travels with the project and with the layer's style.
SCHEMA_PROPERTY = "imagerydl/class_schema"

#: Milliseconds after which a burst of changes is told once.
_BURST = 60


@dataclass(frozen=True)
class Sample:
    """A row of the layer.

    Attributes:
        number: Feature id.
        value: Class value; None where the field is empty.
        pixels: How many it covers, where that is known.
        image: The image it lies on, where the layer says.
    """

    number: int
    value: Optional[int]
    pixels: Optional[int]
    image: str = ""


class Samples(QObject):
    """The samples of one layer, and every way to change them.

    Args:
        layer: Polygons with a class value; see :meth:`problem`.

    Signals:
        changed: Samples came, went or changed; once for a burst of changes.
    """

    changed = pyqtSignal()

    def __init__(self, layer: QgsVectorLayer, parent: Optional[QObject] = None) -> None:
        super().__init__(parent)
        self.layer = layer
        self._burst = QTimer(self)
        self._burst.setSingleShot(True)
        self._burst.setInterval(_BURST)
        self._burst.timeout.connect(self.changed)
        for signal in (
            layer.featureAdded,
            layer.featuresDeleted,
            layer.attributeValueChanged,
            layer.geometryChanged,
            layer.committedFeaturesAdded,
            layer.editingStopped,
        ):
            signal.connect(self._note)

    def leave(self) -> None:
        """Listen no more; to be called before it is dropped."""
        self._burst.stop()
        self.blockSignals(True)

    @staticmethod
    def problem(layer: QgsVectorLayer) -> str:
        """Why a layer cannot hold samples; "" where it can."""
        if not isinstance(layer, QgsVectorLayer) or layer.geometryType() != compat.GEOMETRY_POLYGON:
            return tr("Samples are polygons.")
        if _field(layer, VALUE) < 0:
            return tr("The layer has no field {field}.").format(field=VALUE)
        if not layer.supportsEditing():
            return tr("The layer cannot be edited.")
        return ""

    # What is there

    @property
    def has_images(self) -> bool:
        """Whether each sample names its image."""
        return _field(self.layer, IMAGE) >= 0 and not self.layer.crs().isValid()

    def rows(self) -> list[Sample]:
        """All samples, unsaved ones included, in the order they were drawn."""
        if not is_alive(self.layer):
            return []
        places = [_field(self.layer, name) for name in (VALUE, COUNT, IMAGE)]
        request = QgsFeatureRequest().setFlags(compat.NO_GEOMETRY)
        request.setSubsetOfAttributes([place for place in places if place >= 0])
        rows = []
        for feature in self.layer.getFeatures(request):
            cells = [feature.attribute(place) if place >= 0 else None for place in places]
            rows.append(Sample(feature.id(), number(cells[0]), number(cells[1]), text(cells[2])))
        # New ones have negative ids that go down.
        rows.sort(key=lambda row: (row.number < 0, abs(row.number)))
        return rows

    def schema(self) -> ClassTree:
        """The class schema kept with the layer, and the classes of samples that it does not list."""
        tree = _kept_schema(self.layer)
        missing = [entry for entry in self._entries() if tree.entry(entry.value) is None]
        names = {entry.name for entry in tree.entries}
        for entry in missing:
            name = entry.name if entry.name not in names else f"{entry.name} ({entry.value})"
            tree = tree.added(ClassEntry(entry.value, name, entry.color))
        return tree.colored()

    def keep_schema(self, tree: ClassTree) -> None:
        """Keep a schema with the layer, and show the samples in its colours."""
        self.layer.setCustomProperty(SCHEMA_PROPERTY, json.dumps(tree.to_json()))
        self.layer.setRenderer(
            sample_renderer(tree, self.layer.fields().at(_field(self.layer, VALUE)).name())
        )
        self.layer.triggerRepaint()
        if is_own_file(self.layer):
            keep_style(self.layer)

    def _entries(self) -> list[ClassEntry]:
        places = [_field(self.layer, name) for name in (VALUE, NAME, RED, GREEN, BLUE)]
        request = QgsFeatureRequest().setFlags(compat.NO_GEOMETRY)
        request.setSubsetOfAttributes([place for place in places if place >= 0])
        entries: dict[int, ClassEntry] = {}
        for feature in self.layer.getFeatures(request):
            cells = [feature.attribute(place) if place >= 0 else None for place in places]
            value = number(cells[0])
            if value is None or value < 0 or value in entries:
                continue
            parts = [number(cell) for cell in cells[2:]]
            color = tuple(parts) if all(part is not None and 0 <= part <= 255 for part in parts) else None
            entries[value] = ClassEntry(value, text(cells[1]) or str(value), color)
        return [entries[value] for value in sorted(entries)]

    # Changing them

    def add(self, shape: QgsGeometry, entry: ClassEntry, pixels: Optional[int], image: str = "") -> None:
        """Add a sample.

        Args:
            shape: Polygons in the layer's system.
            entry: Its class.
            pixels: How many it covers.
            image: The image, where the layer has a field for it.
        """
        cells = {**self._class_cells(entry), **self._cells({COUNT: pixels, IMAGE: image})}
        feature = QgsVectorLayerUtils.createFeature(self.layer, typed(shape, self.layer), cells)
        with self._step(tr("Add a sample of {name}").format(name=entry.name)):
            if not self.layer.addFeature(feature):
                raise self._refused()

    def delete(self, numbers: Iterable[int]) -> None:
        """Delete samples."""
        with self._step(tr("Delete samples")):
            if not self.layer.deleteFeatures(list(numbers)):
                raise self._refused()

    def reassign(self, numbers: Iterable[int], entry: ClassEntry) -> None:
        """Give samples another class."""
        cells = self._class_cells(entry)
        with self._step(tr("Make samples {name}").format(name=entry.name)):
            for feature_id in numbers:
                self._change(feature_id, cells)

    def redraw(self, feature_id: int, shape: QgsGeometry, pixels: Optional[int]) -> None:
        """Give a sample another outline."""
        with self._step(tr("Redraw a sample")):
            if not self.layer.changeGeometry(feature_id, typed(shape, self.layer)):
                raise self._refused()
            self._change(feature_id, self._cells({COUNT: pixels}))

    def merge(self, numbers: Iterable[int], pixels: Any) -> None:
        """Make one sample of several: the first one, which keeps its class.

        Args:
            numbers: Two samples or more.
            pixels: Gives the pixels of a shape.
        """
        ids = list(numbers)
        shapes = {
            feature.id(): feature.geometry()
            for feature in self.layer.getFeatures(QgsFeatureRequest().setFilterFids(ids))
        }
        whole = QgsGeometry.unaryUnion([shapes[feature_id] for feature_id in ids])
        with self._step(tr("Merge samples")):
            if not self.layer.changeGeometry(ids[0], typed(whole, self.layer)):
                raise self._refused()
            self._change(ids[0], self._cells({COUNT: pixels(whole)}))
            self.layer.deleteFeatures(ids[1:])

    def rename_class(self, value: int, entry: ClassEntry) -> None:
        """Bring the samples of a class up to date with its new value, name or colour."""
        ids = [row.number for row in self.rows() if row.value == value]
        if ids:
            self.reassign(ids, entry)

    def align(self, tree: ClassTree) -> None:
        """Bring names and colours of all samples up to the schema's; undoing leaves old ones behind."""
        place = _field(self.layer, VALUE)
        stale: dict[int, list[int]] = {}
        for feature in self.layer.getFeatures(QgsFeatureRequest().setFlags(compat.NO_GEOMETRY)):
            value = number(feature.attribute(place))
            entry = None if value is None else tree.entry(value)
            if entry is None:
                continue
            wanted = self._class_cells(entry)
            if any(text(feature.attribute(at)) != text(cell) for at, cell in wanted.items()):
                stale.setdefault(value, []).append(feature.id())
        for value, numbers in stale.items():
            self.reassign(numbers, tree.entry(value))

    def field(self, name: str) -> str:
        """How the layer spells one of the fields; "" where it has none."""
        place = _field(self.layer, name)
        return self.layer.fields().at(place).name() if place >= 0 else ""

    def undo(self) -> None:
        """Take the last step back."""
        self.layer.undoStack().undo()
        self.layer.triggerRepaint()

    def redo(self) -> None:
        """Take the step again that was taken back."""
        self.layer.undoStack().redo()
        self.layer.triggerRepaint()

    def shape(self, feature_id: int) -> QgsGeometry:
        """The outline of a sample."""
        return self.layer.getGeometry(feature_id)

    def find(self, shape: QgsGeometry) -> int:
        """The newest sample with this very outline.

        Raises:
            DataError: If there is none.
        """
        request = QgsFeatureRequest().setFilterRect(shape.boundingBox()).setNoAttributes()
        found = [each.id() for each in self.layer.getFeatures(request) if each.geometry().equals(shape)]
        if not found:
            raise DataError(tr("The sample is no longer there."))
        return max(found)

    @contextmanager
    def _step(self, what: str) -> Iterator[None]:
        if not self.layer.isEditable() and not self.layer.startEditing():
            raise DataError(tr("{layer} cannot be edited.").format(layer=self.layer.name()))
        self.layer.beginEditCommand(what)
        try:
            yield
        except BaseException:
            self.layer.destroyEditCommand()
            raise
        self.layer.endEditCommand()
        self.layer.triggerRepaint()

    def _change(self, feature_id: int, cells: dict[int, Any]) -> None:
        for place, cell in cells.items():
            if not self.layer.changeAttributeValue(feature_id, place, cell):
                raise self._refused()

    def _class_cells(self, entry: ClassEntry) -> dict[int, Any]:
        red, green, blue = entry.color or distinct_color(entry.value)
        return self._cells({VALUE: entry.value, NAME: entry.name, RED: red, GREEN: green, BLUE: blue})

    def _cells(self, cells: dict[str, Any]) -> dict[int, Any]:
        """Cells by place, of those fields that the layer has."""
        places = {name: _field(self.layer, name) for name in cells}
        return {places[name]: cell for name, cell in cells.items() if places[name] >= 0}

    def _refused(self) -> EngineError:
        return DataError(tr("{layer} did not take the change.").format(layer=self.layer.name()))

    def _note(self, *_: Any) -> None:
        self._burst.start()


def _field(layer: QgsVectorLayer, name: str) -> int:
    """Place of a field, in any letter case; -1 where there is none."""
    return layer.fields().lookupField(name)


def _kept_schema(layer: QgsVectorLayer) -> ClassTree:
    kept = layer.customProperty(SCHEMA_PROPERTY, "")
    try:
        return ClassTree.from_json(json.loads(kept)) if kept else ClassTree()
    except (EngineError, ValueError):
        return ClassTree()  # classes of the samples themselves are still there
