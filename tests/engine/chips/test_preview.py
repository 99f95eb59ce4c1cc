"""The preview sheet shows what is in the folder."""

import json

import numpy as np
import pytest
import rasterio
from PIL import Image

from imagerydl.chips.preview import write_preview
from imagerydl.errors import DataError

#: Colours that do not occur in the imagery of these tests, which is grey.
RED, GREEN = (220, 20, 30), (10, 200, 40)
CLASSES = [
    {"Value": 1, "Name": "Roof", "Color": list(RED)},
    {"Value": 7, "Name": "Wiese, грядка", "Color": list(GREEN)},
    {"Value": 9, "Name": "x" * 300, "Color": [-1, -1, -1]},
]
SIDE = 32


def write_raster(path, data, **profile):
    path.parent.mkdir(parents=True, exist_ok=True)
    data = np.asarray(data)
    data = data[None] if data.ndim == 2 else data
    shape = dict(zip(("count", "height", "width"), data.shape))
    with rasterio.open(path, "w", "GTiff", dtype=data.dtype, **shape, **profile) as dataset:
        dataset.write(data)


def grey(bands=3, value=100, dtype="uint8"):
    return np.full((bands, SIDE, SIDE), value, dtype)


def write_folder(root, kind, image=None, count=3, folders=("images",), bands=None, **definition):
    """A folder with ``count`` like chips; labels are written by the tests themselves."""
    image = grey() if image is None else image
    for number in range(count):
        for folder in folders:
            write_raster(root / folder / f"{number:012d}.tif", image)
    root.mkdir(exist_ok=True)
    said = {"MetaDataMode": kind, "Classes": CLASSES, **definition}
    if bands:
        said["InputRastersProps"] = {"RasterCount": 1, "SensorName": "", "BandNames": bands}
    (root / "esri_model_definition.emd").write_text(json.dumps(said))
    return root


def label(root, text, name="labels/000000000000.txt"):
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(text)


def sheet(root, **arguments):
    path = root.parent / "preview.png"
    write_preview(root, path, **arguments)
    with Image.open(path) as image:
        assert image.mode == "RGB"
        return np.array(image)


def has(pixels, color, tolerance=0):
    """How many pixels have a colour."""
    return int((np.abs(pixels.astype(int) - color).max(axis=-1) <= tolerance).sum())


def veiled(color, under=100):
    return tuple(int(under + 0.45 * (part - under)) for part in color)


def test_boxes_in_the_colours_of_their_classes(tmp_path):
    root = write_folder(tmp_path / "chips", "KITTI_rectangles")
    label(root, "1 0 0 0 2 3 20 25 0 0 0 0 0 0 0\n7 0 0 0 5 5 9 9 0 0 0 0 0 0 0\n")
    for number in (1, 2):
        label(root, "", f"labels/{number:012d}.txt")
    pixels = sheet(root)
    assert pixels.shape[1] == 1600
    # The first chip lies at 12, 12, 400 pixels wide: its box is where it should be.
    scale = 400 / SIDE
    left, top, right, bottom = (round(12 + side * scale) for side in (2, 3, 20, 25))
    assert has(pixels[top + 40 : bottom - 10, left : left + 2], RED) == 2 * (bottom - top - 50)
    assert has(pixels[bottom - 2 : bottom, left + 60 : right - 5], RED) == 2 * (right - left - 65)
    assert has(pixels, GREEN) > 100


def test_class_pixels_half_transparent(tmp_path):
    root = write_folder(tmp_path / "chips", "Classified_Tiles", count=1)
    pixels = np.zeros((SIDE, SIDE), np.uint8)
    pixels[:, :8] = 1
    write_raster(root / "labels" / "000000000000.tif", pixels)
    shown = sheet(root)[12:412, 12:412]
    assert has(shown, veiled(RED), 1) == 400 * 100
    assert has(shown, (100, 100, 100)) == 400 * 300


def test_instances_are_told_apart(tmp_path):
    root = write_folder(tmp_path / "chips", "RCNN_Masks", count=1)
    mask = np.zeros((SIDE, SIDE), np.uint8)
    mask[2:10, 2:10], mask[20:30, 20:30] = 1, 2
    write_raster(root / "labels" / "Roof" / "000000000000.tif", mask)
    shown = sheet(root)
    scale = 400 / SIDE
    first, second = (shown[round(12 + at * scale), round(12 + at * scale)] for at in (8, 27))
    assert tuple(first) != (100, 100, 100)
    assert tuple(first) != tuple(second)


