"""The dialog: what does not apply to the choices made in it is disabled, and shows its default."""

from __future__ import annotations

import processing
import pytest
from qgis.core import (
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingModelAlgorithm,
    QgsProject,
    QgsRasterLayer,
    QgsVectorLayer,
)
from qgis.PyQt.QtWidgets import QComboBox
from samples import squares, write_raster

#: Parameters of the toy that apply to some choices only.
DEPENDENT = ("REMARK", "LEVEL", "QUALITY", "NAMED", "OVERLAY", "OVERLAY_SELECTED_ONLY", "OUT_SKETCH")
WITH_TIFF = {"LEVEL", "QUALITY", "OUT_SKETCH"}


@pytest.fixture
def dialog(toys):
    dialog = toys.algorithm("quicktoy").createCustomParametersWidget(None)
    yield dialog
    dialog.deleteLater()


def wrapper(dialog, key):
    return dialog.mainWidget().wrappers[key]


def show(dialog, **values):
    """Put values into the widgets, one after the other."""
    for key, value in values.items():
        wrapper(dialog, key).setParameterValue(value, QgsProcessingContext())


def enabled(dialog):
    return {key for key in DEPENDENT if wrapper(dialog, key).wrappedWidget().isEnabled()}


def shown(dialog, key):
    return wrapper(dialog, key).parameterValue()


def runs(dialog):
    """Whether the tool would run with what the dialog shows."""
    context = QgsProcessingContext()
    context.setProject(QgsProject.instance())
    return dialog.algorithm().checkParameterValues(dialog.createProcessingParameters(), context)


def test_the_dialog_opens_with_what_applies_to_the_defaults(dialog):
    assert enabled(dialog) == set()
    assert wrapper(dialog, "WHOLE").wrappedWidget().isEnabled()
    assert runs(dialog) == (True, "")


def test_a_choice_in_the_list_counts_at_once(dialog):
    """As a person makes it, with the mouse."""
    combo = wrapper(dialog, "CHOICE").wrappedWidget()
    if not isinstance(combo, QComboBox):
        combo = combo.findChild(QComboBox)
    combo.setCurrentIndex(0)
    assert enabled(dialog) == WITH_TIFF
    combo.setCurrentIndex(1)
    assert enabled(dialog) == set()


def test_labels_go_with_their_widgets(dialog):
    assert not wrapper(dialog, "QUALITY").wrappedLabel().isEnabled()
    show(dialog, CHOICE="TIFF")
    assert wrapper(dialog, "QUALITY").wrappedLabel().isEnabled()


def test_all_choices_count(dialog):
    show(dialog, CHOICE="TIFF", LEVEL="HIGH")
    assert enabled(dialog) == set(DEPENDENT)


def test_what_is_disabled_shows_its_default_so_that_the_tool_runs(dialog, project, tmp_path):
    """LEVEL goes back with CHOICE, and what depends on LEVEL with it."""
    layer = squares()
    project.addMapLayer(layer)
    out = str(tmp_path / "sketch.gpkg")
    show(
        dialog, CHOICE="TIFF", LEVEL="HIGH", REMARK="now", QUALITY=90, NAMED=["a", "2"], OVERLAY=layer,
        OUT_SKETCH=out,
    )  # fmt: skip
    assert runs(dialog) == (True, "")
    show(dialog, CHOICE="PNG")
    assert enabled(dialog) == set()
    assert shown(dialog, "LEVEL") == "LOW"
    assert shown(dialog, "QUALITY") == 75
    assert [str(cell) for cell in shown(dialog, "NAMED")] == ["a", "1"]
    for key in ("REMARK", "OVERLAY", "OUT_SKETCH"):
        assert not shown(dialog, key), key
    assert runs(dialog) == (True, "")


def test_values_of_the_history_keep_whatever_their_order(dialog):
    """REMARK comes before the choices that it depends on."""
    dialog.setParameters({"REMARK": "kept", "CHOICE": "TIFF", "LEVEL": "HIGH", "QUALITY": 90})
    assert enabled(dialog) == set(DEPENDENT)
    assert (shown(dialog, "REMARK"), shown(dialog, "LEVEL"), shown(dialog, "QUALITY")) == ("kept", "HIGH", 90)
    dialog.setParameters({"CHOICE": "PNG", "QUALITY": 60})
    assert enabled(dialog) == set()
    assert shown(dialog, "QUALITY") == 75


def test_tables_are_offered_as_layers(toys, project, tmp_path):
    """OVERLAY takes any layer, LAYER polygons and rasters."""
    path = tmp_path / "boxes.csv"
    path.write_text("image,xmin\na.jpg,3\n")
    raster = QgsRasterLayer(write_raster(tmp_path / "a.tif"), "raster")
    project.addMapLayers([QgsVectorLayer(str(path), "boxes", "ogr"), squares(), raster])
    dialog = toys.algorithm("quicktoy").createCustomParametersWidget(None)
    offered = {}
    for key in ("OVERLAY", "LAYER"):
        combo = wrapper(dialog, key).wrappedWidget().findChild(QComboBox)
        texts = [combo.itemText(number) for number in range(combo.count())]
        offered[key] = {text.split(" ")[0] for text in texts if text}
    assert offered == {"OVERLAY": {"boxes", "squares", "raster"}, "LAYER": {"squares", "raster"}}
    dialog.deleteLater()


def test_a_tool_without_such_parameters_has_the_usual_dialog(provider):
    assert provider.algorithm("checkruntime").createCustomParametersWidget(None) is None


def test_the_modeler_leaves_everything_enabled(toys):
    """There a choice may come from another step."""
    from processing.modeler.ModelerParametersDialog import ModelerParametersDialog

    model = QgsProcessingModelAlgorithm("empty", "tests")
    dialog = ModelerParametersDialog(toys.algorithm("quicktoy").create(), model)
    found = dialog.widget.widget.wrappers
    for key in ("REMARK", "LEVEL", "QUALITY"):
        assert found[key].isEnabled()
    dialog.deleteLater()


def test_the_batch_dialog_is_the_usual_one(toys):
    """Each of its rows has choices of its own."""
    from processing.gui.BatchAlgorithmDialog import BatchAlgorithmDialog

    dialog = BatchAlgorithmDialog(toys.algorithm("quicktoy").create())
    cells = [cell for row in dialog.mainWidget().wrappers for cell in row if cell is not None]
    assert cells
    assert all(cell.wrappedWidget().isEnabled() for cell in cells)
    dialog.deleteLater()


def test_scripts_are_refused_by_name(toys):
    """And what does not apply, but says nothing, is nobody's fault."""
    message = r"QUALITY \(Quality\) does not apply to CHOICE=PNG. It applies to TIFF"
    with pytest.raises(QgsProcessingException, match=message):
        processing.run("toys:quicktoy", {"QUALITY": 90})
    assert processing.run("toys:quicktoy", {"QUALITY": 75, "REMARK": "", "OVERLAY": None})["NUMBER"] == 7
    assert processing.run("toys:quicktoy", {"CHOICE": "tiff", "QUALITY": 90})["NUMBER"] == 7
