"""Lenient JSON of model definitions."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagerydl.errors import ModelDefinitionError
from imagerydl.models.json_text import decode_json_text, line_of_key, read_json_object


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


def test_the_line_of_a_key_is_that_of_the_outermost_object():
    text = '{\n "A": {"B": 1},\n "C": "B",\n "B": 2\n}'
    assert line_of_key(text, "B") == 4
    assert line_of_key(text, "D") == 0


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


def test_nesting_without_end_is_refused():
    with pytest.raises(ModelDefinitionError, match="not JSON"):
        read_json_object('{"a":' + "[" * 200_000, "m.emd")
