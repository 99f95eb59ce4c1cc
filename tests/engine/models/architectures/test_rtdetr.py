"""RT-DETR of transformers on any encoder, for any number of bands."""

import sys

import numpy as np
import pytest
import torch

from imagerydl.errors import ModelError
from imagerydl.events import Reporter
from imagerydl.models.architectures import registry
from imagerydl.models.architectures.registry import build_network, describe_network
from imagerydl.training.detector_onnx import write_detector_onnx
from imagerydl.training.optimisation import Optimisation, optimisers

for package in registry.traits("RTDETR").packages:
    pytest.importorskip(package, reason=f"{package} is an extra of the runtime (TRANSFORMERS)")

LEVELS = {"tile": [64, 96], "shrink": 1, "strides": [8, 16, 32], "sizes": [16.0, 32.0, 48.0], "queries": 20}

_STEPS = 140

#: Smaller than what is trained in earnest.
TINY = {"channels": 64, "decoder_layers": 2, "denoising": 20}


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Tiny networks are quickest on one thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def detector(bands=3, classes=2, **levels):
    torch.manual_seed(0)
    parameters = {**describe_network("RTDETR", "NONE", 0.0), **LEVELS, **TINY, **levels}
    return build_network("RTDETR", parameters, bands, classes)


def target(left=20.0, label=1):
    return {"boxes": torch.tensor([[left, 10, 60, 40]]), "labels": torch.tensor([label])}


NOTHING = {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0, dtype=torch.int64)}


@pytest.fixture(scope="module")
def taught():
    """A detector that knows one picture by heart, and the picture: two squares, of a class each."""
    network = detector(classes=2, tile=[64, 64])
    image = torch.zeros(1, 3, 64, 64)
    image[:, 0, 8:28, 8:28], image[:, 2, 36:58, 30:52] = 2, 2
    boxes = torch.tensor([[8.0, 8, 28, 28], [30, 36, 52, 58]])
    known = {"boxes": boxes, "labels": torch.tensor([0, 1])}
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-3)
    schedule = torch.optim.lr_scheduler.LinearLR(optimiser, 1.0, 0.05, total_iters=_STEPS)
    for _ in range(_STEPS):
        optimiser.zero_grad()
        sum(network.losses(image, [known]).values()).backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        schedule.step()
    return network.eval(), image, known


def test_every_part_learns_also_beside_a_chip_without_objects():
    network = detector(bands=4)
    losses = network.losses(torch.rand(2, 4, 64, 96), [target(), NOTHING])
    assert set(losses) == {"classification", "bbox_regression", "box_overlap", "denoising"}
    sum(losses.values()).backward()
    assert network.encoder.stem[0].weight.grad.abs().sum() > 0
    assert torch.isfinite(sum(network.losses(torch.rand(2, 4, 64, 96), [NOTHING, NOTHING]).values()))


def test_losses_can_be_asked_for_without_changing_what_was_learnt():
    """Without denoising, which only training has."""
    network = detector().eval()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    with torch.inference_mode():
        assert "denoising" not in network.losses(torch.rand(1, 3, 64, 96), [target()])
    assert not any(module.training for module in network.modules())
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    # What was computed in inference mode is of no use to a training; none of it may be kept for one.
    sum(network.train().losses(torch.rand(1, 3, 64, 96), [target()]).values()).backward()


def test_it_learns_a_picture_by_heart(taught):
    network, image, known = taught
    network.set_limits(threshold=0.5)
    with torch.inference_mode():
        (found,) = network(image)
    assert sorted(found["labels"].tolist()) == [0, 1]
    for box, label in zip(known["boxes"], known["labels"]):
        (same,) = found["boxes"][found["labels"] == label]
        assert (same - box).abs().max() < 3


def test_limits_hold(taught):
    network, image, _ = taught
    with torch.inference_mode():
        network.set_limits(threshold=0.0, nms_overlap=1.0)
        assert len(network(image)[0]["boxes"]) == LEVELS["queries"]
        network.set_limits(threshold=0.0, nms_overlap=0.3)
        assert len(network(image)[0]["boxes"]) < LEVELS["queries"]
        network.set_limits(threshold=1.0)
        assert len(network(image)[0]["boxes"]) == 0


