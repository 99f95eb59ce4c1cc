"""Training samples of the objects that were approved, and of no others."""

from __future__ import annotations

from collections.abc import Sequence

from qgis.core import QgsFeature, QgsFeatureRequest, QgsGeometry, QgsVectorLayer

from ...engine.imagerydl.assessment.review import APPROVED, Finding
from ...engine.imagerydl.errors import DataError, OutputError
from ...engine.imagerydl.labels.class_tree import tree_of
from ...engine.imagerydl.labels.classes import ClassEntry, distinct_color
from ...processing_provider import compat
from ...processing_provider.translation import tr
from ..cells import text
from ..labelling.sample_file import (
    BLUE,
    GREEN,
    IMAGE,
    NAME,
    RED,
    VALUE,
    create_samples,
    forget_undefined_crs,
)
from ..labelling.samples import Samples
from ..layer_classes import classes_of_layer
from .verdicts import Verdicts


def make_samples(verdicts: Verdicts, findings: Sequence[Finding], path: str) -> QgsVectorLayer:
    """Write the approved objects as training samples.

    Args:
        verdicts: The layer reviewed.
        findings: Its objects.
        path: A GeoPackage that is not there yet.

    Returns:
        The layer of samples.

    Raises:
        DataError: If no object is approved, or they are no polygons.
        OutputError: If the file cannot be written.
    """
    source = verdicts.layer
    if source.geometryType() != compat.GEOMETRY_POLYGON:
        raise DataError(tr("{layer} holds no polygons.").format(layer=source.name()))
    labels = {finding.number: finding.present_label for finding in findings if finding.status == APPROVED}
    if not labels:
        raise DataError(tr("No object is approved yet."), tr("Approve some first."))
    forget_undefined_crs(source)
    entries = _entries(source, labels.values())
    place = source.fields().lookupField(IMAGE)
    has_images = place >= 0 and not source.crs().isValid()
    layer = create_samples(path, source.crs(), has_images)
    copies = []
    for feature in source.getFeatures(QgsFeatureRequest().setFilterFids(list(labels))):
        entry = entries[labels[feature.id()]]
        red, green, blue = entry.color or distinct_color(entry.value)
        copy = QgsFeature(layer.fields())
        shape = QgsGeometry(feature.geometry())
        shape.convertToMultiType()
        copy.setGeometry(shape)
        cells = {VALUE: entry.value, NAME: entry.name, RED: red, GREEN: green, BLUE: blue}
        if has_images:
            cells[IMAGE] = text(feature.attribute(place))
        for name, cell in cells.items():
            copy.setAttribute(name, cell)
        copies.append(copy)
    added, _ = layer.dataProvider().addFeatures(copies)
    if not added:
        raise OutputError(
            tr("{path} did not take the samples.").format(path=path), tr("Choose another place.")
        )
    layer.updateExtents()
    samples = Samples(layer)
    samples.keep_schema(tree_of(sorted(set(entries.values()), key=lambda entry: entry.value), source.name()))
    samples.leave()
    return layer


def _entries(layer: QgsVectorLayer, labels: object) -> dict[str, ClassEntry]:
    """The class of each label: one that the layer knows by name or value, else a further one."""
    known = classes_of_layer(layer)
    by_label = {str(entry.value): entry for entry in known}
    by_label.update({entry.name: entry for entry in known})
    free = max((entry.value for entry in known), default=0) + 1
    for label in sorted(set(labels)):
        if label not in by_label:
            by_label[label] = ClassEntry(free, label or tr("object"))
            free += 1
    return {label: by_label[label] for label in set(labels)}
