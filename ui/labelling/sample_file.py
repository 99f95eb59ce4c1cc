"""The file that training samples lie in: its fields, made and opened."""

from __future__ import annotations

from typing import Any

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsFields,
    QgsProject,
    QgsVectorFileWriter,
    QgsVectorLayer,
)

from ...engine.imagerydl.errors import DataError, OutputError
from ...processing_provider import compat
from ...processing_provider.translation import tr
from ..layer_style import load_style

#: The fields of training samples, as Export Training Data looks for them.
NAME, VALUE, RED, GREEN, BLUE, COUNT = "Classname", "Classvalue", "RED", "GREEN", "BLUE", "Count"
#: A further field where coordinates are rows and columns: which image they are of.
IMAGE = "Image"

LAYER_NAME = "samples"


def create_samples(path: str, crs: QgsCoordinateReferenceSystem, has_images: bool = False) -> QgsVectorLayer:
    """Make a GeoPackage for samples.

    Args:
        path: A file that is not there yet.
        crs: Coordinate system; an invalid one where there is none.
        has_images: Whether there is a field for the image.

    Raises:
        OutputError: If it cannot be written.
    """
    fields = QgsFields()
    for field in sample_fields(has_images):
        fields.append(field)
    options = QgsVectorFileWriter.SaveVectorOptions()
    options.driverName = "GPKG"
    options.layerName = LAYER_NAME
    writer = QgsVectorFileWriter.create(
        path, fields, compat.WKB_MULTIPOLYGON, crs, QgsProject.instance().transformContext(), options
    )
    reason = writer.errorMessage() if writer.hasError() else ""
    del writer  # which closes the file
    if reason:
        raise OutputError(
            tr("{path} cannot be written ({reason}).").format(path=path, reason=reason),
            tr("Choose another place."),
        )
    return open_samples(path)


def open_samples(path: str) -> QgsVectorLayer:
    """The samples in a file, with their style and schema.

    Raises:
        DataError: If there is no such layer in it.
    """
    layer = QgsVectorLayer(f"{path}|layername={LAYER_NAME}", LAYER_NAME, "ogr")
    if not layer.isValid():
        layer = QgsVectorLayer(path, LAYER_NAME, "ogr")
    if not layer.isValid():
        raise DataError(
            tr("{path} cannot be opened as a layer.").format(path=path), tr("Choose a file of samples.")
        )
    load_style(layer)
    forget_undefined_crs(layer)
    return layer


def is_own_file(layer: QgsVectorLayer) -> bool:
    """Whether a layer lies in a file that :func:`create_samples` made."""
    path, *options = layer.source().split("|")
    return path.lower().endswith(".gpkg") and options == [f"layername={LAYER_NAME}"]


def forget_undefined_crs(layer: QgsVectorLayer) -> None:
    """Take a system that calls itself undefined, as in a GeoPackage, for none, or QGIS would transform it."""
    if (
        layer.crs().isValid()
        and not layer.crs().authid()
        and "undefined" in layer.crs().description().lower()
    ):
        layer.setCrs(QgsCoordinateReferenceSystem())


def sample_fields(has_images: bool = False) -> list[Any]:
    """The fields of a layer of samples."""
    fields = [compat.text_field(NAME, 254), compat.integer_field(VALUE)]
    fields += [compat.integer_field(name) for name in (RED, GREEN, BLUE)]
    fields.append(compat.long_integer_field(COUNT))
    return [*fields, compat.text_field(IMAGE, 254)] if has_images else fields
