"""Describe Model: cards of models of every kind, and nothing of theirs run unasked."""

import json
from pathlib import Path

import pytest

from imagerydl.errors import ModelDefinitionError
from imagerydl.events import Reporter
from imagerydl.jobs import make_job, run_job
from imagerydl.models.arguments import ModelArgument
from imagerydl.models.trust import FILE_VARIABLE, trusted_models

FUNCTION = """
import pathlib

pathlib.Path(__file__).with_name("ran").write_text("yes")


class Wetness:
    def initialize(self, **kwargs):
        pass

    def getParameterInfo(self):
        return [
            {"name": "raster", "dataType": "raster", "required": True},
            {"name": "level", "dataType": "numeric", "value": 0.5, "required": False,
             "displayName": "Water level", "description": "Index of water."},
        ]

    def updatePixels(self, tlc, shape, props, **blocks):
        return blocks
"""


@pytest.fixture(autouse=True)
def nothing_trusted(tmp_path, monkeypatch):
    monkeypatch.setenv(FILE_VARIABLE, str(tmp_path / "trusted.json"))


@pytest.fixture
def function_model(tmp_path):
    folder = tmp_path / "wetness"
    folder.mkdir()
    (folder / "wetness.py").write_text(FUNCTION, encoding="utf-8")
    (folder / "wetness.json").write_text("{}", encoding="utf-8")
    definition = {
        "Framework": "Wet", "ModelConfiguration": "Wet", "ModelType": "ImageClassification",
        "ModelFile": "wetness.json", "InferenceFunction": "wetness.py", "ImageHeight": 64, "ImageWidth": 32,
        "ExtractBands": [0, 1, 2], "Classes": [{"Value": 1, "Name": "water", "Color": [0, 0, 255]}],
    }  # fmt: skip
    path = folder / "wetness.emd"
    path.write_text(json.dumps(definition), encoding="utf-8")
    return path


def describe(model, **values):
    return run_job(make_job("describemodel", {"IN_MODEL_DEFINITION": str(model), **values}), Reporter())


def problems(results):
    return json.loads(results["PROBLEMS"])


def test_a_card_names_the_model_and_what_it_takes(make_model):
    model = make_model([[1, 0, 0], [0, 1, 0]], name="town", tile=(32, 64), ModelName="Town")
    results = describe(model)
    lines = results["CARD"].splitlines()
    assert lines[0] == "Town"
    assert "classifies pixels" in results["CARD"]
    assert any(line.split() == ["1", "class", "1", "#010a14"] for line in lines)
    assert results["TILE_SIZE"] == "32x64"
    assert results["ARGUMENTS"] == "[]"
    assert results["FOREIGN_CODE"] == ""
    assert problems(results) == []


def test_a_bare_onnx_file_has_a_card(make_model, tmp_path):
    make_model([[1, 0, 0], [0, 1, 0]], name="bare", shape=("n", None, 48, 40))
    (tmp_path / "bare.emd").unlink()
    results = describe(tmp_path / "bare.onnx")
    assert results["CARD"].splitlines()[0] == "bare"
    assert results["TILE_SIZE"] == "48x40"
    assert problems(results) == []


def test_code_is_named_and_does_not_run_unasked(function_model):
    results = describe(function_model)
    code = json.loads(results["FOREIGN_CODE"])
    assert str(function_model.with_name("wetness.py")) in code["files"]
    assert len(code["digest"]) == 64
    assert "Python raster function" in code["reason"]
    assert results["ARGUMENTS"] == "[]"
    assert "has not been run" in results["CARD"]
    assert problems(results) == []
    assert not function_model.with_name("ran").exists()
    assert not trusted_models()


