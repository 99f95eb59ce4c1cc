"""The tools around objects in QGIS: their dialogs, what they take, and what comes to the map."""

from __future__ import annotations

import json
import os
import subprocess
import time

import processing
import pytest
from object_models import write_classifier, write_detector
from qgis.core import (
    Qgis,
    QgsCategorizedSymbolRenderer,
    QgsCoordinateReferenceSystem,
    QgsFeature,
    QgsGeometry,
    QgsPalettedRasterRenderer,
    QgsProcessing,
    QgsProcessingContext,
    QgsProcessingFeatureSourceDefinition,
    QgsProcessingOutputHtml,
    QgsProcessingParameterEnum,
    QgsRasterBlock,
    QgsRasterFileWriter,
    QgsRasterLayer,
    QgsRectangle,
    QgsVectorLayer,
)
from qgis.PyQt import sip
from qgis.PyQt.QtWidgets import QComboBox
from recording import Recording

SIZE = 64
#: Left, top, right, bottom in metres (y up), value of the first band, confidence.
PATCHES = ((6, 50, 14, 58, 100, 90), (30, 28, 40, 38, 200, 80), (50, 6, 56, 12, 100, 60))
POOL, TREE = "#0a14c8", "#0ac814"


@pytest.fixture
def desktop(qgis_app, monkeypatch, tmp_path):
    """The plugin as in the desktop, its dialogs complete."""
    from imagerydl import classFactory

    monkeypatch.setenv("IMAGERYDL_TRUST", str(tmp_path / "trusted.json"))
    plugin = classFactory(None)
    plugin.initGui()
    yield qgis_app.processingRegistry().providerById("imagerydl")
    plugin.unload()


@pytest.fixture
def trusted(monkeypatch, tmp_path):
    """What a test trusts is not trusted by the user."""
    monkeypatch.setenv("IMAGERYDL_TRUST", str(tmp_path / "trusted.json"))


def write_patches(path, size=SIZE):
    """Pools and trees on dark ground, 1 m cells, lower left corner at (0, 0)."""
    bands = [[bytearray(size) for _ in range(size)] for _ in range(2)]
    for left, bottom, right, top, value, sure in PATCHES:
        for y in range(bottom, top):
            for band, level in zip(bands, (value, sure)):
                band[size - 1 - y][left:right] = bytes([level] * (right - left))
    output = QgsRasterFileWriter(str(path)).createMultiBandRaster(
        Qgis.DataType.Byte, size, size, QgsRectangle(0, 0, size, size),
        QgsCoordinateReferenceSystem("EPSG:32636"), 2,
    )  # fmt: skip
    for number, rows in enumerate(bands, start=1):
        block = QgsRasterBlock(Qgis.DataType.Byte, size, size)
        block.setData(b"".join(map(bytes, rows)))
        output.writeBlock(block, number)
    output.setEditable(False)
    return str(path)


def boxes(name, *rows, fields="field=Class:integer&field=Confidence:double"):
    """A memory layer of boxes: (left, bottom, right, top, attributes ...)."""
    layer = QgsVectorLayer(f"Polygon?crs=EPSG:32636&{fields}", name, "memory")
    features = []
    for left, bottom, right, top, *attributes in rows:
        feature = QgsFeature(layer.fields())
        feature.setGeometry(QgsGeometry.fromRect(QgsRectangle(left, bottom, right, top)))
        feature.setAttributes(attributes)
        features.append(feature)
    layer.dataProvider().addFeatures(features)
    layer.updateExtents()
    return layer


def found():
    """Detections: a pool found twice, a tree, and something where nothing is."""
    pool, again = (6, 50, 14, 58, 1, 90.0), (7, 50, 15, 58, 1, 70.0)
    return boxes("found", pool, again, (30, 28, 40, 38, 2, 80.0), (0, 0, 4, 4, 2, 55.0))


def truth():
    return boxes("truth", *((*patch[:4], 1 if patch[4] == 100 else 2, None) for patch in PATCHES))


def loaded(project, path):
    """The layer of the project that shows ``path``."""
    (layer,) = [layer for layer in project.mapLayers().values() if layer.source().split("|")[0] == path]
    return layer


def legend(layer):
    """Label and colour by value of a layer in categories."""
    assert isinstance(layer.renderer(), QgsCategorizedSymbolRenderer)
    return {
        category.value(): (category.label(), category.symbol().color().name())
        for category in layer.renderer().categories()
    }


def open_dialog(provider, tool_id):
    """As the Toolbox opens it: the tool's own, or the usual one."""
    from processing.gui.AlgorithmDialog import AlgorithmDialog

    algorithm = provider.algorithm(tool_id).create()
    return algorithm.createCustomParametersWidget(None) or AlgorithmDialog(algorithm)


