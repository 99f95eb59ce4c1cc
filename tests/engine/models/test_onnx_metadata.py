"""A bare ONNX file as a model definition: metadata of Deepness, the graph, and defaults."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from imagerydl.errors import ModelDefinitionError
from imagerydl.models.definition import parse_definition
from imagerydl.models.onnx_file import read_onnx
from imagerydl.models.onnx_metadata import definition_from_onnx

ENGINE = Path(__file__).parents[3] / "engine"
PICTURE = ("n", 3, "h", "w")


@pytest.fixture
def make_file(tmp_path):
    """Write an ONNX file whose graph only states what goes in and out, and its metadata."""
    onnx = pytest.importorskip("onnx", reason="the onnx package writes the test's model")

    def make(in_shape=PICTURE, outputs=(("n", 4, "h", "w"),), ending="Identity", element="FLOAT", **metadata):
        info = onnx.helper.make_tensor_value_info
        names = [f"y{i}" for i in range(len(outputs))]
        graph = onnx.helper.make_graph(
            [onnx.helper.make_node(ending, ["x"], [name]) for name in names],
            "graph",
            [info("x", getattr(onnx.TensorProto, element), in_shape)],
            [info(name, onnx.TensorProto.FLOAT, shape) for name, shape in zip(names, outputs)],
        )
        model = onnx.helper.make_model(graph, producer_name="a test")
        onnx.helper.set_model_props(
            model, {k: v if isinstance(v, str) else json.dumps(v) for k, v in metadata.items()}
        )
        onnx.save(model, tmp_path / "bare.onnx")
        return tmp_path / "bare.onnx"

    return make


@pytest.mark.parametrize("is_packed", [False, True])
def test_shapes_of_convolutions_are_read_however_they_are_written(tmp_path, is_packed):
    """Programs of protocol buffers 3 write a shape as one field, those of 2 as one a side."""

    def field(number, content):
        return bytes([number << 3 | 2, len(content)]) + content

    sides = bytes([6, 3, 1, 1])
    shape = field(1, sides) if is_packed else b"".join(bytes([1 << 3, side]) for side in sides)
    convolution = field(1, b"x") + field(1, b"w") + field(2, b"a") + field(4, b"Conv")
    another = field(1, b"a") + field(1, b"made") + field(2, b"y") + field(4, b"Conv")
    graph = field(1, convolution) + field(1, another) + field(5, shape + field(8, b"w"))
    graph += field(11, field(1, b"x")) + field(12, field(1, b"y"))
    (tmp_path / "net.onnx").write_bytes(field(7, graph))
    assert read_onnx(tmp_path / "net.onnx").convolutions == ((6, 3, 1, 1), ())


def names(raw):
    return {item["Value"]: item["Name"] for item in raw["Classes"]}


def test_a_file_without_metadata_takes_bytes_as_0_to_1(make_file):
    path = make_file()
    raw = definition_from_onnx(path)
    definition = parse_definition(raw, path.parent, path.name)
    assert definition.onnx_file == path
    assert definition.model_type == "ImageClassification"
    assert definition.image_size == (512, 512)
    assert definition.extract_bands == (0, 1, 2)
    assert definition.output_values == (0, 1, 2, 3)
    assert definition.normalisation.divide == (255.0,) * 3
    assert definition.normalisation.subtract == (0.0,) * 3


def test_sizes_and_bands_come_from_the_graph(make_file):
    raw = definition_from_onnx(make_file(("n", 5, 192, 256), (("n", 2, 192, 256),)))
    assert (raw["ImageHeight"], raw["ImageWidth"], len(raw["ExtractBands"])) == (192, 256, 5)
    raw = definition_from_onnx(make_file((1, 192, 256, 4), ((1, 192, 256, 7),)))
    assert (raw["ImageHeight"], raw["ImageWidth"], len(raw["ExtractBands"])) == (192, 256, 4)
    assert len(raw["Classes"]) == 7


def test_metadata_of_deepness_are_read(make_file):
    path = make_file(
        model_type="Segmentor",
        class_names={"0": "_background", "1": "building", "2": "road", "3": "water"},
        resolution=20,
        tile_size=256,
        tiles_overlap=25,
        seg_thresh=0.4,
        standardization_mean=[0.5, 0.4, 0.3],
        standardization_std=[0.2, 0.25, 0.5],
    )
    raw = definition_from_onnx(path)
    assert raw["ImageHeight"] == raw["ImageWidth"] == 256
    assert names(raw) == {0: "_background", 1: "building", 2: "road", 3: "water"}
    assert raw["MinCellSize"] == {"x": 0.2, "y": 0.2}
    assert raw["Padding"] == 32
    assert raw["Threshold"] == 0.4
    assert raw["Normalization"] == {"Subtract": [127.5, 102.0, 76.5], "Divide": [51.0, 63.75, 127.5]}


def test_a_single_channel_is_a_class_before_a_background(make_file):
    raw = definition_from_onnx(make_file(outputs=(("n", 1, "h", "w"),), class_names={"0": "Coffee"}))
    assert raw["ModelParameters"]["class_values"] == [0, 1]
    assert names(raw) == {1: "Coffee"}
    raw = definition_from_onnx(make_file(outputs=(("n", 1, "h", "w"),), class_names={"0": "no", "1": "yes"}))
    assert names(raw) == {0: "no", 1: "yes"}


def test_several_single_channels_are_classes_one_after_the_other(make_file):
    shapes = (("n", 1, "h", "w"), ("n", 1, "h", "w"))
    raw = definition_from_onnx(make_file(outputs=shapes, class_names=[{"0": "Coffee"}, {"0": "Juice"}]))
    assert raw["ModelParameters"]["class_values"] == [0, 1, 2]
    assert names(raw) == {1: "Coffee", 2: "Juice"}


def test_class_numbers_have_the_classes_that_are_named(make_file):
    path = make_file(
        outputs=(("n", 1, "h", "w"),), ending="ArgMax", class_names={"0": "a", "1": "b", "2": "c"}
    )
    assert definition_from_onnx(path)["ModelParameters"]["class_values"] == [0, 1, 2]


def test_names_may_be_pythons_literals_as_ultralytics_writes_them(make_file):
    raw = definition_from_onnx(
        make_file(outputs=(("n", 84, 8400),), names="{0: 'car', 1: 'bus'}", task="detect")
    )
    assert raw["ModelType"] == "ObjectDetection"
    assert names(raw) == {0: "car", 1: "bus"}


def test_a_network_that_takes_bytes_is_not_normalised(make_file):
    assert "Normalization" not in definition_from_onnx(make_file(element="UINT8"))


@pytest.mark.parametrize(
    ("shape", "model_type"),
    [
        ((1, 3549, 85), "ObjectDetection"),
        (("n", 1000), "ObjectClassification"),
        (("n", 512, 512), "ImageClassification"),
    ],
)
def test_the_kind_of_model_shows_in_its_output(make_file, shape, model_type):
    assert definition_from_onnx(make_file(outputs=(shape,)))["ModelType"] == model_type


def test_detectors_keep_their_thresholds(make_file):
    path = make_file(outputs=((1, 3549, 85),), model_type="Detector", det_conf=0.6, det_iou_thresh=0.4)
    raw = definition_from_onnx(path)
    assert raw["Threshold"] == 0.6
    assert raw["ModelParameters"]["nms_overlap"] == 0.4


@pytest.mark.parametrize(
    ("metadata", "key"),
    [
        ({"resolution": "coarse"}, "resolution"),
        ({"class_names": {"0": "a", "2": "c"}}, "class_names"),
        ({"standardization_mean": [0.5]}, "standardization_mean"),
        ({"standardization_std": [1, 0, 1]}, "standardization_std"),
    ],
)
def test_metadata_that_cannot_be_used_are_named(make_file, metadata, key):
    with pytest.raises(ModelDefinitionError, match=key):
        definition_from_onnx(make_file(**metadata))


def test_a_network_of_something_else_than_a_picture_is_refused(make_file):
    with pytest.raises(ModelDefinitionError, match="does not take one picture"):
        definition_from_onnx(make_file(("n", 12), (("n", 2),)))


def test_a_file_is_read_without_any_library(make_file):
    code = (
        "import sys; from pathlib import Path;"
        "from imagerydl.models.onnx_metadata import definition_from_onnx;"
        f"definition_from_onnx(Path({str(make_file())!r}));"
        "print([name for name in ('numpy', 'onnx', 'onnxruntime') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-c", code],
        env={"PYTHONPATH": str(ENGINE)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"
