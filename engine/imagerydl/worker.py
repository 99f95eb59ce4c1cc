"""The engine as a child process: a job file in, JSON lines out.

stdout carries events and nothing else (whatever libraries print goes to stderr). stdin carries
the wish to cancel: the line ``cancel``, or its end, which means that the parent is gone.
"""

from __future__ import annotations

import os
import sys
import threading
import traceback
from pathlib import Path
from typing import Any, TextIO

from . import outputs
from .errors import CancelledError, EngineError
from .events import Event, Reporter, encode
from .jobs import read_job, run_job

#: Seconds a run may take to notice that it was cancelled before it is ended from outside.
CANCEL_GRACE = 1.5

EXIT_FAILED = 1
EXIT_CANCELLED = 3


class _EventStream:
    """Writes events to the pipe that was stdout; one line at a time from any thread."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()

    def __call__(self, event: Event) -> None:
        with self._lock:
            try:
                self._stream.write(encode(event) + "\n")
                self._stream.flush()
            except (BrokenPipeError, ValueError):
                _end_now()  # nobody listens any more


def _claim_stdout() -> _EventStream:
    """Keep the real stdout for events and send every other print, C libraries' too, to stderr."""
    events_fd = os.dup(1)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return _EventStream(os.fdopen(events_fd, "w", encoding="utf-8", newline="\n"))


def _end_now() -> None:
    outputs.discard_unfinished()
    os._exit(EXIT_CANCELLED)


def _watch_stdin(cancelled: threading.Event) -> None:
    # Unbuffered reads from the descriptor: closing down never waits for this thread.
    pending = b""
    while True:
        chunk = os.read(0, 4096)
        pending += chunk
        if not chunk or b"cancel" in pending:
            break
    cancelled.set()
    timer = threading.Timer(CANCEL_GRACE, _end_now)
    timer.daemon = True
    timer.start()


def main(job_file: str) -> int:
    """Run the job in ``job_file``; returns the exit status (0, 1 failed, 3 cancelled)."""
    emit = _claim_stdout()
    cancelled = threading.Event()
    threading.Thread(target=_watch_stdin, args=(cancelled,), daemon=True).start()
    reporter = Reporter(emit, cancelled.is_set)
    emit({"event": "started", "pid": os.getpid()})
    try:
        result: dict[str, Any] = run_job(read_job(Path(job_file)), reporter)
    except CancelledError:
        emit({"event": "error", "code": CancelledError.code, "message": "Cancelled.", "fix": ""})
        return EXIT_CANCELLED
    except EngineError as error:
        emit({"event": "error", "code": error.code, "message": error.message, "fix": error.fix})
        return EXIT_FAILED
    except Exception as error:  # noqa: BLE001 - the last line of defence of a process
        emit(
            {
                "event": "error",
                "code": "unexpected",
                "message": f"{type(error).__name__}: {error}",
                "fix": "This is a fault of the program, please report it with the text below.",
                "traceback": traceback.format_exc(),
            }
        )
        return EXIT_FAILED
    emit({"event": "result", "values": result})
    return 0
