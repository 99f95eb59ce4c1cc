"""The classes that a layer in QGIS shows: by its renderer, its fields or its palette."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Optional

from qgis.core import (
    QgsCategorizedSymbolRenderer,
    QgsFeatureRequest,
    QgsMapLayer,
    QgsPalettedRasterRenderer,
    QgsRasterLayer,
    QgsSimpleFillSymbolLayer,
    QgsSymbol,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtGui import QColor, QIcon, QPixmap

from ..engine.imagerydl.labels.classes import ClassEntry, Color, distinct_color, lenient_schema
from ..processing_provider import compat
from .cells import number, text

#: Fields that hold classes, in lower case; the first one there is counts.
VALUE_FIELDS = ("classvalue", "value", "class_value", "class", "classlabel", "label")
NAME_FIELDS = ("classname", "class_name", "name")

_SWATCH = 12  # pixels


def classes_of_layer(layer: QgsMapLayer) -> list[ClassEntry]:
    """The classes of a layer, with colours where it has them; empty where it shows none."""
    if isinstance(layer, QgsRasterLayer):
        return _lenient(_of_palette(layer))
    if not isinstance(layer, QgsVectorLayer):
        return []
    renderer = layer.renderer()
    shown = _of_renderer(renderer) if isinstance(renderer, QgsCategorizedSymbolRenderer) else []
    known = {entry.value for entry in shown}
    return _lenient([*shown, *(entry for entry in _of_fields(layer) if entry.value not in known)])


def class_field(layer: QgsVectorLayer) -> str:
    """The field that tells classes: the one the layer is coloured by, else the first usual name; or ""."""
    renderer = layer.renderer()
    if isinstance(renderer, QgsCategorizedSymbolRenderer):
        place = layer.fields().lookupField(renderer.classAttribute())
        if place >= 0:
            return layer.fields().at(place).name()
    return usual_field(layer, VALUE_FIELDS)


def usual_field(layer: QgsVectorLayer, names: Iterable[str]) -> str:
    """The first of these fields that a layer has, in any letter case; "" for none."""
    by_lower = {field.name().lower(): field.name() for field in layer.fields()}
    return next((by_lower[name] for name in names if name in by_lower), "")


def swatch(color: Optional[Color]) -> QIcon:
    """A square in a colour; in grey where there is none."""
    picture = QPixmap(_SWATCH, _SWATCH)
    picture.fill(QColor(*(color or (180, 180, 180))))
    return QIcon(picture)


def _lenient(entries: list[ClassEntry]) -> list[ClassEntry]:
    usable = {entry.value: entry for entry in reversed(entries) if entry.value >= 0}
    return list(lenient_schema(sorted(usable.values(), key=lambda entry: entry.value)))


def _of_palette(layer: QgsRasterLayer) -> list[ClassEntry]:
    renderer = layer.renderer()
    if not isinstance(renderer, QgsPalettedRasterRenderer):
        return []
    return [
        ClassEntry(int(shown.value), shown.label or str(int(shown.value)), _color(shown.color))
        for shown in renderer.classes()
    ]


def _of_renderer(renderer: QgsCategorizedSymbolRenderer) -> list[ClassEntry]:
    entries = []
    for place, category in enumerate(renderer.categories(), start=1):
        value = category.value()
        if isinstance(value, list) or text(value) == "":
            continue  # the category of all other values
        found = number(value)
        name = category.label() or text(value)
        entries.append(ClassEntry(place if found is None else found, name, _symbol_color(category.symbol())))
    return entries


def _of_fields(layer: QgsVectorLayer) -> list[ClassEntry]:
    field, named = class_field(layer), usual_field(layer, NAME_FIELDS)
    if not field:
        return []
    places = [layer.fields().lookupField(name) if name else -1 for name in (field, named)]
    request = QgsFeatureRequest().setFlags(compat.NO_GEOMETRY)
    request.setSubsetOfAttributes([place for place in places if place >= 0])
    found: dict[str, str] = {}
    for feature in layer.getFeatures(request):
        value, name = (text(feature.attribute(place)) if place >= 0 else "" for place in places)
        if value and not found.get(value):
            found[value] = name
    numbers = {value: number(value) for value in found}
    if any(value is None for value in numbers.values()):  # names, numbered as an export would
        return [
            ClassEntry(place, value, distinct_color(place))
            for place, value in enumerate(sorted(found), start=1)
        ]
    return [ClassEntry(numbers[value], name or value) for value, name in found.items()]


def _symbol_color(symbol: QgsSymbol) -> Color:
    """The colour a symbol is seen in: of its outline where it is not filled."""
    layer = symbol.symbolLayer(0)
    if isinstance(layer, QgsSimpleFillSymbolLayer) and layer.brushStyle() == Qt.BrushStyle.NoBrush:
        return _color(layer.strokeColor())
    return _color(symbol.color())


def _color(color: QColor) -> Color:
    return color.red(), color.green(), color.blue()
