"""A Processing feedback that remembers, for tests."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Optional

from qgis.core import QgsProcessingFeedback


class Recording(QgsProcessingFeedback):
    """Keeps every line by kind, every progress value, and cancels when told to."""

    def __init__(self, cancel_at: Optional[Callable[[str], bool]] = None) -> None:
        super().__init__(False)
        self.infos: list[str] = []
        self.warnings: list[str] = []
        self.debug: list[str] = []
        self.errors: list[str] = []
        self.texts: list[str] = []
        self.values: list[float] = []
        self.cancelled_at = 0.0
        self._cancel_at = cancel_at
        self.progressChanged.connect(self.values.append)

    def pushInfo(self, info: str) -> None:  # noqa: N802
        self.infos.append(info)
        self._maybe_cancel(info)

    def pushWarning(self, warning: str) -> None:  # noqa: N802
        self.warnings.append(warning)

    def pushDebugInfo(self, info: str) -> None:  # noqa: N802
        self.debug.append(info)

    def reportError(self, error: str, fatalError: bool = False) -> None:  # noqa: N802, N803
        self.errors.append(error)

    def setProgressText(self, text: str) -> None:  # noqa: N802
        self.texts.append(text)
        self._maybe_cancel(text)

    def _maybe_cancel(self, text: str) -> None:
        if self._cancel_at and not self.cancelled_at and self._cancel_at(text):
            self.cancelled_at = time.monotonic()
            self.cancel()
