"""Progress, messages and the wish to cancel."""

import pytest

from imagerydl import events
from imagerydl.errors import CancelledError


def test_progress_tells_stage_rate_and_time_left(monkeypatch):
    clock = iter([0.0, 10.0])
    monkeypatch.setattr(events.time, "monotonic", lambda: next(clock))
    said = []
    reporter = events.Reporter(said.append)
    reporter.progress("Exporting chips", 0, 100, "chips")
    reporter.progress("Exporting chips", 25, 100, "chips", note="skipped 3", span=(0.5, 1.0))
    assert said[-1]["rate"] == 2.5
    assert said[-1]["seconds_left"] == 30
    assert said[-1]["fraction"] == 0.625
    assert events.progress_text(said[-1]) == (
        "Exporting chips: 25 of 100 chips, 2.5/s, 30 s left (skipped 3)"
    )
    said[-1]["rate"] = 2533.4
    assert "2,533/s" in events.progress_text(said[-1])


def test_progress_is_rare_but_the_last_step_always_comes():
    said = []
    reporter = events.Reporter(said.append)
    for done in range(1001):
        reporter.progress("Reading", done, 1000)
    assert len(said) < 50
    assert said[-1]["done"] == 1000


def test_cancelling_takes_hold_at_the_next_step():
    with pytest.raises(CancelledError):
        events.Reporter(is_cancelled=lambda: True).progress("Reading", 1, 2)


def test_events_survive_the_pipe_and_other_lines_are_no_events():
    event = {"event": "message", "level": "info", "text": "Straße\n2"}
    line = events.encode(event)
    assert "\n" not in line
    assert line.isascii()
    assert events.decode(line) == event
    assert events.decode("loading weights...") is None
    assert events.decode('{"other": 1}') is None
    assert events.decode("{broken") is None


@pytest.mark.parametrize(("seconds", "text"), [(41.6, "42 s"), (185, "3 min 05 s"), (7800, "2 h 10 min")])
def test_durations_read_naturally(seconds, text):
    assert events.duration_text(seconds) == text
