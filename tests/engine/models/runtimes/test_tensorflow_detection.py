"""TensorFlow detectors: what TensorFlow finds, or a refusal with the reason."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyogrio
import pytest
import shapely

from imagerydl.errors import EngineError, ModelDefinitionError, ModelError, RuntimeMissingError
from imagerydl.events import Reporter
from imagerydl.jobs import make_job, run_job
from imagerydl.models.definition import write_definition
from imagerydl.models.runtimes.detection_opening import DETECTORS, open_detection_model
from imagerydl.models.runtimes.devices import Device
from imagerydl.models.runtimes.options import RunOptions
from imagerydl.models.runtimes.tensorflow_detection import open_detection_model as open_here

DATA = Path(__file__).parents[5] / "shared" / "data" / "models" / "tf_frozen_pb"

API = {"ModelType": "ObjectDetection", "ModelConfiguration": "ObjectDetectionAPI"}

#: Top, left, bottom, right as shares, number from 1, score.
OBJECTS = ((0.25, 0.5, 0.5, 0.75, 2, 0.9), (0.5, 0.125, 0.75, 0.5, 1, 0.7), (0.1, 0.1, 0.2, 0.2, 1, 0.2))


def always(objects=OBJECTS, length=6, **more):
    """The outputs of a graph that always finds the same."""
    table = np.zeros((1, length, 6), np.float32)
    table[0, : len(objects)] = objects
    arrays = {"detection_boxes": table[..., :4], "detection_scores": table[..., 5]}
    return arrays | {"detection_classes": table[..., 4], "num_detections": np.array([len(objects)]), **more}


@pytest.fixture
def frozen(tmp_path, define):
    """The definition of a hand-written graph: ``frozen(outputs, **keys)``."""

    def make(outputs, **keys):
        path = tmp_path / "graph.pb"
        path.write_bytes(frozen_detector(outputs))
        return define(path, size=(64, 80), classes=2, **{**API, **keys})

    return make


def opened(definition, **arguments):
    said = []
    reporter = Reporter(lambda event: said.append(event.get("text", "")))
    return open_detection_model(definition, "CPU", 1, arguments=arguments, reporter=reporter), said


def whole(batch):
    return np.ones((len(batch), *batch.shape[2:]), bool)


@pytest.mark.parametrize("name", ["frozen", "frozen_masks", "saved", "saved_masks"])
def test_a_detector_finds_what_tensorflow_finds(openvino, detector_references, define, name):
    """W23: graphs of the ObjectDetectionAPI, with loops of both generations, to 1e-5 of TensorFlow."""
    expected = np.load(detector_references / f"{name}.npz")
    path = detector_references / (f"{name}.pb" if name.startswith("frozen") else name)
    definition = define(path, size=(80, 100), classes=3, Threshold=0.85, **API)
    model, _ = opened(definition)
    batch = np.ascontiguousarray(expected["x"].transpose(0, 3, 1, 2), np.float32)
    found = model.detect(batch, whole(batch))
    counts = []
    for place, own in enumerate(found):
        count = int(expected["num_detections"][place])
        scores = expected["detection_scores"][place, :count]
        kept = scores >= 0.85
        top, left, bottom, right = expected["detection_boxes"][place, :count][kept].T
        boxes = np.column_stack([left * 100, top * 80, right * 100, bottom * 80])
        numbers = expected["detection_classes"][place, :count][kept] - 1
        if "masks" not in name:
            np.testing.assert_allclose(own.boxes, boxes, atol=1e-5 * 100)
            np.testing.assert_allclose(own.scores, scores[kept], atol=1e-5)
            np.testing.assert_array_equal(own.classes, numbers)
        else:
            # Objects whose mask has no pixel are none; what is left lies in its box.
            assert 0 < len(own) <= kept.sum()
            frames = shapely.buffer(shapely.box(*boxes.T), 1)
            for score, shape in zip(own.scores, own.shapes):
                assert shapely.covers(frames[np.abs(scores[kept] - score) < 1e-5], shape).any()
        counts.append((count, len(own)))
    print(f"{name}: (listed, sure enough) in each tile {counts}")
    assert all(0 < sure < listed for listed, sure in counts)
    assert "f32" in model.description


def test_masks_are_those_of_tensorflow(openvino, detector_references):
    """The numbers themselves, below what is made of them."""
    from imagerydl.models.runtimes.tensorflow_graph import CompiledGraph, cut_graph, port_names, read_graph

    expected = np.load(detector_references / "saved_masks.npz")
    graph = read_graph(detector_references / "saved_masks")
    (masks,) = [port for port in graph.outputs if "detection_masks" in port_names(port)]
    graph = cut_graph(graph.inputs[0], [masks], graph, "saved_masks")
    compiled = CompiledGraph(graph, "saved_masks", RunOptions(Device("cpu"), threads=1))
    for picture, wanted in zip(expected["x"], expected["detection_masks"]):
        (given,) = compiled.run(picture[None], picture.shape[:2])
        np.testing.assert_allclose(given[0], wanted, atol=1e-5)


def test_a_table_of_a_yolo_is_read_as_that_of_an_onnx_file(openvino, detector_references, define):
    expected = np.load(detector_references / "yolo.npz")
    scaled = {"Normalization": {"Subtract": [0, 0, 0], "Divide": [255, 255, 255]}}
    definition = define(
        detector_references / "yolo", size=64, classes=3, ModelType="ObjectDetection", **scaled
    )
    model, _ = opened(definition, threshold="0.4", nms_overlap="1")
    assert model.tile_size == (64, 64)
    assert "outputs of YOLO" in model.description
    batch = np.ascontiguousarray(expected["x"].transpose(0, 3, 1, 2), np.float32) / 255
    for own, table in zip(model.detect(batch, whole(batch)), expected["table"]):
        scores = table[4:].max(axis=0)
        kept = np.sort(scores[scores >= 0.4])[::-1]
        assert len(kept) > 3
        np.testing.assert_allclose(own.scores, kept, atol=1e-5)


def test_operations_openvino_does_not_have_are_named(openvino, detector_references, define):
    with pytest.raises(ModelError, match="does not run: CombinedNonMaxSuppression") as refused:
        opened(define(detector_references / "combined.pb", **API))
    assert "ONNX" in refused.value.fix


def test_a_graph_that_takes_files_is_to_be_exported_with_pixels(openvino, detector_references, define):
    with pytest.raises(ModelError, match=r"does not run: .*DecodeImage") as refused:
        opened(define(detector_references / "encoded.pb", **API))
    assert "image_tensor" in refused.value.fix


def test_a_graph_written_by_hand_detects_in_a_raster_of_any_size(openvino, frozen, make_raster, tmp_path):
    """W23: ObjectDetectionAPI through the tool, in any number of tiles; classes in the definition's order."""
    definition = frozen(always())
    write_definition(definition.raw, tmp_path / "model.emd")
    out = tmp_path / "objects.gpkg"
    raster = make_raster("a.tif", np.full((3, 64, 80), 9, np.uint8), crs=None, transform=None)
    values = {"IN_RASTER": raster, "IN_MODEL_DEFINITION": str(tmp_path / "model.emd"), "DEVICE": "CPU"}
    run_job(make_job("detectobjects", {**values, "OUT_DETECTED_OBJECTS": str(out)}), Reporter())
    meta, _, wkb, columns = pyogrio.raw.read(out, layer="objects")
    fields = dict(zip(meta["fields"], columns))
    order = np.argsort(-fields["Confidence"])
    assert fields["ClassName"][order].tolist() == ["class 1", "class 0"]
    np.testing.assert_allclose(fields["Confidence"][order], [90, 70], atol=1e-3)
    bounds = shapely.bounds(shapely.from_wkb(wkb))[order]
    np.testing.assert_allclose(bounds, [[40, -32, 60, -16], [10, -48, 40, -32]], atol=1e-4)


