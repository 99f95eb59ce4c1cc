"""Detectors in PyTorch: torchvision's and others, as PyTorch itself computes them."""

from __future__ import annotations

import json

import numpy as np
import pyogrio
import pytest
import shapely

torch = pytest.importorskip("torch", reason="PyTorch makes the networks")
torchvision = pytest.importorskip("torchvision", reason="torchvision makes the networks")

from torch import Tensor, nn  # noqa: E402

from imagerydl.errors import ModelError, TrustError  # noqa: E402
from imagerydl.events import Reporter  # noqa: E402
from imagerydl.jobs import make_job, run_job  # noqa: E402
from imagerydl.models.definition import load_definition  # noqa: E402
from imagerydl.models.runtimes.detection_opening import DETECTORS, open_detection_model  # noqa: E402
from imagerydl.models.runtimes.torchvision_detectors import class_channels  # noqa: E402
from imagerydl.models.trust import FILE_VARIABLE  # noqa: E402

#: TorchScript is there for as long as people have files of it.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

SIDE, CELLS = 64, 84

#: Left, top, right, bottom, label from 1, score.
OBJECTS = ((40.0, 16.0, 60.0, 32.0, 2, 0.9), (10.0, 32.0, 40.0, 48.0, 1, 0.7), (1.0, 1.0, 9.0, 9.0, 1, 0.2))


class Listing(nn.Module):
    """As torchvision's detectors: a list of pictures in, a dictionary for each out; both follow the mean."""

    def __init__(self, masks: bool = False):
        super().__init__()
        self.masks = masks
        table = torch.tensor(OBJECTS)
        self.register_buffer("boxes", table[:, :4].clone())
        self.register_buffer("labels", table[:, 4].long())
        self.register_buffer("sure", table[:, 5].clone())

    def forward(self, images: list[Tensor]) -> tuple[dict[str, Tensor], list[dict[str, Tensor]]]:
        found: list[dict[str, Tensor]] = []
        for image in images:
            shift = image.mean() * 0.1
            one = {"boxes": self.boxes + shift, "labels": self.labels, "scores": self.sure - shift}
            if self.masks:
                maps = torch.zeros([3, 1, image.shape[1], image.shape[2]])
                maps[0, 0, 16:32, 40:50] = 0.9
                one["masks"] = maps
            found.append(one)
        losses: dict[str, Tensor] = {}
        return losses, found


class Table(nn.Module):
    """As a YOLO without objectness: ``[n, 4 + classes, cells]``."""

    def __init__(self):
        super().__init__()
        rows = torch.zeros(6, CELLS)
        rows[:4] = 30 * torch.rand(4, CELLS, generator=torch.Generator().manual_seed(0))
        rows[:, 0] = torch.tensor([50.0, 24, 20, 16, 0, 0.9])
        rows[:, 1] = torch.tensor([51.0, 24, 20, 16, 0, 0.8])
        self.register_buffer("rows", rows)

    def forward(self, images: Tensor) -> Tensor:
        return self.rows + 0 * images.mean(dim=[1, 2, 3]).reshape(-1, 1, 1)


@pytest.fixture(autouse=True)
def own_consents(tmp_path, monkeypatch):
    monkeypatch.setenv(FILE_VARIABLE, str(tmp_path / "trusted.json"))


@pytest.fixture
def define(tmp_path):
    def make(file, bands=3, size=SIDE, classes=("car", "house"), **keys):
        raw = {
            "Framework": "PyTorch",
            "ModelConfiguration": "Other",
            "ModelType": "ObjectDetection",
            "ModelFile": file,
            "ImageHeight": size,
            "ImageWidth": size,
            "ExtractBands": list(range(bands)),
            "Classes": [{"Value": value, "Name": name} for value, name in enumerate(classes)],
            **keys,
        }
        (tmp_path / "model.emd").write_text(json.dumps(raw))
        return load_definition(str(tmp_path / "model.emd"))

    return make


def opened(definition, consent=False, **arguments):
    said = []
    reporter = Reporter(lambda event: said.append(event.get("text", "")))
    model = open_detection_model(
        definition, "CPU", 1, arguments=arguments, consent=consent, reporter=reporter
    )
    return model, " ".join(said)


def imagery(count=3, size=SIDE):
    return np.random.default_rng(3).random((count, 3, size, size), dtype=np.float32)


def whole(batch):
    return np.ones((len(batch), *batch.shape[2:]), bool)


