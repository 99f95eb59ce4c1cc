"""The Label Objects dock: drawn by mouse, kept safe, exported by the real tool."""

from __future__ import annotations

import json
import sqlite3
import time
import xml.etree.ElementTree as ElementTree
from contextlib import closing
from pathlib import Path

import pytest
from mouse import RIGHT, SIZE, Hand, make_canvas, settle
from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsGeometry,
    QgsProject,
    QgsRasterLayer,
    QgsRectangle,
    QgsVectorLayer,
)
from qgis.gui import QgsMapToolPan
from qgis.PyQt.QtCore import QEvent, Qt
from qgis.PyQt.QtGui import QImage
from qgis.PyQt.QtWidgets import QApplication
from samples import squares

pytestmark = pytest.mark.usefixtures("raised")

CLASSES = "1, Roof, #aa3322\n2, Tree, #228833\n7, Water, #3355ee"

DRAWN = {
    "rectangle": ((8, 8), (24, 20)),
    "circle": ((32, 32), (40, 32)),
    "freehand": ((10, 10), (30, 10), (30, 30), (10, 30), (10, 12)),
}


@pytest.fixture
def make_dock(provider, project):
    from imagerydl.ui.labelling.dock import LabelDock

    docks = []

    def make(canvas):
        dock = LabelDock(canvas)
        docks.append(dock)
        dock.show()
        QApplication.processEvents()
        return dock

    yield make
    for dock in docks:
        dock.leave()
        dock.deleteLater()
    QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)


@pytest.fixture
def dock(make_dock, canvas, tmp_path):
    """A dock with three classes, ready to draw into samples.gpkg."""
    dock = make_dock(canvas)
    (tmp_path / "classes.txt").write_text(CLASSES)
    dock.classes.load(str(tmp_path / "classes.txt"))
    dock.new_samples(str(tmp_path / "samples.gpkg"))
    assert dock.samples is not None, dock.state.text()
    return dock


def cells(layer: QgsVectorLayer) -> list[dict[str, object]]:
    names = ("Classname", "Classvalue", "RED", "GREEN", "BLUE", "Count")
    return [{name: feature[name] for name in names} for feature in layer.getFeatures()]


def saved_rows(path: Path) -> int:
    """Samples as another program sees them."""
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("SELECT count(*) FROM samples").fetchone()[0]


