"""Programs are run in a clean environment, listened to and ended in time."""

from __future__ import annotations

import sys
import time

import pytest

from imagerydl.environment.processes import answer, clean_environment, follow
from imagerydl.errors import CancelledError
from imagerydl.events import Reporter


def python(code):
    return [sys.executable, "-I", "-u", "-c", code]


def test_every_line_is_handed_on_and_the_last_ones_are_kept():
    lines = []
    code = "import sys; print('one'); print('zwölf'); sys.exit('three')"
    outcome = follow(python(code), {"PYTHONUTF8": "1"}, Reporter(), lines.append)
    assert sorted(lines) == ["one", "three", "zwölf"]
    assert outcome.status == 1
    assert not outcome.succeeded
    assert "three" in outcome.last_words


@pytest.mark.skipif(sys.platform == "win32", reason="Windows ends processes at once")
def test_a_program_that_ignores_being_asked_is_ended_within_two_seconds():
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up'); time.sleep(60)"
    heard = []
    started = None
    with pytest.raises(CancelledError):
        follow(
            python(code),
            {},
            Reporter(is_cancelled=lambda: bool(heard)),
            lambda line: heard.append(time.monotonic()),
        )
    started = heard[0]
    assert time.monotonic() - started < 2


def test_an_answer_is_none_where_there_is_none():
    assert answer(python("print(' yes ')")) == "yes"
    assert answer(python("raise SystemExit(1)")) is None
    assert answer(["/nowhere/to/be/found"]) is None
    assert answer(python("import time; time.sleep(9)"), timeout=0.2) is None


def test_what_belongs_to_the_host_s_python_goes_and_the_user_s_settings_stay():
    given = {
        "PYTHONPATH": "x",
        "PROJ_LIB": "x",
        "LD_LIBRARY_PATH": "x",
        "QT_PLUGIN_PATH": "x",
        "HTTPS_PROXY": "p",
        "UV_DEFAULT_INDEX": "i",
        "PATH": "y",
    }
    assert clean_environment(given) == {"HTTPS_PROXY": "p", "UV_DEFAULT_INDEX": "i", "PATH": "y"}
