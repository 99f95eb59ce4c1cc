"""The ONNX form of a network."""

import pytest
import torch

from imagerydl.models.architectures.registry import build_network, describe_network
from imagerydl.training.onnx_export import TOLERANCE, export_onnx, onnx_difference


@pytest.mark.parametrize(("backbone", "bands"), [("NONE", 3), ("resnet18", 5)])
def test_it_gives_what_pytorch_gives_for_any_batch_and_size(tmp_path, backbone, bands):
    torch.manual_seed(0)
    network = build_network("UNET", describe_network("UNET", backbone, 0.5), bands, 4).eval()
    export_onnx(network, bands, tmp_path / "network.onnx")
    for size in ((64, 64), (1, 75), (50, 33)):
        assert onnx_difference(network, bands, tmp_path / "network.onnx", size) < TOLERANCE


def test_a_form_of_another_network_is_noticed(tmp_path):
    networks = [build_network("UNET", describe_network("UNET", "NONE", 0.5), 1, 2) for _ in range(2)]
    export_onnx(networks[0], 1, tmp_path / "network.onnx")
    assert onnx_difference(networks[1], 1, tmp_path / "network.onnx", (32, 32)) > 100 * TOLERANCE