def change_file(path: Path, statement: str) -> None:
    """What another program does to the file."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(statement)


def draw_two_roofs_and_a_tree(dock, hand) -> None:
    dock.set_tool("rectangle")
    dock.classes.choose(1)
    hand.drag((4, 50), (14, 60))
    hand.drag((20, 50), (30, 60))
    dock.classes.choose(2)
    hand.drag((40, 10), (60, 20))
    settle()


@pytest.mark.parametrize("shape", DRAWN)
def test_a_shape_dragged_on_the_map_becomes_a_sample(dock, canvas, shape):
    """W2: with the fields of ArcGIS's training samples, in the imagery's coordinate system."""
    dock.classes.choose(2)
    dock.set_tool(shape)
    Hand(canvas).drag(*DRAWN[shape])
    (sample,) = cells(dock.samples.layer)
    areas = {"rectangle": 16 * 12, "circle": 3.14159 * 8**2, "freehand": 20 * 20}
    assert sample["Count"] == pytest.approx(areas[shape], rel=0.06)
    del sample["Count"]
    assert sample == {"Classname": "Tree", "Classvalue": 2, "RED": 34, "GREEN": 136, "BLUE": 51}
    assert dock.samples.layer.crs() == QgsCoordinateReferenceSystem("EPSG:32636")


def test_a_polygon_is_clicked_corner_by_corner(dock, canvas):
    """Backspace takes a corner back, a right click or Enter closes, Escape forgets."""
    hand = Hand(canvas)
    dock.set_tool("polygon")
    hand.click((10, 10), (30, 10), (60, 60))
    hand.key(Qt.Key.Key_Backspace)
    hand.click((30, 30), (10, 30))
    hand.click((20, 20), button=RIGHT)
    hand.click((40, 40), (50, 40))
    hand.key(Qt.Key.Key_Escape)
    hand.click((40, 40), (50, 40), (50, 50))
    hand.key(Qt.Key.Key_Return)
    assert [feature.geometry().area() for feature in dock.samples.layer.getFeatures()] == [
        pytest.approx(400, rel=0.05),
        pytest.approx(50, rel=0.1),
    ]


def test_two_clicks_make_a_rectangle_and_a_slip_makes_nothing(dock, canvas):
    hand = Hand(canvas)
    dock.set_tool("rectangle")
    hand.click((10, 10))
    hand.click((20, 20))
    hand.click((30, 30), button=RIGHT)
    hand.drag((40, 40), (40.1, 40.1))
    hand.key(Qt.Key.Key_Escape)
    (feature,) = dock.samples.layer.getFeatures()
    assert feature.geometry().area() == pytest.approx(100, rel=0.05)


def test_an_outline_that_crosses_itself_becomes_valid(dock, canvas):
    dock.set_tool("freehand")
    Hand(canvas).drag((10, 10), (40, 40), (40, 10), (10, 40))
    (feature,) = dock.samples.layer.getFeatures()
    assert feature.geometry().isGeosValid()
    assert feature.geometry().area() > 300


def test_keys_choose_classes_while_drawing(dock, canvas):
    hand = Hand(canvas)
    dock.set_tool("rectangle")
    for key, name in ((Qt.Key.Key_3, "Water"), (Qt.Key.Key_1, "Roof"), (Qt.Key.Key_9, "Roof")):
        hand.key(key)
        assert dock.classes.current().name == name


def test_drawing_in_another_system_than_the_samples(dock, canvas):
    """The map may show anything; samples stay in the imagery's system."""
    canvas.setDestinationCrs(QgsCoordinateReferenceSystem("EPSG:3857"))
    QApplication.processEvents()
    box = canvas.mapSettings().layerExtentToOutputExtent(dock.imagery().layer, QgsRectangle(10, 10, 30, 30))
    canvas.setExtent(box.scaled(2) if hasattr(box, "scaled") else box)
    dock.set_tool("rectangle")
    Hand(canvas).drag((box.xMinimum(), box.yMinimum()), (box.xMaximum(), box.yMaximum()))
    (feature,) = dock.samples.layer.getFeatures()
    assert feature.geometry().boundingBox().center().x() == pytest.approx(20, abs=1)
    assert feature["Count"] == pytest.approx(400, rel=0.15)


def test_counts_and_shares_follow_the_samples(dock, canvas):
    draw_two_roofs_and_a_tree(dock, Hand(canvas))
    items = {item.text(0): item for item in (dock.classes.view.topLevelItem(row) for row in range(3))}
    assert [items[name].text(3) for name in ("Roof", "Tree", "Water")] == ["2", "1", ""]
    assert items["Roof"].text(4).endswith("%")
    assert float(items["Roof"].text(4)[:-1]) + float(items["Tree"].text(4)[:-1]) == pytest.approx(
        100, abs=0.11
    )
    dock.classes.choose(1)
    dock.sample_list.only_chosen.setChecked(True)
    assert dock.sample_list.model.rowCount() == 2


def test_samples_are_reassigned_merged_redrawn_and_deleted_and_each_can_be_undone(dock, canvas):
    hand = Hand(canvas)
    draw_two_roofs_and_a_tree(dock, hand)
    layer, samples = dock.samples.layer, dock.samples
    roofs = [row.number for row in samples.rows() if row.value == 1]

    dock.sample_list.select(roofs)
    dock.classes.choose(7)
    dock._do("assign")
    assert [cell["Classname"] for cell in cells(layer)] == ["Water", "Water", "Tree"]
    dock.panel.undo_button.click()
    assert [cell["Classname"] for cell in cells(layer)] == ["Roof", "Roof", "Tree"]

    dock._do("merge")
    settle()
    merged = samples.shape(roofs[0])
    assert layer.featureCount() == 2
    assert merged.isMultipart()
    assert samples.rows()[0].pixels == pytest.approx(200, rel=0.06)
    dock.panel.undo_button.click()
    assert layer.featureCount() == 3

    settle()
    dock.sample_list.select(roofs[:1])
    dock._do("redraw")
    hand.drag((0, 0), (30, 30))
    assert layer.featureCount() == 3
    assert max(samples.shape(row.number).area() for row in samples.rows()) == pytest.approx(900, rel=0.05)

    settle()
    dock.sample_list.select([row.number for row in samples.rows() if row.value == 1])
    dock._do("delete")
    assert layer.featureCount() == 1
    dock.panel.undo_button.click()
    assert layer.featureCount() == 3
    dock.panel.redo_button.click()
    assert layer.featureCount() == 1


