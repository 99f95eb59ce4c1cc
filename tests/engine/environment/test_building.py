"""Setting up the runtime: complete or not there at all, and never somebody else's folder."""

from __future__ import annotations

import shutil
import sys
import threading
import time
from collections import namedtuple

import pytest

from imagerydl.environment import building, requirements
from imagerydl.environment.building import Plan, build
from imagerydl.environment.folder import RECORD, python_in, recorded_extras, recorded_requirements
from imagerydl.errors import CancelledError, OutputError, ParameterError, RuntimeMissingError
from imagerydl.events import Reporter
from imagerydl.jobs import make_job, run_job

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the toy uv is a POSIX script")


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "my profile é" / "runtime"


def test_an_environment_appears_with_its_proof_and_what_it_was_built_from(uv, said, folder):
    report = build(Plan(folder, "CPU"), said.reporter)
    assert report == f"works on CPU at {python_in(folder)}"
    assert "onnxruntime==" in recorded_requirements(folder)
    assert [path.name for path in folder.parent.iterdir()] == ["runtime"]
    assert "Installed 2 packages" in said.text()
    assert "toy==1.0" not in said.text()


def test_uv_is_started_away_from_any_project_and_free_of_the_host_s_python(uv, said, folder, monkeypatch):
    monkeypatch.setenv("PYTHONHOME", "/somewhere")
    monkeypatch.setenv("PYTHONPATH", "/somewhere/else")
    monkeypatch.setenv("HTTPS_PROXY", "proxy:1")
    build(Plan(folder, "CPU"), said.reporter)
    (call,) = uv.calls("install", "--requirements")
    assert call["cwd"] == str(folder.parent)
    assert not {"PYTHONHOME", "PYTHONPATH"} & set(call["environment"])
    assert call["environment"]["HTTPS_PROXY"] == "proxy:1"


@pytest.mark.parametrize(("hardware", "backend"), [("CPU", "cpu"), ("CUDA", "auto")])
@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the default builds are the CPU's")
def test_the_builds_of_torch_follow_the_hardware(uv, said, folder, hardware, backend):
    build(Plan(folder, hardware), said.reporter)
    (call,) = uv.calls("install", "--requirements")
    assert call["arguments"][call["arguments"].index("--torch-backend") + 1] == backend


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the default builds are the CPU's")
def test_where_the_index_of_the_cpu_builds_is_out_of_reach_the_default_builds_do(
    uv, said, folder, monkeypatch
):
    uv.set(backend="unreachable")
    seen = []
    monkeypatch.setattr(requirements, "index_builds_only", lambda text: seen.append(text) or text)
    build(Plan(folder, "CPU"), said.reporter)
    (call,) = uv.calls("install", "--requirements")
    assert "--torch-backend" not in call["arguments"]
    assert len(seen) == 1
    assert "cannot be reached" in said.text()


def test_a_folder_of_wheels_means_no_network(uv, said, folder, tmp_path):
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    build(Plan(folder, "CPU", wheels=wheels), said.reporter)
    (call,) = uv.calls("install", "--requirements")
    assert {"--offline", "--no-index", "--find-links", str(wheels)} <= set(call["arguments"])
    assert not uv.calls("--dry-run")
    assert uv.calls("venv", "--offline")


def test_an_environment_that_is_up_to_date_is_only_checked(uv, said, folder):
    build(Plan(folder, "CPU"), said.reporter)
    assert build(Plan(folder, "CPU"), said.reporter).startswith("works on CPU")
    assert len(uv.calls("venv")) == 1
    assert "is up to date" in said.text()


@pytest.mark.parametrize("change", ["rebuild", "other hardware", "other requirements", "broken"])
def test_an_environment_is_built_anew(uv, said, folder, change, tmp_path, monkeypatch):
    build(Plan(folder, "CPU"), said.reporter)
    old = folder / "old"
    old.touch()
    if change == "other requirements":
        newer = tmp_path / "requirements.txt"
        newer.write_text("torch==99\n", encoding="utf-8")
        monkeypatch.setattr(requirements, "FILE", newer)
    if change == "broken":
        python_in(folder).write_text("#!/bin/false\n", encoding="utf-8")
    build(
        Plan(folder, "CUDA" if change == "other hardware" else "CPU", rebuild=change == "rebuild"),
        said.reporter,
    )
    assert not old.exists()
    assert recorded_requirements(folder) is not None


@pytest.mark.parametrize("fault", ["install", "proof"])
def test_when_it_fails_the_reason_is_told_and_the_old_environment_stays(uv, said, folder, fault):
    build(Plan(folder, "CPU"), said.reporter)
    if fault == "install":
        uv.set(install="fail")
    else:
        uv.set(broken="yes")
    reason = {"install": "no solution found.*Check the network", "proof": "torch does not load"}[fault]
    with pytest.raises(RuntimeMissingError, match=f"(?s){reason}"):
        build(Plan(folder, "CPU", rebuild=True), said.reporter)
    assert recorded_requirements(folder) is not None
    assert [path.name for path in folder.parent.iterdir()] == ["runtime"]


