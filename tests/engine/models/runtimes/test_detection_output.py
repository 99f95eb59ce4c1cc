"""What outputs of detectors mean: every layout, written down by hand with two objects in it."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
import shapely.affinity

from imagerydl.errors import ModelDefinitionError, ModelError
from imagerydl.models.definition import parse_definition
from imagerydl.models.runtimes.box_suppression import class_nms
from imagerydl.models.runtimes.chip_opening import CHIP_CLASSIFIERS
from imagerydl.models.runtimes.detection_limits import Limits
from imagerydl.models.runtimes.detection_opening import DETECTORS
from imagerydl.models.runtimes.detection_output import RawOutput, find_detection_output

TILE = (64, 96)
CELLS = sum((64 // s) * (96 // s) for s in (8, 16, 32))
LIMITS = Limits(0.5, 0.45)

#: Left, top, right, bottom, class, confidence.
OBJECTS = ((10, 12, 30, 20, 2, 0.9), (40, 30, 50, 60, 0, 0.7))


def read(*outputs, classes=3, kind="", limits=LIMITS, tile=TILE):
    raw = [
        RawOutput(name, np.asarray(array, np.float32 if np.asarray(array).dtype.kind == "f" else None))
        for name, array in outputs
    ]
    found = find_detection_output(raw, tile, classes, kind, "net.onnx")
    arrays = [o.array if found.per_tile else o.array[0] for o in raw]
    return found, found.decode(arrays, limits, tile)


def assert_objects(detections, tolerance=1e-3):
    got = [
        (*box, c, s)
        for box, c, s in zip(
            detections.boxes.tolist(), detections.classes.tolist(), detections.scores.tolist()
        )
    ]
    np.testing.assert_allclose(sorted(got), sorted(OBJECTS), atol=tolerance)


def table(candidates, classes=3, objectness=True, extra=0):
    """Rows of centre, size, objectness, class scores, and room for more; doubles of both objects."""
    rows = np.zeros((1, candidates, 4 + objectness + classes + extra), np.float32)
    rows[..., :4] = np.random.default_rng(0).uniform(0, 60, (candidates, 4))
    for place, (left, top, right, bottom, number, score) in enumerate(OBJECTS):
        for row, share, shift in ((place, 1.0, 0), (place + 10, 0.9, 1)):
            rows[0, row, :4] = (left + right) / 2 + shift, (top + bottom) / 2, right - left, bottom - top
            if objectness:
                rows[0, row, 4] = 0.95 * share
            rows[0, row, 4 + objectness + number] = score / 0.95 if objectness else score * share
    return rows


def test_yolo_v5_has_an_objectness():
    found, detections = read(("output0", table(3 * CELLS)))
    assert (found.name, found.classes, found.is_yolox) == ("YOLO", 3, False)
    assert_objects(detections)


def test_yolo_v8_lies_on_its_side_without_objectness():
    found, detections = read(("output0", table(CELLS, objectness=False).transpose(0, 2, 1)))
    assert found.classes == 3
    assert_objects(detections)


@pytest.mark.parametrize(
    ("array", "count"),
    [(table(3 * CELLS), 3), (table(CELLS, objectness=False).transpose(0, 2, 1), 3)],
    ids=["v5", "v8"],
)
def test_classes_are_counted_where_none_are_listed(array, count):
    found, detections = read(("output0", array), classes=0)
    assert found.classes == count
    assert_objects(detections)


def test_metadata_settle_what_sizes_leave_open():
    """Deepness' det_type."""
    found, _ = read(("output0", table(CELLS)), classes=0, kind="YOLO_v6")
    assert found.classes == 3
    found, _ = read(("output0", table(CELLS, objectness=False)), classes=0, kind="YOLO_v9")
    assert found.classes == 3


