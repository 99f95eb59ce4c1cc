"""The article's plain U-Net."""

import pytest
import torch
from torch import nn

from imagerydl.models.architectures.registry import build_network, describe_network


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return build_network("UNET", describe_network("UNET", "NONE", 1.0), bands=3, outputs=6).eval()


def shapes_of(network, kind, size=64):
    """Output shapes of the layers of a kind, in the order they run."""
    found = []
    hooks = [
        module.register_forward_hook(lambda m, i, o: found.append(tuple(o.shape[1:])))
        for module in network.modules()
        if isinstance(module, kind)
    ]
    with torch.inference_mode():
        network(torch.zeros(1, 3, size, size))
    for hook in hooks:
        hook.remove()
    return found


def test_it_has_the_parameters_of_the_article(network):
    """U18: about 1.4 million; for 3 bands and 6 classes exactly this many."""
    assert sum(parameter.numel() for parameter in network.parameters()) == 1_421_830


def test_the_contracting_path_convolves_and_halves(network):
    """U10: two convolutions a level, 16-32-64-128-160 filters, each level half as wide."""
    convolutions = shapes_of(network, nn.Conv2d)
    expected = [(16, 64, 64), (32, 32, 32), (64, 16, 16), (128, 8, 8), (160, 4, 4)]
    assert convolutions[:10] == [shape for shape in expected for _ in range(2)]


def test_the_expanding_path_uses_transposed_convolutions(network):
    """U11: four of them, each doubling the size."""
    assert shapes_of(network, nn.ConvTranspose2d) == [
        (128, 8, 8),
        (64, 16, 16),
        (32, 32, 32),
        (16, 64, 64),
    ]


def test_skip_connections_join_by_concatenation(network):
    """U12: a decoder block takes the upsampled features and as many from across."""
    for upsampling, block in zip(network.upsampling, network.decoder):
        assert block[0].in_channels == 2 * upsampling.out_channels
    # What comes across matters: without it, fine structure cannot reach the output.
    image = torch.rand(1, 3, 32, 32)
    with torch.inference_mode():
        whole = network(image)
        network.decoder[-1][0].weight[:, 16:] = 0
        assert not torch.allclose(network(image), whole, atol=1e-3)


@pytest.mark.parametrize(("height", "width"), [(160, 160), (37, 90), (1, 50), (5, 16)])
def test_it_takes_images_of_any_size(network, height, width):
    with torch.inference_mode():
        assert network(torch.rand(2, 3, height, width)).shape == (2, 6, height, width)


def test_dropout_is_a_share_of_the_articles():
    half = describe_network("UNET", "NONE", 0.5)
    assert half["dropout"] == [0.05, 0.05, 0.1, 0.1, 0.15]
    rates = [m.p for m in build_network("UNET", half, 4, 2).encoder.modules() if isinstance(m, nn.Dropout)]
    assert rates == half["dropout"]
