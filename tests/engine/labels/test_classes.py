"""Class schemas as people write them."""

import pytest

from imagerydl.errors import ParameterError
from imagerydl.labels.classes import ClassEntry, ClassSchema, distinct_color


def test_reads_values_names_and_colours_from_text_and_file(tmp_path):
    """U2: hex colours become RGB."""
    text = "# classes\n0, Building, #3C1098\n1;Land (unpaved, dry);8429F6\n\n2\tRoad\n"
    schema = ClassSchema.parse(text)
    assert list(schema) == [
        ClassEntry(0, "Building", (60, 16, 152)),
        ClassEntry(1, "Land (unpaved, dry)", (132, 41, 246)),
        ClassEntry(2, "Road", None),
    ]
    (tmp_path / "Klassen ä.txt").write_text("\ufeff" + text, encoding="utf-8")
    assert ClassSchema.parse(str(tmp_path / "Klassen ä.txt")) == schema


def test_one_class_on_one_line_is_text_not_a_path():
    assert ClassSchema.parse("5, Roof").values == (5,)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("one, two", "neither a file"),
        ("1, a\nroof", "Line 2"),
        ("1, a\n1, b", "value 1"),
        ("1, a\n2, a", "name a"),
        ("1, a, #000000\n2, b, #000000", "colour"),
        ("70000, a", "65535"),
        ("# nothing\n# here", "no class"),
    ],
)
def test_what_is_wrong_is_named(text, named):
    with pytest.raises(ParameterError, match=named):
        ClassSchema.parse(text)


def test_missing_colours_are_filled_and_stay_apart():
    filled = ClassSchema(ClassEntry(value, str(value)) for value in range(40)).with_colors()
    assert len({entry.color for entry in filled}) == 40
    assert distinct_color(7) == distinct_color(7)
