"""The worker process: started clean, listened to, stopped in time, buried with its last words.

The one place of the QGIS side that starts a program: the engine runs in a process and an
environment of its own.
"""

from __future__ import annotations

import os
import queue
import signal
import subprocess  # nosec B404
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Optional

from ..engine.imagerydl.environment.processes import clean_environment
from ..engine.imagerydl.errors import CancelledError, EngineError, OutOfMemoryError, error_from_code
from ..engine.imagerydl.events import Event, decode
from .translation import tr

#: Seconds after the wish to cancel when the worker is asked by the system, and when it is ended.
TERMINATE_AFTER, KILL_AFTER = 2.0, 4.0
#: Seconds a worker may take to leave once it has delivered its result.
LEAVE_WITHIN = 10.0
_POLL = 0.1
_SILENCE: Event = {"event": "silence"}
_LAST_WORDS = 12


class WorkerProcess:
    """One worker from start to end; context manager.

    Args:
        command: The program and its arguments. It prints events (JSON lines) on stdout and free
            text on stderr; the line ``cancel`` on stdin, or its end, tells it to stop.
    """

    def __init__(self, command: Sequence[str]) -> None:
        options: dict[str, Any] = {}
        if sys.platform == "win32":
            options["creationflags"] = subprocess.CREATE_NO_WINDOW
        else:
            # A group of its own: Ctrl-C in the terminal reaches us alone and we cancel properly,
            # and whatever the worker started can be ended with it.
            options["start_new_session"] = True
        try:
            # A list of arguments and no shell; the interpreter is the one the user configured.
            self._process = subprocess.Popen(  # nosec B603
                list(command),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=clean_environment(),
                **options,
            )
        except OSError as error:
            raise EngineError(
                tr("{program} cannot be started ({reason}).").format(
                    program=command[0], reason=error.strerror or error
                ),
                tr('Run the tool "Set up runtime" (imagerydl:setupruntime) again.'),
            ) from error
        self._events: queue.Queue[Optional[Event]] = queue.Queue()
        self._last_words: deque[str] = deque(maxlen=_LAST_WORDS)
        self._readers = [
            threading.Thread(target=self._read_events, daemon=True),
            threading.Thread(target=self._read_words, daemon=True),
        ]
        for reader in self._readers:
            reader.start()

    def __enter__(self) -> WorkerProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self._kill()
        for reader in self._readers:
            reader.join(timeout=1.0)
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            with suppress(OSError):  # the other end is gone already
                stream.close()

    def follow(self, show: Callable[[Event], None], is_cancelled: Callable[[], bool]) -> dict[str, Any]:
        """Relay events until the worker ends.

        Args:
            show: Receives every event but the result, on the calling thread.
            is_cancelled: Polled ten times a second.

        Returns:
            The worker's result.

        Raises:
            CancelledError: If ``is_cancelled`` said so and the worker did not finish before.
            EngineError: What the worker refused, or how it died.
        """
        result: Optional[dict[str, Any]] = None
        failure: Optional[EngineError] = None
        cancelled_at: Optional[float] = None
        while True:
            if cancelled_at is None and is_cancelled():
                cancelled_at = time.monotonic()
                self._ask_to_stop()
            elif cancelled_at is not None:
                self._insist(time.monotonic() - cancelled_at)
            event = self._next_event()
            if event is _SILENCE:
                continue
            if event is None:
                break
            if event["event"] == "result":
                result = event["values"]
                break
            if event["event"] == "error":
                failure = error_from_code(event["code"], event["message"], event.get("fix", ""))
            show(event)
        status = self._wait_for_end(expected=result is not None)
        if result is not None:
            return result
        if cancelled_at is not None:
            raise CancelledError(tr("Cancelled."))
        raise failure or self._obituary(status)

    def _next_event(self) -> Optional[Event]:
        """The next event, ``_SILENCE`` where none came in a while, None at the end."""
        try:
            return self._events.get(timeout=_POLL)
        except queue.Empty:
            pass
        if self._process.poll() is None:
            return _SILENCE
        # Dead; something it started may still hold its stdout open, so do not wait for the end.
        self._readers[0].join(timeout=_POLL * 5)
        return None if self._events.empty() else _SILENCE

    def _ask_to_stop(self) -> None:
        with suppress(OSError):  # it may just have ended: the reader will say so
            self._process.stdin.write(b"cancel\n")
            self._process.stdin.flush()

    def _insist(self, waited: float) -> None:
        if waited >= KILL_AFTER:
            self._kill()
        elif waited >= TERMINATE_AFTER and self._process.poll() is None:
            self._process.terminate()

    def _kill(self) -> None:
        """End the worker and whatever it started."""
        if sys.platform == "win32":
            self._process.kill()
        else:
            with suppress(ProcessLookupError, PermissionError):  # nothing is left to end
                os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def _wait_for_end(self, expected: bool) -> int:
        try:
            return self._process.wait(timeout=LEAVE_WITHIN if expected else KILL_AFTER)
        except subprocess.TimeoutExpired:
            self._kill()
            return self._process.returncode

    def _read_events(self) -> None:
        for line in self._process.stdout:
            event = decode(line.decode("utf-8", "replace").rstrip("\r\n"))
            if event is not None:
                self._events.put(event)
        self._events.put(None)

    def _read_words(self) -> None:
        for line in self._process.stderr:
            text = line.decode("utf-8", "replace").rstrip()
            if text:
                self._last_words.append(text)

    def _obituary(self, status: int) -> EngineError:
        self._readers[1].join(timeout=1.0)
        words = "\n".join(self._last_words)
        words = tr("Its last words:") + "\n" + words if words else tr("It left no message.")
        if status == -9:
            return OutOfMemoryError(
                tr("The worker was killed (signal 9), most likely because memory ran out.") + " " + words,
                tr(
                    "Use a smaller BATCH_SIZE (or batch_size in ARGUMENTS) or tile, "
                    "or close other programs, and run it again."
                ),
            )
        how = tr("signal {n}").format(n=-status) if status < 0 else tr("exit status {n}").format(n=status)
        return EngineError(
            tr("The worker stopped before it was done ({how}).").format(how=how) + " " + words,
            tr('Run the tool "Check runtime" (imagerydl:checkruntime) to see what works.'),
        )
