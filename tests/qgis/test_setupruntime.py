"""Set up runtime in QGIS: where it builds, and that the other tools find what it built."""

from __future__ import annotations

from pathlib import Path

import processing
import pytest
from qgis.core import QgsProcessingContext, QgsSettings
from recording import Recording


@pytest.fixture
def built(provider, monkeypatch):
    """The tool with a stand-in for the building itself; the folders it was asked to build."""
    from dataclasses import replace

    from imagerydl.algorithms.setupruntime import Algorithm
    from imagerydl.engine.imagerydl.environment.folder import python_in
    from imagerydl.processing_provider import runtime

    folders = []

    def build(job, reporter):
        python = python_in(Path(job["FOLDER"]))
        python.parent.mkdir(parents=True, exist_ok=True)
        python.write_text("")
        folders.append(Path(job["FOLDER"]))
        return {"PYTHON": str(python), "REPORT": "fine", "FOLDER": job["FOLDER"]}

    monkeypatch.setattr(Algorithm, "tool", replace(Algorithm.tool, run=build))
    monkeypatch.delenv(runtime.ENVIRONMENT_VARIABLE, raising=False)
    yield folders
    QgsSettings().remove(runtime.SETTING)
    for folder in folders:
        python_in(folder).unlink()


def test_it_builds_in_the_profile_and_the_tools_find_it(built):
    from imagerydl.processing_provider import runtime

    QgsSettings().setValue(runtime.SETTING, "/stale/python")
    done = processing.run("imagerydl:setupruntime", {}, feedback=Recording())
    assert built == [runtime.managed_folder()]
    assert runtime.find_python() == Path(done["PYTHON"])


def test_another_folder_is_remembered(built, tmp_path):
    from imagerydl.processing_provider import runtime

    done = processing.run("imagerydl:setupruntime", {"FOLDER": str(tmp_path / "env")}, feedback=Recording())
    assert built == [tmp_path / "env"]
    assert runtime.find_python() == Path(done["PYTHON"]) == runtime.require_python()


def test_it_runs_without_an_environment(provider):
    algorithm = provider.algorithm("setupruntime").create()
    assert algorithm.checkParameterValues({}, QgsProcessingContext()) == (True, "")
