"""How QGIS shows objects: outlines in the colour of their class, labelled with their confidence."""

from __future__ import annotations

from collections.abc import Sequence
from xml.sax.saxutils import quoteattr

from ...labels.classes import ClassEntry, ClassSchema


def object_style(
    classes: ClassSchema, field: str, label: str, kind: str = "fill", values: Sequence[object] = ()
) -> str:
    """A QGIS style.

    Args:
        classes: The classes, with colours.
        field: Field that tells the class.
        label: QGIS expression that labels are made of; "" for none.
        kind: "fill", "line" or "marker".
        values: What the field holds for each class; class values where empty.
    """
    entries = list(classes.with_colors())
    told = list(values) or [entry.value for entry in entries]
    categories = "".join(
        f'<category value={quoteattr(str(value))} label={quoteattr(entry.name)} symbol="{number}" '
        f'type="{"string" if isinstance(value, str) else "long"}" render="true"/>'
        for number, (entry, value) in enumerate(zip(entries, told))
    )
    symbols = "".join(_symbol(number, entry, kind) for number, entry in enumerate(entries))
    renderer = (
        f'<renderer-v2 type="categorizedSymbol" attr={quoteattr(field)}>'
        f"<categories>{categories}</categories><symbols>{symbols}</symbols></renderer-v2>"
    )
    labelling = f'<labeling type="simple">{_label(label)}</labeling>' if label else ""
    return (
        "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>"
        f'<qgis version="3.22" styleCategories="Symbology|Labeling" labelsEnabled="{int(bool(label))}">'
        f"{renderer}{labelling}</qgis>"
    )


def _label(expression: str) -> str:
    # A white rim keeps letters readable on any imagery.
    return (
        f'<settings><text-style fieldName={quoteattr(expression)} isExpression="1" fontSize="8" '
        'textColor="20,20,20,255"><text-buffer bufferDraw="1" bufferSize="0.7" '
        'bufferColor="255,255,255,255"/></text-style><placement placement="1" placementFlags="10"/>'
        '<rendering scaleVisibility="0" obstacle="0"/></settings>'
    )


def _symbol(number: int, entry: ClassEntry, kind: str) -> str:
    red, green, blue = entry.color or (0, 0, 0)
    color = f"{red},{green},{blue},255"
    if kind == "marker":
        layer, options = "SimpleMarker", {"color": color, "size": "2.6", "outline_color": "255,255,255,255"}
    else:  # outlines only: the image below is what matters
        layer = "SimpleLine"
        options = {"line_color": color, "line_width": "0.5", "line_width_unit": "MM", "joinstyle": "miter"}
    texts = "".join(
        f'<Option type="QString" name="{key}" value="{value}"/>' for key, value in options.items()
    )
    return (
        f'<symbol type="{kind}" name="{number}" alpha="1"><layer class="{layer}" enabled="1" pass="0">'
        f'<Option type="Map">{texts}</Option></layer></symbol>'
    )
