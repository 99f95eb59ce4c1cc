"""The models in examples/: they load, and the way from labels to judged detections runs as one model."""

from __future__ import annotations

import subprocess
from pathlib import Path

import processing
import pytest
from qgis.core import (
    QgsCategorizedSymbolRenderer,
    QgsProcessingModelAlgorithm,
    QgsProcessingOutputLayerDefinition,
    QgsVectorLayer,
)
from recording import Recording
from samples import PLUGIN

EXAMPLES = PLUGIN / "examples"

pytestmark = pytest.mark.usefixtures("provider")


def load(name: str) -> QgsProcessingModelAlgorithm:
    model = QgsProcessingModelAlgorithm()
    assert model.fromFile(str(EXAMPLES / f"{name}.model3"))
    return model


@pytest.mark.parametrize("name", sorted(path.stem for path in EXAMPLES.glob("*.model3")))
def test_a_model_fits_the_tools_it_is_made_of(name):
    """Every step is there, takes the parameters the model gives it, and has all it must have.

    QGIS asks whether a model that has not shall run all the same.
    """
    model = load(name)
    ok, problems = model.validate()
    assert ok, problems
    for step in model.childAlgorithms().values():
        known = {definition.name() for definition in step.algorithm().parameterDefinitions()}
        assert set(step.parameterSources()) <= known


@pytest.fixture
def town(engine, tmp_path):
    """A part of a town to learn from and another one to be judged on."""
    sizes = ["--size", "1100", "--held-out-size", "700", "--seed", "4"]
    subprocess.run([engine, str(EXAMPLES / "town.py"), str(tmp_path / "town"), *sizes], check=True)
    return tmp_path / "town"


def buildings(path: Path) -> QgsVectorLayer:
    """The houses among the polygons of a town, by a filter."""
    layer = QgsVectorLayer(str(path), path.stem, "ogr")
    assert layer.setSubsetString('"classvalue" = 1')
    return layer


def test_houses_are_learnt_found_and_judged_by_one_model(town, project, tmp_path):
    """W1, W20: export, train, detect, suppress, judge; each step takes what the one before gives."""
    labels, truth = buildings(town / "train.gpkg"), buildings(town / "held_out.gpkg")
    project.addMapLayers([labels, truth])
    given = {
        "image": str(town / "train.tif"), "labels": labels, "field": "classvalue",
        "target": str(town / "held_out.tif"), "truth": truth,
        "tile": 128, "stride": 64, "cell": 0.6, "epochs": 6, "overlap": 0.3,
        "export:chips": str(tmp_path / "chips"), "train:model": str(tmp_path / "model"),
        "suppress:detected": str(tmp_path / "detected.gpkg"),
        "judge:accuracy": "TEMPORARY_OUTPUT",
        "judge:marks": QgsProcessingOutputLayerDefinition("TEMPORARY_OUTPUT", project),
        "judge:report": str(tmp_path / "report.html"),
    }  # fmt: skip
    done = processing.runAndLoadResults(load("export_train_detect"), given, feedback=Recording())

    table = QgsVectorLayer(done["judge:accuracy"], "accuracy", "ogr")
    rows = {row["Class"]: row for row in table.getFeatures()}
    total = list(rows.values())[-1]
    houses = truth.featureCount()
    assert total["True_Positive"] + total["False_Negative"] == houses
    assert total["True_Positive"] >= 0.25 * houses, "it has learnt what a house is"
    assert total["Precision"] >= 0.3

    detected = QgsVectorLayer(done["suppress:detected"], "detected", "ogr")
    assert detected.featureCount() == total["True_Positive"] + total["False_Positive"]
    assert {feature["ClassName"] for feature in detected.getFeatures()} == {"Building"}
    marks = next(layer for layer in project.mapLayers().values() if layer.source() == done["judge:marks"])
    assert isinstance(marks.renderer(), QgsCategorizedSymbolRenderer)
    counts = {"TP": 0, "FP": 0, "FN": 0}
    for feature in marks.getFeatures():
        counts[feature["Result"]] += 1
    assert counts["TP"] == total["True_Positive"]
    assert counts["FN"] == total["False_Negative"]
    assert "precision" in (tmp_path / "report.html").read_text(encoding="utf-8")
