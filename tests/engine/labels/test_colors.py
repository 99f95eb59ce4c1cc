"""Colour masks: RGB and paletted label images explained by a class schema."""

import numpy as np
import pytest
from affine import Affine

from imagerydl.errors import DataError
from imagerydl.imagery.grid import Grid
from imagerydl.imagery.source import open_source
from imagerydl.labels.classes import ClassSchema
from imagerydl.labels.colors import ColorLookup, ColorMaskLabels, is_color_mask
from imagerydl.labels.opening import Labels
from imagerydl.labels.rasters import RasterLabels

SCHEMA = ClassSchema.parse("0, Building, #3C1098\n1, Land, #8429F6\n2, Road, #6EC1E4")
IMAGE = Grid(None, Affine.identity(), 4, 2)

MASK = np.array(
    [
        [(60, 16, 152), (132, 41, 246), (132, 41, 246), (110, 193, 228)],
        [(0, 0, 0), (110, 193, 228), (1, 2, 3), (0, 0, 0)],
    ],
    dtype=np.uint8,
).transpose(2, 0, 1)


def open_mask(path, schema=SCHEMA):
    source = open_source(path)
    return ColorMaskLabels(source, source.grid, ColorLookup(schema))


def test_colours_become_class_values(write_raster):
    """U2: hex colours -> RGB -> integer labels, (60, 16, 152) -> 0 "Building"."""
    labels = open_mask(write_raster(MASK, name="mask.png"))
    assert labels.rasterise(IMAGE, IMAGE.window).tolist() == [[0, 1, 1, 2], [0, 2, 0, 0]]


def test_unknown_colours_are_counted_with_share_and_hex(write_raster):
    survey = open_mask(write_raster(MASK, name="mask.png")).survey()
    assert (survey.pixels, survey.unknown) == (8, 3)
    assert survey.colors == {(0, 0, 0): 2, (1, 2, 3): 1}
    assert "3 pixels (37.50 %)" in survey.describe()
    assert "#000000 (2), #010203 (1)" in survey.describe()


def test_transparent_pixels_are_background(write_raster):
    alpha = np.full((1, 2, 4), 255, np.uint8)
    alpha[0, 0, 1] = 0
    labels = open_mask(write_raster(np.concatenate([MASK, alpha]), name="mask.png"))
    assert labels.rasterise(IMAGE, IMAGE.window)[0].tolist() == [0, 0, 1, 2]


@pytest.mark.parametrize("value", [255, 256, 65535])
def test_any_class_value_survives(write_raster, value):
    schema = ClassSchema.parse(f"{value}, Roof, #3C1098")
    labels = open_mask(write_raster(MASK, name="mask.png"), schema)
    burnt = labels.rasterise(IMAGE, IMAGE.window)
    assert burnt[0, 0] == value
    assert burnt[0, 1] == 0
    assert burnt.dtype == (np.uint8 if value == 255 else np.uint16)


def test_paletted_mask_is_read_through_its_palette(write_raster):
    indices = np.array([[7, 8, 8, 9], [7, 7, 9, 9]], np.uint8)
    palette = {7: (132, 41, 246), 8: (110, 193, 228), 9: (1, 1, 1)}
    labels = Labels(schema=SCHEMA).open(IMAGE, "image.jpg", write_raster(indices, colormap=palette))
    assert isinstance(labels, ColorMaskLabels)
    assert labels.rasterise(IMAGE, IMAGE.window).tolist() == [[1, 2, 2, 0], [1, 1, 0, 0]]


def test_palette_of_other_colours_leaves_the_numbers(write_raster):
    indices = np.array([[1, 2, 2, 1], [1, 1, 0, 0]], np.uint8)
    labels = Labels(schema=SCHEMA).open(IMAGE, "image.jpg", write_raster(indices, colormap={1: (9, 9, 9)}))
    assert isinstance(labels, RasterLabels)
    assert np.array_equal(labels.rasterise(IMAGE, IMAGE.window), indices)


def test_rgb_mask_without_schema_is_refused_with_its_colours(write_raster):
    source = open_source(write_raster(MASK, name="mask.png"))
    with pytest.raises(DataError, match=r"CLASS_SCHEMA.*#6EC1E4"):
        is_color_mask(source, None)


def test_label_image_of_five_bands_is_refused(write_raster):
    source = open_source(write_raster(np.zeros((5, 2, 4), np.uint8)))
    with pytest.raises(DataError, match="5 bands"):
        is_color_mask(source, SCHEMA)
