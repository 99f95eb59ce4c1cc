"""What a running tool says: progress, messages, metrics.

A tool talks to a :class:`Reporter`; where the words go (a worker's stdout, the command line, a
test's list) is decided by the sink it was built with. Standard library only.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any, Optional

from .errors import CancelledError

Event = dict[str, Any]

#: Seconds between two progress events of one stage: often enough to look alive, rare enough to
#: cost nothing.
PROGRESS_INTERVAL = 0.2


class Reporter:
    """Carries a tool's progress out and the wish to cancel in.

    Args:
        sink: Receives each event, a JSON-serialisable dict with the key ``event``.
        is_cancelled: Polled by :meth:`check_cancelled`.
    """

    def __init__(
        self,
        sink: Callable[[Event], None] = lambda event: None,
        is_cancelled: Callable[[], bool] = lambda: False,
    ) -> None:
        self._sink = sink
        self._is_cancelled = is_cancelled
        self._stage = ""
        self._stage_started = 0.0
        self._last_progress = 0.0

    def check_cancelled(self) -> None:
        """Raise :class:`CancelledError` if the user asked to stop; call it in every loop."""
        if self._is_cancelled():
            raise CancelledError

    def progress(
        self,
        stage: str,
        done: float,
        total: float,
        unit: str = "",
        note: str = "",
        span: tuple[float, float] = (0.0, 1.0),
    ) -> None:
        """Report ``done`` of ``total`` in ``stage``; also the place where cancelling takes hold.

        Args:
            stage: What is going on, shown to the user ("Exporting chips").
            done: Units finished in this stage.
            total: Units in this stage.
            unit: Plural name of the unit ("chips", "tiles", "batches"), for the rate.
            note: Anything worth seeing beside it ("skipped 12").
            span: The part of the whole run this stage fills, 0 to 1.
        """
        self.check_cancelled()
        now = time.monotonic()
        if stage != self._stage:
            self._stage, self._stage_started, self._last_progress = stage, now, 0.0
        finished = done >= total
        if not finished and now - self._last_progress < PROGRESS_INTERVAL:
            return
        self._last_progress = now
        elapsed = now - self._stage_started
        share = min(1.0, done / total) if total else 1.0
        event: Event = {
            "event": "progress",
            "stage": stage,
            "done": done,
            "total": total,
            "unit": unit,
            "note": note,
            "fraction": span[0] + (span[1] - span[0]) * share,
        }
        if elapsed > 0 and done > 0:
            event["rate"] = done / elapsed
            event["seconds_left"] = elapsed * (total - done) / done
        self._sink(event)

    def message(self, text: str) -> None:
        """Say something the user may want to read later."""
        self._sink({"event": "message", "level": "info", "text": text})

    def warning(self, text: str) -> None:
        """Say something the user should know before trusting the result."""
        self._sink({"event": "message", "level": "warning", "text": text})

    def metric(self, name: str, values: dict[str, float]) -> None:
        """Report named numbers, for example one epoch's losses."""
        self._sink({"event": "metric", "name": name, "values": values})


def encode(event: Event) -> str:
    """One event as one line of JSON, without the line end (plain ASCII: pipes may be legacy)."""
    return json.dumps(event, ensure_ascii=True, separators=(",", ":"), default=str)


def decode(line: str) -> Optional[Event]:
    """The event in a line a worker printed, or None where the line is not an event."""
    if not line.startswith("{"):
        return None
    try:
        event = json.loads(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) and "event" in event else None


def progress_text(event: Event) -> str:
    """A progress event as a line for people: ``Exporting chips: 120 of 3483 chips, 80/s, 42 s left``."""
    text = f"{event['stage']}: {event['done']:g} of {event['total']:g} {event['unit']}".rstrip()
    if "rate" in event:
        rate = event["rate"]
        text += f", {rate:,.0f}/s" if rate >= 10 else f", {rate:.2g}/s"
        text += f", {duration_text(event['seconds_left'])} left"
    return f"{text} ({event['note']})" if event.get("note") else text


def duration_text(seconds: float) -> str:
    """Seconds as a person says them: ``42 s``, ``3 min 05 s``, ``2 h 10 min``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def terminal_sink(event: Event) -> None:
    """Show events on a terminal: progress redrawn in place where possible, the rest as lines."""
    interactive = sys.stderr.isatty()
    if event["event"] == "progress":
        end = "\n" if not interactive or event["done"] >= event["total"] else ""
        start = "\r\x1b[K" if interactive else ""
        if interactive or event["done"] >= event["total"]:
            sys.stderr.write(start + progress_text(event) + end)
    elif event["event"] == "message":
        prefix = "Warning: " if event["level"] == "warning" else ""
        sys.stderr.write(f"{prefix}{event['text']}\n")
    elif event["event"] == "metric":
        values = ", ".join(f"{name} {value:.4g}" for name, value in event["values"].items())
        sys.stderr.write(f"{event['name']}: {values}\n")
    sys.stderr.flush()
