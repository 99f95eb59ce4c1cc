"""What functions are told of rasters, and what they say of their output."""

from __future__ import annotations

import json

import pytest

from imagerydl.errors import ModelError
from imagerydl.labels.classes import ClassEntry
from imagerydl.models.raster_functions.raster_info import OutputInfo, class_table, describe
from imagerydl.models.runtimes.protocol import Scene


def table(*records):
    return json.dumps({"features": [{"attributes": record} for record in records]})


def test_a_raster_in_the_words_of_the_contract():
    told = describe(Scene(10, 20, (0.5, 0, 100, 0, -0.5, 900), 32633, "uint16", 0.0), 3, "uint16")
    assert told["extent"] == (100, 890, 105, 900)
    assert (told["cellSize"], told["bandCount"], told["pixelType"]) == ((0.5, 0.5), 3, "u2")
    assert (told["noData"], told["spatialReference"]) == ((0.0, 0.0, 0.0), 32633)


def test_a_turned_raster_has_its_bounding_box_as_extent():
    told = describe(Scene(10, 10, (0, 2, 0, 2, 0, 0), None, "uint8"), 1, "uint8")
    assert (told["extent"], told["cellSize"]) == ((0, 0, 20, 20), (2, 2))


@pytest.mark.parametrize(
    "record",
    [
        {"OID": 1, "Value": 7, "Class": "Roof", "Red": 1, "Green": 2, "Blue": 3},
        {"Classvalue": "7", "Classname": "Roof", "red": 1, "green": 2, "blue": 3},
        {"ClassValue": 7.0, "ClassName": "Roof", "RED": 1, "GREEN": 2, "BLUE": 3},
    ],
)
def test_class_tables_of_any_spelling(record):
    assert list(class_table("Mine.py", table(record))) == [ClassEntry(7, "Roof", (1, 2, 3))]


def test_a_class_without_name_or_colour_is_named_by_its_value():
    record = {"Value": 0, "Red": -1, "Green": -1, "Blue": -1}
    assert list(class_table("Mine.py", json.loads(table(record)))) == [ClassEntry(0, "Class 0", None)]


def test_no_table_means_the_definitions_classes():
    assert class_table("Mine.py", "") is None
    assert class_table("Mine.py", table()) is None


@pytest.mark.parametrize(
    "broken", ["{", "[]", {"features": [{}]}, table({"Class": "Roof"}), table({"Value": -5, "Class": "Roof"})]
)
def test_a_table_that_cannot_be_read_is_named(broken):
    with pytest.raises(ModelError, match=r"class table.* of Mine\.py"):
        class_table("Mine.py", broken)


@pytest.mark.parametrize(
    ("info", "expected"),
    [
        ({"pixelType": "u1"}, ("uint8", 1, None, 255)),
        ({"pixelType": "i4", "noData": (-1,)}, ("int32", 1, -1, -1)),
        ({"pixelType": "u1", "noData": -9999.0}, ("uint8", 1, None, 255)),
        ({"pixelType": "f4", "noData": [-9999]}, ("float32", 1, -9999.0, -9999.0)),
        ({"pixelType": "t4", "bandCount": 2}, ("uint8", 2, None, 255)),
    ],
)
def test_the_output_as_announced(info, expected):
    output = OutputInfo.read("Mine.py", {"output_info": info}, {})
    assert (output.pixel_type, output.bands, output.nodata, output.no_value) == expected


def test_changes_a_function_makes_without_giving_them_back_count():
    assert OutputInfo.read("Mine.py", None, {"pixelType": "u2"}).pixel_type == "uint16"


@pytest.mark.parametrize(
    "info",
    [{"pixelType": "rgb"}, {}, {"pixelType": "u1", "bandCount": 0}, {"pixelType": "u1", "noData": "none"}],
)
def test_an_output_that_cannot_be_is_named(info):
    with pytest.raises(ModelError, match=r"updateRasterInfo of Mine\.py gives"):
        OutputInfo.read("Mine.py", {"output_info": info}, {})
