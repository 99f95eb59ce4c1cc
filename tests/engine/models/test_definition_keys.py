"""Every key of a model definition: read, defaulted, and named with its line where it is wrong."""

import json
import re
import sys
import types
from pathlib import Path

import pytest

from imagerydl.errors import ModelDefinitionError
from imagerydl.models.definition import load_definition, parse_definition, resolve_file, write_definition
from imagerydl.models.definition_keys import KEYS

PUBLISHED = Path(__file__).parents[4] / "shared" / "data" / "emd"

BASE = {
    "Framework": "ONNX",
    "ModelType": "ImageClassification",
    "ModelFile": "m.onnx",
    "ImageHeight": 256,
    "ImageWidth": 256,
    "ExtractBands": [0, 1, 2],
    "Classes": [],
}


@pytest.fixture
def folder(tmp_path):
    for name in ("m.onnx", "function.py", "trained.model"):
        (tmp_path / name).write_bytes(b"x")
    return tmp_path


@pytest.fixture
def parse(folder):
    return lambda **keys: parse_definition({**BASE, **keys}, folder, "m.emd")


@pytest.mark.parametrize(
    ("key", "written", "name", "read"),
    [
        ("Framework", "Keras", "framework", "Keras"),
        ("ModelConfiguration", {"Name": "MaskRCNN", "Config": "x"}, "configuration", "MaskRCNN"),
        ("ModelConfiguration", "deeplab", "configuration", "DeepLab"),
        ("ModelConfiguration", "ObjectDetectionAPI", "configuration", "ObjectDetectionAPI"),
        ("ModelType", "ImageClassification", "model_type", "ImageClassification"),
        ("ModelType", "ObjectionDetection", "model_type", "ObjectDetection"),
        ("ModelType", "ObjectClassification", "model_type", "ObjectClassification"),
        ("Description", "of trees", "description", "of trees"),
        ("SensorName", "Landsat 8", "sensor_name", "Landsat 8"),
        ("InputRastersProps", {"SensorName": "Landsat 8"}, "sensor_name", "Landsat 8"),
        ("RasterCount", 3, "raster_count", 3),
        ("BandList", ["Red", "Green"], "band_names", ("Red", "Green")),
        ("WellKnownBandNames", ["Red", "Green"], "well_known_band_names", ("Red", "Green")),
        ("ImageHeight", "448", "image_height", 448),
        ("ImageWidth", 448.0, "image_width", 448),
        ("ExtractBands", ["Red", 2], "extract_bands", ("Red", 2)),
        ("DataRange", [0.1, 1.0], "data_range", (0.1, 1.0)),
        ("ModelPadding", 64, "model_padding", 64),
        ("ModelPadding", "64", "model_padding", 64),
        ("Padding", 32, "padding", 32),
        ("Threshold", "0.25", "threshold", 0.25),
        ("ModelType", "Regression", "model_type", "Regression"),
        ("ExtractBands", "[0, 1]", "extract_bands", (0, 1)),
        ("ExtractBands", ["0", "Red"], "extract_bands", (0, "Red")),
        ("DataRange", "[0.1, 1]", "data_range", (0.1, 1.0)),
        ("BatchSize", "8", "batch_size", 8),
        ("CropTileMode", "Variable_Size", "crop_size_fixed", False),
        ("CropSizeFixed", "1", "crop_size_fixed", True),
        ("BatchSize", 8, "batch_size", 8),
        ("PerProcessGPUMemoryFraction", 0.8, "gpu_memory_fraction", 0.8),
        ("MetaDataMode", "PASCAL_VOC_rectangles", "metadata_mode", "PASCAL_VOC_rectangles"),
        ("ImageSpaceUsed", "PIXEL_SPACE", "image_space_used", "PIXEL_SPACE"),
        ("AllTileStats", [{"Min": 1}], "band_stats", ({"Min": 1},)),
        ("AllTilesStats", [{"Min": 1}], "band_stats", ({"Min": 1},)),
        ("CropSizeFixed", 0, "crop_size_fixed", False),
        ("BlackenAroundFeature", 1, "blacken_around_feature", True),
        ("SupportsVariableTileSize", True, "supports_variable_tile_size", True),
        ("MinCellSize", {"x": 0.5, "y": 0.25}, "cell_size", (0.5, 0.25)),
    ],
)
def test_a_key_is_read(parse, key, written, name, read):
    """W21, W23, W25: the documented keys."""
    assert getattr(parse(**{key: written}), name) == read


