"""Model definitions: what is read, and how a fault is named."""

import json

import pytest

from imagerydl.errors import ModelDefinitionError
from imagerydl.models.definition import load_definition, parse_definition
from imagerydl.models.package import FOLDER_VARIABLE, write_package

SAMPLE = {
    "Framework": "PyTorch",
    "ModelConfiguration": "ImageryDL",
    "ModelName": "UNET",
    "ModelType": "ImageClassification",
    "ModelFile": "town.safetensors",
    "ImageHeight": 160,
    "ImageWidth": 128,
    "ExtractBands": [2, 1, 0],
    "ModelParameters": {"class_values": [0, 1, 4]},
    "Normalization": {"Subtract": [0, 1, 2], "Divide": [255, 255, 254]},
    "Classes": [
        {"Value": 1, "Name": "Water", "Color": [0, 0, 255]},
        {"Value": 4, "Name": "Road", "Color": [-1, -1, -1]},
    ],
    "InputRastersProps": {"RasterCount": 3, "BandNames": ["Red", "Green", "Blue"]},
}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "town.safetensors").write_bytes(b"weights")
    (tmp_path / "town.emd").write_text(json.dumps(SAMPLE), encoding="utf-8")
    return tmp_path


def test_reads_every_key_it_uses(folder):
    definition = load_definition(str(folder / "town.emd"))
    assert definition.image_size == (160, 128)
    assert definition.extract_bands == (2, 1, 0)
    assert definition.output_values == (0, 1, 4)
    assert definition.normalisation.divide == (255, 255, 254)
    assert definition.classes[1].color == (0, 0, 255)
    assert definition.classes[4].color is None, "-1 means that the colour is not known"
    assert definition.band_names == ("Red", "Green", "Blue")
    assert definition.model_file == folder / "town.safetensors"
    assert definition.is_own


def test_file_text_and_package_say_the_same(folder, monkeypatch, tmp_path_factory):
    """P2: an .emd, a .dlpk and the JSON text are three spellings of one model."""
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path_factory.mktemp("packages")))
    package = folder / "town.dlpk"
    write_package([folder / "town.emd", folder / "town.safetensors"], package)
    absolute = json.dumps({**SAMPLE, "ModelFile": str(folder / "town.safetensors")})
    loaded = [load_definition(text) for text in (str(folder / "town.emd"), str(package), absolute)]
    assert len({d.classes for d in loaded}) == 1
    assert len({d.model_file.read_bytes() for d in loaded}) == 1
    assert len({d.normalisation for d in loaded}) == 1


@pytest.mark.parametrize(
    "written",
    [
        ".\\town.safetensors",
        "./town.safetensors",
        "\\Models\\town.safetensors",
        "C:\\Models\\town.safetensors",
    ],
)
def test_windows_paths_lead_to_the_file_beside_the_definition(folder, written):
    """P7: published definitions carry Windows paths of other machines."""
    assert parse_definition({**SAMPLE, "ModelFile": written}, folder).model_file.samefile(
        folder / "town.safetensors"
    )


def test_a_single_backslash_read_as_an_escape_still_leads_to_the_file(tmp_path):
    (tmp_path / "frozen.pb").write_bytes(b"x")
    text = json.dumps({**SAMPLE, "ModelFile": "@"}).replace("@", ".\\frozen.pb")
    (tmp_path / "m.emd").write_text(text, encoding="utf-8")
    assert load_definition(str(tmp_path / "m.emd")).model_file.name == "frozen.pb"


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"ModelFile": None}, "ModelFile"),
        ({"ModelFile": "e.g. ./trained.model"}, "ModelFile"),
        ({"ImageHeight": "e.g. 256"}, "ImageHeight"),
        ({"ImageWidth": 0}, "ImageWidth"),
        ({"ExtractBands": []}, "ExtractBands"),
        ({"ExtractBands": [-1]}, "ExtractBands"),
        ({"Classes": [{"Name": "x"}]}, "Classes"),
        ({"Classes": [{"Value": 1, "Name": "a"}, {"Value": 1, "Name": "b"}]}, "Classes"),
        ({"Normalization": {"Subtract": [0], "Divide": [1]}}, "normalisation"),
        ({"Normalization": {"Subtract": [0, 0, 0], "Divide": [1, 0, 1]}}, "normalisation"),
    ],
)
def test_the_key_at_fault_is_named(folder, change, named):
    with pytest.raises(ModelDefinitionError, match=named):
        parse_definition({**SAMPLE, **change}, folder, "town.emd")


