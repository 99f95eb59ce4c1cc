"""A person's verdicts, kept in fields of the layer that is reviewed.

The fields are those of ArcGIS's review of labels, Status and Issue, and two that say what was corrected.
Every verdict is one step of the layer's undo stack.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Optional

from qgis.core import (
    QgsFeatureRequest,
    QgsGeometry,
    QgsProject,
    QgsVectorDataProvider,
    QgsVectorFileWriter,
    QgsVectorLayer,
)

from ...engine.imagerydl.assessment.review import APPROVED, PENDING, REJECTED, Finding
from ...engine.imagerydl.errors import DataError, OutputError
from ...engine.imagerydl.labels.classes import ClassEntry
from ...processing_provider import compat
from ...processing_provider.translation import tr
from ..cells import decimal, number, text
from ..layer_classes import NAME_FIELDS, class_field, usual_field
from ..layer_geometry import typed
from ..layer_style import keep_style

STATUS, ISSUE, CORRECTED, FORMER_CLASS = "Status", "Issue", "Corrected", "FormerClass"
_FIELDS = {STATUS: 20, ISSUE: 254, CORRECTED: 20, FORMER_CLASS: 254}

#: What :data:`CORRECTED` may say.
CLASS, OUTLINE = "class", "outline"

_CONFIDENCE_FIELDS = ("confidence", "conf", "score", "probability")
_STATUSES = {status.lower(): status for status in (PENDING, APPROVED, REJECTED)}


class Verdicts:
    """The objects of a layer and what was said about them.

    Args:
        layer: Detected or classified objects.
    """

    def __init__(self, layer: QgsVectorLayer) -> None:
        self.layer = layer
        self.class_field = class_field(layer)
        self.name_field = usual_field(layer, NAME_FIELDS)
        self.confidence_field = usual_field(layer, _CONFIDENCE_FIELDS)

    @staticmethod
    def problem(layer: QgsVectorLayer) -> str:
        """Why verdicts cannot be kept in a layer; "" where they can."""
        if not isinstance(layer, QgsVectorLayer) or not layer.isValid():
            return tr("Choose a layer of detected or classified objects.")
        if layer.subsetString():
            return tr("{layer} is filtered. Take the filter away, or review a copy.").format(
                layer=layer.name()
            )
        can = layer.dataProvider().capabilities()
        missing = [name for name in _FIELDS if layer.fields().lookupField(name) < 0]
        needed = QgsVectorDataProvider.Capability.ChangeAttributeValues
        if missing:
            needed |= QgsVectorDataProvider.Capability.AddAttributes
        if layer.readOnly() or can & needed != needed:
            return tr("{layer} cannot be edited. Review a copy.").format(layer=layer.name())
        return ""

    def add_fields(self) -> None:
        """Add the fields that the layer lacks.

        Raises:
            DataError: If it does not take them.
        """
        missing = [name for name in _FIELDS if self._place(name) < 0]
        if not missing:
            return
        added = self.layer.dataProvider().addAttributes(
            [compat.text_field(name, _FIELDS[name]) for name in missing]
        )
        self.layer.updateFields()
        if not added or any(self._place(name) < 0 for name in missing):
            raise DataError(
                tr("{layer} does not take the fields {fields}.").format(
                    layer=self.layer.name(), fields=", ".join(missing)
                ),
                tr("Review a copy."),
            )

    # What is there

    def findings(self, numbers: Optional[Sequence[int]] = None) -> list[Finding]:
        """The objects in the order of the layer.

        Args:
            numbers: Feature ids; None for all. Those that are gone are left out.
        """
        names = (self.name_field, self.class_field, self.confidence_field, STATUS, CORRECTED, FORMER_CLASS)
        places = [self._place(name) for name in names]
        request = QgsFeatureRequest().setFlags(compat.NO_GEOMETRY)
        if numbers is not None:
            request.setFilterFids(list(numbers))
        request.setSubsetOfAttributes([place for place in places if place >= 0])
        return [
            _finding(feature.id(), [feature.attribute(place) if place >= 0 else None for place in places])
            for feature in self.layer.getFeatures(request)
        ]

    def issue(self, feature_id: int) -> str:
        """Why an object was rejected, where that was said."""
        return text(self.layer.getFeature(feature_id).attribute(self._place(ISSUE)))

    def shape(self, feature_id: int) -> QgsGeometry:
        """The outline of an object."""
        return self.layer.getGeometry(feature_id)

    # Saying it

    def approve(self, feature_id: int) -> None:
        """It is what it says."""
        self._judge(feature_id, tr("Approve"), {STATUS: APPROVED, ISSUE: None})

    def reject(self, feature_id: int, issue: str = "") -> None:
        """It is not."""
        self._judge(feature_id, tr("Reject"), {STATUS: REJECTED, ISSUE: issue or None})

    def reopen(self, feature_id: int) -> None:
        """Nothing is said about it yet; what was corrected stays."""
        self._judge(feature_id, tr("Take the verdict back"), {STATUS: PENDING, ISSUE: None})

    def reclass(self, feature_id: int, entry: ClassEntry) -> None:
        """It is there, and of another class; the same one approves it.

        Raises:
            DataError: If the layer has no field for classes.
        """
        if not self.class_field:
            raise DataError(tr("{layer} has no field of classes.").format(layer=self.layer.name()))
        feature = self.layer.getFeature(feature_id)
        place, named = self._place(self.class_field), self._place(self.name_field)
        by_value = number(feature.attribute(place)) is not None or self.layer.fields().at(place).isNumeric()
        value: Any = entry.value if by_value else entry.name
        if text(feature.attribute(place)) == text(value):
            self.approve(feature_id)
            return
        present = text(feature.attribute(named if named >= 0 else place))
        # The class the model gave it, also where it is corrected twice; none where it gets that back.
        former = text(feature.attribute(self._place(FORMER_CLASS))) or present
        is_back = former == (entry.name if named >= 0 else text(value))
        cells: dict[str, Any] = {
            self.class_field: value,
            STATUS: APPROVED,
            ISSUE: None,
            CORRECTED: self._corrections(feature, CLASS, not is_back),
            FORMER_CLASS: None if is_back else former,
        }
        if named >= 0:
            cells[self.name_field] = entry.name
        self._judge(feature_id, tr("Make it {name}").format(name=entry.name), cells)

    def redraw(self, feature_id: int, shape: QgsGeometry) -> None:
        """It is there, and lies so."""
        feature = self.layer.getFeature(feature_id)
        cells = {STATUS: APPROVED, ISSUE: None, CORRECTED: self._corrections(feature, OUTLINE, True)}
        with self._step(tr("Redraw an object")):
            if not self.layer.changeGeometry(feature_id, typed(shape, self.layer)):
                raise self._refused()
            self._change(feature_id, cells)

    def undo(self) -> None:
        """Take the last step back."""
        self.layer.undoStack().undo()
        self.layer.triggerRepaint()

    def _corrections(self, feature: Any, word: str, applies: bool) -> Optional[str]:
        """What was corrected of an object once ``word`` was, or no longer is."""
        words = set(text(feature.attribute(self._place(CORRECTED))).split(", ")) - {word}
        if applies:
            words.add(word)
        return ", ".join(known for known in (CLASS, OUTLINE) if known in words) or None

    def _judge(self, feature_id: int, what: str, cells: dict[str, Any]) -> None:
        with self._step(what):
            self._change(feature_id, cells)

    def _change(self, feature_id: int, cells: dict[str, Any]) -> None:
        for name, cell in cells.items():
            if not self.layer.changeAttributeValue(feature_id, self._place(name), cell):
                raise self._refused()

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

    def _place(self, name: str) -> int:
        return self.layer.fields().lookupField(name) if name else -1

    def _refused(self) -> DataError:
        return DataError(tr("{layer} did not take the change.").format(layer=self.layer.name()))


def _finding(feature_id: int, cells: Sequence[Any]) -> Finding:
    """An object from its cells: class name, class, confidence, status, corrections, former class."""
    label = text(cells[0]) or text(cells[1])
    former = text(cells[5])
    return Finding(
        number=feature_id,
        label=former or label,
        confidence=decimal(cells[2]),
        status=_STATUSES.get(text(cells[3]).lower(), PENDING),
        is_corrected=bool(text(cells[4])),
        true_label=label if former else "",
    )


def copy_layer(layer: QgsVectorLayer, path: str) -> QgsVectorLayer:
    """A copy of a layer in a GeoPackage of its own, in the same style.

    Raises:
        OutputError: If it cannot be written.
    """
    options = QgsVectorFileWriter.SaveVectorOptions()
    options.driverName = "GPKG"
    options.layerName = "review"
    error, reason, *_ = QgsVectorFileWriter.writeAsVectorFormatV3(
        layer, path, QgsProject.instance().transformContext(), options
    )
    copy = QgsVectorLayer(f"{path}|layername=review", layer.name() + " " + tr("(review)"), "ogr")
    if error != QgsVectorFileWriter.WriterError.NoError or not copy.isValid():
        raise OutputError(
            tr("{path} cannot be written ({reason}).").format(path=path, reason=reason),
            tr("Choose another place."),
        )
    copy.setRenderer(layer.renderer().clone())
    if layer.labeling() is not None:
        copy.setLabeling(layer.labeling().clone())
        copy.setLabelsEnabled(layer.labelsEnabled())
    keep_style(copy)
    return copy
