"""Every kind of parameter, from the dialog's side: definition, help, what is accepted, what the job gets."""

from __future__ import annotations

import json
import os

import processing
import pytest
from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsProcessingContext,
    QgsProcessingOutputLayerDefinition,
    QgsProcessingOutputNumber,
    QgsProcessingOutputString,
    QgsProcessingParameterDefinition,
    QgsProperty,
    QgsRectangle,
    QgsReferencedRectangle,
    QgsVectorLayer,
)
from samples import squares, write_raster

TYPES = {
    "RASTER": "raster",
    "RASTERS": "multilayer",
    "FEATURES": "source",
    "LAYER": "layer",
    "LAYER_SELECTED_ONLY": "boolean",
    "FIELD": "field",
    "FOLDER": "file",
    "FOLDERS": "file",
    "FILES": "multilayer",
    "FILE": "file",
    "ACTION": "string",
    "REMARK": "string",
    "CHOICE": "enum",
    "LEVEL": "enum",
    "QUALITY": "number",
    "NAMED": "matrix",
    "OVERLAY": "layer",
    "OVERLAY_SELECTED_ONLY": "boolean",
    "WHOLE": "number",
    "REAL": "number",
    "SWITCH": "boolean",
    "AMOUNT": "number",
    "ARGUMENTS": "matrix",
    "EXTENT": "extent",
    "CELL_SIZE": "number",
    "OUT_RASTER": "rasterDestination",
    "OUT_FEATURES": "vectorDestination",
    "OUT_SKETCH": "vectorDestination",
    "OUT_FOLDER": "folderDestination",
    "OUT_TABLE": "vectorDestination",
    "OUT_FILE": "fileDestination",
}


@pytest.fixture
def toy(toys):
    return toys.algorithm("quicktoy").create()


def check(toy, **values):
    return toy.checkParameterValues(values, QgsProcessingContext())


def job_of(**values):
    """What the job held when the toy ran with ``values``."""
    return json.loads(processing.run("toys:quicktoy", values)["SEEN"])["values"]


def test_each_kind_has_its_qgis_parameter(toy):
    assert {d.name(): d.type() for d in toy.parameterDefinitions()} == TYPES


def test_help_defaults_limits_and_flags_come_from_the_declaration(toy):
    number = toy.parameterDefinition("WHOLE")
    assert number.help() == "A whole number."
    assert (number.defaultValue(), number.minimum(), number.maximum()) == (256, 1, 4096)
    choice = toy.parameterDefinition("CHOICE")
    assert choice.usesStaticStrings()
    assert choice.options() == ["TIFF", "PNG"]
    assert choice.defaultValue() == "PNG"
    assert choice.help().endswith("One of: TIFF, PNG.")
    assert toy.parameterDefinition("ARGUMENTS").defaultValue() == ["padding", "8"]
    assert toy.parameterDefinition("FIELD").parentLayerParameterName() == "LAYER"
    advanced = [
        d.name()
        for d in toy.parameterDefinitions()
        if d.flags() & QgsProcessingParameterDefinition.FlagAdvanced
    ]
    assert advanced == ["QUALITY", "REAL"]
    assert "Only with CHOICE TIFF." in toy.parameterDefinition("QUALITY").help()


def test_results_are_declared_outputs_so_that_models_can_chain(toy):
    outputs = {o.name(): o for o in toy.outputDefinitions()}
    assert isinstance(outputs["SEEN"], QgsProcessingOutputString)
    assert isinstance(outputs["NUMBER"], QgsProcessingOutputNumber)
    assert {"OUT_RASTER", "OUT_FOLDER", "OUT_FILE"} <= set(outputs)


def test_help_panel_has_one_paragraph_per_line(toy):
    assert toy.shortHelpString() == "First paragraph, wrapped.\nSecond: a &lt; b."


def test_everything_left_out_gives_the_defaults():
    job = job_of()
    assert job["CHOICE"] == "PNG"
    assert job["WHOLE"] == 256
    assert job["SWITCH"] is False
    assert job["ARGUMENTS"] == {"padding": "8"}
    assert job["RASTERS"] == []
    assert job["EXTENT"] is None


