"""The dialog of a tool that runs a model: what it says about the model, the arguments, and consent."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import pytest
from qgis.core import QgsProcessingContext, QgsProcessingModelAlgorithm
from qgis.PyQt.QtCore import QEvent, QPoint, QPointF, Qt
from qgis.PyQt.QtGui import QWheelEvent
from qgis.PyQt.QtWidgets import QApplication, QMessageBox, QPlainTextEdit
from samples import write_raster

ARGUMENTS = [
    {"name": "water_level", "kind": "number", "default": "0.5", "label": "Water level", "minimum": 0,
     "maximum": 1, "help": "Wetter than this is water.", "choices": [], "required": False},
    {"name": "index", "kind": "choice", "default": "NDWI", "label": "Index", "help": "Which index.",
     "choices": ["NDWI", "MNDWI"], "minimum": None, "maximum": None, "required": False},
    {"name": "smooth", "kind": "boolean", "default": "True", "label": "Smooth", "help": "", "choices": [],
     "minimum": None, "maximum": None, "required": False},
    {"name": "note", "kind": "text", "default": "", "label": "Note", "help": "", "choices": [],
     "minimum": None, "maximum": None, "required": True},
]  # fmt: skip
#: What a run of Classify Pixels takes with any model.
OWN = [
    "padding", "overlap", "batch_size", "tile_size", "predict_background", "test_time_augmentation",
    "threshold", "merge_policy",
]  # fmt: skip


@pytest.fixture
def plugin(qgis_app, worker, monkeypatch, tmp_path):
    """The plugin in the desktop, with a worker that describes models by what their files say."""
    from imagerydl import classFactory
    from imagerydl.processing_provider import runtime
    from imagerydl.ui import model_follower

    script = Path(__file__).with_name("model_worker.py")
    monkeypatch.setattr(
        runtime,
        "worker_command",
        lambda python, job_file: [sys.executable, "-I", "-u", str(script), str(job_file)],
    )
    monkeypatch.setattr(model_follower, "DELAY", 20)
    monkeypatch.setenv("IMAGERYDL_TRUST", str(tmp_path / "trusted.json"))
    plugin = classFactory(None)
    plugin.initGui()
    yield plugin
    plugin.unload()


@pytest.fixture
def dialog(plugin, qgis_app):
    algorithm = qgis_app.processingRegistry().algorithmById("imagerydl:classifypixels")
    dialog = algorithm.createCustomParametersWidget(None)
    dialog.show()
    yield dialog
    dialog.close()
    dialog.deleteLater()


@pytest.fixture
def model(tmp_path):
    """Writes a model: what the double of the engine's tool says about it."""

    def make(name="river.emd", wait=0, error=None, **results):
        given = {"CARD": "River finder\nby hand", "ARGUMENTS": json.dumps(ARGUMENTS), "FOREIGN_CODE": "",
                 "TILE_SIZE": "128x256", "PROBLEMS": "[]", **results}  # fmt: skip
        said = {"results": given, "wait": wait, **({"error": error} if error else {})}
        path = tmp_path / name
        path.write_text(json.dumps(said))
        return str(path)

    return make


@pytest.fixture
def code(tmp_path):
    """A raster function, as the engine's tool reports it."""
    from imagerydl.engine.imagerydl.models.trust import ForeignCode

    path = tmp_path / "river.py"
    path.write_text("print('anything')\n")
    found = ForeignCode((path,), "a Python raster function")
    text = json.dumps({"files": [str(path)], "reason": found.reason, "digest": found.digest})
    return found, text


def follower(dialog):
    from imagerydl.ui.model_follower import ModelFollower

    return dialog.findChild(ModelFollower)