def test_defaults(parse):
    """W21: what holds where a definition says nothing; 95 % of the graphics card's memory among it."""
    definition = parse(BatchSize="e.g. 8 (optional)", DataRange="[0, 1] (optional)", resize_to=None)
    assert definition.gpu_memory_fraction == 0.95
    assert (definition.padding, definition.threshold) == (None, None)
    assert definition.batch_size is None
    assert definition.data_range is None
    assert definition.image_space_used == "MAP_SPACE"
    assert (definition.model_padding, definition.classes.values, definition.cell_size) == (0, (), None)


@pytest.mark.parametrize(
    ("key", "wrong"),
    [
        ("ModelFile", 7),
        ("ImageHeight", "tall"),
        ("ImageHeight", True),
        ("ImageWidth", 0),
        ("ImageWidth", 10.5),
        ("ExtractBands", [0, -1]),
        ("Classes", "Tree"),
        ("Classes", ["Tree"]),
        ("Framework", 3),
        ("ModelConfiguration", {"Architecture": "x"}),
        ("ModelType", "ImageClasification"),
        ("Threshold", 2),
        ("Padding", "much"),
        ("ImageHeight", 1e400),
        ("Normalization", {"Subtract": [0, 0, 0]}),
        ("Normalization", {"Subtract": [0], "Divide": [1]}),
        ("NormalizationStats", {"band_min_values": [0]}),
        ("ModelParameters", {"class_values": ["x"]}),
        ("ModelType", []),
        ("DataRange", [1, 0]),
        ("DataRange", [0]),
        ("ModelPadding", -1),
        ("BatchSize", 0),
        ("PerProcessGPUMemoryFraction", 1.5),
        ("ImageSpaceUsed", "SPACE"),
        ("CropSizeFixed", 2),
        ("AllTilesStats", {"Min": 1}),
        ("ModelParameters", [1]),
    ],
)
def test_a_mistyped_key_is_named_with_its_line(folder, key, wrong):
    """Each key has its own error: file, line, value, and what it takes."""
    keys = {"Version": "1", **BASE}
    keys.pop(key, None)
    (folder / "m.emd").write_text(json.dumps({**keys, key: wrong}, indent=1).replace("\n", "\r\n"))
    with pytest.raises(ModelDefinitionError, match=rf"^{key}\S* at line \d+ of m\.emd") as told:
        load_definition(str(folder / "m.emd"))
    line = int(re.search(r"at line (\d+)", told.value.message).group(1))
    assert line >= len(keys) + 2, "the key is the last one"
    assert told.value.fix


def test_a_fault_inside_a_list_is_named_with_its_own_line(folder):
    classes = [{"Value": 1, "Name": "a"}, {"Value": "x", "Name": "b"}]
    text = json.dumps({**BASE, "Classes": classes}, indent=1)
    (folder / "m.emd").write_text(text)
    line = text[: text.index('"x"')].count("\n") + 1
    with pytest.raises(
        ModelDefinitionError, match=rf'^Classes\[1\]\.Value at line {line} of m\.emd is "x"\.'
    ):
        load_definition(str(folder / "m.emd"))


