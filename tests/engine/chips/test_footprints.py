"""The layer of chip outlines, read back with a plain reader."""

import sqlite3
import tracemalloc
from xml.etree import ElementTree

import pyogrio
import pytest
import shapely
from rasterio.crs import CRS
from rasterio.warp import transform

from imagerydl.chips.footprints import FootprintLayer
from imagerydl.labels.classes import ClassEntry, ClassSchema

UTM, DEGREES = CRS.from_epsg(32633), CRS.from_epsg(4326)
CLASSES = ClassSchema([ClassEntry(1, "Roof"), ClassEntry(7, "Lawn")])


def square(x, y, size):
    """Corners from the upper left one clockwise, y upwards."""
    return [(x, y), (x + size, y), (x + size, y - size), (x, y - size)]


def write(path, chips, crs, classes=CLASSES):
    """Write chips given as (name, corners, image, split, angle, counts, system); give fields and shapes."""
    layer = FootprintLayer()
    for chip in chips:
        layer.add(*chip)
    layer.write(path, crs, classes)
    return read(path)


def read(path):
    meta, _, shapes, columns = pyogrio.raw.read(path, layer="chips")
    fields = {name: column.tolist() for name, column in zip(meta["fields"], columns)}
    return meta, fields, shapely.from_wkb(shapes)


def test_outlines_and_counts(tmp_path):
    chips = [
        ("000000000000", square(400000, 5500000, 64), "a.tif", "train", 0.0, {1: 3}, UTM),
        ("000000000009", square(400064, 5500000, 64), "ä b.tif", "test", 45.5, {7: 2, 1: 1}, UTM),
        ("000000000010", square(400128, 5500000, 64), "a.tif", "train", 0.0, {}, UTM),
    ]
    meta, fields, shapes = write(tmp_path / "chips.gpkg", chips, UTM)
    assert CRS.from_user_input(meta["crs"]) == UTM
    assert meta["geometry_type"] == "Polygon"
    assert fields == {
        "chip": ["000000000000", "000000000009", "000000000010"],
        "image": ["a.tif", "ä b.tif", "a.tif"],
        "split": ["train", "test", "train"],
        "angle": [0.0, 45.5, 0.0],
        "c_1": [3, 1, 0],
        "c_7": [0, 2, 0],
        "labels": [3, 3, 0],
    }
    assert [shape.bounds for shape in shapes][1] == (400064, 5499936, 400128, 5500000)
    assert all(shape.is_valid and shape.area == 64**2 for shape in shapes)


def test_chips_of_several_systems_lie_where_they_are(tmp_path):
    there = transform(UTM, DEGREES, [400000, 400064, 400064, 400000], [5500000, 5500000, 5499936, 5499936])
    chips = [
        ("0", square(400000, 5500000, 64), "a", "", 0.0, {}, UTM),
        ("1", list(zip(*there)), "b", "", 0.0, {}, DEGREES),
    ]
    _, _, shapes = write(tmp_path / "chips.gpkg", chips, UTM)
    assert shapes[0].hausdorff_distance(shapes[1]) < 1e-3


def test_image_space_has_rows_downwards(tmp_path):
    """Without a system, columns and rows lie where QGIS shows an image without georeference."""
    corners = [(8, 16), (24, 16), (24, 32), (8, 32)]
    meta, _, shapes = write(tmp_path / "chips.gpkg", [("0", corners, "a.png", "", 0.0, {}, None)], None)
    assert not meta["crs"]
    assert shapes[0].bounds == (8, -32, 24, -16)


@pytest.mark.parametrize(("own", "layer"), [(None, UTM), (UTM, None)])
def test_a_chip_without_a_place_has_no_outline_but_its_counts(tmp_path, own, layer):
    """An image without georeference lies nowhere on a map."""
    chips = [
        ("0", square(400000, 5500000, 64), "a", "", 0.0, {1: 1}, layer),
        ("1", square(0, 64, 64), "b", "", 0.0, {1: 5}, own),
    ]
    _, fields, shapes = write(tmp_path / "chips.gpkg", chips, layer)
    assert [shape is None for shape in shapes] == [False, True]
    assert fields["c_1"] == [1, 5]


