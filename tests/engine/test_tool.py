"""Declarations turn whatever people, models and scripts give into what a job holds."""

from dataclasses import replace

import pytest

from imagerydl.errors import ParameterError
from imagerydl.tool import Kind, Param, Tool


def make(kind, **more):
    return Param("KEY", kind, "Label", "Help.", **more)


@pytest.mark.parametrize(
    ("param", "given", "held"),
    [
        (make(Kind.INTEGER, minimum=1), "9.0", 9),
        (make(Kind.INTEGER), 4.0, 4),
        (make(Kind.NUMBER), "0.25", 0.25),
        (make(Kind.NUMBER, default=1.5), "", 1.5),
        (make(Kind.BOOLEAN), "True", True),
        (make(Kind.BOOLEAN, words=("ALL_TILES", "ONLY_TILES_WITH_FEATURES")), "all_tiles", True),
        (
            make(Kind.BOOLEAN, words=("ALL_TILES", "ONLY_TILES_WITH_FEATURES")),
            "ONLY_TILES_WITH_FEATURES",
            False,
        ),
        (make(Kind.CHOICE, choices=("TIFF", "PNG")), "png", "PNG"),
        (make(Kind.RASTERS), 'a b.tif;"c.tif"', ["a b.tif", "c.tif"]),
        (make(Kind.RASTERS), ["a.tif"], ["a.tif"]),
        (make(Kind.RASTERS), None, []),
        (make(Kind.ARGUMENTS), "padding 32;batch_size 4", {"padding": "32", "batch_size": "4"}),
        (
            make(Kind.ARGUMENTS),
            ["padding", 32.0, "rotate", "30.0;0.5"],
            {"padding": "32", "rotate": "30.0;0.5"},
        ),
        (make(Kind.ARGUMENTS), {"padding": 8}, {"padding": "8"}),
        (
            make(Kind.ARGUMENTS),
            ["zoom (0.75,1.35);0.7", "dihedral 1.0;mirror 0.5"],
            {"zoom": "(0.75,1.35);0.7", "dihedral": "1.0", "mirror": "0.5"},
        ),
        (make(Kind.ARGUMENTS), ["padding", "8 9"], {"padding": "8 9"}),
        (make(Kind.ARGUMENTS), [["padding", 8]], {"padding": "8"}),
        (
            make(Kind.EXTENT),
            "0,10,5,7.5 [EPSG:32631]",
            {"bounds": [0.0, 5.0, 10.0, 7.5], "crs": "EPSG:32631"},
        ),
        (make(Kind.EXTENT), {"bounds": [0, 0, 1, 1]}, {"bounds": [0.0, 0.0, 1.0, 1.0], "crs": ""}),
        (make(Kind.OUT_FEATURES), "a/chips.GPKG", "a/chips.GPKG"),
    ],
)
def test_values_are_taken_in_every_spelling(param, given, held):
    """O18: "name value;name value" is the ArcGIS spelling of arguments."""
    assert param.coerce(given) == held


@pytest.mark.parametrize(
    ("param", "given", "wanted"),
    [
        (make(Kind.INTEGER), "many", "a number"),
        (make(Kind.INTEGER), 2.5, "a whole number"),
        (make(Kind.INTEGER, minimum=1, maximum=9), 0, "at least 1 and at most 9"),
        (make(Kind.NUMBER), "nan", "a number"),
        (make(Kind.BOOLEAN), "maybe", "true or false"),
        (make(Kind.CHOICE, choices=("TIFF", "PNG")), "GIF", "one of TIFF, PNG"),
        (make(Kind.ARGUMENTS), ["padding"], "a value for each argument"),
        (make(Kind.EXTENT), "1,2,3", "xmin,xmax,ymin,ymax"),
        (make(Kind.EXTENT), "10,0,5,7", "xmin < xmax"),
        (make(Kind.OUT_FEATURES), "out.shp", "ends in .gpkg, .geojson, .fgb"),
        (make(Kind.OUT_FEATURES), "memory:", "ends in .gpkg"),
        (make(Kind.OUT_FEATURES), "ogr:dbname='a.gpkg' table=\"x\" (geom)", "ends in .gpkg"),
    ],
)
def test_refusals_name_the_parameter_the_value_and_what_would_do(param, given, wanted):
    with pytest.raises(ParameterError) as caught:
        param.coerce(given)
    assert "KEY (Label)" in str(caught.value)
    assert wanted in str(caught.value)


TOOL = Tool(
    id="toy",
    command="toy",
    title="Toy",
    group="Test",
    summary="A toy.",
    description="A toy.",
    params=(
        Param("IN_RASTER", Kind.RASTERS, "Input", "The input."),
        Param("SIZE", Kind.INTEGER, "Size", "In pixels.", default=256),
    ),
    results=(),
    run=lambda job, reporter: {},
)


def test_a_tool_completes_what_it_is_given():
    assert TOOL.coerce({"IN_RASTER": "a.tif"}) == {"IN_RASTER": ["a.tif"], "SIZE": 256}


