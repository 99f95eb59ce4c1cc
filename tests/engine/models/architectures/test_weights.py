"""Weights in files, and in networks that fit in part."""

import pytest
import torch
from safetensors.torch import save_file

from imagerydl.errors import ModelError
from imagerydl.models.architectures.registry import build_network, describe_network
from imagerydl.models.architectures.weights import load_encoder, read_weights, transfer_weights


def backbone_network(bands, seed=0):
    torch.manual_seed(seed)
    return build_network("UNET", describe_network("UNET", "resnet18", 0.5), bands, 2)


def plain_network(outputs, seed=0):
    torch.manual_seed(seed)
    return build_network("UNET", describe_network("UNET", "NONE", 0.5), 3, outputs)


@pytest.fixture
def imagenet_like(tmp_path):
    """Weights of a three-band backbone, under the names that other programs write."""
    state = backbone_network(3, seed=7).encoder.state_dict()
    path = tmp_path / "resnet18.pth"
    torch.save({"state_dict": {f"module.{name}": tensor for name, tensor in state.items()}}, path)
    return path, state


@pytest.mark.parametrize("scheme", ["RANDOM", "RED_BAND", "ALL_RANDOM"])
def test_weights_for_further_bands(imagenet_like, scheme):
    """The documented meanings of WEIGHT_INIT_SCHEME, for blue-green-red-infrared imagery."""
    path, given = imagenet_like
    fresh = backbone_network(4).encoder.state_dict()["conv1.weight"].clone()
    network = backbone_network(4)
    filled = load_encoder(network.encoder, path, scheme, red_green_blue=(2, 1, 0))
    own, theirs = network.encoder.state_dict()["conv1.weight"], given["conv1.weight"]

    assert filled == len(given)
    assert torch.equal(network.encoder.state_dict()["layer1.0.conv1.weight"], given["layer1.0.conv1.weight"])
    if scheme == "ALL_RANDOM":
        assert torch.equal(own, fresh)
    else:
        assert torch.equal(own[:, [2, 1, 0]], theirs)
        assert torch.equal(own[:, 3], theirs[:, 0] if scheme == "RED_BAND" else fresh[:, 3])


def test_weights_of_another_backbone_are_refused(tmp_path):
    save_file({"something.else": torch.zeros(3)}, str(tmp_path / "other.safetensors"))
    with pytest.raises(ModelError, match=r"other\.safetensors fits 0 of the"):
        load_encoder(backbone_network(3).encoder, tmp_path / "other.safetensors", "RANDOM", (0, 1, 2))


def test_a_file_that_holds_code_or_nothing_is_refused(tmp_path):
    torch.save({"state_dict": object}, tmp_path / "code.pth")
    torch.save({"epoch": 3}, tmp_path / "empty.pt")
    (tmp_path / "broken.safetensors").write_bytes(b"\x10")
    for name in ("code.pth", "empty.pt", "broken.safetensors", "missing.pth"):
        with pytest.raises(ModelError, match=name):
            read_weights(tmp_path / name)


def test_classes_that_stay_keep_what_they_learnt():
    old, new = plain_network(3, seed=1), plain_network(2, seed=2)
    fresh = new.head.weight.detach().clone()
    kept = transfer_weights(new, old.state_dict(), old_values=(0, 4, 7), new_values=(7, 9))

    assert kept == 1
    assert torch.equal(new.head.weight[0], old.head.weight[2])
    assert torch.equal(new.head.weight[1], fresh[1])
    assert torch.equal(new.encoder[0][0].weight, old.encoder[0][0].weight)


def test_weights_of_another_network_are_refused():
    with pytest.raises(ModelError, match="do not fit"):
        transfer_weights(plain_network(2), {"stem.weight": torch.zeros(2)}, (0, 1), (0, 1))