def test_with_consent_the_arguments_of_the_function_are_known(function_model):
    """P12, W16: the arguments are those of the Python module's getParameterInfo."""
    results = describe(function_model, TRUST_MODEL=True)
    (argument,) = [ModelArgument.from_json(item) for item in json.loads(results["ARGUMENTS"])]
    assert (argument.name, argument.default, argument.label) == ("level", "0.5", "Water level")
    assert "Water level" in results["CARD"]
    assert results["FOREIGN_CODE"], "what was agreed to is still told"
    again = describe(function_model)
    assert json.loads(again["ARGUMENTS"]) == json.loads(results["ARGUMENTS"]), "consent is remembered"


def test_what_keeps_a_model_from_running_is_listed(make_model, tmp_path):
    """W17: told when the model is chosen, with the fix."""
    model = make_model([[1, 0, 0], [0, 1, 0]])
    (tmp_path / "model.onnx").unlink()
    results = describe(model)
    (problem,) = problems(results)
    assert "model.onnx" in problem
    assert problem in results["CARD"]
    assert results["CARD"].splitlines()[0] == "model"


def test_everything_wrong_with_a_definition_is_listed_and_the_rest_is_shown(make_model, tmp_path):
    """Bad input: each key at fault with its line, and no failure of the tool."""
    model = make_model([[1, 0, 0], [0, 1, 0]], ImageHeight="tall", DataRange=[1, 0], Description="Roofs")
    results = describe(model)
    first, second = problems(results)
    assert first.startswith("ImageHeight at line 1")
    assert second.startswith("DataRange at line 1")
    assert results["TILE_SIZE"] == ""
    assert "class 2" in results["CARD"], "what can be read is shown"
    assert results["CARD"].splitlines()[1] == "Roofs"


def test_a_function_may_be_all_there_is(function_model):
    raw = json.loads(function_model.read_text(encoding="utf-8"))
    for key in ("ModelFile", "Framework", "ImageHeight", "ImageWidth", "ExtractBands", "Classes"):
        del raw[key]
    function_model.write_text(json.dumps(raw), encoding="utf-8")
    results = describe(function_model, TRUST_MODEL=True)
    assert problems(results) == []
    assert [item["name"] for item in json.loads(results["ARGUMENTS"])] == ["level"]


def test_the_json_text_has_a_card_too(make_model, tmp_path):
    """W18."""
    raw = json.loads(Path(make_model([[1, 0, 0], [0, 1, 0]])).read_text(encoding="utf-8"))
    raw["ModelFile"] = str(tmp_path / raw["ModelFile"])
    results = describe(json.dumps(raw))
    assert results["CARD"].splitlines()[0] == "A model given as text"
    assert problems(results) == []


def test_a_missing_library_is_named_with_the_way_to_install_it(tmp_path, make_model, monkeypatch):
    """P4, W17."""
    from imagerydl.models.runtimes import onnx

    model = make_model([[1, 0, 0], [0, 1, 0]])
    monkeypatch.setitem(onnx.PACKAGES, "no_such_module", "no-such-package")
    (problem,) = problems(describe(model))
    assert "no-such-package" in problem
    assert "setupruntime" in problem


def test_a_definition_that_cannot_be_read_is_refused(tmp_path):
    with pytest.raises(ModelDefinitionError, match="does not exist"):
        describe(tmp_path / "no.emd")
    (tmp_path / "words.emd").write_text("hello", encoding="utf-8")
    with pytest.raises(ModelDefinitionError, match=r"words\.emd is not JSON"):
        describe(tmp_path / "words.emd")


def test_the_page_holds_the_card_and_takes_no_markup_from_the_model(make_model, tmp_path):
    model = make_model(
        [[1, 0, 0], [0, 1, 0]], ModelName="<script>alert(1)</script>", Description="Roads & <b>roofs</b>"
    )
    page = tmp_path / "card.html"
    assert describe(model, OUT_CARD=str(page))["OUT_CARD"] == str(page)
    text = page.read_text(encoding="utf-8")
    assert "<script" not in text
    assert "Roads &amp; &lt;b&gt;roofs&lt;/b&gt;" in text
    assert "class 2" in text
