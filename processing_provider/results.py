"""Job results -> QGIS: which ones, and the styles they carry."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from qgis.core import (
    QgsMapLayer,
    QgsPalettedRasterRenderer,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingLayerPostProcessorInterface,
    QgsRasterLayer,
    QgsVectorLayer,
)
from qgis.PyQt import sip

from ..engine.imagerydl.tool import Tool


def declared_results(tool: Tool, values: Mapping[str, Any]) -> dict[str, Any]:
    """What a tool returned, without what it does not declare and what it did not make."""
    declared = {param.key for param in tool.params if param.is_output}
    declared |= {result.key for result in tool.results}
    return {key: value for key, value in values.items() if key in declared and value is not None}


class OwnStyle(QgsProcessingLayerPostProcessorInterface):
    """Gives a loaded layer the style it carries, which Processing does not apply to results by itself.

    For a class raster that is a file beside it (``name.qml``), or else the colour table inside; for a
    vector layer the default style in its GeoPackage.
    """

    def postProcessLayer(  # noqa: N802 - the name QGIS calls
        self, layer: QgsMapLayer, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> None:
        """Style ``layer`` where it carries a style."""
        if isinstance(layer, QgsVectorLayer):
            layer.loadDefaultStyle()
        elif isinstance(layer, QgsRasterLayer):
            self._style_raster(layer)
        layer.triggerRepaint()

    def _style_raster(self, layer: QgsRasterLayer) -> None:
        sidecar = os.path.splitext(layer.source())[0] + ".qml"
        colours = layer.dataProvider().colorTable(1)
        if os.path.exists(sidecar):
            layer.loadNamedStyle(sidecar)
        elif colours:
            classes = QgsPalettedRasterRenderer.colorTableToClassData(colours)
            layer.setRenderer(QgsPalettedRasterRenderer(layer.dataProvider(), 1, classes))


# QGIS deletes a post-processor with the context it was attached to, and until then relies on
# somebody keeping its Python half.
_attached: list[OwnStyle] = []


def style_loaded_layers(results: Mapping[str, Any], context: QgsProcessingContext) -> None:
    """Attach :class:`OwnStyle` to every result that QGIS is about to load."""
    _attached[:] = [processor for processor in _attached if not sip.isdeleted(processor)]
    for path in results.values():
        if isinstance(path, str) and context.willLoadLayerOnCompletion(path):
            _attached.append(OwnStyle())
            context.layerToLoadOnCompletionDetails(path).setPostProcessor(_attached[-1])
