"""Every difference between QGIS and Qt versions, and nothing else.

The enums moved into ``Qgis`` between 3.30 and 3.40; the old spellings are what 3.22 knows.
"""

from __future__ import annotations

from functools import reduce
from typing import Any

import qgis.core
from qgis.PyQt.QtCore import QMetaType, QVariant


def _first(*names: str) -> Any:
    """The first of these dotted names of ``qgis.core`` that this QGIS has."""
    for name in names:
        try:
            return reduce(getattr, name.split("."), qgis.core)
        except AttributeError:
            continue
    raise AttributeError(f"This QGIS has none of {', '.join(names)}.")


ADVANCED = _first("Qgis.ProcessingParameterFlag.Advanced", "QgsProcessingParameterDefinition.FlagAdvanced")

INTEGER = _first("Qgis.ProcessingNumberParameterType.Integer", "QgsProcessingParameterNumber.Integer")
DOUBLE = _first("Qgis.ProcessingNumberParameterType.Double", "QgsProcessingParameterNumber.Double")

FILE = _first("Qgis.ProcessingFileParameterBehavior.File", "QgsProcessingParameterFile.File")
FOLDER = _first("Qgis.ProcessingFileParameterBehavior.Folder", "QgsProcessingParameterFile.Folder")

SOURCE_FILE = _first("Qgis.ProcessingSourceType.File", "QgsProcessing.TypeFile")
SOURCE_RASTER = _first("Qgis.ProcessingSourceType.Raster", "QgsProcessing.TypeRaster")
SOURCE_TABLE = _first("Qgis.ProcessingSourceType.Vector", "QgsProcessing.TypeVector")
SOURCE_VECTOR = _first("Qgis.ProcessingSourceType.VectorAnyGeometry", "QgsProcessing.TypeVectorAnyGeometry")
SOURCE_GEOMETRY = {
    "point": _first("Qgis.ProcessingSourceType.VectorPoint", "QgsProcessing.TypeVectorPoint"),
    "line": _first("Qgis.ProcessingSourceType.VectorLine", "QgsProcessing.TypeVectorLine"),
    "polygon": _first("Qgis.ProcessingSourceType.VectorPolygon", "QgsProcessing.TypeVectorPolygon"),
}

FIELD_OF_PROVIDER = _first("Qgis.FieldOrigin.Provider", "QgsFields.OriginProvider")

SKIP_VALIDITY_CHECKS = _first(
    "Qgis.ProcessingFeatureSourceFlag.SkipGeometryValidityChecks",
    "QgsProcessingFeatureSource.FlagSkipGeometryValidityChecks",
)


GEOMETRY_POLYGON = _first("Qgis.GeometryType.Polygon", "QgsWkbTypes.PolygonGeometry")
WKB_MULTIPOLYGON = _first("Qgis.WkbType.MultiPolygon", "QgsWkbTypes.MultiPolygon")
LAYER_RASTER = _first("Qgis.LayerFilter.RasterLayer", "QgsMapLayerProxyModel.RasterLayer")
LAYER_POLYGON = _first("Qgis.LayerFilter.PolygonLayer", "QgsMapLayerProxyModel.PolygonLayer")
LAYER_VECTOR = _first("Qgis.LayerFilter.HasGeometry", "QgsMapLayerProxyModel.HasGeometry")
NO_GEOMETRY = _first("Qgis.FeatureRequestFlag.NoGeometry", "QgsFeatureRequest.NoGeometry")
WARNING = _first("Qgis.MessageLevel.Warning", "Qgis.Warning")


def integer_field(name: str) -> qgis.core.QgsField:
    """A 32-bit integer field."""
    return qgis.core.QgsField(name, _field_kinds().Int)


def text_field(name: str, length: int = 0) -> qgis.core.QgsField:
    """A text field."""
    kind = QMetaType.Type.QString if qgis.core.Qgis.QGIS_VERSION_INT >= 33800 else QVariant.String
    return qgis.core.QgsField(name, kind, len=length)


def long_integer_field(name: str) -> qgis.core.QgsField:
    """A 64-bit integer field."""
    return qgis.core.QgsField(name, _field_kinds().LongLong)


def _field_kinds() -> Any:
    return QMetaType.Type if qgis.core.Qgis.QGIS_VERSION_INT >= 33800 else QVariant