def test_a_sample_may_be_saved_between_redraw_and_drawing(dock, canvas):
    """Saving gives new samples other numbers."""
    hand = Hand(canvas)
    draw_two_roofs_and_a_tree(dock, hand)
    dock.sample_list.select([row.number for row in dock.samples.rows() if row.value == 2])
    dock._do("redraw")
    dock.save()
    hand.drag((0, 0), (30, 30))
    assert sorted((cell["Classname"], cell["Count"] > 800) for cell in cells(dock.samples.layer)) == [
        ("Roof", False), ("Roof", False), ("Tree", True),
    ]  # fmt: skip


def test_a_layer_of_single_polygons_takes_no_samples_in_parts(dock, canvas, project):
    """It would refuse them when they are saved, and everything else with them."""
    layer = QgsVectorLayer("Polygon?crs=EPSG:32636&field=Classvalue:integer", "parcels", "memory")
    project.addMapLayer(layer)
    dock.use_layer(layer)
    draw_two_roofs_and_a_tree(dock, Hand(canvas))
    dock.sample_list.select([row.number for row in dock.samples.rows()][:2])
    dock._do("merge")
    assert "single polygons" in dock.state.text()
    assert layer.featureCount() == 3
    assert dock.save()


def test_redrawing_goes_on_with_another_shape_and_is_given_up_with_escape_or_a_tool_of_qgis(dock, canvas):
    """What is drawn after that is a sample of its own."""
    hand, usual = Hand(canvas), QgsMapToolPan(canvas)
    draw_two_roofs_and_a_tree(dock, hand)
    dock.save()

    def grown_after(choice) -> int:
        settle()
        before = len(dock.samples.rows())
        dock.sample_list.select([dock.samples.rows()[0].number])
        dock._do("redraw")
        choice()
        if canvas.mapTool() is usual:
            dock.set_tool("rectangle")
        hand.drag((2, 2), (9, 9))
        return len(dock.samples.rows()) - before

    assert grown_after(lambda: dock.set_tool("circle")) == 0
    assert grown_after(lambda: hand.key(Qt.Key.Key_Escape)) == 1
    assert grown_after(lambda: canvas.setMapTool(usual)) == 1


def test_a_layer_that_is_only_looked_at_keeps_its_style(dock, project):
    layer = QgsVectorLayer("Polygon?crs=EPSG:32636&field=Classvalue:integer", "parcels", "memory")
    project.addMapLayer(layer)
    before = layer.renderer()
    dock.use_layer(layer)
    assert dock.samples.layer is layer
    assert layer.renderer() is before
    assert not layer.isEditable()


def test_what_is_drawn_is_saved_soon_and_drawing_goes_on(dock, canvas, tmp_path, monkeypatch):
    """A crash loses a minute at most: the edits are in the file without anybody saving."""
    assert dock._autosave._timer.interval() < 60_000
    dock._autosave._timer.setInterval(100)
    dock.set_tool("rectangle")
    Hand(canvas).drag((8, 8), (24, 20))
    assert saved_rows(tmp_path / "samples.gpkg") == 0
    assert "Unsaved" in dock.state.text()
    settle(400)
    assert saved_rows(tmp_path / "samples.gpkg") == 1
    assert dock.state.text() == "Everything is saved."
    assert dock.samples.layer.isEditable()
    Hand(canvas).drag((30, 30), (50, 50))
    assert len(dock.samples.rows()) == 2


