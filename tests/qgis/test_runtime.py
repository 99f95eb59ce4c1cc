"""Where the engine's Python is looked for, and what is said where there is none."""

from __future__ import annotations

import sys
from pathlib import Path

import processing
import pytest
from qgis.core import QgsProcessingContext, QgsProcessingException, QgsSettings
from recording import Recording

MESSAGE = (
    "The deep-learning environment is not set up. "
    'Run the tool "Set up runtime" (imagerydl:setupruntime) once, then try again.'
)


@pytest.fixture
def runtime(qgis_app, monkeypatch):
    from imagerydl.processing_provider import runtime

    monkeypatch.delenv(runtime.ENVIRONMENT_VARIABLE, raising=False)
    yield runtime
    QgsSettings().remove(runtime.SETTING)


def make_python(folder: Path) -> Path:
    from imagerydl.engine.imagerydl.environment.folder import python_in

    python = python_in(folder)
    python.parent.mkdir(parents=True)
    python.write_text("")
    return python


def test_the_setting_comes_before_the_variable_before_the_managed_environment(runtime, monkeypatch, tmp_path):
    assert runtime.find_python() is None
    monkeypatch.setattr(runtime, "managed_folder", lambda: tmp_path / "managed")
    managed = make_python(tmp_path / "managed")
    assert runtime.find_python() == managed
    named = make_python(tmp_path / "named")
    monkeypatch.setenv("IMAGERYDL_PYTHON", str(named))
    assert runtime.find_python() == named
    chosen = make_python(tmp_path / "chosen")
    QgsSettings().setValue("imagerydl/python", str(chosen))
    assert runtime.find_python() == chosen


def test_the_managed_environment_is_in_the_profile_and_never_this_python(runtime, scratch):
    assert scratch / "profile" in runtime.managed_folder().parents
    assert runtime.find_python() != Path(sys.executable)


def test_a_python_that_is_named_but_missing_is_not_passed_over(runtime, monkeypatch, tmp_path):
    monkeypatch.setattr(runtime, "managed_folder", lambda: tmp_path / "managed")
    make_python(tmp_path / "managed")
    monkeypatch.setenv("IMAGERYDL_PYTHON", "/nowhere/python")
    with pytest.raises(runtime.RuntimeMissingError) as caught:
        runtime.require_python()
    assert "/nowhere/python" in str(caught.value)
    assert "IMAGERYDL_PYTHON" in str(caught.value)


def test_one_message_in_the_dialog_in_a_script_and_in_a_model(runtime, toys):
    algorithm = toys.algorithm("toy").create()
    assert algorithm.checkParameterValues({}, QgsProcessingContext()) == (False, MESSAGE)
    with pytest.raises(QgsProcessingException) as caught:
        processing.run("toys:toy", {})
    assert str(caught.value).endswith(MESSAGE)
    # A model's child is prepared without the check.
    feedback = Recording()
    assert algorithm.prepare({}, QgsProcessingContext(), feedback) is False
    assert any(MESSAGE in line for line in feedback.errors)


def test_a_tool_without_the_environment_runs_inside_qgis(runtime, toys):
    assert processing.run("toys:quicktoy", {"ACTION": "count"})["NUMBER"] == 7


def test_a_tool_inside_qgis_relays_cancels_and_refuses_too(runtime, toys):
    feedback = Recording(cancel_at=lambda text: text.startswith("Waiting"))
    with pytest.raises(QgsProcessingException, match="Cancelled"):
        processing.run("toys:quicktoy", {"ACTION": "slow"}, feedback=feedback)
    with pytest.raises(QgsProcessingException, match=r"scene.tif has no bands. Give another raster."):
        processing.run("toys:quicktoy", {"ACTION": "refuse"}, feedback=Recording())
