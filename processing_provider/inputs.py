"""Processing parameters -> the values of a job: put right, checked, resolved."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Optional

from qgis.core import (
    QgsMapLayer,
    QgsProcessing,
    QgsProcessingAlgorithm,
    QgsProcessingContext,
    QgsProcessingFeatureSourceDefinition,
    QgsProcessingOutputLayerDefinition,
    QgsProcessingUtils,
    QgsProperty,
    QgsRasterLayer,
    QgsRectangle,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import QVariant

from ..engine.imagerydl.errors import ParameterError
from ..engine.imagerydl.tool import TABLE_EXTENSIONS, VECTOR_EXTENSIONS, Kind, Param, Tool
from .layers import raster_file, read_raster, read_vector
from .materialise import OnlineRaster
from .parameters import SELECTED_ONLY, qgis_value
from .translation import tr

#: Parameters that say which part of an online layer to fetch, and how finely.
EXTENT, CELL_SIZE = "EXTENT", "CELL_SIZE"

_RASTER_KINDS = frozenset({Kind.RASTER, Kind.RASTERS, Kind.LAYER})
_LAYER_CLASSES = {
    Kind.RASTER: QgsRasterLayer,
    Kind.RASTERS: QgsRasterLayer,
    Kind.FEATURES: QgsVectorLayer,
    Kind.LAYER: (QgsRasterLayer, QgsVectorLayer),
}
_LAYER_HINTS = {
    Kind.RASTER: QgsProcessingUtils.LayerHint.Raster,
    Kind.RASTERS: QgsProcessingUtils.LayerHint.Raster,
    Kind.FEATURES: QgsProcessingUtils.LayerHint.Vector,
}
_VECTOR_OUTPUTS = frozenset({Kind.OUT_FEATURES, Kind.OUT_TABLE})
# Where the engine accepts more spellings than QGIS: texts for numbers and choices, ArcGIS
# keywords for booleans, arguments in one text, several folders as a list.
_FORGIVING_KINDS = frozenset({
    Kind.CHOICE, Kind.INTEGER, Kind.NUMBER, Kind.BOOLEAN, Kind.ARGUMENTS, Kind.FOLDERS,
})  # fmt: skip


def is_empty(value: Any) -> bool:
    """Whether a raw value stands for "left out"."""
    return (
        value is None
        or (isinstance(value, QVariant) and value.isNull())
        or (isinstance(value, (str, list, tuple)) and not value)
    )


def normalised(tool: Tool, parameters: Mapping[str, Any], context: QgsProcessingContext) -> dict[str, Any]:
    """``parameters`` in the spelling QGIS's own checks accept.

    Raises:
        ParameterError: For a value the tool cannot use, naming it and what is accepted.
    """
    result = {key: _evaluated(value, context) for key, value in parameters.items()}
    for param in tool.params:
        raw = result.get(param.key)
        if is_empty(raw):
            continue
        if param.kind in _FORGIVING_KINDS:
            result[param.key] = qgis_value(param, param.coerce(_cells(param, raw)))
        elif param.kind in (Kind.RASTERS, Kind.FILES):
            result[param.key] = _listed(raw)
        elif param.kind is Kind.FIELD and isinstance(raw, (list, tuple)):
            result[param.key] = str(raw[0])
        elif param.kind in _VECTOR_OUTPUTS:
            result[param.key] = _on_disk(raw)
    return result


def _on_disk(raw: Any) -> Any:
    """A destination in memory, which is no place for another process to write, as a temporary file."""
    if isinstance(raw, QgsProcessingOutputLayerDefinition):
        if _on_disk(raw.sink.staticValue()) != QgsProcessing.TEMPORARY_OUTPUT:
            return raw
        moved = QgsProcessingOutputLayerDefinition(raw)
        moved.sink = QgsProperty.fromValue(QgsProcessing.TEMPORARY_OUTPUT)
        return moved
    if isinstance(raw, str) and raw.startswith("memory:"):
        return QgsProcessing.TEMPORARY_OUTPUT
    return raw


def _evaluated(value: Any, context: QgsProcessingContext) -> Any:
    """A data-defined value as a plain one."""
    if isinstance(value, QgsProperty):
        return value.value(context.expressionContext(), None)[0]
    return value


def _cells(param: Param, raw: Any) -> Any:
    """A table in the one-text form of QGIS, ``name,value,name,value``, as its cells.

    The other one-text form, ``name value;name value``, is the tool's own.
    """
    if param.kind is not Kind.ARGUMENTS or not isinstance(raw, str) or "," not in raw:
        return raw
    if all(len(part.split(None, 1)) == 2 for part in raw.split(";") if part.strip()):
        return raw
    return [cell.strip().strip('"') for cell in raw.split(",")]


def _listed(raw: Any) -> list[Any]:
    if isinstance(raw, str):
        return [part.strip().strip('"') for part in raw.split(";") if part.strip()]
    return list(raw) if isinstance(raw, (list, tuple)) else [raw]


class InputReader:
    """Reads what an algorithm was given.

    Args:
        algorithm: For QGIS's own conversions.
        tool: Whose parameters are read.
        parameters: From :func:`normalised`.
        context: Where layers are found and kept.
    """

    def __init__(
        self,
        algorithm: QgsProcessingAlgorithm,
        tool: Tool,
        parameters: Mapping[str, Any],
        context: QgsProcessingContext,
    ) -> None:
        self._algorithm = algorithm
        self._tool = tool
        self._parameters = dict(parameters)
        self._context = context

    def checked(self) -> dict[str, Any]:
        """The job's values with every layer as a name: cheap, and all the tool's checks are done.

        Raises:
            ParameterError: Also for an online layer without an extent and a cell size.
        """
        given = {
            param.key: self._checkable(param)
            for param in self._tool.params
            if not is_empty(self._parameters.get(param.key))
        }
        values = self._tool.coerce(given)
        for param in self._tool.params:
            if param.kind in _RASTER_KINDS and param.key in given:
                self._check_online(param, values)
        return values

    def values(self) -> dict[str, Any]:
        """The job's values; layers that are no files are promises, outputs are :func:`destinations`.

        Main thread only.

        Raises:
            ParameterError: As :meth:`checked`, and for layers that cannot be used.
        """
        values = self.checked()
        result = {param.key: self._value(param, values) for param in self._tool.params}
        rasters = [
            item
            for param in self._tool.params
            if param.kind in (Kind.RASTER, Kind.RASTERS)
            for item in (result[param.key] if isinstance(result[param.key], list) else [result[param.key]])
            if item is not None
        ]
        if rasters and all(isinstance(item, OnlineRaster) for item in rasters):
            # They are fetched on exactly that grid: nothing is left to cut or to resample.
            result[EXTENT] = result[CELL_SIZE] = None
        return result

    def _checkable(self, param: Param) -> Any:
        raw = self._parameters[param.key]
        if param.kind in _RASTER_KINDS:
            names = [layer.source() for layer in self._layers(param)]
            return names if param.kind is Kind.RASTERS else names[0]
        if param.kind is Kind.EXTENT:
            return self._extent(param)
        if param.is_output:
            extension = (param.extension or _LAYER_EXTENSIONS.get(param.kind, "")).partition(" ")[0]
            return named_output(raw, extension, self._context)
        return str(raw) if param.kind is Kind.FEATURES else raw

    def _value(self, param: Param, values: Mapping[str, Any]) -> Any:
        value = values[param.key]
        if is_empty(value):
            return value
        if param.kind in _RASTER_KINDS:
            read = [self._read_layer(param, layer, values) for layer in self._layers(param)]
            return read if param.kind is Kind.RASTERS else read[0]
        if param.kind is Kind.FEATURES:
            return self._read_features(param)
        if param.kind in (Kind.FILE, Kind.FOLDER):
            return _absolute(value)
        if param.kind in (Kind.FOLDERS, Kind.FILES):
            return [_absolute(path) for path in value]
        return value

    def _layers(self, param: Param) -> list[QgsMapLayer]:
        raw = self._parameters[param.key]
        return [self._layer(param, item) for item in (raw if isinstance(raw, (list, tuple)) else [raw])]

    def _layer(self, param: Param, item: Any) -> QgsMapLayer:
        layer = item
        if not isinstance(item, QgsMapLayer):
            hint = _LAYER_HINTS.get(param.kind, QgsProcessingUtils.LayerHint.UnknownType)
            layer = QgsProcessingUtils.mapLayerFromString(str(item), self._context, True, hint)
        if not isinstance(layer, _LAYER_CLASSES[param.kind]):
            raise ParameterError(
                tr("{key} ({label}): {value} cannot be opened.").format(
                    key=param.key, label=tr(param.label), value=item
                ),
                tr("Check that the file or layer exists and that QGIS can display it."),
            )
        return layer

    def _check_online(self, param: Param, values: Mapping[str, Any]) -> None:
        for layer in self._layers(param):
            if not isinstance(layer, QgsRasterLayer) or raster_file(layer) is not None:
                continue
            message = tr("{key}: the layer {layer} is not a file.").format(key=param.key, layer=layer.name())
            if not {EXTENT, CELL_SIZE} <= set(values):
                raise ParameterError(message, tr("Save it as a GeoTIFF and use that."))
            missing = [key for key in (EXTENT, CELL_SIZE) if values[key] is None]
            if missing:
                fix = tr("Set {keys}, so that this part of it can be fetched.")
                raise ParameterError(message, fix.format(keys=" and ".join(missing)))

    def _read_layer(self, param: Param, layer: QgsMapLayer, values: Mapping[str, Any]) -> Any:
        if isinstance(layer, QgsRasterLayer):
            return read_raster(layer, values.get(EXTENT), values.get(CELL_SIZE), self._context)
        key = param.key + SELECTED_ONLY
        selected = self._algorithm.parameterAsBool(self._parameters, key, self._context)
        return read_vector(param.key, layer, layer, self._context, selected)

    def _read_features(self, param: Param) -> Any:
        raw = self._parameters[param.key]
        item = raw
        if isinstance(raw, QgsProcessingFeatureSourceDefinition):
            item = _evaluated(raw.source, self._context)
        return read_vector(param.key, raw, self._layer(param, item), self._context)

    def _extent(self, param: Param) -> Any:
        raw = self._parameters[param.key]
        if isinstance(raw, str) and raw.count(",") >= 3:
            return raw  # numbers, with or without a CRS: the tool's own form
        box = self._algorithm.parameterAsExtent(self._parameters, param.key, self._context)
        crs = ""
        if type(raw) is not QgsRectangle:  # which knows no CRS; its subclass, and a layer, do
            named = self._algorithm.parameterAsExtentCrs(self._parameters, param.key, self._context)
            crs = named.authid() or named.toWkt()
        return {"bounds": [box.xMinimum(), box.yMinimum(), box.xMaximum(), box.yMaximum()], "crs": crs}


#: Extension of a layer that QGIS names itself.
_LAYER_EXTENSIONS = {
    Kind.OUT_RASTER: "tif",
    Kind.OUT_FEATURES: VECTOR_EXTENSIONS[0],
    Kind.OUT_TABLE: TABLE_EXTENSIONS[0],
}


def destinations(
    algorithm: QgsProcessingAlgorithm,
    tool: Tool,
    parameters: Mapping[str, Any],
    context: QgsProcessingContext,
) -> dict[str, Optional[str]]:
    """Where the outputs go; those that QGIS is to load are noted in ``context``.

    To be called while the algorithm runs: a background run forgets what was noted in the context
    before.
    """
    paths: dict[str, Optional[str]] = {}
    for param in tool.params:
        if param.is_output:
            is_layer = param.kind in _LAYER_EXTENSIONS
            read = algorithm.parameterAsOutputLayer if is_layer else algorithm.parameterAsFileOutput
            given = parameters
            if param.kind in _VECTOR_OUTPUTS:
                given = {**parameters, param.key: _on_disk(parameters.get(param.key))}
            path = read(given, param.key, context)
            paths[param.key] = os.path.abspath(path) if path else None
    return paths


def named_output(raw: Any, extension: str, context: QgsProcessingContext) -> str:
    """A name to check: the one given, or one like the temporary name that QGIS will choose."""
    if isinstance(raw, QgsProcessingOutputLayerDefinition):
        raw = _evaluated(raw.sink, context)
    if raw != QgsProcessing.TEMPORARY_OUTPUT:
        return str(raw)
    return os.path.join(QgsProcessingUtils.tempFolder(), f"output.{extension}".rstrip("."))


def _absolute(path: str) -> str:
    """An absolute path; the text of a file given in place of its path stays as it is."""
    if path.lstrip().startswith(("{", "[")) or "\n" in path:
        return path
    return os.path.abspath(os.path.expanduser(path))