def widget_of(wrapper):
    return getattr(wrapper, "widget", None) or wrapper.wrappedWidget()


def combo_of(dialog, key):
    widget = widget_of(dialog.mainWidget().wrappers[key])
    return widget if isinstance(widget, QComboBox) else widget.findChild(QComboBox)


class TestDialogs:
    """What a person meets."""

    @pytest.mark.parametrize(
        ("tool_id", "names"),
        [
            (
                "detectobjects",
                ["padding", "threshold", "nms_overlap", "batch_size", "exclude_pad_detections",
                 "test_time_augmentation", "tile_size", "return_bboxes"],
            ),
            ("classifyobjects", ["padding", "batch_size", "threshold", "test_time_augmentation"]),
        ],
    )  # fmt: skip
    def test_arguments_of_every_run_are_offered_before_a_model_is_chosen(self, desktop, tool_id, names):
        from imagerydl.ui.argument_table import ArgumentTable

        dialog = desktop.algorithm(tool_id).createCustomParametersWidget(None)
        assert dialog.findChild(ArgumentTable).names() == names
        dialog.deleteLater()

    def test_the_overlap_waits_for_suppression(self, desktop):
        """MAX_OVERLAP_RATIO means nothing without it."""
        dialog = desktop.algorithm("detectobjects").createCustomParametersWidget(None)
        wrappers, context = dialog.mainWidget().wrappers, QgsProcessingContext()
        overlap = widget_of(wrappers["MAX_OVERLAP_RATIO"])
        assert not overlap.isEnabled()
        wrappers["RUN_NMS"].setParameterValue(True, context)
        assert overlap.isEnabled()
        wrappers["MAX_OVERLAP_RATIO"].setParameterValue(0.4, context)
        widget_of(wrappers["RUN_NMS"]).click()
        assert not overlap.isEnabled()
        assert wrappers["MAX_OVERLAP_RATIO"].parameterValue() == 0
        dialog.deleteLater()

    def test_the_confidence_of_detections_is_found_among_their_fields(self, desktop, project):
        """Else QGIS would offer the first field there is: suppression by class would seem to work."""
        layer = found()
        project.addMapLayer(layer)
        dialog = open_dialog(desktop, "nonmaximumsuppression")
        dialog.mainWidget().wrappers["IN_FEATURECLASS"].setParameterValue(layer, QgsProcessingContext())
        assert dialog.mainWidget().wrappers["CONFIDENCE_SCORE_FIELD"].parameterValue() == "Confidence"
        dialog.deleteLater()

    def test_layers_that_cannot_be_used_are_not_offered(self, desktop, project, tmp_path):
        points = QgsVectorLayer("Point?crs=EPSG:32636&field=Class:integer", "points", "memory")
        raster = QgsRasterLayer(write_patches(tmp_path / "a.tif"), "raster")
        project.addMapLayers([found(), points, raster])
        offered = {}
        for tool_id, key in (
            ("computeaccuracyobjectdetection", "DETECTED_FEATURES"),
            ("nonmaximumsuppression", "IN_FEATURECLASS"),
            ("classifyobjects", "IN_FEATURES"),
            ("computeaccuracypixelclassification", "IN_RASTER"),
            ("computeaccuracypixelclassification", "IN_GROUND_TRUTH_DATA"),
        ):
            dialog = open_dialog(desktop, tool_id)
            combo = combo_of(dialog, key)
            texts = (combo.itemText(row).split(" ")[0] for row in range(combo.count()))
            offered[key] = {text for text in texts if text}
            dialog.deleteLater()
        assert offered == {
            "DETECTED_FEATURES": {"found"},
            "IN_FEATURECLASS": {"found"},
            "IN_FEATURES": {"found", "points"},
            "IN_RASTER": {"raster"},
            "IN_GROUND_TRUTH_DATA": {"found", "points", "raster"},
        }

    def test_choices_are_keywords_in_scripts_too(self, desktop):
        for algorithm in desktop.algorithms():
            for definition in algorithm.parameterDefinitions():
                if isinstance(definition, QgsProcessingParameterEnum):
                    assert definition.usesStaticStrings(), (algorithm.name(), definition.name())

    @pytest.mark.parametrize(
        ("tool_id", "key"),
        [
            ("computeaccuracyobjectdetection", "OUT_ACCURACY_REPORT"),
            ("computeaccuracypixelclassification", "OUT_ACCURACY_REPORT"),
            ("describemodel", "OUT_CARD"),
        ],
    )
    def test_reports_are_linked_in_the_results_viewer(self, desktop, tool_id, key):
        """QGIS lists there what is declared as a page."""
        algorithm = desktop.algorithm(tool_id)
        assert isinstance(algorithm.outputDefinition(key), QgsProcessingOutputHtml)
        assert algorithm.hasHtmlOutputs()


