"""Lenient JSON of model definitions."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagerydl.errors import ModelDefinitionError
from imagerydl.models.json_text import decode_json_text, line_numbers, mend, read_json_object


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"a": 1}', {"a": 1}),
        ('\ufeff{"a": 1}', {"a": 1}),
        ('{"a": [1, 2,], }', {"a": [1, 2]}),
        ('{"a": "x"\n "b": 2}', {"a": "x", "b": 2}),
        ('{"a": {"c": true}\r\n\t"b": 2}', {"a": {"c": True}, "b": 2}),
        ('{"a": "C:\\Data\\Model.pb"}', {"a": "C:\\Data\\Model.pb"}),
        ('{"a": "C:\\\\Data\\\\Model.pb",}', {"a": "C:\\Data\\Model.pb"}),
        ('{"a": 1}.', {"a": 1}),
        ('{"a": "keep ,] this,}",}', {"a": "keep ,] this,}"}),
    ],
)
def test_reads_what_definitions_really_hold(text, expected):
    """W26: trailing commas, and the published sample without a comma between two lines."""
    assert read_json_object(text, "model.emd") == expected


def test_names_file_and_line_of_what_it_cannot_read():
    with pytest.raises(ModelDefinitionError, match=r"model\.emd is not JSON.*line 2.*nonsense"):
        read_json_object('{"a": 1,\n nonsense here}', "model.emd")


def test_refuses_json_that_is_no_object():
    with pytest.raises(ModelDefinitionError, match="JSON list, not an object"):
        read_json_object("[1, 2]", "model.emd")


def test_empty_text_is_refused():
    with pytest.raises(ModelDefinitionError, match="not JSON"):
        read_json_object("", "model.emd")


def test_a_missing_comma_between_objects_is_mended():
    assert read_json_object('{"a": [{"b": 1}\n {"b": 2}]}', "m.emd") == {"a": [{"b": 1}, {"b": 2}]}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_texts_of_every_usual_encoding_are_decoded(encoding):
    text = '{\r\n "Name": "Gewässer"\r\n}'
    assert decode_json_text(text.encode(encoding), "m.emd") == text


def test_a_file_that_is_no_text_is_refused():
    with pytest.raises(ModelDefinitionError, match=r"m\.emd cannot be read as text"):
        decode_json_text(b"{\xff\xfe\xfa}", "m.emd")


def test_lines_are_those_of_keys_and_of_what_is_inside_lists():
    text = '{\n "A": {"B": 1},\n "C": "B",\n "L": [\n  {"B": 3},\n  4\n ],\n "B": 2\n}'
    lines = line_numbers(text)
    assert lines[("B",)] == 8, "of the outermost object, not of the others"
    assert lines[("A", "B")] == 2
    assert (lines[("L",)], lines[("L", 0)], lines[("L", 0, "B")], lines[("L", 1)]) == (4, 5, 5, 6)
    assert ("D",) not in lines


def test_lines_are_found_in_text_that_is_no_strict_json():
    lines = line_numbers('{\n "A": "C:\\x"\n "B": [1,\n 2,],\n "C": 3,\n}')
    assert [lines[key,] for key in "ABC"] == [2, 3, 5]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"a": 1 "b": "x" "c": [] "d": 2}', {"a": 1, "b": "x", "c": [], "d": 2}),
        ('{"a": "C:\\users\\x"}', {"a": "C:\\users\\x"}),
        ('{"a": "\\u00e9\\d"}', {"a": "é\\d"}),
        ('{"a": [[1]\n [2]],}', {"a": [[1], [2]]}),
    ],
)
def test_what_can_be_meant_in_one_way_only_is_mended(text, expected):
    assert read_json_object(text, "m.emd") == expected


@pytest.mark.parametrize(
    "text", ['{"a": 1 2}', '{"a" "b": 1}', '{"a": x}', '{"a": "b}', '{"a": 1', '{"a"\n "b"}']
)
def test_what_can_be_meant_in_several_ways_is_refused(text):
    with pytest.raises(ModelDefinitionError, match=r"m\.emd is not JSON.*line"):
        read_json_object(text, "m.emd")


def test_the_line_named_is_that_of_the_fault_and_not_of_what_is_mended():
    with pytest.raises(ModelDefinitionError, match=r"at line 3, 'nonsense'"):
        read_json_object('{"a": 1\n "b": [1,],\nnonsense\n}', "m.emd")


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=12,
)


@given(st.dictionaries(st.text(), _VALUES), st.sampled_from([None, 1, "\t"]), st.booleans())
def test_what_strict_json_reads_is_read_identically(content, indent, plain):
    text = json.dumps(content, indent=indent, ensure_ascii=plain)
    assert read_json_object(text, "m.emd") == json.loads(text)


@given(st.dictionaries(st.text(), _VALUES, min_size=1))
def test_mending_a_trailing_comma_leaves_every_text_as_it_is(content):
    text = json.dumps(content, indent=1)
    assert read_json_object(text[:-2] + ",\n}", "m.emd") == content


@given(st.dictionaries(st.text(), _VALUES), st.sampled_from([None, 1, "\t"]), st.booleans())
def test_mending_strict_json_changes_nothing_of_its_meaning(content, indent, plain):
    text = json.dumps(content, indent=indent, ensure_ascii=plain)
    assert json.loads(mend(text)) == json.loads(text)


@given(st.dictionaries(st.text(), _VALUES, min_size=1))
def test_every_value_of_strict_json_has_its_line(content):
    text = json.dumps(content, indent=1)
    lines = line_numbers(text)
    for key in content:
        (number,) = {lines[key,]}
        assert text.split("\n")[number - 1].startswith(f" {json.dumps(key)}: ")


def test_nesting_without_end_is_refused():
    with pytest.raises(ModelDefinitionError, match="not JSON"):
        read_json_object('{"a":' + "[" * 200_000, "m.emd")
