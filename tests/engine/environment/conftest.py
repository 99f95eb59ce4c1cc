"""A uv that builds toy environments, so that the tests need no network and take no time."""

from __future__ import annotations

import json
import os
import stat
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from imagerydl.events import Reporter

# What the toy does is set by FAKE_* variables; every call is appended to FAKE_LOG as JSON.
FAKE_UV = """
import json, os, pathlib, sys, time
arguments = sys.argv[1:]
call = {"arguments": arguments, "cwd": os.getcwd(), "environment": dict(os.environ)}
with open(os.environ["FAKE_LOG"], "a") as log:
    log.write(json.dumps(call) + "\\n")
if arguments[0] == "--version":
    print("uv " + os.environ.get("FAKE_VERSION", "0.13.8") + " (toy)")
elif arguments[0] == "venv":
    target = pathlib.Path(next(a for a in arguments[1:] if not a.startswith("-") and "/" in a))
    (target / "bin").mkdir(parents=True)
    python = target / "bin" / "python"
    python.write_text(os.environ["FAKE_PYTHON"])
    python.chmod(0o755)
elif "--dry-run" in arguments:
    sys.exit(os.environ.get("FAKE_BACKEND", "reachable") != "reachable")
elif os.environ.get("FAKE_INSTALL") == "sleep":
    print("Downloading toys", flush=True)
    time.sleep(60)
elif os.environ.get("FAKE_INSTALL") == "fail":
    sys.exit("error: no solution found")
else:
    print("Resolved 2 packages\\n + toy==1.0\\nInstalled 2 packages")
"""

# The toy environment's interpreter: writes the report it is asked for.
FAKE_PYTHON = """{first_lines}
import pathlib, sys
if "{broken}":
    sys.exit("torch does not load")
report = sys.argv[sys.argv.index("--out-report") + 1]
device = sys.argv[sys.argv.index("--device") + 1]
pathlib.Path(report).write_text("works on " + device + " at " + sys.argv[0])
"""


# A first line that names an interpreter cannot hold a blank: what follows is shell and Python in one.
FIRST_LINES = f"""#!/bin/sh
'''exec' "{sys.executable}" "$0" "$@"
' '''"""


def _program(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{FIRST_LINES}\n{text}", encoding="utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


@pytest.fixture
def make_program():
    """Write an executable Python script: ``make_program(path, text)``."""
    return _program


@pytest.fixture
def uv(tmp_path, monkeypatch):
    """The toy uv, first on PATH; ``uv.calls()`` are the calls it got, ``uv.set(...)`` how it behaves."""
    log = tmp_path / "uv-calls"
    _program(tmp_path / "tools" / "uv", FAKE_UV)
    monkeypatch.setenv("PATH", f"{tmp_path / 'tools'}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("FAKE_LOG", str(log))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    for name in ("UV_PYTHON", "UV_TORCH_BACKEND", "PIP_FIND_LINKS", "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)

    def set_behaviour(broken="", **variables):
        monkeypatch.setenv("FAKE_PYTHON", FAKE_PYTHON.format(first_lines=FIRST_LINES, broken=broken))
        for name, value in variables.items():
            monkeypatch.setenv(f"FAKE_{name.upper()}", value)

    def calls(*containing):
        lines = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
        entries = [json.loads(line) for line in lines]
        return [entry for entry in entries if set(containing) <= set(entry["arguments"])]

    set_behaviour()
    return SimpleNamespace(set=set_behaviour, calls=calls)


@pytest.fixture
def said():
    """A reporter that keeps what it is told: ``said.reporter``, ``said.text()``."""
    events = []

    def text():
        return "\n".join(event["text"] for event in events if event["event"] == "message")

    return SimpleNamespace(reporter=Reporter(events.append), events=events, text=text)
