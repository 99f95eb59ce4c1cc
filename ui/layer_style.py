"""Keeps a layer's style beside its file, so that it comes back in any project."""

from __future__ import annotations

import os

from qgis.core import QgsVectorLayer


def keep_style(layer: QgsVectorLayer) -> None:
    """Write the present style into ``<file>.qml``, which QGIS reads with the file.

    Not into the GeoPackage: QGIS 3.22 opens the file a second time for that, and leaves the connections by
    which the layer is read unusable for a while. Samples would seem to be gone.
    """
    layer.saveNamedStyle(_style_file(layer))


def load_style(layer: QgsVectorLayer) -> None:
    """Take the style beside the file, or else the default one in it."""
    if os.path.exists(_style_file(layer)):
        layer.loadNamedStyle(_style_file(layer))
    else:
        layer.loadDefaultStyle()


def _style_file(layer: QgsVectorLayer) -> str:
    return os.path.splitext(layer.source().split("|")[0])[0] + ".qml"
