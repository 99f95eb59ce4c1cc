"""Shapes as a layer can hold them: single polygons, or several in one feature."""

from __future__ import annotations

from qgis.core import QgsGeometry, QgsVectorLayer, QgsWkbTypes

from ..engine.imagerydl.errors import DataError
from ..processing_provider.translation import tr


def typed(shape: QgsGeometry, layer: QgsVectorLayer) -> QgsGeometry:
    """A shape in the type of a layer's geometries.

    A file would refuse another type only when the edits are saved, and with them all others.

    Raises:
        DataError: If the shape has several parts, and the layer holds single ones.
    """
    result = QgsGeometry(shape)
    if QgsWkbTypes.isMultiType(layer.wkbType()):
        result.convertToMultiType()
    elif result.isMultipart():
        if len(shape.asGeometryCollection()) > 1:
            raise DataError(
                tr("{layer} holds single polygons, and this shape has several parts.").format(
                    layer=layer.name()
                ),
                tr("Draw it in one part, or use a layer of multipolygons."),
            )
        result.convertToSingleType()
    return result