@pytest.mark.usefixtures("provider", "engine", "trusted")
class TestResults:
    """What comes to the map."""

    def test_detected_objects_come_in_the_colours_of_their_classes_with_labels(self, project, tmp_path):
        image = write_patches(tmp_path / "image.tif")
        done = processing.runAndLoadResults(
            "imagerydl:detectobjects",
            {
                "IN_RASTER": [image], "IN_MODEL_DEFINITION": write_detector(tmp_path / "model"),
                "MODEL_ARGUMENTS": ["least", 70], "TRUST_MODEL": True,
                "OUT_DETECTED_OBJECTS": QgsProcessing.TEMPORARY_OUTPUT,
            },
            feedback=Recording(),
        )  # fmt: skip
        assert done["OBJECTS"] == 2
        layer = loaded(project, done["OUT_DETECTED_OBJECTS"])
        assert {f["ClassName"]: f["Confidence"] for f in layer.getFeatures()} == {"Pool": 90, "Tree": 80}
        assert legend(layer) == {"1": ("Pool", POOL), "2": ("Tree", TREE)} or legend(layer) == {
            1: ("Pool", POOL), 2: ("Tree", TREE),
        }  # fmt: skip
        assert layer.labelsEnabled()
        assert "Confidence" in layer.labeling().settings().fieldName

    def test_classified_objects_come_in_the_colours_of_their_labels(self, project, tmp_path):
        """O16: the field ClassLabel; features in memory, two of them selected."""
        layer = truth()
        project.addMapLayer(layer)
        layer.selectByIds([1, 2])
        done = processing.runAndLoadResults(
            "imagerydl:classifyobjects",
            {
                "IN_RASTER": [write_patches(tmp_path / "image.tif")],
                "IN_MODEL_DEFINITION": write_classifier(tmp_path / "model"), "TRUST_MODEL": True,
                "IN_FEATURES": QgsProcessingFeatureSourceDefinition(layer.id(), selectedFeaturesOnly=True),
                "OUT_FEATURE_CLASS": QgsProcessing.TEMPORARY_OUTPUT,
            },
            feedback=Recording(),
        )  # fmt: skip
        result = loaded(project, done["OUT_FEATURE_CLASS"])
        told = {(feature["Class"], feature["ClassLabel"]) for feature in result.getFeatures()}
        assert told == {(1, "Pool"), (2, "Tree")}
        assert legend(result) == {"Pool": ("Pool", POOL), "Tree": ("Tree", TREE)}

    def test_images_without_georeference_give_a_table(self, project, tmp_path):
        """O15."""
        folder = tmp_path / "photos"
        folder.mkdir()
        photo = QgsRasterLayer(write_patches(tmp_path / "image.tif"), "photo")
        block = photo.dataProvider().block(1, photo.extent(), SIZE, SIZE)
        from qgis.PyQt.QtGui import QImage

        picture = QImage(SIZE, SIZE, QImage.Format.Format_RGB32)
        for y in range(SIZE):
            for x in range(SIZE):
                level = int(block.value(y, x))
                picture.setPixel(x, y, level << 16 | level << 8 | level)
        assert picture.save(str(folder / "photo.png"))
        done = processing.runAndLoadResults(
            "imagerydl:classifyobjects",
            {
                "IN_FOLDER": str(folder), "IN_MODEL_DEFINITION": write_classifier(tmp_path / "model"),
                "TRUST_MODEL": True, "OUT_FEATURE_CLASS": str(tmp_path / "photos.gpkg"),
            },
            feedback=Recording(),
        )  # fmt: skip
        table = loaded(project, done["OUT_FEATURE_CLASS"])
        assert not table.isSpatial()
        assert [feature["ClassLabel"] for feature in table.getFeatures()] in (["Pool"], ["Tree"])

    @pytest.mark.parametrize("way", ["memory", "selection", "filter"])
    def test_suppression_takes_any_layer(self, project, way):
        layer = found()
        project.addMapLayer(layer)
        source, kept = layer, {90.0, 80.0, 55.0}
        if way == "selection":
            layer.selectByIds([1, 2])
            source, kept = QgsProcessingFeatureSourceDefinition(layer.id(), selectedFeaturesOnly=True), {90.0}
        elif way == "filter":
            layer.setSubsetString('"Class" = 2')
            kept = {80.0, 55.0}
        done = processing.runAndLoadResults(
            "imagerydl:nonmaximumsuppression",
            {"IN_FEATURECLASS": source, "MAX_OVERLAP_RATIO": 0.3, "OUT_FEATURECLASS": "TEMPORARY_OUTPUT"},
            feedback=Recording(),
        )
        result = loaded(project, done["OUT_FEATURECLASS"])
        assert {feature["Confidence"] for feature in result.getFeatures()} == kept

    def test_detections_keep_their_style_through_suppression(self, project, tmp_path):
        detected = processing.run(
            "imagerydl:detectobjects",
            {
                "IN_RASTER": [write_patches(tmp_path / "image.tif")],
                "IN_MODEL_DEFINITION": write_detector(tmp_path / "model"),
                "TRUST_MODEL": True, "OUT_DETECTED_OBJECTS": str(tmp_path / "detected.gpkg"),
            },
            feedback=Recording(),
        )  # fmt: skip
        done = processing.runAndLoadResults(
            "imagerydl:nonmaximumsuppression",
            {"IN_FEATURECLASS": detected["OUT_DETECTED_OBJECTS"], "OUT_FEATURECLASS": "TEMPORARY_OUTPUT"},
            feedback=Recording(),
        )
        layer = loaded(project, done["OUT_FEATURECLASS"])
        assert layer.featureCount() == 3
        assert set(legend(layer).values()) == {("Pool", POOL), ("Tree", TREE)}
        assert layer.labelsEnabled()

    @pytest.mark.parametrize("name", ["TEMPORARY_OUTPUT", "accuracy.csv", "accuracy.dbf", "accuracy.gpkg"])
    def test_accuracy_comes_as_a_table_and_as_marks_on_the_map(self, project, tmp_path, name):
        """W20: the table and the report; fields of classes are found by their usual names."""
        table = name if name == "TEMPORARY_OUTPUT" else str(tmp_path / name)
        project.addMapLayers([found_layer := found(), truth_layer := truth()])
        done = processing.runAndLoadResults(
            "imagerydl:computeaccuracyobjectdetection",
            {
                "DETECTED_FEATURES": found_layer, "GROUND_TRUTH_FEATURES": truth_layer,
                "OUT_ACCURACY_TABLE": table, "OUT_MARKED_FEATURES": "TEMPORARY_OUTPUT",
            },
            feedback=Recording(),
        )  # fmt: skip
        rows = list(loaded(project, done["OUT_ACCURACY_TABLE"]).getFeatures())
        assert len(rows) == 3, "two classes, and all of them"
        names = [field.name() for field in rows[-1].fields()]
        true_positives = next(field for field in names if field.startswith("True_Posit"))
        assert [int(row[true_positives]) for row in rows] == [1, 1, 2]
        marks = loaded(project, done["OUT_MARKED_FEATURES"])
        told = {value: label for value, (label, _) in legend(marks).items()}
        assert told == {"TP": "True positive", "FP": "False positive", "FN": "False negative (missed)"}
        assert sorted(feature["Result"] for feature in marks.getFeatures()) == ["FN", "FP", "FP", "TP", "TP"]

    def test_pixels_come_with_confusion_matrix_and_error_map(self, project, tmp_path):
        image = write_patches(tmp_path / "image.tif")
        layer = boxes("fields", (0, 0, SIZE, 32, 0), (0, 32, SIZE, SIZE, 100), fields="field=Class:integer")
        one_band = processing.run(
            "gdal:translate",
            {"INPUT": image, "EXTRA": "-b 1", "OUTPUT": str(tmp_path / "classes.tif")},
        )["OUTPUT"]
        project.addMapLayer(layer)
        done = processing.runAndLoadResults(
            "imagerydl:computeaccuracypixelclassification",
            {
                "IN_RASTER": one_band, "IN_GROUND_TRUTH_DATA": layer,
                "OUT_CONFUSION_MATRIX": "TEMPORARY_OUTPUT", "OUT_AREA_ESTIMATES": "TEMPORARY_OUTPUT",
                "OUT_ERROR_MAP": "TEMPORARY_OUTPUT",
            },
            feedback=Recording(),
        )  # fmt: skip
        for key in ("OUT_CONFUSION_MATRIX", "OUT_AREA_ESTIMATES"):
            assert loaded(project, done[key]).featureCount() >= 2
        assert isinstance(loaded(project, done["OUT_ERROR_MAP"]).renderer(), QgsPalettedRasterRenderer)

    def test_a_table_of_another_format_is_refused_by_name(self, project, tmp_path):
        from qgis.core import QgsProcessingException

        with pytest.raises(QgsProcessingException, match=r"OUT_ACCURACY_TABLE.*\.csv, \.gpkg, \.dbf"):
            processing.run(
                "imagerydl:computeaccuracyobjectdetection",
                {
                    "DETECTED_FEATURES": found(), "GROUND_TRUTH_FEATURES": truth(),
                    "OUT_ACCURACY_TABLE": str(tmp_path / "accuracy.xlsx"),
                },
            )  # fmt: skip

    def test_a_batch_gives_a_layer_for_each_row(self, provider, project, tmp_path, qgis_app):
        """What a row leaves out has its default, what nobody named is not made, results are loaded."""
        from processing.gui.BatchAlgorithmDialog import BatchAlgorithmDialog

        project.addMapLayers([found_layer := found(), truth_layer := truth()])
        dialog = BatchAlgorithmDialog(provider.algorithm("computeaccuracyobjectdetection").create())
        panel, context = dialog.mainWidget(), QgsProcessingContext()
        context.setProject(project)
        panel.addRow(2 - panel.batchRowCount())
        for row, overlap in enumerate((0.5, 0.9)):
            given = {
                "DETECTED_FEATURES": found_layer,
                "GROUND_TRUTH_FEATURES": truth_layer,
                "MIN_IOU": overlap,
            }
            for key, value in given.items():
                panel.wrappers[row][panel.parameter_to_column[key]].setParameterValue(value, context)
            column = panel.parameter_to_column["OUT_ACCURACY_TABLE"]
            panel.tblParameters.cellWidget(row + 1, column).setValue(str(tmp_path / f"{row}.csv"))
        panel.checkLoadLayersOnCompletion.setChecked(True)
        dialog.runAlgorithm()
        end = time.monotonic() + 120
        # Newer versions run the rows in the background; all of them show the progress as a task.
        while len(project.mapLayers()) < 4 or qgis_app.taskManager().countActiveTasks():
            assert time.monotonic() < end, "the batch did not come to its end"
            qgis_app.processEvents()
            time.sleep(0.02)
        if not sip.isdeleted(dialog):  # in newer versions it has closed itself
            dialog.deleteLater()
        for row in range(2):
            assert loaded(project, str(tmp_path / f"{row}.csv")).featureCount() == 3
        assert len(project.mapLayers()) == 4, "no marks, which nobody named"


