"""Create Model Package, Edit Model Package and Trusted Models, from job to result."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

from imagerydl.errors import ParameterError, TrustError
from imagerydl.events import Reporter
from imagerydl.imagery.source import open_source
from imagerydl.jobs import make_job, run_job
from imagerydl.models import package, trust
from imagerydl.models.package_properties import read_properties

WEIGHTS = [[1, 0, 0], [0, 1, 0], [0, 0, 1]]
CLASSES = [1, 2, 5]


@pytest.fixture(autouse=True)
def user_folders(tmp_path, monkeypatch):
    monkeypatch.setenv(package.FOLDER_VARIABLE, str(tmp_path / "packages"))
    monkeypatch.setenv(trust.FILE_VARIABLE, str(tmp_path / "trusted.json"))


@pytest.fixture
def emd(make_model):
    return make_model(WEIGHTS, classes=CLASSES, name="town")


def run(tool, **values):
    return run_job(make_job(tool, values), Reporter(lambda event: None))


def classify(raster, model, out):
    run(
        "classifypixels",
        IN_RASTER=raster,
        IN_MODEL_DEFINITION=model,
        OUT_CLASSIFIED_RASTER=str(out),
        DEVICE="CPU",
    )
    with open_source(str(out)) as source:
        return source.read(source.grid.window)[0][0], out.read_bytes()


def test_the_spellings_of_one_model_give_identical_rasters(make_raster, emd, tmp_path):
    """P2: an .emd, its JSON text, a .dlpk, and one of several models in a .dlpk."""
    data = np.random.default_rng(1).integers(1, 250, (3, 70, 90)).astype(np.uint8)
    raster = make_raster("town.tif", data)
    made = run("createmodelpackage", IN_MODEL_DEFINITION=emd, OUT_PACKAGE=str(tmp_path / "town.dlpk"))
    other = tmp_path / "other"
    other.mkdir()
    (other / "odd.h5").write_bytes(b"never run")
    text = Path(emd).read_text(encoding="utf-8").replace("town.onnx", "odd.h5")
    (other / "odd.emd").write_text(text, encoding="utf-8")
    two = run(
        "editmodelpackage",
        IN_PACKAGE=made["PACKAGE"],
        ADD_FILES=[str(other / "odd.emd")],
        OUT_PACKAGE=str(tmp_path / "two.dlpk"),
    )
    definition = json.loads(Path(emd).read_text(encoding="utf-8"))
    definition["ModelFile"] = str(tmp_path / "town.onnx")
    spellings = {
        "emd": emd,
        "text": json.dumps(definition),
        "dlpk": made["PACKAGE"],
        "choice": f"{two['PACKAGE']}|model=town",
    }
    found = {name: classify(raster, model, tmp_path / name / "c.tif") for name, model in spellings.items()}
    np.testing.assert_array_equal(found["emd"][0], np.array(CLASSES)[data.argmax(axis=0)])
    for name in ("text", "dlpk", "choice"):
        np.testing.assert_array_equal(found[name][0], found["emd"][0])
        assert found[name][1] == found["emd"][1], f"{name}: byte for byte"


def test_packages_are_made_and_changed_with_results_to_chain(emd, tmp_path):
    """W27, W29, W30."""
    (tmp_path / "notes.txt").write_text("n", encoding="utf-8")
    path = str(tmp_path / "town.dlpk")
    made = run(
        "createmodelpackage",
        IN_MODEL_DEFINITION=emd,
        OUT_PACKAGE=path,
        TAGS="roofs, walls; roofs",
        INPUT_TYPE="Aerial photo",
        ADD_FILES=str(tmp_path / "notes.txt"),
    )
    assert made == {
        "OUT_PACKAGE": path,
        "PACKAGE": path,
        "MODELS": "town",
        "MODEL_COUNT": 1,
        "FILE_COUNT": 4,
    }
    changed = run(
        "editmodelpackage", IN_PACKAGE=path, REMOVE_FILES="notes.txt", SUMMARY="Short", INPUT_TYPE="-"
    )
    assert (changed["PACKAGE"], changed["FILE_COUNT"]) == (path, 3)
    found = read_properties(Path(path))
    assert (found.summary, found.tags, found.input) == ("Short", ("roofs", "walls"), "raster with 3 bands")


@pytest.mark.parametrize(
    ("tool", "values", "reason"),
    [
        ("createmodelpackage", {"IN_MODEL_DEFINITION": "a.emd", "OUT_PACKAGE": "a.zip"}, r"ends with \.dlpk"),
        ("editmodelpackage", {"IN_PACKAGE": "a.dlpk", "OUT_PACKAGE": "b", "TAGS": "a"}, r"ends with \.dlpk"),
        ("editmodelpackage", {"IN_PACKAGE": "a.dlpk"}, "nothing to change"),
        ("editmodelpackage", {"IN_PACKAGE": "a.dlpk", "REMOVE_FILES": " ; "}, "nothing to change"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_read(tool, values, reason):
    with pytest.raises(ParameterError, match=reason):
        make_job(tool, values)


# --- trust -------------------------------------------------------------------------------------


@pytest.fixture
def codes(tmp_path):
    made = []
    for name in ("wetness.py", "roads.py", "roofs.pth"):
        (tmp_path / name).write_text(name, encoding="utf-8")
        made.append(trust.ForeignCode((tmp_path / name,), "code"))
        trust.trust(made[-1])
    return made


def test_trusted_models_are_listed_and_revoked(codes):
    listed = run("trustedmodels")
    assert (listed["COUNT"], listed["REVOKED"]) == (3, 0)
    assert all(code.digest in listed["MODELS"] for code in codes)
    assert run("trustedmodels", REVOKE="roads.py") | {"MODELS": ""} == {
        "COUNT": 2,
        "REVOKED": 1,
        "MODELS": "",
    }
    assert not trust.is_trusted(codes[1])
    assert run("trustedmodels", REVOKE=codes[0].digest)["COUNT"] == 1
    assert run("trustedmodels", REVOKE="all")["REVOKED"] == 1
    assert trust.trusted_models() == {}


def test_a_name_that_is_not_trusted_is_refused(codes):
    with pytest.raises(ParameterError, match="nothing of that name"):
        run("trustedmodels", REVOKE="other.py")
    assert len(trust.trusted_models()) == 3


def test_a_damaged_list_is_told_and_can_be_begun_anew():
    trust.trust_file().write_text("{", encoding="utf-8")
    with pytest.raises(TrustError, match="is damaged"):
        run("trustedmodels")
    assert run("trustedmodels", REVOKE="ALL") == {"MODELS": "", "COUNT": 0, "REVOKED": 0}


# --- inside QGIS -------------------------------------------------------------------------------

EVERY_TOOL = """
import sys
from imagerydl.events import Reporter
from imagerydl.jobs import make_job, run_job
def run(tool, **values):
    return run_job(make_job(tool, values), Reporter(lambda event: None))
made = run("createmodelpackage", IN_MODEL_DEFINITION=sys.argv[1], OUT_PACKAGE=sys.argv[2])
run("editmodelpackage", IN_PACKAGE=made["PACKAGE"], SUMMARY="Short")
print(run("trustedmodels")["COUNT"])
"""


def test_the_tools_need_the_standard_library_alone(emd, tmp_path, by_the_standard_library_alone):
    """They run inside QGIS, before any environment is built."""
    out = str(tmp_path / "town.dlpk")
    assert by_the_standard_library_alone(EVERY_TOOL, emd, out) == "0"
    assert zipfile.ZipFile(out).namelist() == ["town.emd", "imagerydl_package.json", "town.onnx"]
