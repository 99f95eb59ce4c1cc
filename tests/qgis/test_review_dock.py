"""The Review Results dock: verdicts by keys, kept in the layer, and samples of what was approved."""

from __future__ import annotations

import sqlite3

import processing
import pytest
from mouse import SIZE, Hand, settle
from qgis.core import (
    QgsCategorizedSymbolRenderer,
    QgsFeature,
    QgsFillSymbol,
    QgsGeometry,
    QgsProject,
    QgsRectangle,
    QgsRendererCategory,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import QEvent, Qt
from qgis.PyQt.QtTest import QTest
from qgis.PyQt.QtWidgets import QApplication

pytestmark = pytest.mark.usefixtures("raised")

#: Class value and confidence of each object; the fields are those that Detect Objects writes.
FOUND = [(1, 90.0), (2, 35.0), (1, 60.0), (1, 40.0), (2, 99.0)]
NAMES = {1: "Roof", 2: "Tree", 3: "Pool"}


def found_layer(crs: str = "EPSG:32636", fields: str = "") -> QgsVectorLayer:
    fields = fields or (
        "&field=Class:integer&field=ClassName:string&field=Confidence:double&field=Image:string"
    )
    layer = QgsVectorLayer(f"MultiPolygon?crs={crs}{fields}", "objects", "memory")
    features = []
    for number, (value, confidence) in enumerate(FOUND):
        feature = QgsFeature(layer.fields())
        shape = QgsGeometry.fromRect(QgsRectangle(12 * number, 10, 12 * number + 8, 18))
        shape.convertToMultiType()
        feature.setGeometry(shape)
        feature.setAttributes([value, NAMES[value], confidence, "town.tif"][: len(layer.fields())])
        features.append(feature)
    layer.dataProvider().addFeatures(features)
    layer.updateExtents()
    categories = [
        QgsRendererCategory(value, QgsFillSymbol.createSimple({"color": color}), name)
        for (value, name), color in zip(NAMES.items(), ("#aa3322", "#228833", "#3355ee"))
    ]
    layer.setRenderer(QgsCategorizedSymbolRenderer("Class", categories))
    return layer


@pytest.fixture
def dock(provider, canvas, project, tmp_path):
    """A dock over a copy in a GeoPackage, least sure first."""
    from imagerydl.ui.review.dock import ReviewDock

    layer = found_layer()
    project.addMapLayer(layer)
    canvas.setLayers([layer, *canvas.layers()])
    dock = ReviewDock(canvas)
    dock.show()
    dock.layer_box.setLayer(layer)
    dock.review_copy(str(tmp_path / "review.gpkg"))
    QApplication.processEvents()
    yield dock
    dock.leave()
    dock.deleteLater()
    QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)


def rows(dock) -> list[tuple]:
    """Class name, confidence, status and issue of each object."""
    names = ("ClassName", "Confidence", "Status", "Issue")
    return [tuple(feature[name] or None for name in names) for feature in dock.verdicts.layer.getFeatures()]


def confidence(dock) -> float:
    return dock.queue.findings[dock.current()].confidence


def press(dock, *keys) -> None:
    for key in keys:
        QTest.keyClick(dock.widget(), key)
        QApplication.processEvents()


def test_the_doubtful_ones_come_first_and_the_map_goes_to_each(dock, canvas):
    """W6: results are reviewed one by one."""
    seen = []
    for _ in FOUND:
        seen.append(confidence(dock))
        shape = dock.verdicts.shape(dock.current())
        assert canvas.extent().contains(shape.boundingBox())
        assert canvas.extent().width() < 6 * shape.boundingBox().width()
        dock.step(1)
    assert seen == [35.0, 40.0, 60.0, 90.0, 99.0]
    assert "last one" in dock.panel.object_label.text()


