"""Inference functions that come with ArcGIS."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from imagerydl.errors import ModelDefinitionError
from imagerydl.models.definition import load_definition, parse_definition
from imagerydl.models.json_text import read_json_object
from imagerydl.models.runtimes.opening import PIXEL_MODELS

SAMPLES = Path(__file__).resolve().parents[5] / "shared" / "data" / "emd"


def runtime(emd):
    return PIXEL_MODELS.runtime_name(load_definition(emd))


@pytest.mark.parametrize(
    "name", ["ImageClassifier.py", "ObjectDetector.py", "ObjectClassifier.py"], ids=lambda name: name[:-3]
)
def test_a_built_in_function_runs_by_its_model_file(make_model, name):
    """W21: the listed built-in functions."""
    function = f"[Functions]System\\DeepLearning\\{name}"
    assert runtime(make_model(np.ones((2, 3)), InferenceFunction=function)) == "onnx"


@pytest.mark.parametrize("place", ["", "[Functions]System\\DeepLearning\\ArcGISLearn\\"])
def test_functions_of_arcgis_learn_run_natively(make_model, place):
    framework = "arcgis.learn.models._inferencing"
    function = place + "ArcGISImageClassifier.py"
    assert (
        runtime(make_model(np.ones((2, 3)), InferenceFunction=function, Framework=framework))
        == "arcgis_learn"
    )
    assert runtime(make_model(np.ones((2, 3)), Framework=framework)) == "arcgis_learn"


def test_a_function_of_ones_own_runs_even_for_a_model_of_arcgis_learn(make_model, tmp_path):
    """P5: the user's raster function is called."""
    (tmp_path / "MyClassifier.py").touch()
    emd = make_model(
        np.ones((2, 3)), InferenceFunction="MyClassifier.py", Framework="arcgis.learn.models._inferencing"
    )
    assert runtime(emd) == "raster_function"


@pytest.mark.parametrize(
    ("function", "said"),
    [
        ("[Functions]System\\DeepLearning\\ArcGISLearn\\ArcGISObjectDetector.py", "models of arcgis.learn"),
        ("[Functions]System\\DeepLearning\\SomethingNew.py", "has no counterpart here"),
    ],
)
def test_a_built_in_function_without_counterpart_is_named(make_model, function, said):
    with pytest.raises(ModelDefinitionError, match=said):
        runtime(make_model(np.ones((2, 3)), InferenceFunction=function))


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"Framework": "CNTK", "ModelConfiguration": "FasterRCNN"}, "CNTK"),
        ({"Framework": "Keras", "ModelConfiguration": {"Name": "MaskRCNN"}}, "Mask R-CNN package"),
        ({"Framework": "PyTorch", "ModelConfiguration": "FastaiSSD"}, "fastai library"),
    ],
)
@pytest.mark.parametrize("function", ["", "[Functions]System\\DeepLearning\\ObjectDetector.py"])
def test_models_only_arcgis_can_run_say_what_they_need(make_model, tmp_path, keys, said, function):
    """W22, W23: known configurations are recognised, also those that cannot run."""
    (tmp_path / "net.h5").touch()
    emd = make_model(np.ones((2, 3)), ModelFile="net.h5", InferenceFunction=function, **keys)
    with pytest.raises(ModelDefinitionError, match=said):
        runtime(emd)


def test_published_definitions_find_their_runtime_or_a_reason(tmp_path):
    """What Esri publishes: known frameworks by their file, the rest refused by name."""
    if not SAMPLES.is_dir():
        pytest.skip(f"no published definitions in {SAMPLES}")
    expected = {
        "azure_pixel_level_land_classification": "CNTK",
        "cntk_fasterrcnn_coconut_tree": "CNTK",
        "mask_rcnn": "Mask R-CNN package",
        "pytorch_fastai_ssd": "fastai library",
        "tensorflow_deeplab_landclassification": "tensorflow",
        "tensorflow_objectdetectionapi_coconuttree": "tensorflow",
        "HouseDamageClassifier_ProBuiltin": "keras",
        "UTMCarsV3_FasterRCNN_RN50_TS416": "arcgis_learn",
    }
    seen = set()
    for path in sorted(SAMPLES.rglob("*.emd")):
        stem = path.stem.rpartition("__")[2]
        if stem not in expected:
            continue
        raw = read_json_object(path.read_text(encoding="utf-8-sig"), path.name)
        file = tmp_path / Path(raw["ModelFile"].replace("\\", "/")).name
        file.touch()
        try:
            definition = parse_definition(raw, tmp_path, path.name)
            said = PIXEL_MODELS.runtime_name(definition)
        except ModelDefinitionError as error:
            said = str(error)
        assert expected[stem] in said, path.name
        seen.add(stem)
    assert seen == set(expected)
