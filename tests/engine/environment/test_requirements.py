"""Which packages are installed for which hardware."""

from __future__ import annotations

import re

import pytest

from imagerydl.environment import requirements
from imagerydl.environment.requirements import (
    EXTRAS,
    detect_hardware,
    extra_file,
    extra_for,
    index_builds_only,
    matched_pair,
    requirements_for,
)


def names(text):
    return {re.split("=", line)[0] for line in text.splitlines() if line and not line.startswith("#")}


def test_onnx_runtime_comes_in_one_of_its_two_builds():
    assert "onnxruntime" in names(requirements_for("CPU"))
    assert "onnxruntime-gpu" in names(requirements_for("CUDA"))
    assert names(requirements_for("CUDA")) - {"onnxruntime-gpu"} == names(requirements_for("CPU")) - {
        "onnxruntime"
    }


def test_everything_is_pinned():
    for line in requirements_for("CPU", EXTRAS).splitlines():
        assert line.startswith("#") or re.fullmatch(
            r"[\w-]+==[\d.]+(; python_version (<|>=) \"3\.\d+\")?", line
        )


def test_extras_come_beside_what_every_environment_has():
    plain = requirements_for("CPU")
    assert requirements_for("CPU", ()) == plain
    both = requirements_for("CUDA", EXTRAS)
    assert both.startswith(requirements_for("CUDA"))
    extra = {"keras", "h5py", "openvino", "transformers", "scipy"}
    assert extra == names(both) - names(requirements_for("CUDA"))
    assert names(requirements_for("CPU", ["KERAS"])) - names(plain) == {"keras", "h5py"}
    assert not names(plain) & {*extra, "tensorflow"}


def test_the_extra_that_brings_a_missing_package_is_known():
    assert extra_for(["h5py"]) == extra_for(["keras", "h5py"]) == extra_for(["torch", "keras"]) == "KERAS"
    assert extra_for(["openvino"]) == "TENSORFLOW"
    assert extra_for(["scipy"]) == extra_for(["transformers", "scipy"]) == "TRANSFORMERS"
    assert extra_for(["torch"]) is extra_for(["onnxruntime", "safetensors"]) is None


def test_every_package_of_the_runtimes_belongs_to_an_extra_or_to_every_environment():
    from imagerydl.models.architectures.registry import MODEL_TYPES, traits
    from imagerydl.models.runtimes import keras, tensorflow

    assert set(keras.PACKAGES.values()) <= names(requirements_for("CPU", ["KERAS"]))
    assert set(tensorflow.PACKAGES.values()) <= names(requirements_for("CPU", ["TENSORFLOW"]))
    for model_type in MODEL_TYPES:
        wanted = set(traits(model_type).packages.values())
        assert wanted <= names(requirements_for("CPU", ["TRANSFORMERS"]))
    for extra in EXTRAS:
        assert extra_file(extra).is_file()


def test_torch_and_torchvision_are_held_together():
    """A lone torch with a local version would otherwise win over the index's, and torchvision not load."""
    text = requirements_for("CPU")
    assert [line.partition("==")[0] for line in matched_pair(text)] == ["torch", "torchvision"]
    held = index_builds_only(text)
    assert len(re.findall(r"^torch(vision)?===\d", held, re.MULTILINE)) == 2
    assert re.sub("===", "==", held) == text


@pytest.mark.parametrize(("said", "hardware"), [("GPU 0: a card", "CUDA"), (None, "CPU"), ("", "CPU")])
def test_hardware_is_what_the_driver_says(monkeypatch, said, hardware):
    monkeypatch.setattr(requirements, "answer", lambda command: said)
    assert detect_hardware() == hardware