def test_keys_judge_and_go_on(dock):
    """A approves, R rejects, a digit tells the class it really is, N and P move."""
    dock.activateWindow()
    dock.widget().setFocus()
    dock.panel.issue_box.setCurrentText("not an object")
    press(dock, Qt.Key.Key_R, Qt.Key.Key_A, Qt.Key.Key_N, Qt.Key.Key_P, Qt.Key.Key_3)
    told = {row[1]: (row[0], row[2], row[3]) for row in rows(dock)}
    assert told[35.0] == ("Tree", "Rejected", "not an object")
    assert told[40.0] == ("Roof", "Approved", None)
    assert told[60.0] == ("Pool", "Approved", None)
    assert told[90.0][1] is None
    corrected = next(f for f in dock.verdicts.layer.getFeatures() if f["Confidence"] == 60.0)
    assert (corrected["Class"], corrected["Corrected"], corrected["FormerClass"]) == (3, "class", "Roof")


def test_keys_work_while_the_map_has_the_focus(dock, canvas):
    canvas.activateWindow()
    canvas.setFocus()
    QTest.keyClick(canvas, Qt.Key.Key_A)
    assert [row[2] for row in rows(dock)].count("Approved") == 1
    dock.hide()
    QApplication.processEvents()
    QTest.keyClick(canvas, Qt.Key.Key_A)
    assert [row[2] for row in rows(dock)].count("Approved") == 1


def test_an_object_is_drawn_anew_on_the_map(dock, canvas):
    """A box is dragged; the map gets its tool back afterwards."""
    number, before = dock.current(), canvas.mapTool()
    box = dock.verdicts.shape(number).boundingBox()
    dock.begin_redrawing()
    Hand(canvas).drag((box.xMinimum() - 2, box.yMinimum() - 2), (box.xMaximum(), box.yMaximum()))
    assert dock.verdicts.shape(number).area() == pytest.approx(100, rel=0.05)
    finding = dock.queue.findings[number]
    assert (finding.status, finding.is_corrected) == ("Approved", True)
    assert canvas.mapTool() is before or canvas.mapTool() is None
    dock.undo()
    assert dock.verdicts.shape(number).area() == pytest.approx(64)
    assert dock.current() == number


def test_a_verdict_is_taken_back_and_its_object_shown_again(dock):
    first = dock.current()
    dock.reject()
    dock.undo()
    assert dock.current() == first
    assert all(row[2] is None for row in rows(dock))


def test_a_verdict_is_taken_back_after_a_save_too(dock):
    dock.approve()
    dock.save()
    dock.step(-1)
    assert not dock.panel.undo_button.isEnabled()
    dock.panel.reopen_button.click()
    assert {row[2] for row in rows(dock)} == {None, "Pending"}
    assert confidence(dock) == 35.0


def test_a_corrected_object_counts_against_the_class_it_was_found_as(dock):
    """Else the precision of a class would grow with every object taken out of it."""
    dock.panel.class_box.setCurrentIndex(dock.panel.class_box.findData("Tree"))
    dock.reclass_digit(3)
    dock.approve()
    assert "Reviewed 2 of 2" in dock.panel.summary_label.text()
    assert "Precision: 50.0 % of all." in dock.panel.summary_label.text()
    dock.step(-2)
    dock.reclass_digit(2)
    told = next(f for f in dock.verdicts.layer.getFeatures() if f["Confidence"] == 35.0)
    assert (told["ClassName"], told["FormerClass"] or None, told["Corrected"] or None) == ("Tree", None, None)
    assert "Precision: 100.0 % of all." in dock.panel.summary_label.text()


def test_a_verdict_costs_the_same_in_a_layer_of_many_objects(dock):
    """Only what was edited is read again."""
    layer = dock.verdicts.layer
    read = []
    findings = dock.verdicts.findings
    dock.verdicts.findings = lambda numbers=None: read.append(numbers) or findings(numbers)
    dock.approve()
    dock.undo()
    settle(200)
    assert all(numbers is not None and len(numbers) == 1 for numbers in read)
    assert layer.isEditable()


