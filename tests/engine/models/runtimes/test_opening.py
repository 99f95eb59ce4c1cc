"""Which runtime runs a model; both agree."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from imagerydl.errors import ModelDefinitionError, ModelError, RuntimeMissingError
from imagerydl.models.definition import load_definition
from imagerydl.models.runtimes import devices, open_pixel_model, opener

ENGINE = Path(__file__).parents[4] / "engine"


@pytest.fixture
def trained(tmp_path):
    """A small untrained U-Net as training writes it: definition, safetensors, ONNX."""
    torch = pytest.importorskip("torch", reason="PyTorch makes the network")
    from safetensors.torch import save_file

    from imagerydl.models.architectures.registry import build_network

    parameters = {"backbone": "NONE", "filters": [4, 8], "dropout": [0, 0], "class_values": [0, 5, 9]}
    torch.manual_seed(0)
    network = build_network("UNET", parameters, 2, 3).eval()
    save_file(network.state_dict(), tmp_path / "town.safetensors")
    axes = {0: "n", 2: "h", 3: "w"}
    torch.onnx.export(
        network,
        (torch.zeros(1, 2, 32, 32),),
        str(tmp_path / "town.onnx"),
        input_names=["x"],
        output_names=["y"],
        dynamic_axes={"x": axes, "y": axes},
        dynamo=False,
    )
    definition = {
        "Framework": "PyTorch",
        "ModelConfiguration": "ImageryDL",
        "ModelName": "UNET",
        "ModelType": "ImageClassification",
        "ModelFile": "town.safetensors",
        "ONNX": {"INFER": "town.onnx"},
        "ModelParameters": parameters,
        "ImageHeight": 32,
        "ImageWidth": 32,
        "ExtractBands": [0, 1],
        "Normalization": {"Subtract": [0, 0], "Divide": [255, 255]},
        "Classes": [{"Value": 5, "Name": "a"}, {"Value": 9, "Name": "b"}],
    }
    (tmp_path / "town.emd").write_text(json.dumps(definition))
    return tmp_path / "town.emd"


@pytest.mark.filterwarnings("ignore:.*legacy TorchScript:DeprecationWarning")
def test_both_runtimes_agree(trained):
    definition = load_definition(str(trained))
    batch = np.random.default_rng(0).random((3, 2, 32, 32), dtype=np.float32)
    onnx = open_pixel_model(definition, "CPU", threads=1)
    assert "ONNX" in onnx.description
    (trained.parent / "town.onnx").unlink()
    torch = open_pixel_model(load_definition(str(trained)), "CPU", threads=1)
    assert "PyTorch" in torch.description
    assert onnx.outputs == torch.outputs == 3
    np.testing.assert_allclose(onnx.predict(batch), torch.predict(batch), atol=1e-4)


@pytest.mark.filterwarnings("ignore:.*legacy TorchScript:DeprecationWarning")
def test_weights_of_another_network_are_named(trained):
    definition = json.loads(trained.read_text())
    definition["ModelParameters"]["filters"] = [4, 16]
    del definition["ONNX"]
    trained.write_text(json.dumps(definition))
    with pytest.raises(ModelError, match=r"town\.safetensors do not fit"):
        open_pixel_model(load_definition(str(trained)), "CPU")


def test_an_onnx_model_opens_without_pytorch(make_model):
    """Importing PyTorch takes longer than a small raster."""
    code = (
        "import sys; from imagerydl.models.definition import load_definition;"
        "from imagerydl.models.runtimes import open_pixel_model;"
        f"open_pixel_model(load_definition({make_model(np.ones((2, 3)))!r}), 'CPU');"
        "print('torch' in sys.modules, 'onnx' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(ENGINE)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["False", "False"]


def test_other_frameworks_are_refused_by_file_name(make_model, tmp_path):
    (tmp_path / "net.caffemodel").touch()
    definition = load_definition(make_model(np.ones((2, 3)), ModelFile="net.caffemodel"))
    with pytest.raises(ModelDefinitionError, match=r"net\.caffemodel"):
        open_pixel_model(definition, "CPU")


@pytest.mark.parametrize(
    ("file", "package", "extra"),
    [
        *((name, "keras", "KERAS") for name in ("unet.h5", "unet.hdf5", "UNET.KERAS")),
        *((name, "openvino", "TENSORFLOW") for name in ("frozen.pb", "saved_model.pb")),
    ],
)
def test_models_of_other_frameworks_name_the_extra_that_runs_them(
    make_model, tmp_path, monkeypatch, file, package, extra
):
    """P4: a missing framework package is named, with the way to install it."""
    (tmp_path / file).touch()
    there = opener.find_spec
    monkeypatch.setattr(opener, "find_spec", lambda name: None if name == package else there(name))
    definition = load_definition(make_model(np.ones((2, 3)), ModelFile=file))
    with pytest.raises(RuntimeMissingError, match=rf"{package}.*EXTRAS set to {extra}"):
        open_pixel_model(definition, "CPU")


def test_a_missing_runtime_names_the_tool_that_installs_it(make_model, monkeypatch):
    """P4: a missing framework package is named."""
    monkeypatch.setattr(opener, "find_spec", lambda name: None)
    with pytest.raises(RuntimeMissingError, match="Set up runtime"):
        open_pixel_model(load_definition(make_model(np.ones((2, 3)))), "CPU")


def test_a_card_onnx_runtime_cannot_use_is_refused_when_named_and_passed_over_when_not(
    make_model, monkeypatch
):
    onnxruntime = pytest.importorskip("onnxruntime", reason="the runtime under test")
    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this ONNX Runtime has CUDA")
    monkeypatch.setattr(devices, "cuda_device_count", lambda: 1)
    definition = load_definition(make_model(np.ones((2, 3))))
    with pytest.raises(RuntimeMissingError, match="CUDA:0"):
        open_pixel_model(definition, "CUDA")
    assert "CPU" in open_pixel_model(definition, "AUTO").description


@pytest.mark.filterwarnings("ignore:.*legacy TorchScript:DeprecationWarning")
def test_a_card_pytorch_cannot_use_is_passed_over_when_not_named(trained, monkeypatch):
    import torch

    if torch.cuda.is_available():
        pytest.skip("this PyTorch has CUDA")
    monkeypatch.setattr(devices, "cuda_device_count", lambda: 1)
    assert open_pixel_model(load_definition(str(trained)), "AUTO").description.startswith("ONNX")
    (trained.parent / "town.onnx").unlink()
    definition = load_definition(str(trained))
    assert "PyTorch" in open_pixel_model(definition, "AUTO").description
    with pytest.raises(RuntimeMissingError, match="CUDA:0"):
        open_pixel_model(definition, "CUDA")
