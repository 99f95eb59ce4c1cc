"""What a training run can be asked to do."""

import pytest

from imagerydl.errors import ParameterError
from imagerydl.training.settings import LossSettings, parse_arguments


def test_arguments_are_typed():
    assert parse_arguments({"class_balancing": "True", "ignore_classes": "3,4", "patience": "2"}) == (
        LossSettings(class_balancing=True, ignore_classes=(3, 4), patience=2)
    )


def test_an_unknown_argument_is_refused_by_name():
    with pytest.raises(ParameterError, match="gaussian_thresh") as caught:
        parse_arguments({"gaussian_thresh": "0.5"})
    assert "focal_loss" in caught.value.fix


def test_lists_of_numbers_are_written_as_arcgis_writes_them():
    found = parse_arguments({"grids": "[4, 2]", "zooms": "0.7 1.0", "ratios": "[[1, 1], [2, 1], [1, 2]]"})
    assert (found.grids, found.zooms, found.ratios) == ((4, 2), (0.7, 1.0), (1.0, 0.5, 2.0))
    assert parse_arguments({"ratios": "0.5,1,2"}).ratios == (0.5, 1.0, 2.0)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("dice_loss_fraction", "1.5"),
        ("patience", "0"),
        ("focal_loss", "maybe"),
        ("ignore_classes", "water"),
        ("grids", "[0]"),
        ("ratios", "[[1, 2, 3]]"),
    ],
)
def test_a_malformed_argument_is_named(name, text):
    with pytest.raises(ParameterError, match=name):
        parse_arguments({name: text})
