"""What the Object Detection API's lists mean, written down by hand."""

from __future__ import annotations

import numpy as np
import pytest
import shapely

from imagerydl.errors import ModelDefinitionError, ModelError
from imagerydl.models.definition import parse_definition
from imagerydl.models.runtimes.detection_limits import Limits
from imagerydl.models.runtimes.object_detection_api import LabelNumbers, api_detections

#: Height, width.
TILE = (100, 200)


@pytest.fixture
def defined(tmp_path):
    """The definition of a graph that nothing reads: ``defined(values, **model_parameters)``."""
    (tmp_path / "net.pb").touch()

    def make(values=(7, 8, 9), **parameters):
        raw = {
            "Framework": "TensorFlow",
            "ModelConfiguration": "ObjectDetectionAPI",
            "ModelType": "ObjectDetection",
            "ModelFile": "net.pb",
            "ImageHeight": 100,
            "ImageWidth": 200,
            "ExtractBands": [0, 1, 2],
            "Classes": [{"Value": value, "Name": f"class {value}"} for value in values],
            "ModelParameters": parameters,
        }
        return parse_definition(raw, tmp_path, "model.emd")

    return make


@pytest.fixture
def found_in(defined):
    def find(outputs, limits=Limits(0.5, 1.0), counted=0, **keys):  # noqa: B008 - a frozen value
        definition = defined(**keys)
        numbers = LabelNumbers(definition, definition.classes, counted, "net.pb")
        return api_detections(outputs, TILE, numbers, limits)

    return find


def lists(*objects, length=5, **more):
    """Outputs from (top, left, bottom, right, number, score), filled up as the exporter does."""
    table = np.zeros((length, 6), np.float32)
    table[: len(objects)] = objects
    arrays = {"detection_boxes": table[:, :4], "detection_scores": table[:, 5]}
    return arrays | {"detection_classes": table[:, 4], "num_detections": np.float32(len(objects)), **more}


def test_boxes_are_shares_of_the_tile_top_and_left_first_and_classes_count_from_1(found_in):
    """W23: the ObjectDetectionAPI configuration, its numbers as ArcGIS reads them."""
    found = found_in(lists((0.1, 0.2, 0.3, 0.6, 1, 0.9), (0.5, 0.5, 1, 1, 3, 0.6), (0, 0, 1, 1, 2, 0.4)))
    np.testing.assert_allclose(found.boxes, [[40, 10, 120, 30], [100, 50, 200, 100]], atol=1e-4)
    np.testing.assert_allclose(found.scores, [0.9, 0.6])
    assert found.classes.tolist() == [0, 2]


def test_what_fills_the_lists_up_is_no_object(found_in):
    outputs = lists((0.1, 0.2, 0.3, 0.6, 1, 0.9))
    assert len(found_in(outputs, Limits(0.0, 1.0))) == 1
    del outputs["num_detections"]
    with pytest.raises(ModelError, match="class number 0"):
        found_in(outputs, Limits(0.0, 1.0))


def test_label_maps_with_gaps_are_listed_by_value(found_in):
    outputs = lists((0, 0, 1, 1, 13, 0.9))
    by_value = {"values": (1, 11, 13), "counted": 13}
    assert found_in(outputs, **by_value).classes.tolist() == [2]
    assert found_in(outputs, values=(1, 11, 13), labels="VALUE").classes.tolist() == [2]
    with pytest.raises(ModelError, match=r"number 13, and model\.emd lists 3 classes") as refused:
        found_in(outputs, values=(1, 11, 13))
    assert "labels" in refused.value.fix
    with pytest.raises(ModelError, match="lists 3 classes"):
        found_in(outputs, **by_value, labels="POSITION")
    with pytest.raises(ModelDefinitionError, match="SOMETHING"):
        found_in(outputs, labels="something")


def test_it_is_known_where_numbers_could_be_values(defined):
    for values, is_guess in (((1, 2, 3), False), ((0, 1, 2), False), ((7, 8, 9), True)):
        definition = defined(values)
        assert LabelNumbers(definition, definition.classes, 0, "net.pb").is_guess == is_guess


def test_duplicates_are_left_to_the_network_unless_an_overlap_is_asked_for(found_in):
    outputs = lists((0, 0, 0.5, 0.5, 1, 0.9), (0, 0, 0.5, 0.45, 1, 0.8), (0, 0, 0.5, 0.45, 2, 0.7))
    assert len(found_in(outputs)) == 3
    assert found_in(outputs, Limits(0.5, 0.5)).scores.tolist() == pytest.approx([0.9, 0.7])


def test_masks_lie_in_the_frame_of_their_box(found_in):
    masks = np.zeros((5, 4, 8), np.float32)
    masks[0, :, :4] = 1  # the left half
    masks[1] = 1
    outputs = lists(
        (0.1, 0.2, 0.3, 0.6, 1, 0.9),
        (0.5, 0.5, 1.2, 1.2, 2, 0.8),
        (0.5, 0.5, 0.9, 0.9, 3, 0.7),
        detection_masks=masks,
    )
    found = found_in(outputs)
    assert found.classes.tolist() == [0, 1]  # an empty mask is no object
    assert found.shapes[0].equals(shapely.box(40, 10, 80, 30))
    assert found.shapes[1].equals(shapely.box(100, 50, 200, 100))
    np.testing.assert_allclose(found.boxes[0], [40, 10, 80, 30])


def test_a_mask_between_pixels_follows_its_probabilities(found_in):
    column = np.linspace(0, 1, 50, dtype=np.float32)  # 0.5 in the middle
    masks = np.repeat(column[None, :, None], 50, axis=2)
    found = found_in(lists((0.105, 0.0, 0.895, 1, 1, 0.9), length=1, detection_masks=masks))
    np.testing.assert_allclose(found.boxes[0], [0, 50, 200, 89], atol=1)


def test_boxes_that_no_pixel_lies_in_have_no_outline(found_in):
    outputs = lists((0.1, 0.1, 0.1, 0.1, 1, 0.9), detection_masks=np.ones((5, 3, 3), np.float32))
    assert len(found_in(outputs)) == 0