def test_missing_model_file_is_named_with_the_place_looked_at(folder):
    """P3."""
    (folder / "town.safetensors").unlink()
    with pytest.raises(ModelDefinitionError, match=r"town\.safetensors.*does not exist"):
        load_definition(str(folder / "town.emd"))


def test_missing_definition_and_text_file_are_clear(tmp_path):
    with pytest.raises(ModelDefinitionError, match="does not exist"):
        load_definition(str(tmp_path / "no.emd"))
    (tmp_path / "words.emd").write_text("hello", encoding="utf-8")
    with pytest.raises(ModelDefinitionError, match=r"words\.emd is not JSON"):
        load_definition(str(tmp_path / "words.emd"))


def test_arcgis_learn_puts_background_first_and_normalises_as_imagenet(folder):
    raw = {key: value for key, value in SAMPLE.items() if key not in ("Normalization", "ModelParameters")}
    raw.update(Framework="arcgis.learn.models._inferencing", ExtractBands=[0, 1, 2])
    definition = parse_definition(raw, folder)
    assert definition.output_values == (0, 1, 4)
    assert definition.normalisation.subtract[0] == pytest.approx(0.485 * 255)


WRITTEN_BY_HAND = r"""{
  "Framework": "TensorFlow",
  "ModelConfiguration": "DeepLab"
  "ModelFile": "\Data\Land cover\frozen.pb",
  "ModelType": "ImageClassification",
  "ImageHeight": "513", "ImageWidth": 513,
  "ExtractBands": [0, 1, 2],
  "Classes": [
    {"Value": 0, "Name": "Forest", "Color": [0, 51, 0]},
    {"Value": "1", "Name": "Water", "Color": [-1, -1, -1]}
    {"Value": 5, "Name": "Paved", "Color": [236, 236, 236]},
  ],
}
"""


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_a_definition_written_by_hand_gives_names_and_colours(tmp_path, encoding, line_end):
    """P7, W26: commas too many and too few, a path of another machine, a class of value 0."""
    (tmp_path / "frozen.pb").write_bytes(b"x")
    path = tmp_path / "land.emd"
    path.write_bytes(WRITTEN_BY_HAND.replace("\n", line_end).encode(encoding))
    definition = load_definition(str(path))
    assert definition.model_file == tmp_path / "frozen.pb"
    assert definition.image_size == (513, 513)
    assert [(entry.value, entry.name, entry.color) for entry in definition.classes] == [
        (0, "Forest", (0, 51, 0)),
        (1, "Water", None),
        (5, "Paved", (236, 236, 236)),
    ]
    assert definition.output_values == (0, 1, 5)


def test_an_export_template_names_everything_that_is_to_be_filled_in(tmp_path):
    """W15: a definition that an export wrote is told from a model's, key by key."""
    hints = {
        "Framework": "e.g. TensorFlow or PyTorch", "ModelType": "e.g. ObjectDetection",
        "ModelFile": "e.g. ./m.pb",
        "ExtractBands": "e.g. [0, 1, 2]", "BatchSize": "e.g. 8 (optional)", "DataRange": "[0, 1] (optional)",
        "ImageHeight": 64, "ImageWidth": 64,
    }  # fmt: skip
    path = tmp_path / "esri_model_definition.emd"
    path.write_text(json.dumps(hints, indent=2), encoding="utf-8")
    with pytest.raises(ModelDefinitionError) as told:
        load_definition(str(path))
    lines = told.value.message.splitlines()[1:]
    expected = ["Framework at line 2", "ModelType at line 3", "ModelFile at line 4", "ExtractBands at line 5"]
    assert [line[2 : 2 + len(start)] for line, start in zip(lines, expected)] == expected
    assert len(lines) == len(expected), "what is optional may stay a hint"
