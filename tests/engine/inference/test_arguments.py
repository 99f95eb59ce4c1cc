"""The arguments of Classify Pixels."""

import pytest

from imagerydl.errors import ParameterError
from imagerydl.inference.arguments import PixelArguments
from imagerydl.models.arguments import ModelArgument


def test_defaults_follow_from_the_tile():
    arguments = PixelArguments.parse(None)
    assert arguments.padding_for((256, 512)) == 64
    assert [arguments.batch_size_for((side, side)) for side in (64, 256, 2048)] == [16, 8, 4]
    assert arguments.predict_background is None
    assert not arguments.test_time_augmentation


def test_values_are_honoured_in_any_case_and_form():
    """P10: batch_size set through arguments is honoured."""
    arguments = PixelArguments.parse(
        {"Padding": "0", "batch_size": "17", "predict_background": "False", "test_time_augmentation": "TRUE"}
    )
    assert (arguments.padding, arguments.batch_size) == (0, 17)
    assert (arguments.predict_background, arguments.test_time_augmentation) == (False, True)
    assert arguments.batch_size_for((2048, 2048)) == 17
    assert PixelArguments.parse({"padding": ""}) == PixelArguments()


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
        ("overlap", "1"),
        ("tile_size", "0"),
        ("threshold", "1.1"),
        ("threshold", "-0.1"),
        ("merge_policy", "median"),
        ("predict_background", "maybe"),
    ],
)
def test_unusable_values_are_refused_by_name(name, value):
    with pytest.raises(ParameterError, match=f"{name} cannot be '{value}'"):
        PixelArguments.parse({name: value})


def test_unknown_arguments_are_refused_with_those_of_the_run_and_of_the_model():
    season = ModelArgument("season", "text")
    with pytest.raises(ParameterError, match=r"'tile_sise'.*padding, .*batch_size, .*, season"):
        PixelArguments.parse({"tile_sise": "5"}, (season,))
    PixelArguments.parse({"Season": "winter"}, (season,))
    PixelArguments.parse({"tile_sise": "5"})  # no model is known yet


def test_what_a_model_declares_itself_is_the_models_to_read():
    percent = ModelArgument("threshold", "number", maximum=100)
    assert PixelArguments.parse({"threshold": "60"}, (percent,)).threshold is None
    shared = ModelArgument("padding", "number")
    assert PixelArguments.parse({"padding": "6"}, (shared,)).padding == 6


def test_overlap_is_another_way_to_say_padding():
    assert PixelArguments.parse({"overlap": "0.25"}).padding_for((256, 256)) == 32
    with pytest.raises(ParameterError, match="two ways"):
        PixelArguments.parse({"overlap": "0.25", "padding": "3"})


def test_what_is_not_given_is_the_definitions_to_say():
    completed = PixelArguments.parse({"batch_size": "3"}).completed(12, 9, 0.4)
    assert (completed.padding, completed.batch_size, completed.threshold) == (12, 3, 0.4)
    assert PixelArguments.parse({"overlap": "0.5"}).completed(12, None, None).padding_for((64, 64)) == 16
