"""The runtime check measures; it does not repeat what libraries claim."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import torch

from imagerydl.environment import proof
from imagerydl.environment.proof import (
    Proof,
    executed_by,
    multiply,
    run_keras,
    run_onnx,
    run_openvino,
    run_transformers,
)
from imagerydl.errors import ParameterError, RuntimeMissingError
from imagerydl.events import Reporter
from imagerydl.jobs import make_job, run_job
from imagerydl.models.runtimes.devices import Device


def test_matrices_are_multiplied_timed_and_compared():
    assert "on CPU" in multiply("CPU")
    assert "GFLOP/s" in multiply("CPU")


def test_a_wrong_product_is_found(monkeypatch):
    monkeypatch.setattr(torch, "equal", lambda *_: False)
    with pytest.raises(RuntimeError, match="is wrong"):
        multiply("CPU")


def test_the_profile_of_a_run_tells_which_provider_executed_it():
    assert run_onnx("CPU") == "executed by CPUExecutionProvider, correct"


def test_providers_are_read_from_the_nodes_of_a_profile(tmp_path):
    profile = tmp_path / "profile.json"
    events = [
        {"cat": "Session", "args": {"provider": "TensorrtExecutionProvider"}},
        {"cat": "Node", "args": {"provider": "CUDAExecutionProvider"}},
        {"cat": "Node", "args": {"provider": "CPUExecutionProvider"}},
        {"cat": "Node", "args": {}},
    ]
    profile.write_text(json.dumps(events), encoding="utf-8")
    assert executed_by(profile) == "CPUExecutionProvider, CUDAExecutionProvider"


def test_the_report_names_versions_and_leaves_the_home_folder_out(monkeypatch):
    monkeypatch.setattr(proof.sys, "executable", str(Path.home() / "env" / "bin" / "python"))
    checked = Proof(Device("cpu"), Reporter())
    checked.run()
    assert checked.failures == []
    for word in ("torch ", "rasterio ", "PROJ ", "~/env/bin/python", "executed by CPUExecutionProvider"):
        assert word.replace("/", proof.os.sep) in checked.text
    assert str(Path.home()) not in checked.text


def test_what_fails_is_named_and_the_rest_is_still_checked(monkeypatch, tmp_path):
    def broken():
        raise OSError("libtorch is missing")

    monkeypatch.setattr(proof, "_suppress_boxes", broken)
    report = tmp_path / "report.txt"
    with pytest.raises(RuntimeMissingError, match=r"does not work \(torchvision\)") as caught:
        run_job(make_job("checkruntime", {"OUT_REPORT": str(report)}), Reporter())
    assert "FAILED, OSError: libtorch is missing" in report.read_text(encoding="utf-8")
    assert "GDAL, PROJ" in str(caught.value)
    assert "setupruntime" in caught.value.fix


def test_a_device_that_is_not_there_is_refused():
    with pytest.raises(ParameterError, match="CUDA:99"):
        run_job(make_job("checkruntime", {"DEVICE": "CUDA:99"}), Reporter())


def test_the_result_says_which_device_was_used():
    result = run_job(make_job("checkruntime", {"DEVICE": "CPU"}), Reporter())
    assert result["DEVICE_USED"] == "CPU"
    assert "product of" in result["REPORT"]


@pytest.mark.parametrize(("package", "check"), [("keras", run_keras), ("openvino", run_openvino)])
def test_extras_are_proved_where_they_are_installed(package, check):
    pytest.importorskip(package, reason=f"{package} is an extra of the runtime: make test-frameworks")
    assert re.fullmatch("executed by (torch|CPU), correct", check())


def test_an_rt_detr_is_proved_where_transformers_is_installed():
    for package in ("transformers", "scipy"):
        pytest.importorskip(package, reason=f"{package} is an extra of the runtime: make test-frameworks")
    assert run_transformers() == "an RT-DETR runs, correct"


@pytest.mark.parametrize("there", [True, False])
def test_extras_are_missed_by_nobody(monkeypatch, there):
    monkeypatch.setattr(proof, "find_spec", lambda name: object() if there else None)
    monkeypatch.setattr(proof, "run_keras", lambda: "toy")
    monkeypatch.setattr(proof, "run_openvino", lambda: "toy")
    monkeypatch.setattr(proof, "run_transformers", lambda: "toy")
    checked = Proof(Device("cpu"), Reporter())
    checked.run()
    assert checked.failures == []
    for title in ("Keras", "OpenVINO", "transformers"):
        assert (f"{title}: toy" in checked.lines) == there
