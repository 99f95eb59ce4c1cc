"""Packages made and changed: complete, relative, checked, and the same bytes for the same files."""

from __future__ import annotations

import json
import zipfile

import pytest

from imagerydl.errors import ModelDefinitionError, OutputError, ParameterError
from imagerydl.events import Reporter
from imagerydl.models.definition import load_definition
from imagerydl.models.package import FOLDER_VARIABLE
from imagerydl.models.package_properties import PROPERTIES_FILE, read_properties
from imagerydl.models.packaging import create_package, edit_package

DEFINITION = {
    "Framework": "Keras",
    "ModelConfiguration": {"Name": "Unet"},
    "ModelType": "ImageClassification",
    "ModelFile": "town.h5",
    "Description": "Roofs of a town",
    "ImageHeight": 32,
    "ImageWidth": 32,
    "ExtractBands": [0, 1, 2],
    "Classes": [{"Value": 1, "Name": "Roof", "Color": [1, 2, 3]}],
}


@pytest.fixture(autouse=True)
def packages(tmp_path, monkeypatch):
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "packages"))


@pytest.fixture
def write(tmp_path):
    """Write a model folder: a definition, and files of the given names."""

    def make(name="town", folder="model", files=("town.h5",), **keys):
        place = tmp_path / folder
        for file in files:
            (place / file).parent.mkdir(parents=True, exist_ok=True)
            (place / file).write_bytes(f"content of {file}".encode())
        place.mkdir(exist_ok=True)
        (place / f"{name}.emd").write_text(json.dumps({**DEFINITION, **keys}), encoding="utf-8")
        return place / f"{name}.emd"

    return make


@pytest.fixture
def reporter():
    events = []
    made = Reporter(events.append)
    made.events = events
    return made


@pytest.fixture
def create(tmp_path, reporter):
    def make(source, add=(), overwrite=False, **properties):
        return create_package(source, tmp_path / "out.dlpk", reporter, properties, add, overwrite)

    return make


@pytest.fixture
def package(create, write):
    return create(write(), tags=("roofs",)).path


def names(path):
    return zipfile.ZipFile(path).namelist()


def definition_in(path, name="town.emd"):
    return json.loads(zipfile.ZipFile(path).read(name))


def said(reporter, level):
    return " ".join(event["text"] for event in reporter.events if event.get("level") == level)


# --- made --------------------------------------------------------------------------------------


def test_a_definition_brings_along_what_it_names_and_no_more(create, write):
    """W27: a package holds the definition and the model."""
    emd = write(files=("town.h5", "notes.txt", "figures/loss.png"))
    made = create(emd)
    assert names(made.path) == ["town.emd", "town.h5"]
    assert made.models == ("town",)
    loaded = load_definition(str(made.path))
    assert loaded.model_file.read_bytes() == b"content of town.h5"
    assert loaded.raw == DEFINITION


def test_a_folder_is_taken_as_it_is_but_for_hidden_files_and_packages(create, write):
    hidden = (".town.training/epoch.pt", ".DS_Store", "__pycache__/a.pyc", "town.dlpk")
    emd = write(files=("town.h5", "figures/loss.png", *hidden))
    assert names(create(emd.parent).path) == ["town.emd", "figures/loss.png", "town.h5"]


@pytest.mark.parametrize("written", [".\\town.h5", "C:\\Models\\town.h5", "\\\\server\\share\\town.h5"])
def test_paths_of_other_machines_become_relative(create, write, written):
    made = create(write(ModelFile=written))
    assert definition_in(made.path)["ModelFile"] == "town.h5"


def test_files_from_elsewhere_come_to_lie_beside_the_definition(create, write, tmp_path):
    """W31: function and model may lie anywhere; in the package they are together."""
    (tmp_path / "functions" / "parts").mkdir(parents=True)
    (tmp_path / "functions" / "Wet.py").write_text("import helper", encoding="utf-8")
    (tmp_path / "functions" / "helper.py").write_text("", encoding="utf-8")
    (tmp_path / "functions" / "parts" / "deep.py").write_text("", encoding="utf-8")
    (tmp_path / "weights.h5").write_bytes(b"w")
    emd = write(
        files=(),
        ModelFile=str(tmp_path / "weights.h5"),
        InferenceFunction=str(tmp_path / "functions" / "Wet.py"),
    )
    made = create(emd)
    assert names(made.path) == ["town.emd", "Wet.py", "helper.py", "parts/deep.py", "weights.h5"]
    written = definition_in(made.path)
    assert (written["ModelFile"], written["InferenceFunction"]) == ("weights.h5", "Wet.py")


