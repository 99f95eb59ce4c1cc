"""Imagery Deep Learning: a QGIS plugin. QGIS starts here."""

from __future__ import annotations

from typing import Any


def classFactory(iface: Any) -> Any:  # noqa: N802 - the name QGIS looks for
    """The plugin object QGIS loads; ``iface`` is None under qgis_process."""
    from .plugin import ImageryDeepLearningPlugin

    return ImageryDeepLearningPlugin(iface)
