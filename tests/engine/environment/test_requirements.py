"""Which packages are installed for which hardware."""

from __future__ import annotations

import re

import pytest

from imagerydl.environment import requirements
from imagerydl.environment.requirements import (
    detect_hardware,
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
    for line in requirements_for("CPU").splitlines():
        assert line.startswith("#") or re.fullmatch(
            r"[\w-]+==[\d.]+(; python_version (<|>=) \"3\.\d+\")?", line
        )


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
