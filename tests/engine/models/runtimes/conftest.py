"""Models that other frameworks wrote, with what those frameworks make of some imagery."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

from imagerydl.models.definition import parse_definition
from imagerydl.models.runtimes.devices import Device
from imagerydl.models.runtimes.options import RunOptions

#: Names the Python of an environment with tensorflow, tf-keras and keras.
VARIABLE = "IMAGERYDL_TENSORFLOW"


def made_by(program, factory):
    """The folder that a program beside this file fills, where there is a Python with TensorFlow for it."""
    python = os.environ.get(VARIABLE)
    if not python:
        pytest.skip(
            f"{VARIABLE} names no Python with TensorFlow, which makes the models: make test-frameworks"
        )
    folder = factory.mktemp("references")
    command = [python, "-I", "-W", "ignore", str(Path(__file__).with_name(program)), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


@pytest.fixture(scope="session")
def references(tmp_path_factory):
    """The folder that ``reference_models.py`` filled; it takes half a minute, once."""
    return made_by("reference_models.py", tmp_path_factory)


@pytest.fixture(scope="session")
def detector_references(tmp_path_factory):
    """The folder that ``reference_detectors.py`` filled."""
    return made_by("reference_detectors.py", tmp_path_factory)


@pytest.fixture
def openvino():
    return pytest.importorskip("openvino", reason="OpenVINO is an extra of the runtime: make test-frameworks")


@pytest.fixture
def define():
    """The definition of a model file of any framework: ``define(path, bands=3, size=64, **keys)``."""

    def make(path, bands=3, size=64, classes=6, **keys):
        height, width = (size, size) if isinstance(size, int) else size
        raw = {
            "Framework": "TensorFlow",
            "ModelType": "ImageClassification",
            "ModelFile": path.name,
            "ImageHeight": height,
            "ImageWidth": width,
            "ExtractBands": list(range(bands)),
            "Classes": [{"Value": value, "Name": f"class {value}"} for value in range(classes)],
            **keys,
        }
        # A SavedModel is a folder: its definition names the file in it.
        if path.is_dir():
            raw["ModelFile"] = "saved_model.pb"
        return parse_definition(raw, path if path.is_dir() else path.parent, "model.emd")

    return make


@pytest.fixture
def on_cpu():
    """How to run a model here: ``on_cpu(consent=True)``."""
    return lambda **options: RunOptions(Device("cpu"), threads=1, **options)


@pytest.fixture
def reference(references):
    """``reference(name)``: input ``[n, bands, h, w]``, and the output as the framework gave it."""

    def load(name):
        arrays = np.load(references / f"{name}.npz")
        return np.ascontiguousarray(arrays["x"].transpose(0, 3, 1, 2), np.float32), arrays["y"]

    return load