def test_a_save_that_fails_is_told_and_tried_again(dock, canvas, tmp_path):
    """The edits stay, the state says why, and the next try saves them."""
    dock.set_tool("rectangle")
    Hand(canvas).drag((8, 8), (24, 20))
    change_file(
        tmp_path / "samples.gpkg",
        "CREATE TRIGGER full BEFORE INSERT ON samples BEGIN SELECT RAISE(ABORT, 'the disk is full'); END",
    )
    assert not dock.save()
    assert "could not be saved" in dock.state.text()
    assert "the disk is full" in dock.state.text()
    assert dock._autosave._timer.isActive()
    assert len(dock.samples.rows()) == 1
    change_file(tmp_path / "samples.gpkg", "DROP TRIGGER full")
    assert dock.save()
    assert saved_rows(tmp_path / "samples.gpkg") == 1
    assert dock.state.text() == "Everything is saved."


def test_the_first_raster_of_a_project_is_the_imagery(make_dock, canvas, project, raster):
    dock = make_dock(canvas)
    assert dock.imagery().layer is raster
    project.removeMapLayer(raster.id())
    assert dock.imagery() is None


def test_closing_the_dock_saves_and_gives_the_map_its_tool_back(dock, canvas, tmp_path):
    usual = QgsMapToolPan(canvas)
    canvas.setMapTool(usual)
    dock.panel.tool_buttons["circle"].click()
    dock.panel.tool_buttons["rectangle"].click()
    dock.panel.tool_buttons["rectangle"].click()
    assert [kind for kind, button in dock.panel.tool_buttons.items() if button.isChecked()] == ["rectangle"]
    Hand(canvas).drag((8, 8), (24, 20))
    dock.close()
    assert saved_rows(tmp_path / "samples.gpkg") == 1
    assert canvas.mapTool() is usual
    assert not any(button.isChecked() for button in dock.panel.tool_buttons.values())


@pytest.mark.parametrize("way", ["samples", "imagery", "all", "project"])
def test_layers_may_go_while_the_dock_is_open(dock, canvas, tmp_path, way):
    """What was drawn into them is saved first."""
    dock.set_tool("rectangle")
    hand = Hand(canvas)
    hand.drag((8, 8), (24, 20))
    project = QgsProject.instance()
    if way == "samples":
        project.removeMapLayer(dock.samples.layer.id())
    elif way == "imagery":
        project.removeMapLayer(dock.imagery().layer.id())
    elif way == "all":
        project.removeAllMapLayers()
    else:
        project.clear()
    settle()
    hand.drag((30, 30), (40, 40))
    for action in (dock.panel.undo_button.click, dock.save, dock.label_whole_image, dock.export):
        action()
    dock.classes.choose(2)
    settle()
    assert saved_rows(tmp_path / "samples.gpkg") >= 1


def test_a_project_opens_with_its_samples_in_the_dock(dock, canvas, tmp_path, make_dock):
    """The schema travels with the project; and with the file, into any other project."""
    dock.set_tool("rectangle")
    Hand(canvas).drag((8, 8), (24, 20))
    dock.save()
    project = QgsProject.instance()
    project.write(str(tmp_path / "town.qgz"))
    project.clear()
    settle()
    assert dock.samples is None
    project.read(str(tmp_path / "town.qgz"))
    settle()
    assert len(dock.samples.rows()) == 1
    project.clear()
    other = make_dock(canvas)
    other.new_samples(str(tmp_path / "samples.gpkg"))
    assert [(entry.value, entry.name) for entry in other.classes.tree.entries] == [
        (1, "Roof"), (2, "Tree"), (7, "Water"),
    ]  # fmt: skip
    assert len(other.samples.rows()) == 1


def test_a_schema_is_made_nested_saved_and_opened_again(dock, tmp_path):
    """W12: a schema is selected or created."""
    from imagerydl.engine.imagerydl.labels.classes import ClassEntry

    dock.classes.start_anew()
    dock.classes.insert(ClassEntry(20, "Developed", (200, 0, 0)))
    dock.classes.insert(ClassEntry(21, "Low density", (220, 120, 120)), parent=20)
    dock.classes.save(str(tmp_path / "land"))
    before = dock.classes.tree
    dock.classes.start_anew()
    dock.classes.load(str(tmp_path / "land.json"))
    assert dock.classes.tree == before
    assert dock.classes.view.topLevelItem(0).child(0).text(0) == "Low density"


