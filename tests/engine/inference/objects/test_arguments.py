"""The arguments of Detect Objects and Classify Objects."""

from __future__ import annotations

from dataclasses import fields

import pytest

from imagerydl.errors import ParameterError
from imagerydl.inference.arguments import PIXEL_ARGUMENTS, PixelArguments
from imagerydl.inference.objects.arguments import DETECTION_ARGUMENTS, DetectionArguments
from imagerydl.inference.objects.classification_arguments import (
    CLASSIFICATION_ARGUMENTS,
    ClassificationArguments,
)
from imagerydl.models.arguments import ModelArgument


def test_defaults_follow_from_the_tile():
    arguments = DetectionArguments.parse(None)
    assert arguments.padding_for((416, 640)) == 104
    assert arguments.batch_size_for((416, 416)) == 4
    assert arguments.exclude_pad_detections


def test_what_a_definition_says_holds_unless_something_else_is_given():
    assert DetectionArguments().completed(20, 8) == DetectionArguments(padding=20, batch_size=8)
    given = DetectionArguments(padding=0, batch_size=2)
    assert given.completed(20, 8) == given


def test_what_a_model_declares_is_the_model_s_to_read():
    declared = [ModelArgument("Threshold", "number"), ModelArgument("padding", "number")]
    read = DetectionArguments.parse({"threshold": "70", "padding": "3"}, declared)
    assert (read.threshold, read.padding) == (None, 3)
    with pytest.raises(ParameterError, match="MODEL_ARGUMENTS has no argument 'thresh'"):
        DetectionArguments.parse({"thresh": "0.5"}, declared)


def test_a_threshold_in_percent_is_refused_with_what_to_write():
    with pytest.raises(ParameterError) as refused:
        DetectionArguments.parse({"threshold": "50"})
    assert "50 % is 0.5" in refused.value.fix


def test_arguments_of_the_seed_are_understood():
    """O18: "padding 0;batch_size 4"."""
    read = ClassificationArguments.parse({"padding": "0", "batch_size": "4"})
    assert (read.padding, read.batch_size, read.threshold) == (0, 4, 0.5)


@pytest.mark.parametrize(
    ("table", "values"),
    [
        (PIXEL_ARGUMENTS, PixelArguments),
        (DETECTION_ARGUMENTS, DetectionArguments),
        (CLASSIFICATION_ARGUMENTS, ClassificationArguments),
    ],
)
def test_each_argument_has_its_field_and_its_default(table, values):
    assert {argument.name for argument in table} == {field.name for field in fields(values)}
    for argument in table:
        stated = getattr(values.parse({argument.name: argument.default}), argument.name)
        # None where the model decides: what the table states then holds for most models.
        assert getattr(values.parse(None), argument.name) in (None, stated)
