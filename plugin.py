"""The plugin object: registers the provider, what its dialogs come with, and the docks' switches."""

from __future__ import annotations

from typing import Any, Optional

from qgis.core import QgsApplication

from .processing_provider import companions
from .processing_provider.provider import ImageryProvider


class ImageryDeepLearningPlugin:
    """What QGIS starts and stops.

    Args:
        iface: The QGIS window, None under ``qgis_process``.
    """

    def __init__(self, iface: Any = None) -> None:
        self._iface = iface
        self._switches: Any = None
        self._provider: Optional[ImageryProvider] = None
        self._companion: Optional[companions.Companion] = None

    def initProcessing(self) -> None:  # noqa: N802 - the name QGIS calls
        """Register the provider once. QGIS calls this, :meth:`initGui`, or both."""
        if self._provider is None:
            self._provider = ImageryProvider()
            QgsApplication.processingRegistry().addProvider(self._provider)

    def initGui(self) -> None:  # noqa: N802 - the name QGIS calls
        """Start inside the desktop, where there are dialogs."""
        self.initProcessing()
        if self._companion is None:
            from .ui.model_follower import ModelCompanion  # qgis_process does without the user interface

            self._companion = ModelCompanion()
            companions.register(self._companion)
        if self._switches is None and self._iface is not None:
            from .ui.docks import DockSwitches

            self._switches = DockSwitches(self._iface)

    def unload(self) -> None:
        """Take everything out again."""
        if self._switches is not None:
            self._switches.remove()
            self._switches = None
        if self._companion is not None:
            companions.unregister(self._companion)
            self._companion = None
        if self._provider is not None:
            QgsApplication.processingRegistry().removeProvider(self._provider)
            self._provider = None