def test_files_that_would_get_one_name_are_refused(create, write, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "town.h5").write_bytes(b"other")
    emd = write(ONNX={"INFER": str(tmp_path / "elsewhere" / "town.h5")})
    with pytest.raises(ModelDefinitionError, match=r"would both be town\.h5"):
        create(emd)


def test_several_models_share_a_package(create, write):
    """W27: several models in one package, each with its own files."""
    write("roads", "model/roads", ("roads/roads.h5",), ModelFile="roads/roads.h5")
    made = create(write().parent)
    assert made.models == ("roads", "town")
    assert load_definition(f"{made.path}|model=roads").model_file.name == "roads.h5"
    assert load_definition(f"{made.path}|model=town").model_file.name == "town.h5"


def test_a_graph_in_a_folder_comes_with_its_variables(create, write):
    emd = write(
        files=("net/saved_model.pb", "net/variables/variables.index", "net/other.txt"),
        ModelFile="net/saved_model.pb",
        Framework="TensorFlow",
    )
    assert names(create(emd).path) == ["town.emd", "net/saved_model.pb", "net/variables/variables.index"]


def test_onnx_comes_with_the_weights_it_keeps_beside(create, write, tmp_path):
    onnx = pytest.importorskip("onnx", reason="the onnx package writes the test's model")
    import numpy as np

    emd = write(files=(), ModelFile="town.onnx", Framework="ONNX")
    weights = onnx.numpy_helper.from_array(np.ones((1, 3, 1, 1), np.float32), "w")
    sides = [1, 3, 32, 32]
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Conv", ["x", "w"], ["y"])],
        "town",
        [onnx.helper.make_tensor_value_info("x", 1, sides)],
        [onnx.helper.make_tensor_value_info("y", 1, [1, 1, 32, 32])],
        [weights],
    )
    model = onnx.helper.make_model(graph)
    options = {"location": "town.weights", "size_threshold": 0}
    onnx.save_model(model, emd.parent / "town.onnx", save_as_external_data=True, **options)
    assert names(create(emd).path) == ["town.emd", "town.onnx", "town.weights"]


def test_what_a_model_runs_without_is_warned_about(create, write, reporter):
    made = create(write(TorchScript={"CPU": "gone_cpu.pt", "GPU": ""}))
    assert names(made.path) == ["town.emd", "town.h5"]
    assert "gone_cpu.pt (TorchScript.CPU of town.emd) is not there" in said(reporter, "warning")


@pytest.mark.parametrize(
    ("keys", "files", "reason"),
    [
        ({}, (), r"town\.h5"),
        ({"ImageHeight": "tall"}, ("town.h5",), "ImageHeight"),
        ({"InferenceFunction": "Gone.py"}, ("town.h5",), r"Gone\.py"),
    ],
)
def test_a_definition_that_does_not_load_makes_no_package(create, write, tmp_path, keys, files, reason):
    with pytest.raises(ModelDefinitionError, match=reason):
        create(write(files=files, **keys))
    assert not (tmp_path / "out.dlpk").exists()


def test_what_is_no_definition_is_refused_with_advice(create, package, tmp_path):
    (tmp_path / "empty").mkdir()
    for source, reason in (
        (package, "editmodelpackage"),
        (tmp_path / "empty", "holds no model definition"),
        (tmp_path / "gone.emd", "does not exist"),
    ):
        with pytest.raises(ParameterError, match=reason):
            create(source, overwrite=True)