def test_filters_and_order(dock):
    dock.panel.class_box.setCurrentIndex(dock.panel.class_box.findData("Roof"))
    assert [dock.queue.findings[number].confidence for number in dock.queue.numbers] == [40.0, 60.0, 90.0]
    dock.panel.high_box.setValue(70)
    dock.restart()
    assert [dock.queue.findings[number].confidence for number in dock.queue.numbers] == [40.0, 60.0]
    dock.approve()
    dock.panel.pending_box.setChecked(True)
    assert [dock.queue.findings[number].confidence for number in dock.queue.numbers] == [60.0]
    dock.panel.order_box.setCurrentIndex(dock.panel.order_box.findData("MOST_SURE"))
    assert len(dock.queue.numbers) == 1


def test_the_precision_is_estimated_from_a_random_order_only(dock):
    assert "Review at random" in dock.panel.summary_label.text()
    dock.panel.order_box.setCurrentIndex(dock.panel.order_box.findData("AT_RANDOM"))
    dock.approve()
    dock.reject()
    assert "Precision: 50 %" in dock.panel.summary_label.text()
    assert "from 2 drawn at random" in dock.panel.summary_label.text()
    for _ in range(3):
        dock.approve()
    assert "Precision: 80.0 % of all." in dock.panel.summary_label.text()
    assert "Reviewed 5 of 5: 4 approved, 1 rejected." in dock.panel.summary_label.text()


def test_verdicts_are_saved_soon_and_found_again(dock, tmp_path, project, canvas):
    dock._autosave._timer.setInterval(100)
    dock.reject()
    settle(500)
    with sqlite3.connect(tmp_path / "review.gpkg") as connection:
        assert connection.execute("SELECT count(*) FROM review WHERE Status = 'Rejected'").fetchone() == (1,)
    dock.approve()
    dock.start()  # saves, and begins again
    assert dock.queue.summary().reviewed == 2
    assert confidence(dock) == 60.0


def test_the_original_stays_as_it_is_where_a_copy_is_reviewed(dock, project):
    dock.approve()
    (original,) = [layer for layer in project.mapLayers().values() if layer.name() == "objects"]
    assert original.fields().lookupField("Status") == -1
    assert not original.isEditable()


@pytest.mark.parametrize("way", ["layer", "all", "project", "feature"])
def test_layers_and_objects_may_go_while_the_dock_is_open(dock, tmp_path, way):
    dock.approve()
    layer = dock.verdicts.layer
    if way == "layer":
        QgsProject.instance().removeMapLayer(layer.id())
    elif way == "all":
        QgsProject.instance().removeAllMapLayers()
    elif way == "project":
        QgsProject.instance().clear()
    else:
        layer.deleteFeature(dock.current())
    settle(200)
    for deed in (dock.approve, dock.undo, dock.begin_redrawing, dock.save, dock.restart):
        deed()
    dock.step(1)
    settle(200)
    with sqlite3.connect(tmp_path / "review.gpkg") as connection:
        (count,) = connection.execute("SELECT count(*) FROM review WHERE Status = 'Approved'").fetchone()
    assert count == 1 or way == "feature"


def test_a_filtered_layer_is_refused_by_name(dock, tmp_path):
    layer = dock.verdicts.layer
    dock._leave_layer()
    layer.setSubsetString('"Class" = 1')
    dock.start()
    assert "is filtered" in dock.state.text()


def test_a_layer_of_text_classes_as_arcgis_writes_them(provider, canvas, project):
    """Class names in ``Class``, confidence as it is; a text class is corrected by name."""
    from imagerydl.ui.review.dock import ReviewDock

    layer = QgsVectorLayer(
        "Polygon?crs=EPSG:32636&field=Class:string&field=Confidence:double", "esri", "memory"
    )
    features = []
    for number, name in enumerate(("Tree", "Pool")):
        feature = QgsFeature(layer.fields())
        feature.setGeometry(QgsGeometry.fromRect(QgsRectangle(10 * number, 0, 10 * number + 5, 5)))
        feature.setAttributes([name, 0.5 + 0.1 * number])
        features.append(feature)
    layer.dataProvider().addFeatures(features)
    project.addMapLayer(layer)
    dock = ReviewDock(canvas)
    dock.layer_box.setLayer(layer)
    dock.start()
    assert [entry.name for entry in dock.classes] == ["Pool", "Tree"]
    dock.reclass_digit(1)
    (first, _) = layer.getFeatures()
    assert (first["Class"], first["FormerClass"], first["Status"]) == ("Pool", "Tree", "Approved")
    dock.leave()
    dock.deleteLater()


