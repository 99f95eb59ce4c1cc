"""Model packages and trust in QGIS itself: no environment is needed."""

from __future__ import annotations

import json
from pathlib import Path

import processing
import pytest
from qgis.core import QgsProcessingException


@pytest.fixture(autouse=True)
def no_environment(tmp_path, monkeypatch, provider):
    monkeypatch.setenv("IMAGERYDL_PYTHON", str(tmp_path / "nowhere" / "python"))
    monkeypatch.setenv("IMAGERYDL_TRUST", str(tmp_path / "trusted.json"))


@pytest.fixture
def model(tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "town.h5").write_bytes(b"weights")
    definition = {
        "Framework": "Keras",
        "ModelType": "ImageClassification",
        "ModelFile": "town.h5",
        "ImageHeight": 8,
        "ImageWidth": 8,
        "ExtractBands": [0, 1, 2],
        "Classes": [],
    }
    (folder / "town.emd").write_text(json.dumps(definition), encoding="utf-8")
    return folder


@pytest.mark.parametrize("given", ["town.emd", "."])
def test_a_definition_or_its_folder_becomes_a_package_that_can_be_changed(model, tmp_path, given):
    """W27, W29, W30: in QGIS."""
    (tmp_path / "a.txt").write_text("a", encoding="utf-8")
    (tmp_path / "b.txt").write_text("b", encoding="utf-8")
    made = processing.run(
        "imagerydl:createmodelpackage",
        {
            "IN_MODEL_DEFINITION": str(model / given),
            "OUT_PACKAGE": "TEMPORARY_OUTPUT",
            "ADD_FILES": [str(tmp_path / "a.txt"), str(tmp_path / "b.txt")],
        },
    )
    assert made["PACKAGE"].endswith(".dlpk")
    assert (made["MODELS"], made["FILE_COUNT"]) == ("town", 4)
    changed = processing.run(
        "imagerydl:editmodelpackage",
        {"IN_PACKAGE": made["PACKAGE"], "REMOVE_FILES": "a.txt", "TAGS": "roofs"},
    )
    assert Path(changed["PACKAGE"]) == Path(made["PACKAGE"])
    assert changed["FILE_COUNT"] == 4, "the properties came and a file went"


def test_trust_is_shown_and_revoked(tmp_path):
    digest = "a" * 64
    (tmp_path / "trusted.json").write_text(json.dumps({digest: "/models/roads.py"}), encoding="utf-8")
    assert digest in processing.run("imagerydl:trustedmodels", {})["MODELS"]
    assert processing.run("imagerydl:trustedmodels", {"REVOKE": "roads.py"})["COUNT"] == 0
    with pytest.raises(QgsProcessingException, match="nothing of that name"):
        processing.run("imagerydl:trustedmodels", {"REVOKE": "roads.py"})
