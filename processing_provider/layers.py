"""QGIS layers -> job inputs: files as they are, everything else as a promise to be written.

A promise (:mod:`.materialise`) is made on the main thread and kept once the algorithm runs.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Optional, Union

from qgis.core import (
    QgsProcessingContext,
    QgsProcessingFeatureSourceDefinition,
    QgsProcessingParameterFeatureSource,
    QgsProcessingParameters,
    QgsRasterLayer,
    QgsVectorLayer,
    QgsVectorLayerSelectedFeatureSource,
    QgsWkbTypes,
)

from ..engine.imagerydl.errors import ParameterError
from ..engine.imagerydl.events import Reporter
from . import compat
from .materialise import FeatureCopy, OnlineRaster, OtherwisePlacedRaster
from .translation import tr


def raster_file(layer: QgsRasterLayer) -> Optional[str]:
    """The name GDAL knows the layer's data by, or None where it is no file (online, database)."""
    if layer.providerType() != "gdal":
        return None
    source = layer.source().split("|")[0]
    return os.path.abspath(source) if os.path.exists(source) else source


def vector_file(layer: QgsVectorLayer) -> Optional[str]:
    """``path`` or ``path|layername=NAME``, or None where the file alone is not the layer.

    That is so for other providers, filters, unsaved edits, joined or computed fields, another
    CRS than the file states, and curved geometries.
    """
    path, *options = layer.source().split("|")
    named = [option for option in options if option.lower().startswith("layername=")]
    if (
        layer.providerType() != "ogr"
        or not os.path.exists(path)
        or len(named) != len(options)
        or layer.subsetString()
        or layer.isModified()
        or not _has_only_own_fields(layer)
        or layer.crs() != layer.dataProvider().crs()
        or QgsWkbTypes.isCurvedType(layer.wkbType())
    ):
        return None
    return "|".join([os.path.abspath(path), *named])


def _has_only_own_fields(layer: QgsVectorLayer) -> bool:
    fields = layer.fields()
    return all(fields.fieldOrigin(index) == compat.FIELD_OF_PROVIDER for index in range(fields.count()))


def read_raster(
    layer: QgsRasterLayer,
    extent: Optional[Mapping[str, Any]],
    cell_size: Optional[float],
    context: QgsProcessingContext,
) -> Union[str, OnlineRaster, OtherwisePlacedRaster]:
    """A raster layer as a job input; ``extent`` and ``cell_size`` are used where it is no file."""
    name = raster_file(layer)
    if name is None:
        return OnlineRaster(layer, extent, cell_size, context)
    if layer.crs().isValid() and layer.crs() != layer.dataProvider().crs():
        return OtherwisePlacedRaster(layer, name)
    return name


def read_vector(
    key: str, value: Any, layer: QgsVectorLayer, context: QgsProcessingContext, selected: bool = False
) -> Union[str, FeatureCopy]:
    """A vector layer as a job input.

    Args:
        key: The parameter, for messages.
        value: What was given for it: the layer, or a definition with "selected only" or a filter.
        layer: The layer behind it.
        context: Where QGIS looks layers up.
        selected: Whether selected features only are wanted, where ``value`` cannot say so.

    Raises:
        ParameterError: If selected features are wanted and none is.
    """
    limited = False
    if isinstance(value, QgsProcessingFeatureSourceDefinition):
        selected = value.selectedFeaturesOnly
        limited = value.featureLimit > 0 or bool(getattr(value, "filterExpression", ""))
    if selected and not layer.selectedFeatureCount():
        raise ParameterError(
            tr("{key}: only selected features are wanted, but none is selected in {layer}.").format(
                key=key, layer=layer.name()
            ),
            tr("Select features, or use all of them."),
        )
    name = None if selected or limited else vector_file(layer)
    if name is not None:
        return name
    if selected and not limited:
        return FeatureCopy(QgsVectorLayerSelectedFeatureSource(layer), layer.name(), context)
    definition = QgsProcessingParameterFeatureSource(key)
    source = QgsProcessingParameters.parameterAsSource(definition, {key: value}, context)
    return FeatureCopy(source, layer.name(), context)


def _is_promise(value: Any) -> bool:
    return isinstance(value, (OnlineRaster, OtherwisePlacedRaster, FeatureCopy))


def count_promises(values: Mapping[str, Any]) -> int:
    """How many layers among ``values`` have yet to be written."""
    return sum(
        sum(map(_is_promise, value)) if isinstance(value, list) else _is_promise(value)
        for value in values.values()
    )


def keep_promises(values: Mapping[str, Any], folder: Path, reporter: Reporter) -> dict[str, Any]:
    """``values`` with every promised layer written into ``folder`` and replaced by its path."""
    numbers = iter(range(len(values) + count_promises(values)))

    def kept(value: Any) -> Any:
        if isinstance(value, list):
            return [kept(item) for item in value]
        return value.write(folder, next(numbers), reporter) if _is_promise(value) else value

    return {key: kept(value) for key, value in values.items()}
