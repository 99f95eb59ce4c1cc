"""Opens the dialog of one of our tools with values filled in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Optional

from qgis.core import QgsApplication
from qgis.PyQt.QtWidgets import QWidget

from ..engine.imagerydl.errors import ParameterError
from ..processing_provider.translation import tr


def open_tool(tool_id: str, values: Mapping[str, Any], parent: Optional[QWidget] = None) -> QWidget:
    """Show the dialog of ``imagerydl:<tool_id>``.

    Raises:
        ParameterError: If the tool is not there.
    """
    algorithm = QgsApplication.processingRegistry().createAlgorithmById(f"imagerydl:{tool_id}")
    if algorithm is None:
        raise ParameterError(
            tr("The tool imagerydl:{tool} is not in the Toolbox.").format(tool=tool_id),
            tr("Switch the plugin off and on again."),
        )
    dialog = algorithm.createCustomParametersWidget(parent)
    if dialog is None:
        from processing.gui.AlgorithmDialog import AlgorithmDialog  # the desktop's own, late as it is slow

        dialog = AlgorithmDialog(algorithm, parent=parent)
    dialog.setParameters(dict(values))
    dialog.show()
    return dialog