def test_a_program_that_takes_a_list_of_pictures_detects(define, tmp_path, make_raster):
    """W4: TorchScript, from the file to the layer."""
    torch.jit.script(Listing().eval()).save(tmp_path / "net.pt")
    define("net.pt")
    out = tmp_path / "objects.gpkg"
    raster = make_raster("a.tif", np.zeros((3, SIDE, SIDE), np.uint8), crs=None, transform=None)
    values = {"IN_RASTER": raster, "IN_MODEL_DEFINITION": str(tmp_path / "model.emd"), "DEVICE": "CPU"}
    run_job(make_job("detectobjects", {**values, "OUT_DETECTED_OBJECTS": str(out)}), Reporter())
    meta, _, wkb, columns = pyogrio.raw.read(out, layer="objects")
    fields = dict(zip(meta["fields"], columns))
    order = np.argsort(-fields["Confidence"])
    assert fields["ClassName"][order].tolist() == ["house", "car"]
    np.testing.assert_allclose(fields["Confidence"][order], [90, 70], atol=1e-3)
    bounds = shapely.bounds(shapely.from_wkb(wkb))[order]
    np.testing.assert_allclose(bounds, [[40, -32, 60, -16], [10, -48, 40, -32]], atol=1e-4)


def test_each_picture_of_a_batch_has_its_own_objects(define, tmp_path):
    network = Listing().eval()
    torch.jit.script(network).save(tmp_path / "net.pt")
    model, said = opened(define("net.pt"), threshold="0.1")
    assert "states no Normalization" in said
    batch = imagery()
    _, expected = network([torch.from_numpy(picture) for picture in batch])
    for own, wanted in zip(model.detect(batch, whole(batch)), expected):
        np.testing.assert_allclose(own.scores, wanted["scores"], atol=1e-6)
        np.testing.assert_allclose(own.boxes, wanted["boxes"], atol=1e-5)
        assert own.classes.tolist() == [1, 0, 0]
    lone = model.detect(batch[:1], whole(batch[:1]))
    assert len(lone) == 1
    np.testing.assert_array_equal(lone[0].boxes, model.detect(batch, whole(batch))[0].boxes)


def test_masks_become_outlines(define, tmp_path):
    torch.jit.script(Listing(masks=True).eval()).save(tmp_path / "net.pt")
    model, _ = opened(define("net.pt", ModelType="InstanceDetection"))
    batch = np.zeros((1, 3, SIDE, SIDE), np.float32)
    (found,) = model.detect(batch, whole(batch))
    assert len(found) == 1  # the mask of the other one is empty
    assert found.shapes[0].equals(shapely.box(40, 16, 50, 32))


@pytest.mark.parametrize("form", ["scripted", "traced", "exported", "pickled"])
def test_tensors_are_read_as_those_of_an_onnx_file(define, tmp_path, form):
    """W4: the layouts of ONNX detectors, in every form PyTorch saves a network in."""
    network, example = Table().eval(), torch.zeros(2, 3, SIDE, SIDE)
    name = "net.pt2" if form == "exported" else "net.pt"
    if form == "scripted":
        torch.jit.script(network).save(tmp_path / name)
    elif form == "traced":
        torch.jit.trace(network, example).save(tmp_path / name)
    elif form == "exported":
        torch.export.save(torch.export.export(network, (example[:1],)), tmp_path / name)
    else:
        torch.save(network, tmp_path / name)
    definition = define(name)
    if form in ("exported", "pickled"):
        with pytest.raises(TrustError):
            opened(definition)
    model, _ = opened(definition, consent=True)
    batch = imagery()
    assert "YOLO" in model.description
    for found in model.detect(batch, whole(batch)):
        np.testing.assert_allclose(found.boxes, [[40, 16, 60, 32]], atol=1e-4)
        assert (found.classes.tolist(), len(found)) == ([1], 1)


def small_ssdlite(classes=3):
    torch.manual_seed(4)
    network = torchvision.models.get_model(
        "ssdlite320_mobilenet_v3_large", weights=None, weights_backbone=None, num_classes=classes
    ).eval()
    with torch.no_grad():  # scores of an untrained network are all alike
        for head in network.head.classification_head.module_list:
            head[1].weight *= 30
    return network


