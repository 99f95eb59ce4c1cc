"""Finding uv, and a Python that can fetch it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from imagerydl.environment import interpreters
from imagerydl.environment import uv as module
from imagerydl.environment.interpreters import real_pythons, require_version, version_of
from imagerydl.environment.uv import find_uv
from imagerydl.errors import ParameterError, RuntimeMissingError

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the toy uv is a POSIX script")

# An interpreter that "installs" uv: it makes the folders venv and pip would.
TOY_PYTHON = """
import os, pathlib, sys
if "-c" in sys.argv:
    print("3.11")
elif "venv" in sys.argv:
    folder = pathlib.Path(sys.argv[-1])
    (folder / "bin").mkdir(parents=True)
    os.symlink(os.path.abspath(__file__), folder / "bin" / "python")
elif "pip" in sys.argv:
    if os.environ.get("FAKE_PIP") == "fail":
        sys.exit("no network")
    pathlib.Path(os.environ["FAKE_LOG"]).write_text(" ".join(sys.argv[1:]))
    uv = pathlib.Path(sys.argv[0]).parent / "uv"
    uv.write_text("#!/bin/sh\\necho uv 0.13.8\\n")
    uv.chmod(0o755)
"""


def test_the_uv_on_path_is_taken(uv, said):
    with find_uv(said.reporter) as found:
        assert Path(found.program).parent.name == "tools"


@pytest.fixture
def python_only(tmp_path, monkeypatch, make_program):
    """A machine with a toy Python, an old uv, and nothing else."""
    python = make_program(tmp_path / "only" / "python3", TOY_PYTHON)
    make_program(tmp_path / "only" / "uv", "print('uv 0.4.0')")
    monkeypatch.setattr(interpreters, "_candidates", lambda: iter([str(python)]))
    monkeypatch.setenv("PATH", str(tmp_path / "only"))
    monkeypatch.setenv("FAKE_LOG", str(tmp_path / "pip-call"))
    return tmp_path


def test_without_a_recent_uv_one_is_fetched_and_gone_afterwards(python_only, said):
    with find_uv(said.reporter) as found:
        assert module.is_recent(found.program)
    assert not Path(found.program).exists()
    assert "fetching it" in said.text()


def test_uv_too_comes_from_the_folder_of_wheels(python_only, said, tmp_path):
    with find_uv(said.reporter, tmp_path):
        pass
    assert f"--no-index --find-links {tmp_path} uv" in (python_only / "pip-call").read_text(encoding="utf-8")


def test_when_uv_cannot_be_fetched_the_words_of_pip_and_the_way_out_are_told(python_only, said, monkeypatch):
    monkeypatch.setenv("FAKE_PIP", "fail")
    with pytest.raises(RuntimeMissingError, match=r"(?s)no network.*python3-venv"), find_uv(said.reporter):
        pass


def test_no_python_at_all_is_told_as_well(python_only, said, monkeypatch):
    monkeypatch.setattr(interpreters, "_candidates", lambda: iter(()))
    with pytest.raises(RuntimeMissingError, match="Install uv, or a Python 3"), find_uv(said.reporter):
        pass


def test_the_program_we_run_in_is_not_taken_for_a_python(monkeypatch, tmp_path):
    """Inside QGIS ``sys.executable`` is QGIS, or whatever comes first on PATH."""
    monkeypatch.setattr(sys, "executable", str(tmp_path / "qgis"))
    assert str(tmp_path / "qgis") not in list(real_pythons())


def test_a_python_that_does_not_start_is_passed_over(tmp_path, monkeypatch, make_program):
    shim = make_program(tmp_path / "python3", "import sys; sys.exit('command not found')")
    monkeypatch.setattr(interpreters, "_candidates", lambda: iter([str(shim), sys.executable]))
    assert list(real_pythons()) == [sys.executable]


def test_a_python_of_another_version_is_refused_by_name(tmp_path, make_program):
    old = make_program(tmp_path / "python3.8", "print('3.8')")
    assert version_of(str(old)) == (3, 8)
    with pytest.raises(ParameterError, match=r"is Python 3\.8.*Give one from 3\.10"):
        require_version(str(old))
    assert os.path.samefile(require_version(sys.executable), sys.executable)
