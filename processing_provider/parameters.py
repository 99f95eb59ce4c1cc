"""Param kind -> QgsProcessingParameter, one function per kind; and results -> outputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from qgis.core import (
    QgsProcessingOutputDefinition,
    QgsProcessingOutputFile,
    QgsProcessingOutputFolder,
    QgsProcessingOutputNumber,
    QgsProcessingOutputRasterLayer,
    QgsProcessingOutputString,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterDefinition,
    QgsProcessingParameterEnum,
    QgsProcessingParameterExtent,
    QgsProcessingParameterFeatureSource,
    QgsProcessingParameterField,
    QgsProcessingParameterFile,
    QgsProcessingParameterFileDestination,
    QgsProcessingParameterFolderDestination,
    QgsProcessingParameterMapLayer,
    QgsProcessingParameterMatrix,
    QgsProcessingParameterMultipleLayers,
    QgsProcessingParameterNumber,
    QgsProcessingParameterRasterDestination,
    QgsProcessingParameterRasterLayer,
    QgsProcessingParameterString,
    QgsProcessingParameterVectorDestination,
)

from ..engine.imagerydl.tool import Kind, Param, Result, Tool
from . import compat
from .translation import tr

#: Added to the key of a layer parameter that takes vector and raster layers. QGIS offers
#: "selected features only" beside pure vector inputs alone, so that one gets a box of its own.
SELECTED_ONLY = "_SELECTED_ONLY"


def qgis_parameters(tool: Tool, param: Param) -> list[QgsProcessingParameterDefinition]:
    """What stands for ``param`` of ``tool`` in QGIS: one parameter, for a mixed layer two."""
    definition = _MAKERS[param.kind](param)
    definition.setHelp(help_text(tool, param))
    if param.advanced:
        definition.setFlags(definition.flags() | compat.ADVANCED)
    if param.kind is not Kind.LAYER:
        return [definition]
    return [definition, _selected_only(param)]


def help_text(tool: Tool, param: Param) -> str:
    """The parameter's help with what a person has to know to type a value."""
    text = tr(param.help)
    for key, within, keywords in tool.conditions(param):
        condition = tr("Only with {key} {choices}.") if within else tr("Not with {key} {choices}.")
        text += " " + condition.format(key=key, choices=", ".join(keywords))
    if param.choices:
        text += " " + tr("One of: {choices}.").format(choices=", ".join(param.choices))
    if param.kind is Kind.FOLDERS:
        text += " " + tr("Several folders are separated by a semicolon.")
    if param.kind is Kind.ARGUMENTS:
        text += " " + tr("As text: name value;name value.")
    return text


def qgis_output(result: Result) -> QgsProcessingOutputDefinition:
    """The declared output for a result, so that models can chain."""
    return _OUTPUTS[result.kind](result.key, tr(result.label))


def qgis_value(param: Param, value: Any) -> Any:
    """A value in a job's form as the QGIS parameter holds it (defaults, and values put right)."""
    if param.kind is Kind.ARGUMENTS:
        return flat_cells(value or {})
    if param.kind is Kind.FOLDERS:
        return ";".join(value or ()) or None
    return value


def flat_cells(arguments: Mapping[str, str]) -> list[str]:
    """Arguments as a table's cells, row by row."""
    return [cell for name, value in arguments.items() for cell in (name, value)]


def _selected_only(param: Param) -> QgsProcessingParameterDefinition:
    label = tr("{label}: selected features only").format(label=tr(param.label))
    definition = QgsProcessingParameterBoolean(param.key + SELECTED_ONLY, label, False)
    definition.setHelp(tr("Use only the features selected in the layer. Ignored for a raster."))
    if param.advanced:
        definition.setFlags(definition.flags() | compat.ADVANCED)
    return definition


def _common(param: Param) -> tuple[str, str, Any, bool]:
    """Name, label, default, optional: what every QGIS parameter starts with.

    One with a default is not marked optional: it cannot be empty, and the dialog stays free of
    brackets. Leaving it out of a call or a model still gives the default.
    """
    return param.key, tr(param.label), qgis_value(param, param.default), param.optional


def _raster(param: Param) -> QgsProcessingParameterDefinition:
    return QgsProcessingParameterRasterLayer(*_common(param))


def _rasters(param: Param) -> QgsProcessingParameterDefinition:
    key, label, default, optional = _common(param)
    return QgsProcessingParameterMultipleLayers(key, label, compat.SOURCE_RASTER, default, optional)


def _source_types(param: Param) -> list[Any]:
    return [compat.SOURCE_GEOMETRY[name] for name in param.geometry]


def _features(param: Param) -> QgsProcessingParameterDefinition:
    key, label, default, optional = _common(param)
    types = _source_types(param) or [compat.SOURCE_VECTOR]
    return QgsProcessingParameterFeatureSource(key, label, types, default, optional)


def _layer(param: Param) -> QgsProcessingParameterDefinition:
    # No list of types shows vector layers, tables and rasters together: beside rasters, the one that
    # stands for layers with and without geometry shows neither. Without a list every layer is shown.
    types = _source_types(param)
    return QgsProcessingParameterMapLayer(*_common(param), [compat.SOURCE_RASTER, *types] if types else [])


def _field(param: Param) -> QgsProcessingParameterDefinition:
    key, label, default, optional = _common(param)
    # As with tables: QGIS does not take the default for a field that is left out, unless it is optional.
    optional = optional or not param.is_required
    return QgsProcessingParameterField(key, label, default, param.parent, optional=optional)


