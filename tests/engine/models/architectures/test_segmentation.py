"""Networks with a backbone, and the registry."""

import pytest
import torch

from imagerydl.errors import ModelError, ParameterError
from imagerydl.models.architectures.backbones import encoder_name
from imagerydl.models.architectures.pooling import BinMeans
from imagerydl.models.architectures.registry import build_network, describe_network, types_of
from imagerydl.training.onnx_export import TOLERANCE, export_onnx, onnx_difference


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("resnet34", "resnet34"),
        ("RESNET34", "resnet34"),
        ("VGG16_BN", "vgg16_bn"),
        ("timm:resnet10t", "tu-resnet10t"),
    ],
)
def test_backbones_are_found_in_every_spelling(written, meant):
    assert encoder_name(written) == meant


@pytest.mark.parametrize("wrong", ["resnet33", "timm:resnet10x"])
def test_an_unknown_backbone_is_named_with_the_closest_known_ones(wrong):
    with pytest.raises(ParameterError, match=wrong) as caught:
        encoder_name(wrong)
    assert "resnet" in caught.value.fix


def test_any_number_of_bands_and_any_size():
    parameters = describe_network("UNET", "RESNET18", 0.5)
    assert parameters["backbone"] == "resnet18"
    network = build_network("UNET", parameters, bands=5, outputs=3).eval()
    with torch.inference_mode():
        assert network(torch.rand(1, 5, 37, 70)).shape == (1, 3, 37, 70)


@pytest.mark.parametrize("backbone", ["tu-vit_tiny_patch16_224", "tu-swin_tiny_patch4_window7_224"])
def test_a_backbone_that_makes_no_pyramid_or_takes_one_size_only_says_so(backbone):
    with pytest.raises(ModelError, match=backbone):
        build_network("UNET", {"backbone": backbone}, bands=3, outputs=2)


@pytest.mark.parametrize("model_type", types_of("pixels")[1:])
def test_every_kind_of_network_takes_any_size_and_has_an_onnx_form(model_type, tmp_path):
    network = build_network(model_type, describe_network(model_type, "mobilenet_v2", 0.0), bands=4, outputs=3)
    with torch.inference_mode():
        assert network.eval()(torch.rand(1, 4, 37, 70)).shape == (1, 3, 37, 70)
    assert network.get_submodule(network.HEAD).out_channels == 3
    export_onnx(network, 4, tmp_path / "network.onnx")
    assert onnx_difference(network, 4, tmp_path / "network.onnx", (64, 64)) <= TOLERANCE


def test_a_network_that_needs_a_backbone_says_so():
    with pytest.raises(ParameterError, match="DEEPLAB needs a backbone") as caught:
        describe_network("DEEPLAB", "NONE", 0.0)
    assert "resnet34" in caught.value.fix


@pytest.mark.parametrize("bins", [1, 2, 3, 6])
def test_bins_are_averaged_as_adaptive_pooling_does_it(bins):
    features = torch.rand(2, 3, 13, 7)
    expected = torch.nn.functional.adaptive_avg_pool2d(features, bins)
    assert torch.allclose(BinMeans(bins)(features), expected, atol=1e-6)


def test_an_unknown_model_type_is_named():
    with pytest.raises(ModelError, match="UNETTE"):
        build_network("UNETTE", {}, 3, 2)
