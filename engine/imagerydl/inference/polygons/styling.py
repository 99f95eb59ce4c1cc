"""The style QGIS gives a layer of polygons: each class filled with its colour."""

from __future__ import annotations

from collections.abc import Iterable
from xml.sax.saxutils import quoteattr

from ...labels.classes import ClassEntry, ClassSchema, Color, distinct_color


def fill_style(values: Iterable[int], classes: ClassSchema) -> str:
    """QML that fills polygons by the field ``class_value``.

    Args:
        values: Those that occur, each of which gets an entry.
        classes: Names and colours; a value that is none of them stands for itself.
    """
    named = {entry.value: entry for entry in classes}
    entries = [named.get(value, ClassEntry(value, str(value))) for value in sorted(values)]
    categories = "".join(
        f'<category value="{entry.value}" type="long" label={quoteattr(entry.name)} '
        f'symbol="{number}" render="true"/>'
        for number, entry in enumerate(entries)
    )
    symbols = "".join(
        _symbol(number, entry.color or distinct_color(entry.value)) for number, entry in enumerate(entries)
    )
    return (
        "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>"
        '<qgis version="3.22" styleCategories="Symbology">'
        '<renderer-v2 type="categorizedSymbol" attr="class_value">'
        f"<categories>{categories}</categories><symbols>{symbols}</symbols></renderer-v2></qgis>"
    )


def _symbol(number: int, color: Color) -> str:
    red, green, blue = color
    # The border a shade darker, so that neighbours of one colour can be told apart.
    options = {
        "color": f"{red},{green},{blue},255",
        "style": "solid",
        "outline_color": f"{red * 2 // 3},{green * 2 // 3},{blue * 2 // 3},255",
        "outline_style": "solid",
        "outline_width": "0.1",
        "outline_width_unit": "MM",
        "joinstyle": "bevel",
    }
    texts = "".join(f'<Option type="QString" name="{key}" value="{options[key]}"/>' for key in options)
    return (
        f'<symbol type="fill" name="{number}" alpha="1"><layer class="SimpleFill" enabled="1" pass="0">'
        f'<Option type="Map">{texts}</Option></layer></symbol>'
    )