def test_saved_weights_give_the_same_answers(taught):
    network, image, _ = taught
    other = detector(classes=2, tile=[64, 64])
    other.load_state_dict(network.state_dict())
    with torch.inference_mode():
        for one, same in zip(network.answers(image), other.eval().answers(image)):
            assert torch.equal(one, same)


def test_onnx_answers_within_1e_4_in_any_batch(taught, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime", reason="what runs ONNX")
    network, image, _ = taught
    said = []
    path = write_detector_onnx(network, image.numpy(), tmp_path / "net.onnx", Reporter(said.append))
    assert path is not None, said
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    for batch in (image, torch.cat([image.flip(-1), image, image.flip(-2)])):
        logits, boxes = session.run(None, {"image": batch.numpy()})
        with torch.inference_mode():
            wanted_logits, wanted_boxes = network.answers(batch)
        scores = (1 / (1 + np.exp(-logits))).max(axis=2)
        wanted = wanted_logits.sigmoid().amax(dim=2).numpy()
        for row in range(len(batch)):
            order, same = np.argsort(-scores[row])[:2], np.argsort(-wanted[row])[:2]
            assert np.abs(scores[row][order] - wanted[row][same]).max() < 1e-4
            assert np.abs(boxes[row][order] - wanted_boxes[row].numpy()[same]).max() < 1e-4


@pytest.mark.parametrize("shrink", [1, 2])
def test_odd_sizes_are_filled_up_and_boxes_are_pixels_of_the_image(shrink):
    network = detector(tile=[67, 101], shrink=shrink, queries=10).eval()
    network.set_limits(threshold=0.0, nms_overlap=1.0)
    for height, width in ((67, 101), (40, 33)):
        with torch.inference_mode():
            (found,) = network(torch.rand(1, 3, height, width))
        assert (found["boxes"] >= 0).all()
        assert (found["boxes"][:, 0::2] <= width).all()
        assert (found["boxes"][:, 1::2] <= height).all()
    assert network.fitted(torch.zeros(1, 3, 67, 101)).shape[-2:] == ((96, 128) if shrink == 1 else (64, 64))


def test_a_larger_image_is_refused_with_the_size_it_takes():
    with pytest.raises(ModelError, match=r"96 x 64 pixels.*not 128 x 64"):
        detector().eval()(torch.zeros(1, 3, 64, 128))


def test_points_and_an_encoder_with_weights_learn_slowly():
    network = detector()
    plan = Optimisation(learning_rate=1e-3, weight_decay=0.0, steps=10)
    network.encoder_rate = network.trained_encoder_rate
    optimiser = optimisers(network, plan, network.slow_parameters())["optimizer"]
    peaks = {id(p): group["max_lr"] for group in optimiser.param_groups for p in group["params"]}
    assert len(peaks) == len(list(network.parameters()))
    assert peaks[id(network.encoder.stem[0].weight)] == pytest.approx(1e-4)
    offsets = network.network.model.decoder.layers[0].encoder_attn.sampling_offsets
    assert peaks[id(offsets.weight)] == pytest.approx(1e-4)
    assert peaks[id(network.network.model.enc_score_head.weight)] == pytest.approx(1e-3)


def test_backbones_are_those_of_the_other_detectors():
    torch.manual_seed(0)
    parameters = {**describe_network("RTDETR", "RESNET18", 0.0), **LEVELS, "strides": [4, 8, 16]}
    network = build_network("RTDETR", parameters, 5, 1)
    assert parameters["backbone"] == "resnet18"
    assert network.encoder.conv1.in_channels == 5
    with pytest.raises(ModelError, match="vit_tiny"):
        build_network("RTDETR", {**parameters, "backbone": "tu-vit_tiny_patch16_224"}, 3, 2)


def test_nothing_is_downloaded(monkeypatch):
    """transformers is told to stay offline before it is loaded, and asks for nothing by name."""
    import socket

    def refuse(*_, **__):
        raise AssertionError("a network was looked for")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    detector()
    assert "transformers" in sys.modules