def test_an_existing_package_is_replaced_only_on_request(create, write, package):
    before = package.read_bytes()
    with pytest.raises(OutputError, match="already exists"):
        create(write())
    with pytest.raises(ParameterError, match="does not exist"):
        create(write(), overwrite=True, add=[package.parent / "gone.txt"])
    assert package.read_bytes() == before
    create(write(), overwrite=True, summary="New")
    assert read_properties(package).summary == "New"


# --- properties --------------------------------------------------------------------------------


def test_properties_follow_the_definition_until_they_are_set(create, write):
    """W29: input, framework, model configuration, description, summary, tags."""
    found = read_properties(create(write()).path)
    assert (found.framework, found.model_configuration) == ("Keras", "Unet")
    assert (found.description, found.input) == ("Roofs of a town", "raster with 3 bands")
    assert (found.summary, found.tags) == ("", ())
    found = read_properties(
        create(write(), overwrite=True, description="Tiles", tags=("a", "b"), input="Aerial photo").path
    )
    assert (found.description, found.tags, found.input) == ("Tiles", ("a", "b"), "Aerial photo")
    assert found.framework == "Keras"


def test_properties_are_edited_saved_and_unset_again(package, reporter):
    """W29: editable, saved."""
    edit_package(package, package, reporter, {"summary": "Röhre", "description": "Better"})
    found = read_properties(package)
    assert (found.summary, found.description, found.tags) == ("Röhre", "Better", ("roofs",))
    assert json.loads(zipfile.ZipFile(package).read(PROPERTIES_FILE)) == {
        "Version": 1,
        "Description": "Better",
        "Summary": "Röhre",
        "Tags": ["roofs"],
    }
    edit_package(package, package, reporter, {"summary": None, "description": None, "tags": None})
    assert read_properties(package).description == "Roofs of a town"
    assert PROPERTIES_FILE not in names(package)


@pytest.mark.parametrize("text", ['{"Tags": "a"}', '{"Tags": [1]}', '{"Summary": ["a"]}', "[]", "{"])
def test_properties_that_make_no_sense_are_named(package, text):
    with zipfile.ZipFile(package.with_name("odd.dlpk"), "w") as archive:
        archive.writestr("town.emd", json.dumps(DEFINITION))
        archive.writestr(PROPERTIES_FILE, text)
    with pytest.raises(ModelDefinitionError, match=r"imagerydl_package\.json"):
        read_properties(package.with_name("odd.dlpk"))


# --- files -------------------------------------------------------------------------------------


def test_files_and_folders_are_added_and_removed(package, reporter, tmp_path):
    """W30."""
    (tmp_path / "report" / "figures").mkdir(parents=True)
    (tmp_path / "report" / "index.html").write_text("r", encoding="utf-8")
    (tmp_path / "report" / "figures" / "a.png").write_text("p", encoding="utf-8")
    (tmp_path / "LICENCE.txt").write_text("l", encoding="utf-8")
    edit_package(package, package, reporter, {}, add=[tmp_path / "report", tmp_path / "LICENCE.txt"])
    added = ["LICENCE.txt", "report/figures/a.png", "report/index.html"]
    assert set(added) <= set(names(package))
    edit_package(package, package, reporter, {}, remove=["licence.txt", "report\\figures"])
    assert names(package) == ["town.emd", PROPERTIES_FILE, "report/index.html", "town.h5"]


def test_an_added_file_takes_the_place_of_its_namesake(package, reporter, tmp_path):
    (tmp_path / "town.h5").write_bytes(b"trained longer")
    edit_package(package, package, reporter, {}, add=[tmp_path / "town.h5"])
    assert zipfile.ZipFile(package).read("town.h5") == b"trained longer"
    assert "Replaced in the package: town.h5" in said(reporter, "info")


def test_an_added_definition_is_a_second_model_with_its_files(package, write, reporter):
    """W27, W30."""
    roads = write("roads", "other", ("roads.h5",), ModelFile=".\\roads.h5")
    made = edit_package(package, package, reporter, {}, add=[roads])
    assert made.models == ("roads", "town")
    assert load_definition(f"{package}|model=roads").model_file.read_bytes() == b"content of roads.h5"
    edit_package(package, package, reporter, {}, remove=["town.emd", "town.h5"])
    assert load_definition(str(package)).model_file.name == "roads.h5"


