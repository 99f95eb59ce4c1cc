"""Several folders as one collection."""

import pytest

from imagerydl.errors import DataError
from imagerydl.imagery.band_names import red_green_blue
from imagerydl.training.chips import collect_chips


def test_classes_of_several_folders_are_joined_by_value(tmp_path, export, toy_chips):
    one = export(tmp_path / "one", toy_chips(2), classes=[(1, "Dark"), (2, "Bright")])
    two = export(tmp_path / "two", toy_chips(3), classes=[(2, "Bright"), (9, "Water")])
    collection = collect_chips([one, two])
    assert [(entry.value, entry.name) for entry in collection.classes] == [
        (1, "Dark"),
        (2, "Bright"),
        (9, "Water"),
    ]
    assert len(collection.pairs) == 5


@pytest.mark.parametrize(
    ("what", "chips", "changes"),
    [
        ("number of bands", {"bands": 4}, {}),
        ("tile size", {"size": 16}, {}),
        ("reference system", {}, {"ImageSpaceUsed": "PIXEL_SPACE"}),
    ],
)
def test_folders_that_differ_are_refused(tmp_path, export, toy_chips, what, chips, changes):
    one = export(tmp_path / "one", toy_chips(1))
    two = export(tmp_path / "two", toy_chips(1, **chips), **changes)
    with pytest.raises(DataError, match=what):
        collect_chips([one, two])


def test_one_value_with_two_names_is_refused(tmp_path, export, toy_chips):
    one = export(tmp_path / "one", toy_chips(1), classes=[(1, "Road")])
    two = export(tmp_path / "two", toy_chips(1), classes=[(1, "Building")])
    with pytest.raises(DataError, match=r"Class 1 is 'Road' .* and 'Building'"):
        collect_chips([one, two])


def test_another_format_is_refused_by_name(tmp_path, export, toy_chips):
    folder = export(tmp_path / "voc", toy_chips(1), MetaDataMode="PASCAL_VOC_rectangles")
    with pytest.raises(DataError, match="PASCAL_VOC_rectangles"):
        collect_chips([folder])


def test_chips_without_any_label_are_refused(tmp_path, export, toy_chips):
    folder = export(tmp_path / "chips", toy_chips(2))
    for label in (folder / "labels").iterdir():
        label.unlink()
    with pytest.raises(DataError, match="has a label"):
        collect_chips([folder])


def test_bands_for_looking_at():
    assert red_green_blue(["Blue", "Green", "Red", "NearInfrared"]) == (2, 1, 0)
    assert red_green_blue(["", "", ""]) == (0, 1, 2)