@pytest.mark.parametrize(
    "given",
    [
        ["padding", 16, "batch_size", 4],
        "padding 16;batch_size 4",
        "padding,16,batch_size,4",
        {"padding": 16, "batch_size": 4},
    ],
)
def test_arguments_come_as_a_table_or_as_text(given):
    assert job_of(ARGUMENTS=given)["ARGUMENTS"] == {"padding": "16", "batch_size": "4"}


@pytest.mark.parametrize("given", [True, "true", "ALL_TILES", 1])
def test_booleans_take_the_documented_keywords(given):
    assert job_of(SWITCH=given)["SWITCH"] is True
    assert job_of(SWITCH="SOME_TILES")["SWITCH"] is False


def test_choices_and_numbers_come_as_text_or_data_defined():
    job = job_of(CHOICE="tiff", WHOLE="128", REAL=QgsProperty.fromExpression("1.5 + 1"))
    assert (job["CHOICE"], job["WHOLE"], job["REAL"]) == ("TIFF", 128, 2.5)


def test_a_folder_may_be_a_pattern_and_folders_a_list(tmp_path):
    job = job_of(FOLDER=f"{tmp_path}/Tile */images/*.jpg", FOLDERS=["one", str(tmp_path)])
    assert job["FOLDER"] == f"{tmp_path}/Tile */images/*.jpg"
    assert job["FOLDERS"][0].endswith("/one")
    assert job["FOLDERS"][0].startswith("/")
    assert job_of(FOLDERS=f"/a;{tmp_path}")["FOLDERS"] == ["/a", str(tmp_path)]


@pytest.mark.parametrize("given", [["one.txt", "/a/two.txt"], "one.txt;/a/two.txt"])
def test_files_are_a_list_or_one_text(given):
    found = job_of(FILES=given)["FILES"]
    assert found == [os.path.abspath("one.txt"), os.path.abspath("/a/two.txt")]
    assert job_of(FILES="one.txt")["FILES"] == found[:1]
    assert job_of()["FILES"] == []


def test_a_file_may_be_given_as_its_text():
    """P2: a model definition may come as JSON text."""
    text = '{"Framework": "PyTorch",\n "Classes": []}'
    assert job_of(FILE=text)["FILE"] == text
    assert job_of(FILE="model.emd")["FILE"].startswith("/")


@pytest.mark.parametrize(
    ("given", "crs"),
    [
        ("1,3,2,4 [EPSG:32636]", "EPSG:32636"),
        ("1,3,2,4", ""),
        (QgsRectangle(1, 2, 3, 4), ""),
        (
            QgsReferencedRectangle(QgsRectangle(1, 2, 3, 4), QgsCoordinateReferenceSystem("EPSG:4326")),
            "EPSG:4326",
        ),
    ],
)
def test_an_extent_keeps_its_crs(given, crs):
    assert job_of(EXTENT=given)["EXTENT"] == {"bounds": [1, 2, 3, 4], "crs": crs}


def test_an_extent_may_be_a_layer(project):
    layer = squares(2)
    project.addMapLayer(layer)
    assert job_of(EXTENT=layer.id())["EXTENT"] == {"bounds": [0, 0, 3, 1], "crs": "EPSG:32636"}


def test_the_field_keeps_its_name_for_vector_and_raster_parents(tmp_path):
    assert job_of(LAYER=squares(), FIELD="class")["FIELD"] == "class"
    assert job_of(LAYER=write_raster(tmp_path / "a.tif"), FIELD=None)["FIELD"] is None


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"WHOLE": 0}, "WHOLE (Whole) cannot be 0. Give a number at least 1 and at most 4096."),
        ({"WHOLE": 13}, "WHOLE (Whole) is unlucky. Take another number."),
        ({"CHOICE": "GIF"}, "CHOICE (Choice) cannot be 'GIF'. Give one of TIFF, PNG."),
        (
            {"SWITCH": "maybe"},
            "SWITCH (Switch) cannot be 'maybe'. Give true or false or ALL_TILES or SOME_TILES.",
        ),
    ],
)
def test_bad_values_are_refused_in_the_tools_own_words(toy, values, message):
    assert check(toy, **values) == (False, message)


