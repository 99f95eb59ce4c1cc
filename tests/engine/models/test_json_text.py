"""Lenient JSON of model definitions."""

import pytest

from imagerydl.errors import ModelDefinitionError
from imagerydl.models.json_text import read_json_object


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