def test_samples_stay_readable_while_the_schema_is_edited(dock, canvas):
    """Writing the style into the file by a second connection used to break reading by the first."""
    from imagerydl.engine.imagerydl.labels.classes import ClassEntry

    draw_two_roofs_and_a_tree(dock, Hand(canvas))
    for value in (8, 9):
        dock.save()
        dock.classes.insert(ClassEntry(value, f"class {value}", (value, 0, 0)))
        assert len(dock.samples.rows()) == 3
        Hand(canvas).drag((30 + 3 * value, 5), (32 + 3 * value, 8))
        dock.panel.undo_button.click()
        assert len(dock.samples.rows()) == 3
    dock.save()
    assert len(dock.samples.rows()) == 3


def test_a_renamed_class_renames_its_samples_and_a_used_one_stays(dock, canvas):
    from imagerydl.engine.imagerydl.labels.classes import ClassEntry

    draw_two_roofs_and_a_tree(dock, Hand(canvas))
    dock.classes.change(1, ClassEntry(4, "House", (1, 2, 3)))
    assert {(cell["Classvalue"], cell["Classname"], cell["BLUE"]) for cell in cells(dock.samples.layer)} == {
        (4, "House", 3), (2, "Tree", 51),
    }  # fmt: skip
    settle()
    dock.classes.choose(4)
    dock.classes.remove()
    assert "House has 2 samples" in dock.state.text()
    assert dock.classes.tree.entry(4) is not None


def test_a_schema_that_would_turn_samples_into_another_class_is_refused(dock, canvas, tmp_path):
    draw_two_roofs_and_a_tree(dock, Hand(canvas))
    (tmp_path / "other.txt").write_text("1, Water, #0000ff\n2, Tree, #00ff00\n")
    dock.classes.load(str(tmp_path / "other.txt"))
    assert "class 1, Roof" in dock.state.text()
    assert dock.classes.tree.entry(1).name == "Roof"


def test_classes_come_from_a_layer_and_from_a_chip_folder(dock, project, tmp_path):
    layer = squares()
    project.addMapLayer(layer)
    dock.classes.load_layer(layer)
    assert [entry.value for entry in dock.classes.tree.entries] == [1, 2]
    (tmp_path / "chips").mkdir()
    classes = [{"Value": 3, "Name": "Big_Tree", "OriginalName": "Big Tree", "Color": [-1, -1, -1]}]
    template = {"Framework": "text", "ModelFile": "text", "Classes": classes}
    (tmp_path / "chips" / "esri_model_definition.emd").write_text(json.dumps(template))
    dock.classes.load(str(tmp_path / "chips"))
    assert [(entry.value, entry.name) for entry in dock.classes.tree.entries] == [(3, "Big Tree")]


def test_a_layer_that_cannot_hold_samples_says_why(dock, project):
    layer = squares()
    project.addMapLayer(layer)
    dock.use_layer(layer)
    assert "Classvalue" in dock.state.text()
    assert dock.samples is None


def test_samples_without_a_system_do_not_go_with_imagery_that_has_one(make_dock, canvas, project):
    dock = make_dock(canvas)
    layer = QgsVectorLayer("MultiPolygon?field=Classvalue:integer", "loose", "memory")
    layer.setCrs(QgsCoordinateReferenceSystem())
    project.addMapLayer(layer)
    dock.use_layer(layer)
    assert "town has a coordinate system and loose has none" in dock.state.text()


def exported(dock, tmp_path, **values):
    """Run the dialog that the dock opens, as somebody would who presses Run."""
    import processing

    dialog = dock.export()
    assert dialog is not None, dock.state.text()
    parameters = {
        **dialog.createProcessingParameters(),
        "TILE_SIZE_X": SIZE, "TILE_SIZE_Y": SIZE, "STRIDE_X": SIZE, "STRIDE_Y": SIZE,
        "OUT_FOLDER": str(tmp_path / "chips"), **values,
    }  # fmt: skip
    dialog.close()
    return processing.run("imagerydl:exporttrainingdata", parameters)


def boxes(tmp_path) -> list[tuple[str, list[float]]]:
    tree = ElementTree.parse(next((tmp_path / "chips" / "labels").glob("*.xml")))
    return sorted(
        (found.findtext("name"), [float(side.text) for side in found.find("bndbox")])
        for found in tree.iter("object")
    )