def test_a_graph_takes_one_tile_at_a_time_where_it_says_so(openvino, frozen):
    model, _ = opened(frozen(always()))
    batch = np.zeros((3, 3, 64, 80), np.float32)
    assert [len(found) for found in model.detect(batch, whole(batch))] == [2, 2, 2]
    assert model.tile_size is None


def test_classes_are_numbered_where_none_are_listed_and_the_network_counts(openvino, frozen):
    counted = {"detection_multiclass_scores": np.zeros((1, 6, 4))}
    model, _ = opened(frozen(always(**counted), Classes=[]))
    assert [entry.name for entry in model.classes] == ["Class 0", "Class 1", "Class 2"]
    with pytest.raises(ModelError, match="lists no classes"):
        opened(frozen(always(), Classes=[]))


def test_what_class_numbers_are_taken_for_is_said_where_it_is_open(openvino, frozen):
    listed = [{"Value": value, "Name": str(value)} for value in (10, 20)]
    assert "labels" in " ".join(opened(frozen(always(), Classes=listed))[1])
    assert "labels" not in " ".join(opened(frozen(always()))[1])


def test_pixels_go_in_as_they_are(openvino, frozen):
    scaled = {"Normalization": {"Subtract": [0, 0, 0], "Divide": [255, 255, 255]}}
    with pytest.raises(ModelDefinitionError, match=r"normalises the input of graph\.pb"):
        opened(frozen(always(), **scaled))
    model, _ = opened(frozen(always()))
    batch = np.full((1, 3, 64, 80), 3000, np.float32)
    with pytest.raises(ModelError, match="takes 0 to 255"):
        model.detect(batch, whole(batch))


def test_a_graph_without_its_lists_is_no_detector_of_that_kind(openvino, frozen):
    outputs = always()
    del outputs["detection_classes"]
    with pytest.raises(ModelError, match="has no detection_classes but detection_boxes"):
        opened(frozen(outputs))
    with pytest.raises(EngineError, match=r"graph\.pb gives.* no layout that is known"):
        opened(frozen({"scores": np.zeros((1, 10))}, ModelConfiguration="Other"))


