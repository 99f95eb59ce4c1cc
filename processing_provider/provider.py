"""The Processing provider: one algorithm per tool of the engine."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from qgis.core import (
    QgsProcessingContext,
    QgsProcessingDestinationParameter,
    QgsProcessingParameterVectorDestination,
    QgsProcessingProvider,
)
from qgis.PyQt.QtGui import QIcon

from ..engine.imagerydl import __version__, tools
from ..engine.imagerydl.tool import TABLE_EXTENSIONS, VECTOR_EXTENSIONS
from .algorithm import ICON, ToolAlgorithm
from .inputs import named_output
from .translation import tr

#: ``<plugin>.algorithms``; found relatively, since the plugin's folder may have any name.
_ALGORITHMS = __package__.rpartition(".")[0] + ".algorithms"


class ImageryProvider(QgsProcessingProvider):
    """Imagery Deep Learning in the Toolbox."""

    def id(self) -> str:
        """First part of every algorithm's id."""
        return "imagerydl"

    def name(self) -> str:
        """Title in the Toolbox."""
        return tr("Imagery Deep Learning")

    def versionInfo(self) -> str:  # noqa: N802 - the name QGIS calls
        """Version shown by ``qgis_process list``."""
        return __version__

    def icon(self) -> QIcon:
        """The plugin's icon."""
        return QIcon(str(ICON))

    def svgIconPath(self) -> str:  # noqa: N802 - the name QGIS calls
        """The plugin's icon."""
        return str(ICON)

    def supportedOutputRasterLayerExtensions(self) -> list[str]:  # noqa: N802 - the name QGIS calls
        """The engine writes GeoTIFF."""
        return ["tif", "tiff"]

    def defaultRasterFileExtension(self) -> str:  # noqa: N802 - the name QGIS calls
        """Extension of temporary rasters."""
        return "tif"

    def supportedOutputVectorLayerExtensions(self) -> list[str]:  # noqa: N802 - the name QGIS calls
        """What the engine writes as one file."""
        return list(VECTOR_EXTENSIONS)

    def supportedOutputTableExtensions(self) -> list[str]:  # noqa: N802 - the name QGIS calls
        """Formats of tables."""
        return list(TABLE_EXTENSIONS)

    def defaultVectorFileExtension(self, hasGeometry: bool = True) -> str:  # noqa: N802, N803
        """Extension of temporary vector layers and tables."""
        return (VECTOR_EXTENSIONS if hasGeometry else TABLE_EXTENSIONS)[0]

    def isSupportedOutputValue(  # noqa: N802 - the name QGIS calls
        self,
        outputValue: Any,  # noqa: N803
        parameter: QgsProcessingDestinationParameter,
        context: QgsProcessingContext,
    ) -> tuple[bool, str]:
        """Whether an output may be called so. QGIS judges tables by the formats of layers with geometry."""
        is_layer = isinstance(parameter, QgsProcessingParameterVectorDestination)
        if is_layer and not parameter.hasGeometry():
            name = named_output(outputValue, parameter.defaultFileExtension(), context)
            if name.lower().endswith(tuple(f".{extension}" for extension in TABLE_EXTENSIONS)):
                return True, ""
        return super().isSupportedOutputValue(outputValue, parameter, context)

    def supportsNonFileBasedOutput(self) -> bool:  # noqa: N802 - the name QGIS calls
        """The engine writes files; QGIS then offers neither databases nor layers in memory."""
        return False

    def loadAlgorithms(self) -> None:  # noqa: N802 - the name QGIS calls
        """Add one algorithm per tool; imports declarations only, never a deep-learning library."""
        for tool_id in tools.TOOL_IDS:
            self.addAlgorithm(algorithm_class(tool_id)())


def algorithm_class(tool_id: str) -> type[ToolAlgorithm]:
    """The class that binds a tool, ``Algorithm`` in ``algorithms/<tool id>.py``."""
    return import_module(f"{_ALGORITHMS}.{tool_id}").Algorithm
