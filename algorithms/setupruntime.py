"""Set up runtime in QGIS: by default into the profile, and any other place is remembered."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from qgis.core import QgsSettings

from ..engine.imagerydl.tools.setupruntime import TOOL
from ..processing_provider.algorithm import ToolAlgorithm
from ..processing_provider.runtime import SETTING, managed_folder


class Algorithm(ToolAlgorithm):
    """The tool, tied to where the other tools look for the environment."""

    tool = TOOL

    def completed(self, values: dict[str, Any]) -> dict[str, Any]:
        """Build in the QGIS profile where no folder is named."""
        return {**values, "FOLDER": values["FOLDER"] or str(managed_folder())}

    def finished(self, values: Mapping[str, Any], results: Mapping[str, Any]) -> None:
        """Make the other tools use what was just built."""
        if Path(values["FOLDER"]) == managed_folder():
            QgsSettings().remove(SETTING)
        else:
            QgsSettings().setValue(SETTING, results["PYTHON"])