def _folder(param: Param) -> QgsProcessingParameterDefinition:
    # Any text passes, so a wildcard pattern or several folders can be typed; the button picks one.
    key, label, default, optional = _common(param)
    return QgsProcessingParameterFile(key, label, compat.FOLDER, "", default, optional)


def _file(param: Param) -> QgsProcessingParameterDefinition:
    key, label, default, optional = _common(param)
    definition = QgsProcessingParameterFile(key, label, compat.FILE, "", default, optional)
    definition.setFileFilter(_file_filter(param, or_any=True))
    return definition


def _files(param: Param) -> QgsProcessingParameterDefinition:
    key, label, default, optional = _common(param)
    return QgsProcessingParameterMultipleLayers(key, label, compat.SOURCE_FILE, default, optional)


def _text(param: Param) -> QgsProcessingParameterDefinition:
    key, label, default, optional = _common(param)
    return QgsProcessingParameterString(key, label, default, param.multiline, optional)


def _choice(param: Param) -> QgsProcessingParameterDefinition:
    key, label, default, optional = _common(param)
    return QgsProcessingParameterEnum(
        key, label, list(param.choices), False, default, optional, usesStaticStrings=True
    )


def _number(param: Param) -> QgsProcessingParameterDefinition:
    key, label, default, optional = _common(param)
    kind = compat.INTEGER if param.kind is Kind.INTEGER else compat.DOUBLE
    definition = QgsProcessingParameterNumber(key, label, kind, default, optional)
    if param.minimum is not None:
        definition.setMinimum(param.minimum)
    if param.maximum is not None:
        definition.setMaximum(param.maximum)
    return definition


def _boolean(param: Param) -> QgsProcessingParameterDefinition:
    return QgsProcessingParameterBoolean(*_common(param))


def _arguments(param: Param) -> QgsProcessingParameterDefinition:
    key, label, default, optional = _common(param)
    rows = max(1, len(param.default or {}))
    headers = [tr("Name"), tr("Value")]
    # QGIS does not take a table's default for one that is left out, unless it is optional.
    return QgsProcessingParameterMatrix(
        key, label, rows, False, headers, default, optional or not param.is_required
    )


def _extent(param: Param) -> QgsProcessingParameterDefinition:
    return QgsProcessingParameterExtent(*_common(param))


def _out_folder(param: Param) -> QgsProcessingParameterDefinition:
    return QgsProcessingParameterFolderDestination(*_common(param), _made_unasked(param))


def _out_raster(param: Param) -> QgsProcessingParameterDefinition:
    return QgsProcessingParameterRasterDestination(*_common(param), _made_unasked(param))


def _out_features(param: Param) -> QgsProcessingParameterDefinition:
    key, label, default, optional = _common(param)
    return QgsProcessingParameterVectorDestination(
        key, label, compat.SOURCE_VECTOR, default, optional, _made_unasked(param)
    )


def _out_table(param: Param) -> QgsProcessingParameterDefinition:
    # A destination of layers, not of files: so QGIS loads the table, with or without geometry alike.
    key, label, default, optional = _common(param)
    return QgsProcessingParameterVectorDestination(
        key, label, compat.SOURCE_TABLE, default, optional, _made_unasked(param)
    )


def _out_file(param: Param) -> QgsProcessingParameterDefinition:
    key, label, default, optional = _common(param)
    file_filter = _file_filter(param, or_any=False)
    return QgsProcessingParameterFileDestination(
        key, label, file_filter, default, optional, _made_unasked(param)
    )


def _made_unasked(param: Param) -> bool:
    """An optional output is made only where somebody names it, unless it is what most want."""
    return param.offered or not param.optional


def _file_filter(param: Param, or_any: bool) -> str:
    """A file dialog's filter; ``or_any`` lets every other name, and text, pass the check."""
    anything = tr("All files") + " (*)"
    if not param.extension:
        return anything
    extensions = param.extension.split()
    patterns = " ".join(f"*.{extension}" for extension in extensions)
    own = f"{'/'.join(extension.upper() for extension in extensions)} ({patterns})"
    return f"{own};;{anything}" if or_any else own


_MAKERS: dict[Kind, Callable[[Param], QgsProcessingParameterDefinition]] = {
    Kind.RASTER: _raster,
    Kind.RASTERS: _rasters,
    Kind.FEATURES: _features,
    Kind.LAYER: _layer,
    Kind.FIELD: _field,
    Kind.FOLDER: _folder,
    Kind.FOLDERS: _folder,
    Kind.FILE: _file,
    Kind.FILES: _files,
    Kind.TEXT: _text,
    Kind.CHOICE: _choice,
    Kind.INTEGER: _number,
    Kind.NUMBER: _number,
    Kind.BOOLEAN: _boolean,
    Kind.ARGUMENTS: _arguments,
    Kind.EXTENT: _extent,
    Kind.OUT_FOLDER: _out_folder,
    Kind.OUT_RASTER: _out_raster,
    Kind.OUT_FILE: _out_file,
    Kind.OUT_FEATURES: _out_features,
    Kind.OUT_TABLE: _out_table,
}

_OUTPUTS: dict[str, Callable[[str, str], QgsProcessingOutputDefinition]] = {
    "number": QgsProcessingOutputNumber,
    "text": QgsProcessingOutputString,
    "file": QgsProcessingOutputFile,
    "folder": QgsProcessingOutputFolder,
    "raster": QgsProcessingOutputRasterLayer,
}
