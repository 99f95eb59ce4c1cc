"""Variations of chips, as people write them."""

import json

import pytest

from imagerydl.errors import DataError, ParameterError
from imagerydl.training.augmentation_settings import (
    AugmentationSettings,
    Crop,
    Variation,
    default_augmentation,
    parse_custom,
    read_transforms,
)


def test_the_documented_syntax_of_custom():
    written = {
        "rotate": "30.0;0.5",
        "brightness": "(0.4,0.6);1.0",
        "contrast": "(0.75,1.5);1.0",
        "zoom": "(1.0,1.2);1.0",
        "crop": "224;1.0;(0,1);(0,1)",
    }
    assert parse_custom(written) == AugmentationSettings(
        rotate=Variation(-30, 30, 0.5),
        brightness=Variation(0.4, 0.6),
        contrast=Variation(0.75, 1.5),
        zoom=Variation(1.0, 1.2),
        crop=Crop(224),
    )


@pytest.mark.parametrize(
    ("name", "text"),
    [("rotate", "much"), ("brightness", "(0.6,0.4);1.0"), ("zoom", "(1,2);3"), ("crop", "0")],
)
def test_what_cannot_be_read_is_named_with_an_example(name, text):
    with pytest.raises(ParameterError, match=name) as caught:
        parse_custom({name: text})
    assert ";" in caught.value.fix


def test_an_unknown_variation_is_refused_by_name():
    with pytest.raises(ParameterError, match="blur"):
        parse_custom({"blur": "1"})


def test_the_default_brightens_and_darkens():
    """U21: bright images fail without it."""
    default = default_augmentation("MAP_SPACE")
    assert default.brightness.low < 0.5 < default.brightness.high
    assert default.dihedral > 0
    assert default_augmentation("PIXEL_SPACE").dihedral == 0, "photographs have an up"


def test_transforms_json(tmp_path):
    path = tmp_path / "transforms.json"
    content = {
        "Training": {
            "rotate": {"degrees": 30, "p": 0.5},
            "brightness": {"change": "0.4, 0.6"},
            "rand_zoom": {"scale": [1, 1.2]},
            "crop": {"size": 24, "p": 1, "row_pct": "0, 1", "col_pct": "0, 1"},
        },
        "Validation": {"crop": {"size": 24, "p": 1.0, "row_pct": 0.5, "col_pct": 0.5}},
    }
    path.write_text(json.dumps(content))
    training, validation = read_transforms(path)
    assert training == AugmentationSettings(
        rotate=Variation(-30, 30, 0.5), brightness=Variation(0.4, 0.6), zoom=Variation(1, 1.2), crop=Crop(24)
    )
    assert validation == AugmentationSettings(crop=Crop(24, 1.0, (0.5, 0.5), (0.5, 0.5)))


@pytest.mark.parametrize("content", [None, {"Training": {"warp": {}}}, {"Training": {"rotate": {}}}])
def test_transforms_that_are_missing_or_unknown(tmp_path, content):
    if content is not None:
        (tmp_path / "transforms.json").write_text(json.dumps(content))
    with pytest.raises(DataError, match=r"transforms\.json"):
        read_transforms(tmp_path / "transforms.json")


def test_chip_size_is_a_crop_unless_there_is_one():
    assert AugmentationSettings().cropped(64).crop == Crop(64)
    assert AugmentationSettings(crop=Crop(32)).cropped(64).crop == Crop(32)
    assert AugmentationSettings().cropped(None).crop is None