def test_everything_that_is_wrong_is_told_at_once(folder):
    raw = {**BASE, "ImageHeight": "tall", "ModelFile": "gone.onnx", "DataRange": [1, 0]}
    del raw["ModelType"]
    with pytest.raises(ModelDefinitionError, match=r"m\.emd has 4 problems") as told:
        parse_definition(raw, folder, "m.emd", json.dumps(raw, indent=1))
    said = told.value.message.splitlines()[1:]
    expected = [
        "ModelType is missing",
        "ModelFile at line 3",
        "ImageHeight at line 4",
        "DataRange at line 12",
    ]
    assert [line[2 : 2 + len(start)] for line, start in zip(said, expected)] == expected


def test_a_misspelt_key_is_found(folder):
    raw = {**BASE, "ImageHight": 256}
    del raw["ImageHeight"]
    with pytest.raises(ModelDefinitionError, match="has no ImageHeight") as told:
        parse_definition(raw, folder, "m.emd", json.dumps(raw, indent=1))
    assert told.value.fix.startswith("ImageHight at line 12 may be meant for it.")


@pytest.mark.parametrize("key", sorted(BASE))
def test_a_missing_required_key_has_its_own_error(folder, key):
    """P3."""
    raw = {name: value for name, value in BASE.items() if name != key}
    with pytest.raises(ModelDefinitionError, match=rf"m\.emd has no {key}"):
        parse_definition(raw, folder, "m.emd")


def test_a_raster_function_may_stand_alone(folder):
    """P5, W31: the function brings the model; it may lie anywhere."""
    written = str(folder / "function.py")
    definition = parse_definition(
        {"InferenceFunction": written, "ModelType": "ImageClassification"}, folder / "elsewhere", "m.emd"
    )
    assert definition.model_file is None
    assert definition.onnx_file is None
    assert definition.image_size == (256, 256)
    assert definition.inference_file == folder / "function.py"
    assert definition.inference_function == written
    with pytest.raises(ModelDefinitionError, match=r"gone\.py.*does not exist"):
        parse_definition({"InferenceFunction": "gone.py", "ModelType": "ObjectDetection"}, folder, "m.emd")


def test_a_builtin_function_is_known_by_its_name(parse):
    """W21: the built-in functions need no file."""
    written = "[Functions]System\\DeepLearning\\ArcGISLearn\\ArcGISImageClassifier.py"
    definition = parse(InferenceFunction=written)
    assert definition.builtin_function == "ArcGISImageClassifier"
    assert (definition.inference_function, definition.inference_file) == ("", None)
    assert parse(InferenceFunction="function.py").builtin_function == ""


def test_a_framework_not_listed_needs_an_inference_function(parse):
    """W22."""
    with pytest.raises(
        ModelDefinitionError, match=r"Framework in m\.emd is CNTK, which does not run here.*InferenceFunction"
    ):
        parse(Framework="CNTK", ModelFile="trained.model")
    assert parse(Framework="Another").framework == "Another", "the file says what it is"
    definition = parse(Framework="CNTK", ModelFile="trained.model", InferenceFunction="function.py")
    assert definition.inference_file.name == "function.py"


def test_a_model_may_be_a_folder(folder, parse):
    (folder / "saved").mkdir()
    with pytest.raises(ModelDefinitionError, match=r"a folder without saved_model\.pb"):
        parse(ModelFile=".\\saved")
    (folder / "saved" / "saved_model.pb").touch()
    assert parse(ModelFile=".\\saved").model_file == folder / "saved"


def test_an_export_template_is_told_from_a_model(parse):
    with pytest.raises(ModelDefinitionError, match="template that an export wrote"):
        parse(ModelFile="e.g. ./trained.model")


def test_a_network_path_leads_to_the_file_beside_first(folder):
    assert resolve_file("\\\\server\\share\\m.onnx", folder) == folder / "m.onnx"


@pytest.mark.parametrize("address", ["https://a.b/m.dlpk", "http://a.b/m.emd"])
def test_an_address_is_refused(address):
    """P6: packages must be local."""
    with pytest.raises(ModelDefinitionError, match=r"not on this computer.*Download it"):
        load_definition(address)


