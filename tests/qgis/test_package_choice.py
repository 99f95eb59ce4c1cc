"""A package with several models: the dialog offers them, and what is chosen goes into the parameter."""

from __future__ import annotations

import time
import zipfile

import pytest
from qgis.core import QgsProcessingContext
from qgis.PyQt.QtWidgets import QApplication


@pytest.fixture
def plugin(qgis_app, monkeypatch, tmp_path):
    """The plugin in the desktop; no environment is needed to see what is in a package."""
    from imagerydl import classFactory
    from imagerydl.ui import package_choice

    monkeypatch.setattr(package_choice, "DELAY", 10)
    monkeypatch.setenv("IMAGERYDL_PYTHON", str(tmp_path / "nowhere"))
    plugin = classFactory(None)
    plugin.initGui()
    yield plugin
    plugin.unload()


@pytest.fixture
def dialog(plugin, qgis_app):
    algorithm = qgis_app.processingRegistry().algorithmById("imagerydl:describemodel")
    dialog = algorithm.createCustomParametersWidget(None)
    dialog.show()
    yield dialog
    dialog.close()
    dialog.deleteLater()


@pytest.fixture
def package(tmp_path):
    """Makes a package with a definition of each name."""

    def make(*names, file="town.dlpk"):
        with zipfile.ZipFile(tmp_path / file, "w") as archive:
            for name in names:
                archive.writestr(f"{name}.emd", "{}")
        return str(tmp_path / file)

    return make


def choice(dialog):
    from imagerydl.ui.package_choice import PackageChoice

    return dialog.findChild(PackageChoice)


def offered(dialog):
    models = choice(dialog).list
    return [str(models.itemData(row)) for row in range(models.count())]


def until(condition, seconds=10.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come about"
        QApplication.processEvents()
        time.sleep(0.01)


def name_model(dialog, text):
    dialog.mainWidget().wrappers["IN_MODEL_DEFINITION"].setParameterValue(text, QgsProcessingContext())


def named(dialog):
    return dialog.createProcessingParameters()["IN_MODEL_DEFINITION"]


def pick(dialog, model):
    models = choice(dialog).list
    models.setCurrentIndex(offered(dialog).index(model))
    models.activated.emit(models.currentIndex())


def test_the_models_of_a_package_are_offered_and_none_is_taken_unasked(dialog, package):
    """W27: a package may hold several models."""
    path = package("roofs", "roads")
    name_model(dialog, path)
    until(lambda: choice(dialog).list.isVisible())
    assert offered(dialog) == ["", "roads", "roofs"]
    assert choice(dialog).list.currentIndex() == 0
    assert named(dialog) == path


def test_what_is_chosen_stands_after_the_path(dialog, package):
    path = package("roofs", "roads")
    name_model(dialog, path)
    until(lambda: choice(dialog).list.isVisible())
    pick(dialog, "roofs")
    assert named(dialog) == f"{path}|model=roofs"
    pick(dialog, "roads")
    assert named(dialog) == f"{path}|model=roads"
    pick(dialog, "")
    assert named(dialog) == path


def test_a_choice_of_the_history_is_shown(dialog, package):
    dialog.setParameters({"IN_MODEL_DEFINITION": package("roofs", "roads") + "|model=ROOFS"})
    until(lambda: choice(dialog).list.isVisible())
    assert choice(dialog).list.currentText() == "roofs"
    assert named(dialog).endswith("|model=ROOFS")


def test_typing_another_model_moves_the_choice(dialog, package):
    path = package("roofs", "roads")
    name_model(dialog, path)
    until(lambda: choice(dialog).list.isVisible())
    name_model(dialog, path + "|model=roads")
    until(lambda: choice(dialog).list.currentText() == "roads")


def test_one_model_or_no_package_leaves_nothing_to_choose(dialog, package, tmp_path):
    for text in (
        package("roofs", file="one.dlpk"),
        str(tmp_path / "none.dlpk"),
        '{"Framework": "Keras"}',
        "",
    ):
        name_model(dialog, package("roofs", "roads"))
        until(lambda: choice(dialog).list.isVisible())
        name_model(dialog, text)
        until(lambda: not choice(dialog).list.isVisible())
        assert (dialog.mainWidget().wrappers["IN_MODEL_DEFINITION"].parameterValue() or "") == text


@pytest.mark.parametrize(
    ("tool_id", "keys"),
    [
        ("detectobjects", ["IN_MODEL_DEFINITION"]),
        ("classifyobjects", ["IN_MODEL_DEFINITION"]),
        ("classifypixels", ["IN_MODEL_DEFINITION"]),
        ("detectchange", ["IN_MODEL_DEFINITION"]),
        ("trainmodel", ["PRETRAINED_MODEL"]),
        ("createmodelpackage", []),
        ("editmodelpackage", []),
    ],
)
def test_every_tool_that_takes_a_model_has_the_choice(plugin, qgis_app, tool_id, keys):
    from imagerydl.ui.package_choice import PackageChoice, package_params

    algorithm = qgis_app.processingRegistry().algorithmById(f"imagerydl:{tool_id}")
    assert [param.key for param in package_params(algorithm.tool)] == keys
    dialog = algorithm.createCustomParametersWidget(None)
    found = dialog.findChildren(PackageChoice) if dialog else []
    assert len(found) == len(keys)
    if dialog:
        dialog.deleteLater()