def test_two_images_lie_side_by_side(tmp_path):
    """Of 5 pairs none is parted by the end of a row; each raster is stretched by its own values."""
    root = write_folder(tmp_path / "chips", "Export_Tiles", count=5)
    ramp = np.linspace(0, 1, SIDE * SIDE, dtype=np.float32).reshape(1, SIDE, SIDE)
    for number in range(5):
        write_raster(root / "images2" / f"{number:012d}.tif", ramp + 5000)
    shown = sheet(root)
    # Pictures of the first raster are evenly grey; of the second they run from black to white.
    side = 1600 // 4
    row = shown[12 + side // 2]
    assert [len(np.unique(row[x : x + side - 40, 0])) == 1 for x in (20, 20 + side, 20 + 2 * side)] == [
        True, False, True,
    ]  # fmt: skip
    second = shown[12 : 12 + side - 20, 12 + side : 2 * side - 8]
    assert second.min() < 5
    assert second.max() > 250


def test_sides_of_cyclegan_lie_side_by_side(tmp_path):
    """Sides may differ in everything; where one has fewer chips, the other's follow."""
    root = tmp_path / "chips"
    write_folder(root / "A", "CycleGAN", grey(3, 50), count=4, Classes=None)
    write_folder(root / "B", "CycleGAN", grey(1, 200), count=2, Classes=None)
    shown = sheet(root)
    assert has(shown, (50, 50, 50)) > 1.9 * has(shown, (200, 200, 200)) > 0


def test_whole_chips_are_named(tmp_path):
    """A name too long for its chip is cut."""
    root = write_folder(tmp_path / "chips", "Imagenet", count=0, folders=())
    for folder in ("Roof", "x" * 200):
        write_raster(root / "images" / folder / "000000000000.tif", grey())
    definition = json.loads((root / "esri_model_definition.emd").read_text())
    definition["Classes"][2]["Name"] = "x" * 200
    (root / "esri_model_definition.emd").write_text(json.dumps(definition))
    shown = sheet(root)
    # Grey images: what is white in a chip is the paper of its name.
    short, long = (has(shown[12:40, left : left + 400], (255, 255, 255)) for left in (12, 424))
    assert 100 < short < long / 5


@pytest.mark.parametrize(
    ("dtype", "high"), [("uint16", 9000), ("float32", 0.3), ("int16", -20), ("float64", 1)]
)
def test_other_imagery_is_stretched(tmp_path, dtype, high):
    """Values without data are no values: they do not darken the rest, and are black."""
    image = np.linspace(high - 100 if high > 1 or high < 0 else 0, high, SIDE * SIDE).reshape(1, SIDE, SIDE)
    image = image.astype(dtype)
    if dtype.startswith("float"):
        image[0, 0, 0], image[0, 0, 1] = np.nan, np.inf
    shown = sheet(write_folder(tmp_path / "chips", "Export_Tiles", image, count=1))[12:412, 12:412]
    assert shown.min() < 5
    assert shown.max() > 250


def test_no_data_does_not_count_in_the_stretch(tmp_path):
    root = write_folder(tmp_path / "chips", "Export_Tiles", count=1)
    image = np.full((1, SIDE, SIDE), -9999, np.int16)
    image[0, 16:] = np.linspace(100, 200, 16 * SIDE).reshape(16, SIDE)
    write_raster(root / "images" / "000000000000.tif", image, nodata=-9999)
    shown = sheet(root)[12:412, 12:412]
    assert shown[:190].max() == 0
    assert shown[210:].max() > 250
    assert shown[205:210].max() < 30


@pytest.mark.parametrize("count", [1, 2, 4, 224])
def test_any_number_of_bands(tmp_path, count):
    names = [f"b{number}" for number in range(count)]
    image = np.arange(count, dtype=np.uint8)[:, None, None] + np.zeros((1, SIDE, SIDE), np.uint8)
    for band, name in zip((-1, -2, -3), ("Blue", "Green", "Red")):
        if count > 3:
            names[band] = name
    shown = sheet(write_folder(tmp_path / "chips", "Export_Tiles", image, count=1, bands=names))
    expected = (count - 3, count - 2, count - 1) if count > 3 else (0, 0, 0)
    assert tuple(shown[200, 200]) == expected


def test_as_many_as_asked_for_spread_evenly(tmp_path):
    """Image number n has the value n: first, last and what lies between is shown."""
    root = tmp_path / "chips"
    for number in range(50):
        write_raster(root / "images" / f"{number:012d}.tif", grey(value=number))
    write_folder(root, "Export_Tiles", count=0)
    shown = sheet(root, limit=8)
    values = [value for value in range(50) if has(shown, (value,) * 3) > 20_000]
    assert values == [0, 7, 14, 21, 28, 35, 42, 49]


def test_a_page_on_its_side(tmp_path):
    root = write_folder(tmp_path / "chips", "Export_Tiles", count=30)
    height, width, _ = sheet(root).shape
    assert width == 1600
    assert 1.1 < width / height < 1.6


def test_hundreds_of_classes_leave_room(tmp_path):
    classes = [{"Value": value, "Name": f"class {value}"} for value in range(1, 301)]
    root = write_folder(tmp_path / "chips", "Classified_Tiles", count=1, Classes=classes)
    write_raster(
        root / "labels" / "000000000000.tif",
        np.arange(SIDE * SIDE, dtype=np.uint16).reshape(SIDE, SIDE) % 301,
    )
    assert len(sheet(root)) < 900


def test_twice_the_same_bytes(tmp_path):
    root = write_folder(tmp_path / "chips", "KITTI_rectangles", count=1)
    label(root, "7 0 0 0 2 3 20 25 0 0 0 0 0 0 0\n9 0 0 0 2 3 9 9 0 0 0 0 0 0 0\n")
    for name in ("one.png", "two.png"):
        write_preview(root, tmp_path / name)
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()


def test_what_cannot_be_read_is_shown_as_a_problem(tmp_path):
    """A broken label or image costs its chip, not the sheet."""
    root = write_folder(tmp_path / "chips", "KITTI_rectangles", count=3)
    label(root, "1 0 0 0 2 3 20 25 0 0 0 0 0 0 0\n")
    label(root, "broken\n", "labels/000000000001.txt")
    label(root, "", "labels/000000000002.txt")
    clean = sheet(root)
    (root / "images" / "000000000002.tif").write_text("no image")
    (root / "labels" / "000000000001.txt").unlink()
    shown = sheet(root)
    problem = (180, 0, 0)
    assert has(clean, problem) > 50
    assert has(shown, problem) > 50
    assert has(shown, (235, 235, 235)) > 400 * 300
    assert has(shown, RED) > 100


def test_what_is_no_export_is_an_error(tmp_path):
    with pytest.raises(DataError, match="neither"):
        write_preview(tmp_path, tmp_path / "preview.png")