def until(condition, seconds=15.0):
    """Let Qt work until ``condition`` holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come about"
        QApplication.processEvents()
        QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)  # needs a loop otherwise
        time.sleep(0.01)


def choose(dialog, path, key="IN_MODEL_DEFINITION"):
    dialog.mainWidget().wrappers[key].setParameterValue(path, QgsProcessingContext())


def describe(dialog, path):
    choose(dialog, path)
    until(lambda: follower(dialog).description is not None)
    return follower(dialog)


def arguments(dialog):
    """What the run would be given, as a mapping."""
    cells = dialog.mainWidget().wrappers["ARGUMENTS"].parameterValue() or []
    return dict(zip(cells[::2], cells[1::2]))


def type_into(editor, text):
    line = editor.lineEdit() if hasattr(editor, "lineEdit") and editor.lineEdit() else editor
    line.setText(text)
    line.textEdited.emit(text)


def test_before_a_model_is_chosen_the_tools_own_arguments_are_offered(dialog):
    assert follower(dialog).table.names() == OWN
    assert arguments(dialog) == {}
    assert not follower(dialog).status.isVisible()


def test_a_model_brings_its_arguments(dialog, model):
    """W: the arguments that a model declares appear in the dialog when it is chosen."""
    table = describe(dialog, model()).table
    assert table.names() == ["water_level", "index", "smooth", "note", *OWN]
    assert table.editor("water_level").lineEdit().placeholderText() == "0.5"
    assert [table.editor("index").itemText(number) for number in range(2)] == ["NDWI", "MNDWI"]
    assert table.editor("smooth").isChecked()
    assert table.editor("note").placeholderText() == "required"
    assert "Wetter than this is water." in table.editor("water_level").toolTip()
    assert arguments(dialog) == {}


def test_only_what_differs_from_its_default_is_passed_on(dialog, model):
    table = describe(dialog, model()).table
    type_into(table.editor("water_level"), "0.25")
    table.editor("index").setCurrentIndex(1)
    table.editor("index").activated.emit(1)
    table.editor("smooth").click()
    type_into(table.editor("padding"), "16")
    assert arguments(dialog) == {"water_level": "0.25", "index": "MNDWI", "smooth": "False", "padding": "16"}
    type_into(table.editor("water_level"), "0.50")
    table.editor("smooth").click()
    assert arguments(dialog) == {"index": "MNDWI", "padding": "16"}


def test_arrows_stay_within_the_limits(dialog, model):
    editor = describe(dialog, model()).table.editor("water_level")
    editor.stepBy(1)
    assert arguments(dialog) == {"water_level": "0.55"}
    editor.stepBy(50)
    assert arguments(dialog) == {"water_level": "1"}


def test_a_models_own_word_goes_before_the_general_one(dialog, model):
    own = {**ARGUMENTS[0], "name": "padding", "default": "32", "maximum": None}
    table = describe(dialog, model(ARGUMENTS=json.dumps([own]))).table
    assert table.names() == ["padding", *OWN[1:]]
    assert table.editor("padding").lineEdit().placeholderText() == "32"


def test_any_other_argument_can_be_typed(dialog):
    table = follower(dialog).table
    (row,) = table.free_rows()
    table.item(row, 0).setText("secret")
    table.item(row, 1).setText("7 8")
    assert arguments(dialog) == {"secret": "7 8"}
    assert len(table.free_rows()) == 2


def test_values_of_the_history_are_shown_and_kept(dialog, model, tmp_path):
    """They arrive before the model's arguments are known."""
    given = ["water_level", "0.25", "padding", "16", "old_name", "x"]
    raster = write_raster(tmp_path / "a.tif")
    dialog.setParameters({"IN_RASTER": [raster], "IN_MODEL_DEFINITION": model(), "ARGUMENTS": given})
    assert dialog.createProcessingParameters()["ARGUMENTS"] == given
    until(lambda: follower(dialog).description is not None)
    table = follower(dialog).table
    assert table.editor("water_level").value() == "0.25"
    assert table.editor("padding").value() == "16"
    assert table.item(table.free_rows()[0], 0).text() == "old_name"
    assert dialog.createProcessingParameters()["ARGUMENTS"] == given
    type_into(table.editor("padding"), "8")
    assert arguments(dialog) == {"water_level": "0.25", "padding": "8", "old_name": "x"}


def test_the_line_says_what_the_model_is(dialog, model):
    found = describe(dialog, model())
    assert "River finder" in found.status.text()
    assert "128 × 256 pixels" in found.status.text()
    assert found.status.isVisible()
    found.status.linkActivated.emit("details")
    (card,) = [text for text in dialog.findChildren(QPlainTextEdit) if "by hand" in text.toPlainText()]
    assert card.isVisible()


