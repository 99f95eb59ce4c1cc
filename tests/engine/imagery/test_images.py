"""Finding images, and what pairs them with labels."""

import pytest

from imagerydl.errors import DataError
from imagerydl.imagery.images import find_images


def touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def test_a_folder_is_searched_to_its_depth_in_natural_order(tmp_path):
    """E9: a folder of images is an input."""
    touch(
        tmp_path,
        "b10.tif",
        "b2.TIF",
        "deep/er/c.png",
        "b2.tif.aux.xml",
        "b2.tfw",
        "notes.txt",
        ".hidden/x.tif",
    )
    found = find_images(str(tmp_path))
    assert [entry.path.name for entry in found] == ["b2.TIF", "b10.tif", "c.png"]
    assert found[2].key == ("deep", "er", "c")


def test_images_and_labels_of_two_patterns_pair_by_what_the_wildcards_matched(tmp_path):
    """E16: images and labels pair by name."""
    for tile in (1, 2, 10):
        for part in ("001", "002"):
            touch(tmp_path, f"Tile {tile}/images/part_{part}.jpg", f"Tile {tile}/masks/part_{part}.png")
    images = find_images(str(tmp_path / "Tile */images/*.jpg"))
    labels = find_images(str(tmp_path / "Tile */masks/*.png"))
    assert [entry.key for entry in images] == [entry.key for entry in labels]
    assert images[0].captures == ("1", "part_001")
    assert images[-1].captures == ("10", "part_002")


def test_names_that_differ_around_the_wildcard_pair_too(tmp_path):
    touch(tmp_path, "img_7.tif", "lab_7.tif")
    (image,), (label,) = find_images(str(tmp_path / "img_*.tif")), find_images(str(tmp_path / "lab_*.tif"))
    assert image.key == label.key == ("7",)


def test_a_fixed_name_in_changing_folders_pairs_by_folder(tmp_path):
    touch(tmp_path, "a/image.tif", "b/image.tif")
    keys = [entry.key for entry in find_images(str(tmp_path / "*/image.tif"))]
    assert keys == [("a", "image"), ("b", "image")]


def test_question_marks_sets_and_double_stars(tmp_path):
    touch(tmp_path, "x1/a.tif", "x2/a.tif", "x3/deep/a.tif", "x33/a.tif")
    assert [e.captures[0] for e in find_images(str(tmp_path / "x?/a.tif"))] == ["1", "2"]
    assert [e.captures[0] for e in find_images(str(tmp_path / "x[!1]/a.tif"))] == ["2"]
    assert len(find_images(str(tmp_path / "**/a.tif"))) == 4


def test_a_folder_whose_name_looks_like_a_pattern_is_a_folder(tmp_path):
    touch(tmp_path, "scene [1]/a.tif")
    assert find_images(str(tmp_path / "scene [1]"))[0].stem == "a"


@pytest.mark.parametrize("pattern", ["missing", "missing/*.tif", "*.tif", ""])
def test_nothing_found_is_an_error_that_names_the_place(tmp_path, pattern):
    with pytest.raises(DataError, match=tmp_path.name):
        find_images(str(tmp_path / pattern))
