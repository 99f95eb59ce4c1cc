"""What the network's outputs stand for."""

import numpy as np
import pytest

from imagerydl.errors import DataError, TrainingError
from imagerydl.labels.classes import ClassEntry, ClassSchema
from imagerydl.training.channels import IGNORED, choose_channels

TOWN = ClassSchema([ClassEntry(7, "Road"), ClassEntry(3, "Building"), ClassEntry(9, "Tree")])
FILES = dict.fromkeys(range(300), "000000000004.tif")


def test_channels_follow_the_class_values_and_leave_out_an_absent_background():
    channels = choose_channels(TOWN, {3: 5, 7: 5}, FILES)
    assert channels.values == (3, 7, 9)
    assert channels.names == ("Building", "Road", "Tree")


def test_background_is_a_channel_where_it_occurs():
    assert choose_channels(TOWN, {0: 1, 3: 5}, FILES).names == ("Background", "Building", "Road", "Tree")
    named = ClassSchema([ClassEntry(0, "Unlabeled"), *TOWN])
    assert choose_channels(named, {0: 1, 3: 5}, FILES).names[0] == "Unlabeled"
    assert choose_channels(named, {3: 1, 7: 5}, FILES).values == (3, 7, 9)


def test_values_that_are_no_class_are_an_error_with_their_file():
    with pytest.raises(DataError, match=r"8 \(12 pixels, first in 000000000004\.tif\)"):
        choose_channels(TOWN, {3: 5, 8: 12}, FILES)


def test_one_class_only_is_an_error():
    with pytest.raises(TrainingError, match=r"one class only.*Building"):
        choose_channels(TOWN, {3: 5}, FILES)


def test_ignored_classes_have_no_channel():
    channels = choose_channels(TOWN, {0: 2, 3: 5, 7: 5, 9: 1}, FILES, ignored=(0, 9))
    assert channels.values == (3, 7)
    values = np.array([[0, 3], [9, 7]])
    assert channels.of_values(values, values != 7).tolist() == [[IGNORED, 0], [IGNORED, IGNORED]]


def test_without_a_schema_the_values_name_themselves():
    assert choose_channels(ClassSchema(), {1: 4, 250: 4}, FILES).names == ("1", "250")


def test_more_classes_than_labels_can_hold():
    with pytest.raises(TrainingError, match="260 classes"):
        choose_channels(ClassSchema(), dict.fromkeys(range(1, 261), 1), FILES)