@pytest.mark.parametrize("name", ["town.h5", "TOWN.H5"])
def test_a_file_that_the_model_needs_is_not_removed(package, reporter, name):
    before = package.read_bytes()
    with pytest.raises(ParameterError, match=r"town\.h5 cannot be removed.*town\.emd names it"):
        edit_package(package, package, reporter, {}, remove=[name])
    with pytest.raises(ParameterError, match="no package"):
        edit_package(package, package, reporter, {}, remove=["town.emd", "town.h5"])
    assert package.read_bytes() == before


def test_a_name_that_is_not_there_is_refused_with_those_that_are(package, reporter):
    for name in ("gone.txt", PROPERTIES_FILE, ".."):
        with pytest.raises(ParameterError, match=r"It has town\.emd, town\.h5"):
            edit_package(package, package, reporter, {}, remove=[name])


def test_a_package_that_lacks_its_model_is_mended_by_adding_it(reporter, tmp_path):
    broken = tmp_path / "broken.dlpk"
    with zipfile.ZipFile(broken, "w") as archive:
        archive.writestr("town.emd", json.dumps({**DEFINITION, "ModelFile": ".\\town.h5"}))
    with pytest.raises(ModelDefinitionError, match=r"town\.h5.*does not exist"):
        edit_package(broken, broken, reporter, {"summary": "s"})
    (tmp_path / "town.h5").write_bytes(b"w")
    edit_package(broken, broken, reporter, {}, add=[tmp_path / "town.h5"])
    assert load_definition(str(broken)).model_file.read_bytes() == b"w"


def test_a_model_outside_the_package_is_not_taken_for_one_inside(package, reporter, tmp_path):
    """A path of this very machine leads somewhere here, and nowhere on the next."""
    (tmp_path / "town.h5").write_bytes(b"w")
    foreign = tmp_path / "foreign.dlpk"
    with zipfile.ZipFile(foreign, "w") as archive:
        archive.writestr("town.emd", json.dumps({**DEFINITION, "ModelFile": str(tmp_path / "town.h5")}))
    with pytest.raises(ModelDefinitionError, match="not in the package"):
        edit_package(foreign, foreign, reporter, {"summary": "s"})


def test_another_name_leaves_the_given_package_as_it_is(package, reporter, tmp_path):
    before = package.read_bytes()
    other = tmp_path / "other.dlpk"
    edit_package(package, other, reporter, {"summary": "s"})
    assert package.read_bytes() == before
    assert read_properties(other).summary == "s"
    with pytest.raises(OutputError, match="already exists"):
        edit_package(package, other, reporter, {"summary": "t"})


def test_a_file_that_cannot_be_read_is_named_and_not_the_package(package, reporter, tmp_path, monkeypatch):
    from imagerydl.models import packaging

    note = tmp_path / "note.txt"
    note.write_text("n", encoding="utf-8")
    check = packaging._check_models

    def vanish(members):
        note.unlink()
        return check(members)

    monkeypatch.setattr(packaging, "_check_models", vanish)
    with pytest.raises(ParameterError, match=r"note\.txt cannot be read"):
        edit_package(package, package, reporter, {}, add=[note])


def test_a_run_that_is_cancelled_leaves_the_package_as_it_was(package, tmp_path):
    from imagerydl.errors import CancelledError

    before = package.read_bytes()
    with pytest.raises(CancelledError):
        edit_package(package, package, Reporter(lambda event: None, lambda: True), {"summary": "s"})
    assert package.read_bytes() == before
    assert not [path for path in tmp_path.iterdir() if "unfinished" in path.name]


# --- the same bytes ----------------------------------------------------------------------------


def test_the_same_files_give_the_same_package(create, write, package, reporter, tmp_path):
    before = package.read_bytes()
    again = create(write(), overwrite=True, tags=("roofs",)).path
    assert again.read_bytes() == before, "written at another time"
    edit_package(again, again, reporter, {"tags": ("walls",)})
    assert again.read_bytes() != before
    edit_package(again, again, reporter, {"tags": ("roofs",)})
    assert again.read_bytes() == before, "there and back"
