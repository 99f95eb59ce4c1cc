"""Chips with objects in every format, and what cannot be learnt from."""

import re

import numpy as np
import pytest

from imagerydl.errors import DataError, TrainingError
from imagerydl.training.chips import collect_chips
from imagerydl.training.object_data import load_objects, repeated
from imagerydl.training.tasks import TASK_FORMATS

FORMATS = TASK_FORMATS["objects"]


def load(listener, *folders, ignored=(), with_masks=False, budget=10**9):
    return load_objects(collect_chips(folders, FORMATS), ignored, with_masks, budget, listener.reporter)


def left_out(listener):
    return [text for text in listener.texts("warning") if "skipped" in text]


def as_written(objects):
    return sorted([value - 1, *(float(side) for side in box)] for value, *box in objects)


@pytest.mark.parametrize("metadata_format", FORMATS)
@pytest.mark.parametrize("budget", [10**9, 0])
def test_every_format_gives_the_same_objects(
    tmp_path, listener, make_squares, export_squares, metadata_format, budget
):
    """In memory, and read as needed."""
    chips = [(image, objects) for image, objects in make_squares(5) if objects]
    data = load(listener, export_squares(tmp_path / "chips", chips, metadata_format), budget=budget)
    images, found = data.take(np.arange(len(chips)))
    assert (data.images is None) == (budget == 0)
    for (image, objects), taken, own in zip(chips, images, found):
        assert np.array_equal(image, taken)
        rows = sorted([int(label), *box] for label, box in zip(own.labels, own.boxes.tolist()))
        assert [row[0] for row in rows] == [row[0] for row in as_written(objects)]
        assert np.allclose(rows, as_written(objects), atol=1e-3)
    assert left_out(listener) == []


@pytest.mark.parametrize("metadata_format", ["RCNN_Masks", "COCO"])
def test_outlines_are_one_mask_an_object(tmp_path, listener, make_squares, export_squares, metadata_format):
    chips = list(make_squares(4))
    data = load(listener, export_squares(tmp_path / "chips", chips, metadata_format), with_masks=True)
    _, found = data.take(np.arange(4))
    for (_, objects), own in zip(chips, found):
        assert sorted(own.masks.sum(dim=(1, 2)).tolist()) == sorted(
            (r - x) * (b - y) for _, x, y, r, b in objects
        )


def test_boxes_that_cannot_be_learnt_are_listed_and_the_rest_is_used(
    tmp_path, listener, make_squares, export_squares
):
    chips = list(make_squares(3))
    bad = {"no area": (9, 9, 9, 20), "reversed": (30, 30, 20, 20), "outside": (70, 70, 90, 90)}
    image, objects = chips[1]
    thin = (1, 5.0, 5.0, 6.0, 30.0)
    chips[1] = (image, [*objects, thin, *((1, *box) for box in bad.values())])
    data = load(listener, export_squares(tmp_path / "chips", chips))
    assert len(data) == 3
    assert len(data.boxes[1]) == len(objects)
    (warning,) = left_out(listener)
    assert warning.startswith("4 chips or labels were skipped")
    assert all(word in warning for word in (*bad, "too thin", "000000000001"))


def test_a_class_with_a_single_object_is_warned_of(tmp_path, listener, make_squares, export_squares):
    chips = [*make_squares(4, classes=(1,)), (next(iter(make_squares(1)))[0], [(2, 5, 5, 20, 20)])]
    load(listener, export_squares(tmp_path / "chips", chips))
    assert any("one object only of Blue" in text for text in listener.texts("warning"))


def test_several_folders_are_one_collection(tmp_path, listener, make_squares, export_squares):
    one = export_squares(tmp_path / "a", make_squares(3, classes=(1,)), classes=[(1, "Red")])
    other = export_squares(tmp_path / "b", make_squares(4, classes=(2,)), classes=[(2, "Blue")])
    data = load(listener, one, other)
    assert len(data) == 7
    assert data.class_names == ("Red", "Blue")
    assert {int(label) for own in data.labels[3:] for label in own} == {1}


def test_folders_of_two_formats_do_not_go_together(tmp_path, make_squares, export_squares):
    one = export_squares(tmp_path / "a", make_squares(2))
    other = export_squares(tmp_path / "b", make_squares(2), "KITTI_rectangles")
    with pytest.raises(DataError, match="metadata format"):
        collect_chips([one, other], FORMATS)


def test_a_folder_of_arcgis_with_placeholders_is_read(tmp_path, listener, make_squares, export_squares):
    """An older export: placeholder texts, no colours, classes by value, boxes with two decimals."""
    chips = list(make_squares(4))
    placeholders = {
        "Framework": "e.g. TensorFlow or PyTorch",
        "ModelType": "e.g. ObjectDetection or ImageClassification",
        "ModelFile": "e.g. ./trained.model",
        "ImageHeight": "e.g. 256",
        "ImageWidth": "e.g. 256",
        "ExtractBands": "e.g. [0, 1, 2] (optional)",
        "Classes": [
            {"Value": 1, "Name": "1", "Color": [-1, -1, -1]},
            {"Value": 2, "Name": "Blue", "Color": [-1, -1, -1]},
        ],
    }
    folder = export_squares(tmp_path / "chips", chips, **placeholders)
    for label in (folder / "labels").iterdir():
        label.write_text(re.sub(r">(\d+)</([xy])", r">\1.00</\2", label.read_text()))
    data = load(listener, folder)
    assert data.shape == (3, 64, 64)
    assert data.class_names == ("1", "Blue")
    assert [len(own) for own in data.boxes] == [len(objects) for _, objects in chips]
    assert all(entry.color for entry in data.classes)


def test_ignored_classes_are_not_learnt(tmp_path, listener, make_squares, export_squares):
    data = load(listener, export_squares(tmp_path / "chips", make_squares(6)), ignored=(1,))
    assert data.class_names == ("Blue",)
    assert {int(label) for own in data.labels for label in own} == {0}


def test_damaged_chips_are_skipped_by_name(tmp_path, listener, make_squares, export_squares):
    folder = export_squares(tmp_path / "chips", make_squares(4))
    (folder / "images" / "000000000002.tif").write_bytes(b"no picture")
    (folder / "labels" / "000000000003.xml").write_text("<annotation>")
    data = load(listener, folder)
    assert len(data) == 2
    (warning,) = left_out(listener)
    assert "000000000002" in warning
    assert "000000000003" in warning


def test_chips_without_any_object_are_refused(tmp_path, listener, make_squares, export_squares):
    empty = [(image, []) for image, _ in make_squares(3)]
    with pytest.raises(TrainingError, match="no object"):
        load(listener, export_squares(tmp_path / "chips", empty))


def test_chips_without_objects_show_what_is_none(tmp_path, listener, make_squares, export_squares):
    chips = list(make_squares(3))
    chips[0] = (chips[0][0], [])
    data = load(listener, export_squares(tmp_path / "chips", chips))
    assert [len(own) for own in data.boxes] == [0, *(len(objects) for _, objects in chips[1:])]


def test_chips_of_rare_classes_come_more_often():
    labels = [np.array([0])] * 8 + [np.array([0, 1])] * 2 + [np.array([2])]
    times = np.bincount(repeated(np.arange(11), labels))
    assert times[:8].tolist() == [1] * 8
    assert times[10] >= 1
    assert (times >= 1).all()