def test_without_classes_what_was_counted_has_fields(tmp_path):
    chips = [("0", square(0, 9, 9), "a", "", 0.0, {4: 2, 2: 1}, UTM)]
    _, fields, _ = write(tmp_path / "chips.gpkg", chips, UTM, ClassSchema())
    assert list(fields)[4:] == ["c_2", "c_4", "labels"]


def test_no_chip_at_all(tmp_path):
    _, fields, shapes = write(tmp_path / "chips.gpkg", [], UTM)
    assert fields["chip"] == []
    assert len(shapes) == 0


def style(path):
    """The default style, by the query with which QGIS looks for it."""
    with sqlite3.connect(path) as database:
        rows = database.execute(
            "SELECT styleQML FROM layer_styles WHERE f_table_schema = '' AND f_table_name = 'chips' "
            "AND f_geometry_column = 'geom' AND useAsDefault = 1"
        ).fetchall()
    ((text,),) = rows
    return ElementTree.fromstring(text).find("renderer-v2")


def chips_in(*splits):
    return [(str(n), square(n * 9, 9, 9), "a", split, 0.0, {}, UTM) for n, split in enumerate(splits)]


def test_style_shows_outlines_by_part(tmp_path):
    """Nothing is filled, so that the image is seen; each part of the export has its own colour."""
    write(tmp_path / "chips.gpkg", chips_in("train", 'a & "b"', "train", "test"), UTM)
    renderer = style(tmp_path / "chips.gpkg")
    assert (renderer.get("type"), renderer.get("attr")) == ("categorizedSymbol", "split")
    assert [one.get("value") for one in renderer.iter("category")] == ["train", "test", 'a & "b"']
    symbols = {one.get("name"): one for one in renderer.iter("symbol")}
    options = [
        {option.get("name"): option.get("value") for option in symbols[one.get("symbol")].iter("Option")}
        for one in renderer.iter("category")
    ]
    assert {layer.get("class") for layer in renderer.iter("layer")} == {"SimpleLine"}
    assert len({one["line_color"] for one in options}) == 3


def colors(path):
    """Colour of the outline by part of the export."""
    renderer = style(path)
    by_symbol = {
        symbol.get("name"): option.get("value")
        for symbol in renderer.iter("symbol")
        for option in symbol.iter("Option")
        if option.get("name") == "line_color"
    }
    return {one.get("value"): by_symbol[one.get("symbol")] for one in renderer.iter("category")}


def test_a_part_has_the_same_colour_in_every_export(tmp_path):
    """Whichever chip came first, and whether or not a part is missing."""
    write(tmp_path / "one.gpkg", chips_in("train", "validation", "test"), UTM)
    write(tmp_path / "two.gpkg", chips_in("test", "train"), UTM)
    one, two = colors(tmp_path / "one.gpkg"), colors(tmp_path / "two.gpkg")
    assert len(set(one.values())) == 3
    assert two == {part: one[part] for part in ("train", "test")}


def test_style_of_an_undivided_export(tmp_path):
    write(tmp_path / "chips.gpkg", chips_in("", ""), UTM)
    assert style(tmp_path / "chips.gpkg").get("type") == "singleSymbol"


def test_other_vector_files_are_written_without_a_style(tmp_path):
    layer = FootprintLayer()
    for chip in chips_in(""):
        layer.add(*chip)
    layer.write(tmp_path / "chips.geojson", UTM, CLASSES)
    assert [path.name for path in tmp_path.iterdir()] == ["chips.geojson"]
    shapes = pyogrio.raw.read(tmp_path / "chips.geojson")[2]
    assert len(shapes) == 1


def test_memory_is_numbers_only():
    """A chip costs its eight coordinates and few bytes more, however many there are."""
    layer, corners, counts = FootprintLayer(), square(0.5, 9.5, 9), {1: 4}
    name = "a long name of an image.tif"
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for number in range(20_000):
        layer.add(f"{number:012d}", corners, name, "train", 0.0, counts, UTM)
    used = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert used / 20_000 < 200