def test_cancelling_takes_hold_within_two_seconds_and_leaves_nothing(uv, folder):
    uv.set(install="sleep")
    cancelled = threading.Event()

    def cancel_when_downloading(event):
        if "Downloading" in event.get("text", ""):
            cancelled.set()
            cancel_when_downloading.at = time.monotonic()

    with pytest.raises(CancelledError):
        build(Plan(folder, "CPU"), Reporter(cancel_when_downloading, cancelled.is_set))
    assert time.monotonic() - cancel_when_downloading.at < 2
    for thread in threading.enumerate():  # what is deleted in the background
        if thread is not threading.current_thread() and not thread.daemon:
            thread.join(5)
    assert list(folder.parent.iterdir()) == []


@pytest.mark.parametrize("holds", ["files", "an environment of the user's own"])
def test_a_folder_that_is_not_ours_is_never_replaced(uv, said, folder, holds):
    folder.mkdir(parents=True)
    mine = folder / ("letters.txt" if holds == "files" else "pyvenv.cfg")
    mine.touch()
    with pytest.raises(OutputError, match="is not an environment that this tool made"):
        build(Plan(folder, "CPU", rebuild=True), said.reporter)
    assert mine.exists()


def test_too_little_disk_space_is_told_before_anything_is_downloaded(uv, said, folder, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**12, 10**12, 10**9))
    with pytest.raises(OutputError, match=r"1\.0 GB left"):
        build(Plan(folder, "CPU"), said.reporter)
    assert not uv.calls()


def test_a_disk_that_fills_up_is_named_as_the_reason(uv, said, folder, monkeypatch):
    usage = namedtuple("usage", "total used free")
    left = iter([10**12, 10**6])
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**12, 0, next(left)))
    uv.set(install="fail")
    with pytest.raises(OutputError, match="is full"):
        build(Plan(folder, "CPU"), said.reporter)


def test_the_tool_gives_the_python_and_the_report(uv, said, folder, monkeypatch):
    monkeypatch.setattr(requirements, "answer", lambda command: None)  # no NVIDIA driver
    result = run_job(make_job("setupruntime", {"FOLDER": str(folder)}), said.reporter)
    assert result["PYTHON"] == str(python_in(folder))
    assert result["REPORT"].startswith("works on CPU")
    assert (folder / RECORD).exists()


def test_extras_are_added_one_after_another_and_stay(uv, said, folder, monkeypatch):
    monkeypatch.setattr(requirements, "answer", lambda command: None)  # no NVIDIA driver

    def set_up(**values):
        run_job(make_job("setupruntime", {"FOLDER": str(folder), **values}), said.reporter)
        return recorded_extras(folder)

    assert set_up() == ()
    assert "openvino" not in recorded_requirements(folder)
    assert set_up(EXTRAS="TENSORFLOW") == ("TENSORFLOW",)
    assert "openvino==" in recorded_requirements(folder)
    assert set_up(EXTRAS="KERAS") == ("KERAS", "TENSORFLOW")
    assert set_up(REINSTALL=True) == ("KERAS", "TENSORFLOW")
    assert "with KERAS and TENSORFLOW" in said.text()
    built = len(uv.calls("venv"))
    assert set_up(EXTRAS="KERAS") == set_up() == ("KERAS", "TENSORFLOW")
    assert len(uv.calls("venv")) == built  # up to date
    assert set_up(EXTRAS="ALL") == set_up() == ("KERAS", "TENSORFLOW", "TRANSFORMERS")
    assert "transformers==" in recorded_requirements(folder)


def test_missing_wheels_of_an_extra_are_named_with_their_list(uv, said, folder, tmp_path):
    uv.set(install="fail")
    plan = Plan(folder, "CPU", wheels=tmp_path, extras=("KERAS",))
    with pytest.raises(RuntimeMissingError, match=r"requirements\.txt and engine/requirements-keras\.txt"):
        build(plan, said.reporter)


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"WHEEL_FOLDER": "nowhere"}, "WHEEL_FOLDER: nowhere holds no wheels"),
        ({"PYTHON": "/bin/false"}, "PYTHON: /bin/false does not run as Python"),
    ],
)
def test_what_cannot_be_used_is_named(uv, said, folder, values, problem):
    with pytest.raises(ParameterError, match=problem):
        run_job(make_job("setupruntime", {"FOLDER": str(folder), "HARDWARE": "CPU", **values}), said.reporter)
    assert not folder.exists()


def test_the_engine_is_where_the_environment_looks_for_it():
    assert (building.ENGINE / "__main__.py").is_file()
    assert requirements.FILE.is_file()
