"""Structures that follow the definition: names and shapes worked out by hand."""

import pytest

torch = pytest.importorskip("torch", reason="the networks are PyTorch's")

from imagerydl.models.architectures.arcgis_learn import bodies, retina, single_shot, unet  # noqa: E402
from imagerydl.models.architectures.arcgis_learn.boxes import suppress_per_class  # noqa: E402
from imagerydl.models.architectures.arcgis_learn.building import build_network  # noqa: E402
from imagerydl.models.architectures.arcgis_learn.facts import NetworkFacts  # noqa: E402


def facts(model_name, bands=3, classes=2, tile=64, backbone="resnet18", **settings):
    return NetworkFacts("hand.emd", model_name, backbone, bands, classes, tile, settings)


def test_the_unet_decoder_halves_and_joins():
    with torch.device("meta"):
        network = unet.UnetClassifier(facts("UnetClassifier", bands=5, classes=4), has_resize=False)
    shapes = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    # 512 / 2 + 256, 512 / 2 + 128, 384 / 2 + 64, and half of 256 / 2 + 64.
    widths = [shapes[f"layers.{i}.conv2.0.weight"][0] for i in (4, 5, 6, 7)]
    assert widths == [512, 384, 256, 96]
    assert shapes["layers.0.0.weight"] == (64, 5, 7, 7)
    assert shapes["layers.10.layers.0.0.weight"] == (50, 101, 3, 3)
    assert shapes["layers.11.0.weight"] == (5, 101, 1, 1)


def test_the_layer_that_resizes_an_odd_tile_moves_later_names():
    odd = facts("UnetClassifier", tile=65)
    with torch.device("meta"):
        plain = unet.UnetClassifier(odd, has_resize=False).state_dict()
    moved = {}
    for name, value in plain.items():
        _, number, rest = name.split(".", 2)
        moved[f"layers.{int(number) + (int(number) > 8)}.{rest}"] = value
    network = build_network(odd, moved)
    assert set(network.state_dict()) == set(moved)
    assert network(torch.zeros(1, 3, 65, 65, device="meta")).shape == (1, 3, 65, 65)


def test_a_dilated_body_ends_at_an_eighth_of_the_input():
    body = bodies.make_body(facts("DeepLab", backbone="resnet50"))
    bodies.dilate(body)
    assert body.eval()(torch.zeros(1, 3, 64, 64)).shape == (1, 2048, 8, 8)
    assert {m.dilation for m in body[7].modules() if getattr(m, "kernel_size", 0) == (3, 3)} == {(4, 4)}


@pytest.mark.parametrize(
    ("grids", "tile", "kernels"),
    [
        # A map of 7 x 7 to 5 by a plain convolution, to 3 by another, to 1 by one as large as the map.
        ([5, 3, 1], 224, [3, 3, 3]),
        # 2 x 2 is enlarged to 4; 4 shrinks to 1 at once.
        ([4, 1], 64, [3, 4]),
        # A grid finer than 8, far from the map of 2: the encoder ends a stage earlier.
        ([12, 6], 64, [3, 3]),
    ],
)
def test_a_single_shot_detector_gets_from_each_map_to_its_grid(grids, tile, kernels):
    settings = {"Grids": grids, "Zooms": [1.0, 0.5], "Ratios": [[1.0, 1.0], [1.0, 0.5]], "SSDVersion": 2}
    described = facts("SingleShotDetector", tile=tile, **settings)
    with torch.device("meta"):
        network = single_shot.build(described, {})
    logits, activations = network.eval()(torch.zeros(2, 3, tile, tile, device="meta"))
    boxes = 4 * sum(grid * grid for grid in grids)
    assert logits.shape == (2, boxes, 3)
    assert activations.shape == (2, boxes, 4)
    assert [unit.conv.kernel_size[0] for unit in network[1].sconvs[1:]] == kernels
    assert len(network[0]) == (7 if grids[0] > 8 else 8)
    preset, cell = single_shot.anchors(single_shot.grids_of(described), single_shot.shapes_of(described))
    assert preset.shape == (boxes, 4)
    assert cell.shape == (boxes, 1)


@pytest.mark.parametrize("tile", [64, 100, 256])
def test_retina_has_an_anchor_for_each_activation(tile):
    described = facts("RetinaNet", tile=tile, scales=[1, 0.5], ratios=[1])
    with torch.device("meta"):
        network = retina.build(described, {}).eval()
        logits, _ = network(torch.zeros(1, 3, tile, tile))
    centres, sizes = retina.anchors(retina.level_sizes(tile), retina.shapes_of(described))
    assert len(centres) == len(sizes) == logits.shape[1]


def test_boxes_of_one_class_suppress_each_other_and_leave_other_classes_alone():
    corners = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 10], [50, 50, 60, 60]])
    scores = torch.tensor([[0.9, 0.1], [0.8, 0.7], [0.05, 0.5]])
    found = suppress_per_class(corners, scores, 0.5, 0.1)
    assert [(round(s, 2), p) for s, p in zip(found.scores.tolist(), found.positions.tolist())] == [
        (0.9, 0),
        (0.7, 1),
    ]
    reached = suppress_per_class(corners, scores, 0.5, 0.1, includes_threshold=True)
    assert reached.positions.tolist() == [0, 1, 1]