def test_yolox_counts_from_its_cells():
    rows = np.zeros((1, CELLS, 8), np.float32)
    strides = [8] * 96 + [16] * 24 + [32] * 6
    places = [(x, y) for s in (8, 16, 32) for y in range(64 // s) for x in range(96 // s)]
    for (left, top, right, bottom, number, score), row in zip(OBJECTS, (2 * 12 + 1, 96 + 2 * 6 + 2)):
        stride, (x, y) = strides[row], places[row]
        rows[0, row, :2] = (left + right) / 2 / stride - x, (top + bottom) / 2 / stride - y
        rows[0, row, 2:4] = np.log((right - left) / stride), np.log((bottom - top) / stride)
        rows[0, row, 4], rows[0, row, 5 + number] = 1, score
    found, detections = read(("output", rows))
    assert found.is_yolox
    assert_objects(detections)


def test_positions_may_be_shares_of_the_tile():
    rows = table(3 * CELLS)
    rows[..., :4] /= (96, 64, 96, 64)
    assert_objects(read(("output0", rows))[1])


def test_turned_boxes_have_an_angle():
    rows = table(CELLS, objectness=False, extra=1)
    rows[0, 0, 7] = rows[0, 10, 7] = np.pi / 6
    found, detections = read(("output0", rows.transpose(0, 2, 1)), kind="obb")
    assert found.name == "YOLO with turned boxes"
    first = detections.shapes[detections.classes == 2][0]
    expected = shapely.affinity.rotate(shapely.box(10, 12, 30, 20), 30, "center")
    assert shapely.hausdorff_distance(first, expected) < 1e-4
    np.testing.assert_allclose(
        detections.boxes[detections.classes == 2][0], shapely.bounds(expected), atol=1e-4
    )
    # The number of classes tells, too.
    assert read(("output0", rows.transpose(0, 2, 1)))[0].name == "YOLO with turned boxes"


@pytest.mark.parametrize("upright", [True, False], ids=["v5", "v8"])
def test_masks_are_mixed_from_prototypes_within_their_box(upright):
    rows = table(3 * CELLS if upright else CELLS, objectness=upright, extra=32)
    prototypes = np.full((1, 32, 16, 24), -1, np.float32)
    prototypes[0, 0, :, :5] = 1  # columns 0 to 19 of the tile
    prototypes[0, 1] = 1
    rows[0, [0, 10], -32] = 1
    rows[0, [1, 11], -31] = 1
    found, detections = read(
        ("output0", rows if upright else rows.transpose(0, 2, 1)),
        ("output1", prototypes),
        limits=Limits(0.5, 0.3),
    )
    assert found.classes == 3
    by_class = dict(zip(detections.classes.tolist(), detections.shapes))
    assert by_class[0].equals(shapely.box(40, 30, 50, 60))
    assert by_class[2].equals(shapely.box(10, 12, 20, 20))
    assert detections.boxes[detections.classes == 2].tolist() == [[10, 12, 20, 20]]


def test_an_empty_mask_is_no_object():
    rows = table(CELLS, objectness=False, extra=32)
    rows[..., -32:] = 0
    rows[0, [0, 10], -32] = 1
    _, detections = read(("o", rows.transpose(0, 2, 1)), ("p", np.ones((1, 32, 16, 24), np.float32)))
    assert detections.classes.tolist() == [2]


def finished():
    rows = np.zeros((1, 300, 6), np.float32)
    for place, (*box, number, score) in enumerate(OBJECTS):
        rows[0, place] = (*box, score, number)
    return rows


def test_exports_with_suppression_built_in_are_lists():
    found, detections = read(("output0", finished()))
    assert found.name == "a finished list"
    assert_objects(detections)


def detr(classes, logits):
    boxes, scores = np.full((1, 100, 4), 0.5, np.float32), np.full((1, 100, classes), -9.0, np.float32)
    for place, (left, top, right, bottom, number, score) in enumerate(OBJECTS):
        boxes[0, place] = (left + right) / 192, (top + bottom) / 128, (right - left) / 96, (bottom - top) / 64
        scores[0, place, number] = logits(score)
    return boxes, scores


def test_detr_has_a_column_for_no_object():
    # Softmax over a score and a zero for "no object": log(p / (1 - p)) gives p.
    boxes, scores = detr(4, lambda p: np.log(p / (1 - p)))
    scores[0, :, 3] = 0
    scores[0, :, :3][scores[0, :, :3] == -9] = -40
    found, detections = read(("logits", scores), ("pred_boxes", boxes))
    assert (found.name, found.classes) == ("DETR", 3)
    assert_objects(detections)


def test_successors_of_detr_have_sigmoids():
    boxes, scores = detr(3, lambda p: np.log(p / (1 - p)))
    _, detections = read(("logits", scores), ("pred_boxes", boxes))
    assert_objects(detections)


def test_torchvision_gives_lists_of_their_own_length():
    boxes = np.array([o[:4] for o in OBJECTS] + [(0, 0, 5, 5)], np.float32)
    scores = np.array([o[5] for o in OBJECTS] + [0.1], np.float32)
    labels = np.array([o[4] + 1 for o in OBJECTS] + [1])
    found, detections = read(("boxes", boxes), ("labels", labels), ("scores", scores))
    assert found.per_tile
    assert_objects(detections)
    masks = np.zeros((3, 1, 64, 96), np.float32)
    for place, (left, top, right, bottom, *_) in enumerate(OBJECTS):
        masks[place, 0, top:bottom, left:right] = 0.9
    _, detections = read(("boxes", boxes), ("labels", labels), ("scores", scores), ("masks", masks))
    assert_objects(detections)
    assert shapely.area(detections.shapes).tolist() == [160, 300]


def test_labels_may_count_from_0():
    outputs = [
        RawOutput("boxes", np.array([[1, 2, 3, 4]], np.float32)),
        RawOutput("labels", np.array([0])),
        RawOutput("scores", np.array([0.9], np.float32)),
    ]
    for first, found in ((0, [0]), (1, [])):
        output = find_detection_output(outputs, TILE, 3, "", "net.onnx", first)
        assert output.decode([o.array for o in outputs], LIMITS, TILE).classes.tolist() == found


@pytest.mark.parametrize(
    "outputs",
    [
        [("y", np.zeros((1, 3, 64, 96), np.float32))],
        [("y", np.zeros((1, 10), np.float32))],
        [("y", np.zeros((1, 5000, 30), np.float32))],
    ],
    ids=["a picture", "a row", "other classes"],
)
def test_what_is_unknown_is_refused_with_what_is_known(outputs):
    with pytest.raises(ModelError, match=r"net\.onnx gives .* pixels and 3 classes") as refused:
        read(*outputs)
    assert "YOLOX" in refused.value.fix


def test_the_surer_of_two_of_a_class_stays():
    boxes = np.array([[0, 0, 10, 10], [1, 0, 11, 10], [1, 0, 11, 10], [50, 50, 60, 60]])
    kept = class_nms(boxes, np.array([0.6, 0.9, 0.8, 0.1]), np.array([0, 0, 1, 0]), 0.5)
    assert kept.tolist() == [1, 2, 3]
    assert class_nms(boxes[:0], np.empty(0), np.empty(0), 0.5).tolist() == []


DEFINITION = {
    "Framework": "PyTorch",
    "ModelConfiguration": "Other",
    "ModelType": "ObjectDetection",
    "ImageHeight": 64,
    "ImageWidth": 64,
    "ExtractBands": [0],
    "Classes": [{"Value": 1, "Name": "a"}],
}


@pytest.mark.parametrize(
    ("keys", "runtime"),
    [
        ({"ModelFile": "m.onnx"}, "onnx_detection"),
        ({"ModelFile": "m.onnx", "InferenceFunction": "f.py"}, "raster_function_detection"),
        ({"ModelFile": "m.bin", "ModelConfiguration": "ImageryDL"}, "own_detection"),
        ({"ModelFile": "m.bin", "Framework": "arcgis.learn.models._inferencing"}, "arcgis_learn"),
    ],
)
def test_each_detector_has_its_runtime(tmp_path, keys, runtime):
    for name in ("m.onnx", "m.bin", "f.py"):
        (tmp_path / name).write_bytes(b"something")
    raw = {**DEFINITION, **keys}
    definition = parse_definition(raw, tmp_path, "m.emd")
    assert DETECTORS.runtime_name(definition) == runtime
    expected = {"onnx_detection": "onnx_chips", "own_detection": "own_chip_classification"}
    expected |= {"raster_function_detection": "raster_function_chips"}
    assert CHIP_CLASSIFIERS.runtime_name(definition) == expected.get(runtime, runtime)


def test_a_file_that_is_no_detector_is_refused(tmp_path):
    (tmp_path / "m.bin").write_bytes(b"something")
    definition = parse_definition({**DEFINITION, "ModelFile": "m.bin"}, tmp_path, "m.emd")
    for opener in (DETECTORS, CHIP_CLASSIFIERS):
        with pytest.raises(ModelDefinitionError, match=r"m\.bin"):
            opener.runtime_name(definition)