def test_samples_of_the_approved_ones_feed_the_export_and_rejected_ones_nothing(dock, engine, tmp_path):
    """W2, W6: the loop closes; what was corrected goes in as corrected, and what is left out is told."""
    dock.reject()
    dock.approve()
    dock.reclass_digit(3)
    made = []
    dock.samples_made.connect(made.append)
    layer = dock.make_samples(str(tmp_path / "approved"))
    assert made == [layer]
    assert "Left out: 1 rejected, 2 without a verdict." in dock.state.text()
    assert sorted((feature["Classvalue"], feature["Classname"]) for feature in layer.getFeatures()) == [
        (1, "Roof"), (3, "Pool"),
    ]  # fmt: skip
    results = processing.run(
        "imagerydl:exporttrainingdata",
        {
            "IN_RASTER": [str(tmp_path / "town.tif")], "IN_CLASS_DATA": layer,
            "TILE_SIZE_X": SIZE, "TILE_SIZE_Y": SIZE, "STRIDE_X": SIZE, "STRIDE_Y": SIZE,
            "OUT_FOLDER": str(tmp_path / "chips"),
        },
    )  # fmt: skip
    assert (results["NUM_CHIPS"], results["NUM_CLASSES"]) == (1, 2)
    assert dock.make_samples(str(tmp_path / "approved.gpkg")) is None
    assert "is there already" in dock.state.text()


def test_objects_found_in_photographs_become_samples_of_these(provider, canvas, project, engine, tmp_path):
    """Without a coordinate system: rows below the x axis, and each sample names its image."""
    from qgis.core import QgsCoordinateReferenceSystem
    from qgis.PyQt.QtGui import QImage

    from imagerydl.ui.review.dock import ReviewDock

    image = QImage(SIZE, SIZE, QImage.Format.Format_RGB888)
    image.fill(0x336699)
    image.save(str(tmp_path / "photo.png"))
    layer = found_layer()
    layer.setCrs(QgsCoordinateReferenceSystem())
    layer.startEditing()
    for feature in layer.getFeatures():
        shape = feature.geometry()
        shape.translate(0, -38)  # from y = 10 to 18 to rows 20 to 28
        layer.changeGeometry(feature.id(), shape)
        layer.changeAttributeValue(feature.id(), layer.fields().lookupField("Image"), "photo.png")
    layer.commitChanges()
    project.addMapLayer(layer)
    dock = ReviewDock(canvas)
    dock.layer_box.setLayer(layer)
    dock.review_copy(str(tmp_path / "review.gpkg"))
    assert dock.verdicts is not None, dock.state.text()
    dock.approve()
    samples = dock.make_samples(str(tmp_path / "approved.gpkg"))
    assert not samples.crs().isValid()
    processing.run(
        "imagerydl:exporttrainingdata",
        {
            "IN_RASTER": [str(tmp_path / "photo.png")], "IN_CLASS_DATA": samples,
            "TILE_SIZE_X": SIZE, "TILE_SIZE_Y": SIZE, "STRIDE_X": SIZE, "STRIDE_Y": SIZE,
            "OUT_FOLDER": str(tmp_path / "chips"),
        },
    )  # fmt: skip
    (label,) = (tmp_path / "chips" / "labels").glob("*.xml")
    written = label.read_text()
    assert "<name>2</name>" in written
    assert "<ymin>20.00</ymin>" in written
    assert "<ymax>28.00</ymax>" in written
    dock.leave()
    dock.deleteLater()


def test_no_samples_without_an_approved_object(dock, tmp_path):
    dock.reject()
    assert dock.make_samples(str(tmp_path / "approved.gpkg")) is None
    assert "No object is approved" in dock.state.text()
    assert not (tmp_path / "approved.gpkg").exists()
