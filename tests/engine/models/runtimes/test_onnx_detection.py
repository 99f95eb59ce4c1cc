"""Detectors in ONNX, from the file to the layer: networks that always answer the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyogrio
import pytest
import shapely

from imagerydl.errors import ModelError, ParameterError
from imagerydl.events import Reporter
from imagerydl.jobs import make_job, run_job
from imagerydl.models.definition import load_definition
from imagerydl.models.runtimes.detection_opening import open_detection_model

onnx = pytest.importorskip("onnx", reason="the onnx package writes the tests' models")

SIDE, CELLS = 64, 84

SHARED = Path(__file__).parents[5] / "shared" / "data"
YOLOX = SHARED / "models" / "yolox_nano" / "yolox_nano.onnx"
PHOTO = SHARED / "photo_dji_minsk_vehicles" / "DJI_0010.JPG"


def table(*objects, classes=2):
    """A YOLO v8 table ``[1, 4 + classes, cells]``: (centre x, centre y, width, height, class, confidence)."""
    rows = np.zeros((CELLS, 4 + classes), np.float32)
    rows[:, :4] = np.random.default_rng(0).uniform(5, 60, (CELLS, 4))
    for row, (*box, number, score) in zip(rows, objects):
        row[:4], row[4 + number] = box, score
    return rows.T[None]


@pytest.fixture
def network(tmp_path):
    def write(outputs, shape=(1, 3, SIDE, SIDE), name="net.onnx", **metadata):
        """A network whose outputs do not depend on its input, though it has to look at it."""
        tensor, nodes, tables = onnx.TensorProto.FLOAT, [], []
        nodes.append(onnx.helper.make_node("ReduceMean", ["images"], ["mean"], keepdims=0))
        nodes.append(onnx.helper.make_node("Mul", ["mean", "zero"], ["nothing"]))
        tables.append(onnx.numpy_helper.from_array(np.array(0, np.float32), "zero"))
        for key, array in outputs.items():
            tables.append(onnx.numpy_helper.from_array(np.asarray(array, np.float32), f"{key}_table"))
            nodes.append(onnx.helper.make_node("Add", [f"{key}_table", "nothing"], [key]))
        graph = onnx.helper.make_graph(
            nodes,
            "always",
            [onnx.helper.make_tensor_value_info("images", tensor, shape)],
            [onnx.helper.make_tensor_value_info(key, tensor, np.shape(a)) for key, a in outputs.items()],
            tables,
        )
        opset = [onnx.helper.make_opsetid("", 17)]
        model = onnx.helper.make_model(graph, opset_imports=opset, ir_version=8)
        onnx.helper.set_model_props(model, metadata)
        onnx.save(model, tmp_path / name)
        return str(tmp_path / name)

    return write


def opened(path, **arguments):
    said = []
    reporter = Reporter(lambda event: said.append(event.get("text", "")))
    return open_detection_model(load_definition(path), "CPU", arguments=arguments, reporter=reporter), said


def test_a_bare_file_detects_with_what_its_metadata_say(network, make_raster, tmp_path):
    """W4: an external model works; names, threshold and overlap come from the file itself."""
    path = network(
        {"output0": table((20, 30, 10, 8, 1, 0.8), (21, 30, 10, 8, 1, 0.6), (50, 50, 6, 6, 0, 0.3))},
        task="detect",
        names="{0: 'boat', 1: 'pier'}",
        det_conf="0.25",
    )
    out = tmp_path / "objects.gpkg"
    values = {"IN_RASTER": make_raster("a.tif", np.full((3, 60, 64), 9, np.uint8), crs=None, transform=None)}
    values |= {"IN_MODEL_DEFINITION": path, "OUT_DETECTED_OBJECTS": str(out), "DEVICE": "CPU"}
    run_job(make_job("detectobjects", values), Reporter())
    meta, _, wkb, columns = pyogrio.raw.read(out, layer="objects")
    fields = dict(zip(meta["fields"], columns))
    order = np.argsort(-fields["Confidence"])
    assert fields["ClassName"][order].tolist() == ["pier", "boat"]
    np.testing.assert_allclose(fields["Confidence"][order], [80, 30], atol=1e-3)
    bounds = shapely.bounds(shapely.from_wkb(wkb))[order]
    np.testing.assert_allclose(bounds, [[15, -34, 25, -26], [47, -53, 53, -47]], atol=1e-4)


def test_arguments_come_before_what_the_file_says(network):
    path = network({"o": table((20, 30, 10, 8, 1, 0.8), (50, 50, 6, 6, 0, 0.3))}, names="['a', 'b']")
    batch, valid = np.zeros((3, 3, SIDE, SIDE), np.float32), np.ones((3, SIDE, SIDE), bool)
    for threshold, count in ((None, 1), ("0.2", 2), ("0.9", 0)):
        model, _ = opened(path, **({"threshold": threshold} if threshold else {}))
        assert [len(found) for found in model.detect(batch, valid)] == [count] * 3
    with pytest.raises(ParameterError, match="threshold"):
        opened(path, threshold="50")


def test_unnamed_classes_are_numbered(network):
    model, _ = opened(network({"o": table((20, 30, 10, 8, 1, 0.8))}))
    assert [entry.name for entry in model.classes] == ["Class 0", "Class 1"]


def test_a_yolox_is_fed_with_values_as_they_are_blue_first(network):
    path = network({"output": np.zeros((1, CELLS, 7), np.float32)})
    model, said = opened(path)
    assert model.input.normalisation is None
    assert model.extract_bands == (2, 1, 0)
    assert "YOLOX" in " ".join(said)


def test_another_detector_is_fed_with_shares_and_grey_beyond_the_border(network):
    model, _ = opened(network({"o": table((20, 30, 10, 8, 1, 0.8))}))
    assert model.input.normalisation.divide == (255.0, 255.0, 255.0)
    assert model.input.blank == 114
    assert model.extract_bands is None


def test_classes_that_do_not_fit_are_refused(network):
    with pytest.raises(ModelError, match="3 classes"):
        opened(network({"o": table((20, 30, 10, 8, 1, 0.8), classes=9)}, names="['a', 'b', 'c']"))


@pytest.mark.skipif(not (YOLOX.is_file() and PHOTO.is_file()), reason="needs ../shared/data")
def test_a_published_yolox_sees_what_its_authors_feed_it():
    """Each of five vehicles, labelled by hand, has a box; the plain network's, fed blue first, 0 to 255.

    What it calls them is another matter: it learnt vehicles from the side.
    """
    import onnxruntime
    import rasterio

    session = onnxruntime.InferenceSession(str(YOLOX), providers=["CPUExecutionProvider"])
    model, _ = opened(str(YOLOX), threshold="0.02", nms_overlap="0.45")
    side = 416
    strides = [(s, x, y) for s in (8, 16, 32) for y in range(side // s) for x in range(side // s)]
    stride, column, row = (np.array(part)[:, None] for part in zip(*strides))
    labels = np.loadtxt(PHOTO.with_suffix(".txt"))
    assert len(labels) == 5
    with rasterio.open(PHOTO) as photo:
        for _, x, y, width, height in labels * (1, photo.width, photo.height, photo.width, photo.height):
            left, top = int(min(max(x - side / 2, 0), photo.width - side)), int(y - side / 2)
            pixels = photo.read(window=rasterio.windows.Window(left, top, side, side))[::-1]
            batch = np.ascontiguousarray(pixels[None], np.float32)
            (raw,) = session.run(None, {"images": batch})[0]
            centres = (raw[:, :2] + np.hstack([column, row])) * stride
            half = np.exp(raw[:, 2:4]) * stride / 2
            plain = np.hstack([centres - half, centres + half])
            (found,) = model.detect(batch, np.ones((1, side, side), bool))
            assert model.extract_bands == (2, 1, 0)
            for box, score, number in zip(found.boxes, found.scores, found.classes):
                same = np.abs(plain - box).max(axis=1).argmin()
                np.testing.assert_allclose(plain[same], box, atol=1e-3)
                assert score == pytest.approx(raw[same, 4] * raw[same, 5 + number], abs=1e-4)
            vehicle = shapely.box(
                x - width / 2 - left, y - height / 2 - top, x + width / 2 - left, y + height / 2 - top
            )
            boxes = shapely.box(*found.boxes.astype(float).T)
            shared = shapely.area(shapely.intersection(boxes, vehicle))
            assert (shared / shapely.area(shapely.union(boxes, vehicle))).max() > 0.65