def test_the_definition_tells_name_and_classes(plugin, tmp_path):
    from imagerydl.ui.model_description import ModelDescription
    from imagerydl.ui.model_follower import status_text

    (tmp_path / "net.onnx").write_bytes(b"")
    classes = [{"Value": value, "Name": f"class {value}", "Color": [0, 0, value]} for value in range(3)]
    definition = {
        "Framework": "PyTorch", "ModelConfiguration": "Net", "ModelName": "River net",
        "ModelFile": "net.onnx", "ModelType": "ImageClassification",
        "ImageHeight": 64, "ImageWidth": 64, "ExtractBands": [0], "Classes": classes,
    }  # fmt: skip
    path = tmp_path / "net.emd"
    path.write_text(json.dumps(definition))
    results = {"CARD": "c", "ARGUMENTS": "[]", "PROBLEMS": "[]", "TILE_SIZE": "64x64", "FOREIGN_CODE": ""}
    text = status_text(ModelDescription.from_results(str(path), results))
    assert text.startswith("River net · 64 × 64 pixels · 3 classes · PyTorch Net ")


def test_a_problem_is_told_in_red_with_its_fix(dialog, model):
    problem = "This model needs tensorflow. Install it with Set up runtime."
    found = describe(dialog, model(PROBLEMS=json.dumps([problem])))
    assert problem in found.status.text()
    assert "color:" in found.status.text()


def test_a_refusal_is_told_in_red_and_the_next_model_is_looked_at(dialog, model):
    choose(dialog, model("bad.emd", error=["bad.emd has no Classes.", "Add <Classes>."]))
    until(lambda: "no Classes" in follower(dialog).status.text())
    assert "Add &lt;Classes&gt;." in follower(dialog).status.text()
    assert follower(dialog).table.names() == OWN
    assert "River finder" in describe(dialog, model()).status.text()


def test_a_slow_model_blocks_nothing_and_is_given_up_for_another(dialog, model):
    from imagerydl.ui.model_description import DescriptionJob

    slow = model("slow.emd", wait=60, CARD="Slow one")
    choose(dialog, slow)
    until(lambda: Path(slow + ".log").exists())
    assert "Looking at" in follower(dialog).status.text()
    assert "River finder" in describe(dialog, model()).status.text()
    until(lambda: not DescriptionJob._running)
    assert "River finder" in follower(dialog).status.text()


def test_typing_asks_once(dialog, model):
    path = model()
    for end in range(len(path) - 3, len(path) + 1):
        choose(dialog, path[:end])
    until(lambda: follower(dialog).description is not None)
    assert Path(path + ".log").read_text() == "described\n"


@pytest.mark.parametrize("way", ["close", "deleteLater"])
def test_closing_the_dialog_ends_the_worker(plugin, qgis_app, model, way):
    from imagerydl.ui.model_description import DescriptionJob

    algorithm = qgis_app.processingRegistry().algorithmById("imagerydl:classifypixels")
    dialog = algorithm.createCustomParametersWidget(None)
    dialog.show()
    slow = model("slow.emd", wait=60)
    choose(dialog, slow)
    until(lambda: Path(slow + ".log").exists())
    getattr(dialog, way)()
    until(lambda: not DescriptionJob._running, seconds=10)


def test_code_in_a_model_is_asked_about_and_no_is_the_default(dialog, model, code):
    """The choice is for these very files: they are named, with folder and digest."""
    from imagerydl.engine.imagerydl.models.trust import is_trusted

    found, text = code
    describe(dialog, model(FOREIGN_CODE=text, ARGUMENTS="[]"))
    (question,) = dialog.findChildren(QMessageBox)
    told = question.text() + question.informativeText()
    for part in ("a Python raster function", "river.py", str(found.files[0].parent), found.digest):
        assert part in told
    assert question.defaultButton() is question.button(QMessageBox.StandardButton.No)
    question.button(QMessageBox.StandardButton.No).click()
    assert not is_trusted(found)
    assert "runs only once you agree" in follower(dialog).status.text()


