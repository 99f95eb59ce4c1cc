"""Images and label images find each other."""

from pathlib import Path

import pytest

from imagerydl.chips.pairing import pair_images
from imagerydl.errors import DataError
from imagerydl.imagery.images import find_images


@pytest.fixture
def tree(tmp_path):
    def make(*names):
        for name in names:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        return tmp_path

    return make


def names(pairs, root):
    return [tuple(str(Path(path).relative_to(root)) for path in pair) for pair in pairs]


def test_by_what_the_wildcards_match(tree):
    """E16: the same stem in two folders is two images."""
    root = tree(*(f"Tile {i}/{kind}" for i in (1, 2) for kind in ("images/a.jpg", "masks/a.png")))
    pairs = pair_images(find_images(f"{root}/Tile */images/*.jpg"), find_images(f"{root}/Tile */masks/*.png"))
    assert names(pairs, root) == [(f"Tile {i}/images/a.jpg", f"Tile {i}/masks/a.png") for i in (1, 2)]


def test_by_stem_where_patterns_have_another_shape(tree):
    root = tree("photos/x/one.jpg", "photos/y/two.jpg", "truth/ONE.png", "truth/two.png")
    pairs = pair_images(find_images(f"{root}/photos"), find_images(f"{root}/truth/*.png"))
    assert names(pairs, root) == [
        ("photos/x/one.jpg", "truth/ONE.png"),
        ("photos/y/two.jpg", "truth/two.png"),
    ]


def test_image_without_label_is_named(tree):
    root = tree("a/one.jpg", "a/two.jpg", "b/one.png")
    with pytest.raises(DataError, match=r"1 of 2 images have no label image: .*two\.jpg"):
        pair_images(find_images(f"{root}/a"), find_images(f"{root}/b"))


def test_two_labels_for_one_image_are_named(tree):
    root = tree("a/one.jpg", "b/one.png", "b/one.tif")
    with pytest.raises(DataError, match=r"one\.jpg has 2 label images: .*one\.png, .*one\.tif"):
        pair_images(find_images(f"{root}/a"), find_images(f"{root}/b"))


def test_two_images_for_one_label_are_named(tree):
    root = tree("a/x/one.jpg", "a/y/one.jpg", "b/one.png")
    with pytest.raises(DataError, match=r"share one label image, .*one\.png"):
        pair_images(find_images(f"{root}/a"), find_images(f"{root}/b"))