def test_qgis_process_detects_suppresses_and_judges(engine, tmp_path_factory, tmp_path):
    """W32, O18: the chain from the shell; arguments as one text, outputs by name."""
    from test_qgis_process import PROGRAM

    environment = {
        **os.environ, "QGIS_CUSTOM_CONFIG_PATH": str(tmp_path_factory.mktemp("profile")),
        "IMAGERYDL_TRUST": str(tmp_path / "trusted.json"),
    }  # fmt: skip

    def call(*arguments):
        done = subprocess.run(
            [PROGRAM, *arguments], env=environment, capture_output=True, text=True, timeout=300
        )
        assert done.returncode == 0, done.stderr + done.stdout
        return done.stdout

    def run(tool_id, **values):
        words = [f"{key}={value}" for key, value in values.items()]
        return json.loads(call("--json", "run", f"imagerydl:{tool_id}", "--", *words))["results"]

    call("plugins", "enable", "imagerydl")
    image, model = write_patches(tmp_path / "image.tif"), write_detector(tmp_path / "model")
    detected = run(
        "detectobjects", IN_RASTER=image, IN_MODEL_DEFINITION=model, MODEL_ARGUMENTS="padding 4;least 70",
        TRUST_MODEL="true", OUT_DETECTED_OBJECTS=tmp_path / "detected.gpkg",
    )  # fmt: skip
    assert detected["OBJECTS"] == 2
    kept = run(
        "nonmaximumsuppression", IN_FEATURECLASS=tmp_path / "detected.gpkg",
        OUT_FEATURECLASS=tmp_path / "kept.gpkg",
    )  # fmt: skip
    assert kept["FEATURE_COUNT"] == 2
    judged = run(
        "computeaccuracyobjectdetection", DETECTED_FEATURES=tmp_path / "kept.gpkg",
        GROUND_TRUTH_FEATURES=tmp_path / "detected.gpkg", OUT_ACCURACY_TABLE=tmp_path / "accuracy.csv",
        OUT_ACCURACY_REPORT=tmp_path / "report.html",
    )  # fmt: skip
    assert judged["F1_SCORE"] == 1
    assert (tmp_path / "accuracy.csv").read_text(encoding="utf-8").startswith("Class,IoU,Precision")
    assert (tmp_path / "report.html").exists()