def test_a_raster_that_cannot_be_opened_is_named(toy):
    acceptable, message = check(toy, RASTERS=["/nowhere/a.tif"])
    assert not acceptable
    assert "RASTERS" in message
    assert "/nowhere/a.tif" in message


def test_outputs_go_to_temporary_names_on_request(tmp_path):
    raster = write_raster(tmp_path / "a.tif")
    done = processing.run(
        "toys:quicktoy",
        {"RASTER": raster, "OUT_RASTER": "TEMPORARY_OUTPUT", "OUT_FOLDER": "TEMPORARY_OUTPUT"},
    )
    assert done["OUT_RASTER"].endswith(".tif")
    assert "OUT_FOLDER" in done
    assert "OUT_FILE" not in done


def test_a_raster_format_the_engine_does_not_write_is_refused(toys):
    acceptable, message = check(toys.algorithm("quicktoy").create(), OUT_RASTER="classes.jp2")
    assert not acceptable
    assert "jp2" in message


def test_a_vector_output_is_a_file_that_loads(tmp_path):
    """Given a name, or a temporary one of the layer's usual format."""
    named = processing.run("toys:quicktoy", {"OUT_FEATURES": str(tmp_path / "outlines.geojson")})
    layer = QgsVectorLayer(named["OUT_FEATURES"], "outlines", "ogr")
    assert layer.isValid()
    assert layer.featureCount() == 1
    temporary = processing.run("toys:quicktoy", {"OUT_FEATURES": "TEMPORARY_OUTPUT"})["OUT_FEATURES"]
    assert temporary.endswith(".gpkg")


@pytest.mark.parametrize(
    "given", ["memory:", "memory:outlines", QgsProcessingOutputLayerDefinition("memory:")]
)
def test_a_layer_in_memory_becomes_a_temporary_file(given):
    """Another process writes it."""
    path = processing.run("toys:quicktoy", {"OUT_FEATURES": given})["OUT_FEATURES"]
    assert path.endswith(".gpkg")
    assert QgsVectorLayer(path, "outlines", "ogr").isValid()


@pytest.mark.parametrize(
    "given", ["out.shp", "ogr:dbname='a.gpkg' table=\"x\" (geom)", "postgres://service='x' table=\"y\""]
)
def test_a_vector_output_that_is_not_one_file_is_refused(toy, given):
    acceptable, message = check(toy, OUT_FEATURES=given)
    assert not acceptable
    assert message.startswith("OUT_FEATURES (Outlines) cannot be")
    assert message.endswith("Give a file name that ends in .gpkg, .geojson, .fgb.")


def test_a_vector_output_loads_under_its_name(toys, project, tmp_path):
    """Its label, or what the caller calls it."""
    processing.runAndLoadResults("toys:quicktoy", {"OUT_FEATURES": str(tmp_path / "a.geojson")})
    named = QgsProcessingOutputLayerDefinition(str(tmp_path / "b.geojson"), project)
    named.destinationName = "Town"
    processing.runAndLoadResults("toys:quicktoy", {"OUT_FEATURES": named})
    layers = {layer.name(): layer for layer in project.mapLayers().values()}
    assert set(layers) == {"Outlines", "Town"}
    assert all(layer.isValid() and layer.featureCount() == 1 for layer in layers.values())


def test_a_table_without_geometry_is_a_layer(tmp_path):
    """Label tables have none; the job gets the file."""
    table = tmp_path / "boxes.csv"
    table.write_text("image,xmin\na.jpg,3\n")
    layer = QgsVectorLayer(str(table), "boxes", "ogr")
    assert not layer.isSpatial()
    assert job_of(LAYER=layer)["LAYER"] == str(table)
    assert job_of(LAYER=str(table))["LAYER"] == str(table)