def test_text_too_long_for_a_path_is_refused_as_missing():
    with pytest.raises(ModelDefinitionError, match="does not exist"):
        load_definition("x" * 100_000)


def test_a_bare_onnx_file_is_a_model_definition(folder, monkeypatch):
    reader = types.ModuleType("imagerydl.models.onnx_metadata")
    reader.definition_from_onnx = lambda path: {**BASE, "ModelFile": path.name, "ImageHeight": 64}
    monkeypatch.setitem(sys.modules, reader.__name__, reader)
    definition = load_definition(str(folder / "m.onnx"))
    assert (definition.image_height, definition.onnx_file) == (64, folder / "m.onnx")


def test_a_network_alone_is_told_from_a_definition(folder):
    (folder / "m.pth").write_bytes(b"PK")
    with pytest.raises(ModelDefinitionError, match=r"m\.pth is a network alone"):
        load_definition(str(folder / "m.pth"))
    with pytest.raises(ModelDefinitionError, match="is a folder"):
        load_definition(str(folder))


def test_detectors_of_arcgis_learn_have_no_background_channel(parse):
    keys = {"Framework": "arcgis.learn.models._inferencing", "Classes": [{"Value": 2, "Name": "Car"}]}
    assert parse(**keys).output_values == (0, 2)
    assert parse(**keys, ModelType="ObjectDetection").output_values == (2,)


def test_statistics_of_named_bands_are_those_of_their_names(parse):
    stats = {
        "band_min_values": [0, 10], "band_max_values": [1, 30],
        "scaled_mean_values": [0, 0.5], "scaled_std_values": [1, 1],
    }  # fmt: skip
    keys = {"InputRastersProps": {"BandNames": ["Red", "NIR"]}, "NormalizationStats": stats}
    assert parse(ExtractBands=["nir"], **keys).normalisation.subtract == (20,)


def test_definitions_are_written_as_strict_json(tmp_path):
    path = tmp_path / "m.emd"
    write_definition({"Name": "Gewässer", "Classes": [{"Value": 1}]}, path)
    assert json.loads(path.read_text(encoding="utf-8")) == {"Name": "Gewässer", "Classes": [{"Value": 1}]}
    with pytest.raises(ModelDefinitionError, match=r"AllTilesStats cannot be written into m\.emd"):
        write_definition({"AllTilesStats": [{"Min": float("nan")}]}, path)


def test_utf_16_is_read(folder):
    (folder / "m.emd").write_text(json.dumps(BASE), encoding="utf-16")
    assert load_definition(str(folder / "m.emd")).image_height == 256


def test_every_key_is_documented():
    assert len({key.name for key in KEYS}) == len(KEYS)
    assert all(key.meaning.endswith(".") and not key.takes.endswith(".") for key in KEYS)


@pytest.mark.skipif(not PUBLISHED.is_dir(), reason="the published definitions are not there")
def test_published_definitions_are_read_or_refused_for_a_true_reason(tmp_path):
    """W26: with the files they name beside them, all are read but those of CNTK."""
    refused = []
    paths = sorted(PUBLISHED.rglob("*.emd"))
    for path in paths:
        content = path.read_bytes()
        (tmp_path / path.name).write_bytes(content)
        for line in content.decode("utf-8-sig").splitlines():
            if '"ModelFile"' in line or '"InferenceFunction"' in line:
                name = line.split(":", 1)[1].strip(' ",').replace("\\", "/").rpartition("/")[2]
                (tmp_path / name).write_bytes(b"x")
        copy = str(tmp_path / path.name)
        if b"CNTK" in content:
            with pytest.raises(ModelDefinitionError, match=r"Framework at line .* is CNTK"):
                load_definition(copy)
            refused.append(path.name)
            continue
        definition = load_definition(copy)
        assert definition.model_type in ("ObjectDetection", "ObjectClassification", "ImageClassification")
        assert len(definition.classes)
    assert len(paths) - len(refused) >= 15