def test_a_tool_refuses_missing_and_unknown_parameters_by_name():
    with pytest.raises(ParameterError, match=r"IN_RASTER \(Input\) is missing"):
        TOOL.coerce({})
    with pytest.raises(ParameterError, match=r"no parameter TILE_SIZE.*It takes IN_RASTER, SIZE"):
        TOOL.coerce({"IN_RASTER": "a.tif", "TILE_SIZE": 1})


CHOOSY = Tool(
    id="choosy",
    command="choosy",
    title="Choosy",
    group="Test",
    summary="A toy.",
    description="A toy.",
    params=(
        Param("FORMAT", Kind.CHOICE, "Format", "Which.", default="BOXES", choices=("BOXES", "TILES")),
        Param(
            "CROP", Kind.BOOLEAN, "Crop", "Tiles only.", default=False, only_with=(("FORMAT", ("TILES",)),)
        ),
        Param(
            "FIELDS", Kind.RASTERS, "More", "Tiles only.", optional=True, only_with=(("FORMAT", ("TILES",)),)
        ),
    ),
    results=(),
    run=lambda job, reporter: {},
)


def test_what_does_not_apply_to_a_choice_is_refused_by_name():
    assert CHOOSY.coerce({"FORMAT": "tiles", "CROP": True})["CROP"] is True
    assert CHOOSY.coerce({"CROP": False, "FIELDS": []}) == {"FORMAT": "BOXES", "CROP": False, "FIELDS": []}
    with pytest.raises(ParameterError, match=r"CROP \(Crop\) does not apply to FORMAT=BOXES") as caught:
        CHOOSY.coerce({"CROP": True})
    assert "It applies to TILES" in str(caught.value)
    with pytest.raises(ParameterError, match="FIELDS"):
        CHOOSY.coerce({"FIELDS": "a.tif"})


def test_a_switch_decides_as_a_choice_does():
    amount = Param("AMOUNT", Kind.NUMBER, "Amount", "How much.", default=0.0, only_with=(("ON", (True,)),))
    tool = replace(CHOOSY, params=(Param("ON", Kind.BOOLEAN, "On", "Whether.", default=False), amount))
    assert tool.coerce({"ON": "true", "AMOUNT": 3})["AMOUNT"] == 3
    assert tool.conditions(amount) == [("ON", True, ("true",))]
    with pytest.raises(ParameterError, match=r"does not apply to ON=false.*applies to true"):
        tool.coerce({"AMOUNT": 3})


@pytest.mark.parametrize(("extension", "name"), [("", "a.DBF"), ("", "a.gpkg"), ("csv", "a.csv")])
def test_a_table_is_called_by_its_format(extension, name):
    assert make(Kind.OUT_TABLE, extension=extension).coerce(name) == name
    with pytest.raises(ParameterError, match=r"ends in \.csv"):
        make(Kind.OUT_TABLE, extension=extension).coerce("a.xlsx")
    with pytest.raises(ParameterError, match=r"ends in \.csv\.?$"):
        make(Kind.OUT_TABLE, extension="csv").coerce("a.gpkg")


BOTH = (("FORMAT", ("TILES", "COCO")), ("SPLIT", ("BLOCKS",)))


@pytest.mark.parametrize(
    ("values", "applies"),
    [
        ({"FORMAT": "TILES", "SPLIT": "BLOCKS"}, True),
        ({"FORMAT": "COCO", "SPLIT": "BLOCKS"}, True),
        ({"FORMAT": "TILES", "SPLIT": "NONE"}, False),
        ({"FORMAT": "BOXES", "SPLIT": "BLOCKS"}, False),
        ({"FORMAT": None, "SPLIT": "BLOCKS"}, False),
        ({"FORMAT": "TILES"}, False),
        ({}, False),
    ],
)
def test_all_choices_must_hold(values, applies):
    """One that is empty or unknown does not."""
    assert make(Kind.TEXT, only_with=BOTH).applies(values) is applies
    assert make(Kind.TEXT).applies(values)


def test_the_choice_that_is_wrong_is_the_one_named():
    def choice(key, *words):
        return Param(key, Kind.CHOICE, key.title(), "Which.", default=words[0], choices=words)

    tool = replace(
        CHOOSY,
        params=(
            choice("FORMAT", "TILES", "COCO", "BOXES"),
            choice("SPLIT", "NONE", "BLOCKS"),
            Param("SEED", Kind.INTEGER, "Seed", "A number.", default=42, only_with=BOTH),
        ),
    )
    assert tool.coerce({"SEED": "42"})["SEED"] == 42, "its default passes, however it is spelled"
    with pytest.raises(
        ParameterError, match=r"SEED \(Seed\) does not apply to SPLIT=NONE.*applies to BLOCKS"
    ):
        tool.coerce({"SEED": 7})
    with pytest.raises(ParameterError, match=r"does not apply to FORMAT=BOXES.*applies to TILES, COCO"):
        tool.coerce({"SEED": 7, "FORMAT": "BOXES", "SPLIT": "BLOCKS"})
    assert tool.conditions(tool.param("SEED")) == [
        ("FORMAT", False, ("BOXES",)),
        ("SPLIT", True, ("BLOCKS",)),
    ]