def test_consent_is_remembered_and_the_model_described_again(dialog, model, code):
    from imagerydl.engine.imagerydl.models.trust import is_trusted

    found, text = code
    path = model(FOREIGN_CODE=text)
    first = describe(dialog, path).description
    dialog.findChildren(QMessageBox)[0].button(QMessageBox.StandardButton.Yes).click()
    until(lambda: follower(dialog).description not in (None, first))
    assert is_trusted(found)
    assert Path(path + ".log").read_text() == "described\ndescribed\n"
    assert "runs only once" not in follower(dialog).status.text()
    until(lambda: not dialog.findChildren(QMessageBox))


def test_a_refused_question_can_be_asked_again(dialog, model, code):
    describe(dialog, model(FOREIGN_CODE=code[1]))
    dialog.findChildren(QMessageBox)[0].reject()
    until(lambda: not dialog.findChildren(QMessageBox))
    follower(dialog).status.linkActivated.emit("allow")
    assert dialog.findChildren(QMessageBox)


def test_files_that_changed_meanwhile_are_not_trusted(dialog, model, code):
    from imagerydl.engine.imagerydl.models.trust import trusted_models

    found, text = code
    describe(dialog, model(FOREIGN_CODE=text))
    found.files[0].write_text("print('something else')\n")
    dialog.findChildren(QMessageBox)[0].button(QMessageBox.StandardButton.Yes).click()
    until(lambda: "changed since you were asked" in follower(dialog).status.text())
    assert trusted_models() == {}


def test_without_an_environment_the_line_names_the_tool_that_builds_it(dialog, model, monkeypatch, tmp_path):
    monkeypatch.setenv("IMAGERYDL_PYTHON", str(tmp_path / "nothing"))
    choose(dialog, model())
    until(lambda: "imagerydl:setupruntime" in follower(dialog).status.text())


def test_the_wheel_scrolls_the_dialog_not_the_values(dialog):
    """It changes a value only where somebody has clicked into it."""
    for name in OWN:
        editor = follower(dialog).table.editor(name)
        assert editor.focusPolicy() == Qt.FocusPolicy.StrongFocus
        turn = QWheelEvent(
            QPointF(3, 3), QPointF(3, 3), QPoint(0, -120), QPoint(0, -120), Qt.MouseButton.NoButton,
            Qt.KeyboardModifier.NoModifier, Qt.ScrollPhase.NoScrollPhase, False,
        )  # fmt: skip
        editor.clearFocus()
        QApplication.sendEvent(editor, turn)
    assert [follower(dialog).table.editor(name).value() for name in OWN] == [""] * len(OWN)


@pytest.mark.parametrize("key", ["ARGUMENTS", "MODEL_ARGUMENTS"])
def test_any_tool_with_a_model_and_arguments_is_followed(plugin, key):
    """Detection and classification of objects name them differently."""
    from dataclasses import replace

    from imagerydl.engine.imagerydl.tools.classifypixels import TOOL
    from imagerydl.ui.model_follower import ModelCompanion

    renamed = [replace(param, key=key) if param.key == "ARGUMENTS" else param for param in TOOL.params]
    assert ModelCompanion().applies(replace(TOOL, params=tuple(renamed)))
    without = [param for param in TOOL.params if param.key != "IN_MODEL_DEFINITION"]
    assert not ModelCompanion().applies(replace(TOOL, params=tuple(without)))


def test_modeler_and_batch_keep_the_plain_table(plugin, qgis_app):
    """There the model may come from another step, and each row has one of its own."""
    from processing.gui.BatchAlgorithmDialog import BatchAlgorithmDialog
    from processing.modeler.ModelerParametersDialog import ModelerParametersDialog

    from imagerydl.ui.argument_table import ArgumentTable

    algorithm = qgis_app.processingRegistry().algorithmById("imagerydl:classifypixels")
    for dialog in (
        BatchAlgorithmDialog(algorithm.create()),
        ModelerParametersDialog(algorithm.create(), QgsProcessingModelAlgorithm("empty", "tests")),
    ):
        assert not dialog.findChildren(ArgumentTable)
        dialog.deleteLater()


def test_other_tools_keep_their_dialog(plugin, qgis_app):
    algorithm = qgis_app.processingRegistry().algorithmById("imagerydl:checkruntime")
    assert algorithm.createCustomParametersWidget(None) is None
