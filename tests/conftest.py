"""What tests of every folder use."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ENGINE = Path(__file__).resolve().parents[1] / "engine"

_SHADOWED = """
import sys
class Shadow:
    def find_spec(self, name, path=None, target=None):
        top = name.split(".")[0]
        if top != "imagerydl" and top not in sys.stdlib_module_names and not top.startswith("_"):
            raise ImportError(name + " is no standard library")
sys.meta_path.insert(0, Shadow())
sys.path.insert(0, sys.argv.pop(1))
"""


@pytest.fixture
def by_the_standard_library_alone():
    """Runs Python code that has the engine and the standard library; gives what it prints."""

    def run(code: str, *arguments: str) -> str:
        command = [sys.executable, "-I", "-S", "-c", _SHADOWED + code, str(ENGINE), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    return run
