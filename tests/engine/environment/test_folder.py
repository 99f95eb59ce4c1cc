"""Where the environment lies, and when it counts as there."""

from __future__ import annotations

import sys

import pytest

from imagerydl.environment.folder import RECORD, default_folder, python_in, recorded_requirements


@pytest.mark.skipif(sys.platform != "linux", reason="each system has its own place")
def test_the_command_line_keeps_it_with_the_user_s_data(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert default_folder() == tmp_path / "imagerydl" / "runtime"
    monkeypatch.delenv("XDG_DATA_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_folder() == tmp_path / ".local" / "share" / "imagerydl" / "runtime"


def test_a_folder_counts_only_with_its_record_and_its_python(tmp_path):
    assert recorded_requirements(tmp_path) is None
    (tmp_path / RECORD).write_text("torch", encoding="utf-8")
    assert recorded_requirements(tmp_path) is None
    python = python_in(tmp_path)
    python.parent.mkdir()
    python.touch()
    assert recorded_requirements(tmp_path) == "torch"
