"""The arguments of Classify Pixels."""

import pytest

from imagerydl.errors import ParameterError
from imagerydl.inference.arguments import ClassifyArguments


def test_defaults_follow_from_the_tile():
    arguments = ClassifyArguments.parse(None)
    assert arguments.padding_for((256, 512)) == 64
    assert [arguments.batch_size_for((side, side)) for side in (64, 256, 2048)] == [16, 8, 4]
    assert arguments.predict_background
    assert not arguments.test_time_augmentation


def test_values_are_honoured_in_any_case_and_form():
    """P10: batch_size set through arguments is honoured."""
    arguments = ClassifyArguments.parse(
        {"Padding": "0", "batch_size": "17", "predict_background": "False", "test_time_augmentation": "TRUE"}
    )
    assert arguments == ClassifyArguments(0, 17, False, True)
    assert arguments.batch_size_for((2048, 2048)) == 17
    assert ClassifyArguments.parse({"padding": ""}) == ClassifyArguments()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("batch_size", "0"),
        ("batch_size", "-1"),
        ("batch_size", "many"),
        ("batch_size", "2.5"),
        ("batch_size", "inf"),
        ("batch_size", "nan"),
        ("padding", "-1"),
        ("padding", "x"),
        ("predict_background", "maybe"),
    ],
)
def test_unusable_values_are_refused_by_name(name, value):
    with pytest.raises(ParameterError, match=f"{name} cannot be '{value}'"):
        ClassifyArguments.parse({name: value})


def test_unknown_arguments_are_refused_with_the_known_ones():
    with pytest.raises(ParameterError, match=r"'tile_sise'.*padding, batch_size"):
        ClassifyArguments.parse({"tile_sise": "5"})