def test_lists_of_other_shapes_are_named(openvino, frozen):
    outputs = always() | {"detection_scores": np.zeros((1, 3), np.float32)}
    model, _ = opened(frozen(outputs))
    batch = np.zeros((1, 3, 64, 80), np.float32)
    with pytest.raises(ModelError, match=r"gives detection_boxes \[1, 6, 4\], detection_scores \[1, 3\], "):
        model.detect(batch, whole(batch))


@pytest.mark.skipif(not DATA.is_dir(), reason="needs ../shared/data/models")
def test_a_published_detector_of_faces_is_refused_with_the_reason(openvino, define):
    """Its weights are quantised; anchors and decoding are in a text file for OpenCV, not in the graph."""
    with pytest.raises(ModelError, match=r"operations that OpenVINO does not run: .*Dequantize"):
        opened(define(DATA / "opencv_face_detector_uint8.pb", ModelType="ObjectDetection"))


def test_a_card_is_refused_when_named(define, tmp_path):
    (tmp_path / "graph.pb").touch()
    with pytest.raises(RuntimeMissingError, match="CUDA:1, but TensorFlow graphs run on the CPU"):
        open_here(define(tmp_path / "graph.pb", **API), RunOptions(Device("cuda", 1)))


@pytest.mark.parametrize("file", ["graph.pb", "saved_model.pb"])
def test_graphs_and_saved_models_are_opened_here(define, tmp_path, file):
    """W23: the runtime of the configurations; graphs hold no foreign code."""
    (tmp_path / file).touch()
    definition = define(tmp_path / file, **API)
    assert DETECTORS.runtime_name(definition) == "tensorflow_detection"
    assert DETECTORS.foreign_code(definition) is None


@pytest.mark.parametrize("file", ["net.h5", "net.hdf5", "net.keras"])
def test_keras_detectors_are_refused_with_the_way_out(define, tmp_path, file):
    (tmp_path / file).touch()
    with pytest.raises(ModelDefinitionError, match=rf"{file}.* anchors") as refused:
        DETECTORS.runtime_name(define(tmp_path / file, ModelType="ObjectDetection", Framework="Keras"))
    assert "SavedModel" in refused.value.fix


# A frozen graph is written down without TensorFlow: the few messages of its protocol that it needs, with the
# field numbers of graph.proto, node_def.proto, attr_value.proto, tensor.proto and tensor_shape.proto.

_FLOAT, _UINT8, _INT32 = 1, 4, 3
_TYPES = {"float32": _FLOAT, "uint8": _UINT8, "int32": _INT32}


def frozen_detector(outputs, bands=3):
    """The file of a graph that takes one picture and always gives the same ``outputs`` by name."""
    zero = [
        _node("image_tensor", "Placeholder", dtype=_type(_UINT8), shape=_shape_attr((1, -1, -1, bands))),
        _node("floats", "Cast", "image_tensor", SrcT=_type(_UINT8), DstT=_type(_FLOAT)),
        _constant("axes", np.arange(4, dtype=np.int32)),
        _node("mean", "Mean", "floats", "axes", T=_type(_FLOAT), Tidx=_type(_INT32), keep_dims=_varint(5, 0)),
        _constant("nothing", np.array(0, np.float32)),
        _node("zero", "Mul", "mean", "nothing", T=_type(_FLOAT)),
    ]
    for name, array in outputs.items():
        zero.append(_constant(f"{name}_table", np.asarray(array, np.float32)))
        zero.append(_node(name, "AddV2", f"{name}_table", "zero", T=_type(_FLOAT)))
    return b"".join(_field(1, node) for node in zero)


def _node(name, operation, *inputs, **attributes):
    parts = [_field(1, name.encode()), _field(2, operation.encode())]
    parts += [_field(3, one.encode()) for one in inputs]
    for key, value in attributes.items():
        parts.append(_field(5, _field(1, key.encode()) + _field(2, value)))
    return b"".join(parts)


def _constant(name, array):
    kind = _TYPES[array.dtype.name]
    tensor = _varint(1, kind) + _field(2, _shape(array.shape)) + _field(4, array.tobytes())
    return _node(name, "Const", dtype=_type(kind), value=_field(8, tensor))


def _type(kind):
    return _varint(6, kind)


def _shape_attr(sides):
    return _field(7, _shape(sides))


def _shape(sides):
    return b"".join(_field(2, _varint(1, side)) for side in sides)


def _field(number, content):
    return _number(number << 3 | 2) + _number(len(content)) + content


def _varint(number, value):
    return _number(number << 3) + _number(value % 2**64)


def _number(value):
    result = bytearray()
    while value > 127:
        result.append(value & 127 | 128)
        value >>= 7
    return bytes([*result, value])
