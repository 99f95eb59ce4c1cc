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


@pytest.mark.parametrize(
    ("name", "text"),
    [("dice_loss_fraction", "1.5"), ("patience", "0"), ("focal_loss", "maybe"), ("ignore_classes", "water")],
)
def test_a_malformed_argument_is_named(name, text):
    with pytest.raises(ParameterError, match=name):
        parse_arguments({name: text})