def test_a_state_dict_of_torchvision_gives_what_torchvision_gives(define, tmp_path):
    """W4: weights alone, with their architecture by name; the number of classes is that of the weights."""
    network = small_ssdlite()
    torch.save({"model": network.state_dict()}, tmp_path / "net.pth")
    named = {"ModelParameters": {"architecture": "ssdlite320_mobilenet_v3_large"}}
    model, said = opened(define("net.pth", size=96, **named), threshold="0.3", nms_overlap="0.4")
    assert "divided by 255" in said
    assert model.input.normalisation.divide == (255.0, 255.0, 255.0)
    network.score_thresh, network.nms_thresh = 0.3, 0.4
    batch = imagery(2, 96)
    with torch.inference_mode():
        expected = network([torch.from_numpy(picture) for picture in batch])
    for own, wanted in zip(model.detect(batch, whole(batch)), expected):
        assert len(own) == len(wanted["scores"]) > 0
        np.testing.assert_allclose(own.scores, wanted["scores"], atol=1e-5)
        np.testing.assert_allclose(own.boxes, wanted["boxes"], atol=1e-3)
        np.testing.assert_array_equal(own.classes, wanted["labels"] - 1)


def test_weights_of_another_number_of_classes_are_named(define, tmp_path):
    torch.save(small_ssdlite(6).state_dict(), tmp_path / "net.pth")
    named = {"ModelParameters": {"architecture": "ssdlite320_mobilenet_v3_large"}}
    with pytest.raises(ModelError, match=r"counts 5 classes and model\.emd lists 2"):
        opened(define("net.pth", size=96, **named))


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({}, "does not say of which detector"),
        ({"architecture": "yolo"}, r"known here \('yolo'\)"),
        ({"architecture": "ssd300_vgg16"}, "no weights of a ssd300_vgg16"),
    ],
)
def test_weights_alone_need_the_name_of_their_network(define, tmp_path, parameters, said):
    torch.save({"conv.weight": torch.zeros(3, 3, 1, 1)}, tmp_path / "net.pth")
    with pytest.raises(ModelError, match=said) as refused:
        opened(define("net.pth", ModelParameters=parameters))
    assert "architecture" in refused.value.fix


@pytest.mark.parametrize(
    "name",
    [
        "fasterrcnn_mobilenet_v3_large_320_fpn",
        "maskrcnn_resnet50_fpn",
        "retinanet_resnet50_fpn_v2",
        "fcos_resnet50_fpn",
        "ssd300_vgg16",
        "ssdlite320_mobilenet_v3_large",
    ],
)
def test_the_number_of_classes_is_that_of_the_weights(name):
    with torch.device("meta"):  # shapes without numbers
        network = torchvision.models.get_model(name, weights=None, weights_backbone=None, num_classes=7)
    assert class_channels(network.state_dict()) == 7


def test_frozen_normalisation_is_known_by_what_it_does_not_count(define, tmp_path):
    """Networks fine-tuned from torchvision's own weights."""
    from imagerydl.models.runtimes.torchvision_detectors import build_detector

    named = {"architecture": "fasterrcnn_mobilenet_v3_large_320_fpn"}
    (tmp_path / "net.pth").touch()
    with torch.device("meta"):
        network = torchvision.models.get_model(
            named["architecture"], weights=None, weights_backbone=None, num_classes=3
        )
        state = {k: v for k, v in network.state_dict().items() if not k.endswith("num_batches_tracked")}
        frozen = build_detector(define("net.pth", ModelParameters=named), state)
        learning = build_detector(define("net.pth", ModelParameters=named), network.state_dict())
    assert set(frozen.state_dict()) == set(state)
    assert set(learning.state_dict()) == set(network.state_dict())


def test_other_bands_than_the_network_normalises_are_refused(define, tmp_path):
    torch.save(small_ssdlite().state_dict(), tmp_path / "net.pth")
    named = {"ModelParameters": {"architecture": "ssdlite320_mobilenet_v3_large"}}
    with pytest.raises(ModelError, match=r"normalises 3 bands .* extracts 4"):
        opened(define("net.pth", bands=4, **named))


def test_what_no_layout_fits_is_refused(define, tmp_path):
    torch.jit.script(nn.Conv2d(3, 2, 1)).save(tmp_path / "net.pt")
    with pytest.raises(ModelError, match=r"net\.pt gives .* no layout that is known"):
        opened(define("net.pt"))


@pytest.mark.parametrize("file", ["net.pt", "net.pth", "net.pt2", "net.safetensors"])
def test_files_of_pytorch_are_opened_here(define, tmp_path, file):
    (tmp_path / file).touch()
    assert DETECTORS.runtime_name(define(file)) == "torch_detection"
