"""What functions ask for, and what users may answer."""

from __future__ import annotations

import pytest

from imagerydl.errors import ModelDefinitionError, ParameterError
from imagerydl.models.raster_functions.parameters import FunctionParameters


def parameters(*entries):
    return FunctionParameters.read("Mine.py", list(entries))


def entry(name, kind="numeric", value=None, **more):
    return {"name": name, "dataType": kind, "value": value, **more}


@pytest.mark.parametrize(
    ("kind", "domain", "expected"),
    [
        ("numeric", None, ("number", (), None, None)),
        ("GPDouble", [0, 1], ("number", (), 0, 1)),
        ("numeric", (1, 2, 4), ("choice", ("1", "2", "4"), None, None)),
        ("GPLong", (1, 64), ("number", (), 1, 64)),
        ("string", None, ("text", (), None, None)),
        ("string", ("mean", "max"), ("choice", ("mean", "max"), None, None)),
        ("GPString", None, ("text", (), None, None)),
        ("GPStringKeyword", ["a", "b"], ("choice", ("a", "b"), None, None)),
        ("boolean", ("True", "False"), ("boolean", (), None, None)),
        ("GPSomethingNew", None, ("text", (), None, None)),
    ],
)
def test_types_and_domains(kind, domain, expected):
    """P12: the type of an argument is the function's."""
    (argument,) = parameters(entry("x", kind, domain=domain)).arguments
    assert (argument.kind, argument.choices, argument.minimum, argument.maximum) == expected


def test_what_the_host_fills_is_no_argument():
    found = parameters(
        entry("raster", "raster"),
        entry("model", "string"),
        entry("device"),
        "stray",
        None,
        {},
        entry("padding"),
    )
    assert [argument.name for argument in found.arguments] == ["padding"]
    assert (found.raster, found.is_list) == ("raster", False)


def test_the_raster_parameter_may_have_any_name_and_be_a_list():
    found = parameters(entry("scenes", "rasters"), entry("padding"))
    assert (found.raster, found.is_list) == ("scenes", True)


def test_two_rasters_are_one_too_many():
    with pytest.raises(ModelDefinitionError, match=r"Mine\.py asks for 2 rasters \(before, after\)"):
        parameters(entry("before", "raster"), entry("after", "raster"))


def test_a_function_may_say_nothing():
    assert FunctionParameters.read("Mine.py", None).values({}) == {}


def test_answers_stand_over_defaults_as_functions_read_them():
    """O18: arguments are texts; functions cast them themselves."""
    found = parameters(
        entry("padding", value=16),
        entry("Threshold", value=0.5),
        entry("fast", "boolean", True),
        entry("note", "string"),
    )
    assert found.values({}) == {"padding": "16", "Threshold": "0.5", "fast": "True", "note": ""}
    given = {"padding": "4.0", "threshold": " 0.25 ", "FAST": "no", "note": ""}
    assert found.values(given) == {"padding": "4", "Threshold": "0.25", "fast": "False", "note": ""}


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        (
            "overlap",
            "3",
            r"Mine\.py has no argument 'overlap'. There are padding, batch_size, share, mode, fast",
        ),
        ("padding", "-1", "cannot be '-1'. Give a whole number from 0"),
        ("padding", "1.5", "Give a whole number"),
        ("batch_size", "0", "cannot be '0'. Give a whole number from 1"),
        ("batch_size", "-1", "Give a whole number from 1"),
        ("batch_size", "many", "cannot be 'many'"),
        ("share", "1.5", "Give a number from 0 to 1"),
        ("share", "nan", "cannot be 'nan'"),
        ("mode", "fastest", "Give one of mean, max"),
        ("fast", "perhaps", "Give True or False"),
    ],
)
def test_what_cannot_be_used_is_refused_by_name(name, text, said):
    found = parameters(
        entry("padding", value=0),
        entry("batch_size", value=4),
        entry("share", "GPDouble", 0.5, domain=(0, 1)),
        entry("mode", "string", "mean", domain=("mean", "max")),
        entry("fast", "boolean", True),
    )
    with pytest.raises(ParameterError, match=said):
        found.values({name: text})


def test_what_is_required_and_has_no_default_must_be_given():
    found = parameters(entry("prompt", "string", required=True), entry("padding", value=0, required=True))
    assert [argument.required for argument in found.arguments] == [True, False]
    with pytest.raises(ParameterError, match=r"Mine\.py needs a value for prompt"):
        found.values({})
    assert found.values({"prompt": "trees"})["prompt"] == "trees"
