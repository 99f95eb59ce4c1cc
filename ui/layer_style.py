"""Keeps a layer's style in the GeoPackage that the layer lies in, so that it comes back in any project."""

from __future__ import annotations

from qgis.core import QgsVectorLayer


def keep_style(layer: QgsVectorLayer, name: str) -> None:
    """Make the present style the default one in the layer's file; nothing where that is no GeoPackage.

    Args:
        layer: The layer.
        name: What the style is called in the file.
    """
    if layer.dataProvider().storageType() != "GPKG":
        return
    # QGIS asks, in a dialog, before it replaces a style; one that is gone is not replaced.
    _, ids, names, *_ = layer.listStylesInDatabase()
    for style_id, found in zip(ids, names):
        if found == name:
            layer.deleteStyleFromDatabase(style_id)
    layer.saveStyleToDatabase(name, "", True, "")
