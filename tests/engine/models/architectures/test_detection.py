"""Detectors on any encoder, for any number of bands."""

import pytest
import torch

from imagerydl.errors import ModelError
from imagerydl.models.architectures.registry import build_network, describe_network, traits, types_of

LEVELS = {
    "shrink": 1,
    "strides": [8, 16, 32, 64],
    "sizes": [[16, 22], [32, 45], [64, 90], [128, 180]],
    "ratios": [0.5, 1, 2],
}


def detector(model_type, bands=3, classes=2, backbone="NONE", **levels):
    torch.manual_seed(0)
    parameters = {**describe_network(model_type, backbone, 0.0), **LEVELS, **levels}
    return build_network(model_type, parameters, bands, classes)


def target(size=(64, 96), label=1):
    masks = torch.zeros(1, *size, dtype=torch.uint8)
    masks[0, 10:40, 20:60] = 1
    return {"boxes": torch.tensor([[20.0, 10, 60, 40]]), "labels": torch.tensor([label]), "masks": masks}


@pytest.mark.parametrize("model_type", [name for name in types_of("objects") if not traits(name).has_queries])
def test_classes_count_from_0_and_every_part_learns(model_type):
    """Also from a chip without any object."""
    network = detector(model_type, bands=4)
    empty = {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0, dtype=torch.int64)}
    empty["masks"] = torch.zeros(0, 64, 96, dtype=torch.uint8)
    images = torch.rand(2, 4, 64, 96)
    loss = sum(network.losses(images, [target(label=0), empty]).values())
    loss.backward()
    assert torch.isfinite(loss)
    assert network.encoder.stem[0].weight.grad.abs().sum() > 0
    network.eval().set_limits(threshold=0.0)
    with torch.inference_mode():
        found = network(images)
    assert len(found) == 2
    assert {int(label) for one in found for label in one["labels"]} <= {0, 1}


@pytest.mark.parametrize("model_type", ["FCOS", "MASKRCNN"])
def test_losses_can_be_asked_for_without_changing_what_was_learnt(model_type):
    network = detector(model_type).eval()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    with torch.inference_mode():
        network.losses(torch.rand(1, 3, 64, 96), [target()])
    assert not any(module.training for module in network.modules())
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


@pytest.mark.parametrize("shrink", [1, 2, 4])
def test_shrunk_imagery_is_answered_in_pixels_of_the_imagery(shrink):
    """A box of the whole of an odd-sized image comes back with its size."""
    network = detector("FCOS", shrink=shrink).eval()
    fitted, targets = network.network.transform(
        torch.rand(1, 3, 67, 101), [{"boxes": torch.tensor([[0.0, 0, 101, 67]])}]
    )
    assert fitted.tensors.shape[-1] % 32 == 0
    (found,) = network.network.transform.postprocess([dict(targets[0])], fitted.image_sizes, [(67, 101)])
    assert found["boxes"].tolist() == [[0, 0, 101, 67]]


def test_limits_hold():
    network = detector("FCOS", classes=1).eval()
    images = torch.rand(1, 3, 64, 64)
    with torch.inference_mode():
        network.set_limits(threshold=0.0, nms_overlap=0.3)
        (everything,) = network(images)
        network.set_limits(threshold=1.0)
        (nothing,) = network(images)
    assert len(everything["boxes"]) > 0
    assert len(nothing["boxes"]) == 0


def test_a_backbone_without_a_pyramid_says_so():
    with pytest.raises(ModelError, match="vit_tiny"):
        build_network("SSD", {**LEVELS, "backbone": "tu-vit_tiny_patch16_224"}, 3, 2)