def test_the_export_tool_reads_the_samples_with_its_defaults(dock, canvas, engine, tmp_path):
    """W2, W13: samples are saved as a file and feed the export: names, values, colours."""
    draw_two_roofs_and_a_tree(dock, Hand(canvas))
    results = exported(dock, tmp_path, CLASS_VALUE_FIELD=None)
    assert (results["NUM_CHIPS"], results["NUM_CLASSES"]) == (1, 2)
    found = boxes(tmp_path)
    assert [name for name, _ in found] == ["1", "1", "2"]
    assert found[2][1] == pytest.approx([40, 44, 60, 54], abs=0.3)
    definition = json.loads((tmp_path / "chips" / "esri_model_definition.emd").read_text())
    assert definition["Classes"] == [
        {"Value": 1, "Name": "Roof", "Color": [170, 51, 34]},
        {"Value": 2, "Name": "Tree", "Color": [34, 136, 51]},
    ]


def test_a_photograph_without_georeference_is_labelled_in_its_pixels(
    make_dock, project, provider, engine, tmp_path
):
    """W10: object locations; rows count downwards in the labels as they do in the image."""
    image = QImage(SIZE, SIZE, QImage.Format.Format_RGB888)
    image.fill(0x336699)
    image.save(str(tmp_path / "photo.png"))
    photo = QgsRasterLayer(str(tmp_path / "photo.png"), "photo")
    project.addMapLayer(photo)
    canvas = make_canvas(photo)
    dock = make_dock(canvas)
    (tmp_path / "classes.txt").write_text(CLASSES)
    dock.classes.load(str(tmp_path / "classes.txt"))
    dock.new_samples(str(tmp_path / "photo.gpkg"))
    dock.set_tool("rectangle")
    hand = Hand(canvas)
    hand.drag((10, -20), (30, -40))
    hand.drag((50, 3), (60, -10))  # over the upper edge
    assert [feature["Image"] for feature in dock.samples.layer.getFeatures()] == ["photo.png"] * 2
    exported(dock, tmp_path)
    found = boxes(tmp_path)
    assert found[0][1] == pytest.approx([10, 20, 30, 40], abs=0.3)
    assert found[1][1] == pytest.approx([50, 0, 60, 10], abs=0.3)
    QgsProject.instance().clear()
    canvas.deleteLater()


def test_whole_images_are_labelled_with_one_click(dock, engine, tmp_path):
    """One class for an image: chips of the format for object classification."""
    dock.classes.choose(7)
    dock.panel.whole_button.click()
    results = exported(dock, tmp_path, METADATA_FORMAT="Labeled_Tiles")
    assert results["NUM_CHIPS"] == 1
    assert [name for name, _ in boxes(tmp_path)] == ["7"]


def test_undoing_a_change_of_a_class_leaves_no_samples_with_old_names(dock, canvas, engine, tmp_path):
    """Else a class would have two names, and the export would take none of them."""
    from imagerydl.engine.imagerydl.labels.classes import ClassEntry

    draw_two_roofs_and_a_tree(dock, Hand(canvas))
    dock.classes.change(1, ClassEntry(1, "House", (1, 2, 3)))
    dock.panel.undo_button.click()
    assert {cell["Classname"] for cell in cells(dock.samples.layer)} == {"Roof", "Tree"}
    exported(dock, tmp_path)
    assert {cell["Classname"] for cell in cells(dock.samples.layer)} == {"House", "Tree"}


def test_thousands_of_samples_do_not_slow_the_hand(dock, canvas):
    """The list follows each stroke of the pen."""
    from imagerydl.engine.imagerydl.labels.classes import ClassEntry

    layer = dock.samples.layer
    layer.startEditing()
    from qgis.core import QgsVectorLayerUtils

    shape = QgsGeometry.fromRect(QgsRectangle(1, 1, 2, 2))
    shape.convertToMultiType()
    entry = dock.samples._class_cells(ClassEntry(1, "Roof", (1, 2, 3)))
    layer.addFeatures([QgsVectorLayerUtils.createFeature(layer, shape, entry) for _ in range(5000)])
    layer.commitChanges(False)
    settle()
    start = time.process_time()
    dock._refresh()
    assert time.process_time() - start < 0.5
    assert dock.sample_list.model.rowCount() == 5000
