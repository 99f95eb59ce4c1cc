"""The style QGIS gives a class raster: its colours and names, in a ``.qml`` beside it."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Union

from ..labels.classes import ClassSchema


def write_style(raster: Union[str, Path], classes: ClassSchema) -> Path:
    """Write ``<raster's stem>.qml``, which QGIS applies when it loads the raster.

    Returns:
        The file written.
    """
    target = Path(raster).with_suffix(".qml")
    entries = "".join(
        '        <paletteEntry value="{}" color="#{:02x}{:02x}{:02x}" label="{}" alpha="255"/>\n'.format(
            entry.value, *entry.color, escape(entry.name, quote=True)
        )
        for entry in classes.with_colors()
    )
    target.write_text(
        "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n"
        '<qgis version="3.22" styleCategories="Symbology">\n'
        "  <pipe>\n"
        '    <rasterrenderer type="paletted" band="1" opacity="1" alphaBand="-1" nodataColor="">\n'
        "      <rasterTransparency/>\n"
        "      <colorPalette>\n" + entries + "      </colorPalette>\n"
        "    </rasterrenderer>\n"
        '    <brightnesscontrast brightness="0" contrast="0"/>\n'
        '    <huesaturation saturation="0"/>\n'
        '    <rasterresampler maxOversampling="2"/>\n'
        "  </pipe>\n"
        "  <blendMode>0</blendMode>\n"
        "</qgis>\n",
        encoding="utf-8",
    )
    return target
