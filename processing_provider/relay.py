"""The engine's events as Processing feedback."""

from __future__ import annotations

import time

from qgis.core import QgsProcessingFeedback

from ..engine.imagerydl.events import Event, progress_text
from .translation import tr

#: Seconds between two lines of progress text: every line stays in the dialog's log, so a long
#: run speaks less often. The bar itself moves with every event.
SHORTEST_PAUSE, LONGEST_PAUSE = 2.0, 30.0


class EventRelay:
    """Shows what a tool says; called on the thread the algorithm runs on."""

    def __init__(self, feedback: QgsProcessingFeedback) -> None:
        self._feedback = feedback
        self._stage = ""
        self._stage_started = 0.0
        self._last_text = 0.0

    def __call__(self, event: Event) -> None:
        """Show one event."""
        kind = event["event"]
        if kind == "progress":
            self._progress(event)
        elif kind == "message":
            warning = event.get("level") == "warning"
            (self._feedback.pushWarning if warning else self._feedback.pushInfo)(str(event.get("text", "")))
        elif kind == "metric":
            values = ", ".join(f"{tr(name)} {value:.4g}" for name, value in event["values"].items())
            self._feedback.pushInfo(f"{event['name']}: {values}")
        elif kind == "error" and event.get("traceback"):
            self._feedback.pushDebugInfo(event["traceback"])

    def _progress(self, event: Event) -> None:
        self._feedback.setProgress(100.0 * event["fraction"])
        now = time.monotonic()
        if event["stage"] != self._stage:
            self._stage, self._stage_started, self._last_text = event["stage"], now, 0.0
        pause = min(max((now - self._stage_started) / 50, SHORTEST_PAUSE), LONGEST_PAUSE)
        if event["done"] >= event["total"] or now - self._last_text >= pause:
            self._last_text = now
            self._feedback.setProgressText(progress_text({**event, "stage": tr(event["stage"])}))
