"""Runs inside the QGIS desktop (``qgis --code``): Toolbox, dialogs and an export, as pictures."""

from __future__ import annotations

import json
import os
import shutil
import traceback
from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import processing
from qgis.core import (
    Qgis,
    QgsApplication,
    QgsCategorizedSymbolRenderer,
    QgsCoordinateReferenceSystem,
    QgsFeature,
    QgsFeatureRequest,
    QgsFillSymbol,
    QgsGeometry,
    QgsProcessingModelAlgorithm,
    QgsProject,
    QgsRasterBlock,
    QgsRasterFileWriter,
    QgsRasterLayer,
    QgsRectangle,
    QgsRendererCategory,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import QEventLoop, QModelIndex, Qt, QTimer
from qgis.PyQt.QtWidgets import (
    QApplication,
    QDockWidget,
    QLineEdit,
    QScrollArea,
    QSplitter,
    QTabWidget,
    QWidget,
)
from qgis.utils import iface, plugins

PICTURES = Path(os.environ["IMAGERYDL_PICTURES"])
LOG = Path(os.environ["IMAGERYDL_PICTURES_LOG"])
SCRATCH = LOG.parent / "tmp"

_EXPORT = {
    "TILE_SIZE_X": 256, "TILE_SIZE_Y": 256, "STRIDE_X": 128, "STRIDE_Y": 128,
    "CLASS_VALUE_FIELD": "class", "OUT_FOLDER": "/data/town/chips",
    "CLASS_SCHEMA": "1, building, #c8743c\n2, road, #7a7a7a\n3, tree, #5fa55a\n4, water, #3b8ea5",
}  # fmt: skip

#: Dialogs by picture: the tool, and the values shown, which are those of the first steps in the README.
DIALOGS = {
    "exporttrainingdata": ("exporttrainingdata", {**_EXPORT, "METADATA_FORMAT": "Classified_Tiles"}),
    "exporttrainingdata-kitti": ("exporttrainingdata", {**_EXPORT, "METADATA_FORMAT": "KITTI_rectangles"}),
    "exporttrainingdata-labeled": ("exporttrainingdata", {**_EXPORT, "METADATA_FORMAT": "Labeled_Tiles"}),
    "exporttrainingdata-panoptic": (
        "exporttrainingdata",
        {**_EXPORT, "METADATA_FORMAT": "Panoptic_Segmentation"},
    ),
    "trainmodel": (
        "trainmodel",
        {"IN_FOLDER": "/data/town/chips", "OUT_FOLDER": "/data/town/model", "MAX_EPOCHS": 20},
    ),
    "classifypixels": (
        "classifypixels",
        {
            "IN_MODEL_DEFINITION": "/data/town/model/model.dlpk",
            "OUT_CLASSIFIED_RASTER": "/data/town/classified.tif",
        },
    ),
    "detectobjects": (
        "detectobjects",
        {
            "IN_MODEL_DEFINITION": "/data/town/model/model.dlpk",
            "RUN_NMS": True,
            "MAX_OVERLAP_RATIO": 0.3,
            "OUT_DETECTED_OBJECTS": "/data/town/buildings.gpkg",
        },
    ),
    "computeaccuracyobjectdetection": (
        "computeaccuracyobjectdetection",
        {"OUT_ACCURACY_TABLE": "/data/town/accuracy.csv", "OUT_ACCURACY_REPORT": "/data/town/accuracy.html"},
    ),
}

#: A model of a few lines: water where the imagery is wet enough.
_RASTER_FUNCTION = '''
import numpy


class Wetness:
    """Water by an index of two bands."""

    def initialize(self, **kwargs):
        """Nothing is loaded."""

    def getParameterInfo(self):
        return [
            {"name": "raster", "dataType": "raster", "required": True, "displayName": "Raster"},
            {"name": "model", "dataType": "string", "required": True, "displayName": "Definition"},
            {"name": "water_level", "dataType": "numeric", "required": False, "value": 0.5,
             "displayName": "Water level", "description": "Index above which a pixel is water."},
            {"name": "index", "dataType": "string", "required": False, "value": "NDWI",
             "domain": ("NDWI", "MNDWI"), "displayName": "Index", "description": "Which index."},
            {"name": "smooth", "dataType": "string", "required": False, "value": "True",
             "domain": ("True", "False"), "displayName": "Smooth", "description": "Median of 3 x 3."},
        ]

    def getConfiguration(self, **scalars):
        self.level = float(scalars.get("water_level", 0.5))
        return {"extractBands": (0, 1, 2), "padding": 1, "tx": 256, "ty": 256, "batch_size": 4}

    def updatePixels(self, tlc, shape, props, **pixelBlocks):
        block = pixelBlocks["raster_pixels"].astype("float32")
        wet = (block[..., 1, :, :] - block[..., 0, :, :]) > self.level
        return wet[..., None, :, :].astype("uint8")
'''
_RASTER_FUNCTION_DEFINITION = {
    "Framework": "Keras",
    "ModelConfiguration": "Wetness",
    "ModelName": "Wetness",
    "ModelType": "ImageClassification",
    "InferenceFunction": "wetness.py",
    "ModelFile": "wetness.json",
    "ImageHeight": 256,
    "ImageWidth": 256,
    "ExtractBands": [0, 1, 2],
    "Classes": [
        {"Value": 0, "Name": "land", "Color": [200, 180, 140]},
        {"Value": 1, "Name": "water", "Color": [60, 140, 170]},
    ],
}


def say(text: str) -> None:
    """Add a line to the log the caller reads."""
    with LOG.open("a", encoding="utf-8") as log:
        log.write(text + "\n")


def add_layers() -> tuple[QgsRasterLayer, QgsVectorLayer]:
    """A small raster and a polygon layer, so that the dialogs show names."""
    path = SCRATCH / "town.tif"
    path.parent.mkdir(parents=True, exist_ok=True)
    output = QgsRasterFileWriter(str(path)).createMultiBandRaster(
        Qgis.DataType.Byte, 64, 64, QgsRectangle(0, 0, 64, 64), QgsCoordinateReferenceSystem("EPSG:32636"), 3
    )
    for band in (1, 2, 3):
        block = QgsRasterBlock(Qgis.DataType.Byte, 64, 64)
        block.setData(bytes((band * 50 + (i * 7) % 60) % 256 for i in range(64 * 64)))
        output.writeBlock(block, band)
    output.setEditable(False)
    raster = QgsRasterLayer(str(path), "town")
    labels = QgsVectorLayer("Polygon?crs=EPSG:32636&field=class:string", "buildings", "memory")
    feature = QgsFeature(labels.fields())
    feature.setGeometry(QgsGeometry.fromRect(QgsRectangle(10, 10, 30, 30)))
    feature.setAttributes(["building"])
    labels.dataProvider().addFeatures([feature])
    QgsProject.instance().addMapLayers([raster, labels])
    return raster, labels


def wait(milliseconds: int) -> None:
    """Let QGIS draw."""
    loop = QEventLoop()
    QTimer.singleShot(milliseconds, loop.quit)
    loop.exec()


def save(widget: QWidget, name: str) -> None:
    """Write what ``widget`` looks like."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    picture = widget.grab()
    if picture.isNull() or not picture.save(str(PICTURES / name)):
        raise RuntimeError(f"{name} could not be written")
    say(f"{name}: {picture.width()} x {picture.height()}")


def plugin_module(name: str) -> Any:
    """A module of the plugin, whatever its folder is called."""
    provider = QgsApplication.processingRegistry().providerById("imagerydl")
    return import_module(f"{type(provider).__module__.partition('.')[0]}.{name}")


def picture_toolbox() -> None:
    """The Toolbox with our tools alone."""
    dock = iface.mainWindow().findChild(QDockWidget, "ProcessingToolbox")
    dock.show()
    dock.setFloating(True)
    dock.resize(420, 560)
    dock.searchBox.setText("imagerydl:")
    wait(1500)
    dock.algorithmTree.expandAll()
    dock.algorithmTree.clearSelection()
    dock.algorithmTree.setCurrentIndex(QModelIndex())
    wait(500)
    save(dock, "toolbox.png")
    dock.hide()


def picture_dialog(name: str, tool_id: str, values: dict[str, object]) -> None:
    """One dialog, high enough to show every parameter that is not advanced."""
    dialog = processing.createAlgorithmDialog(f"imagerydl:{tool_id}", values)
    for follower in dialog.findChildren(plugin_module("ui.model_follower").ModelFollower):
        follower.stop()  # the paths in these pictures lead nowhere
    dialog.show()
    dialog.resize(1040, 700)
    wait(800)
    fit(dialog)
    save(dialog, f"dialog-{name}.png")
    dialog.close()


def fit(dialog: QWidget) -> None:
    """Make a dialog as high as its parameters, with the focus nowhere."""
    area = max(dialog.findChildren(QScrollArea), key=lambda area: area.widget().sizeHint().height())
    missing = area.widget().sizeHint().height() - area.viewport().height()
    dialog.resize(1040, max(560, dialog.height() + missing + 12))
    for splitter in dialog.findChildren(QSplitter):
        if splitter.count() == 2:
            splitter.setSizes([660, 380])
    for tabs in dialog.findChildren(QTabWidget):
        tabs.setCurrentIndex(0)
    if dialog.focusWidget():
        dialog.focusWidget().clearFocus()
    for line in dialog.findChildren(QLineEdit):
        line.deselect()
    wait(1200)


def picture_arguments(raster: QgsRasterLayer) -> None:
    """Classify Pixels with a raster function: the arguments that the model itself declares."""
    if "describemodel" not in plugin_module("engine.imagerydl.tools").TOOL_IDS:
        say("classify-pixels-arguments.png: left as it is, there is no tool that describes models")
        return
    folder = SCRATCH / "wetness"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "wetness.py").write_text(_RASTER_FUNCTION, encoding="utf-8")
    (folder / "wetness.json").write_text("{}", encoding="utf-8")
    (folder / "wetness.emd").write_text(json.dumps(_RASTER_FUNCTION_DEFINITION), encoding="utf-8")
    # Agreed to beforehand: a question in front of the dialog would be in the picture.
    trust = plugin_module("engine.imagerydl.models.trust")
    files = (folder / "wetness.json", folder / "wetness.py")
    trust.trust(trust.ForeignCode(files, "a Python raster function"))
    dialog = processing.createAlgorithmDialog(
        "imagerydl:classifypixels",
        {
            "IN_RASTER": [raster.id()],
            "IN_MODEL_DEFINITION": str(folder / "wetness.emd"),
            "ARGUMENTS": ["water_level", "0.35"],
            "OUT_CLASSIFIED_RASTER": "/data/town/classified.tif",
        },
    )
    dialog.show()
    dialog.resize(1040, 840)
    follower = dialog.findChild(plugin_module("ui.model_follower").ModelFollower)
    for _ in range(120):
        wait(500)
        if follower.description is not None:
            break
    else:
        raise RuntimeError(f"the model was not described: {follower.status.text()}")
    fit(dialog)
    # A path of no machine; unheard, so that the model is not looked for there.
    for line in dialog.findChildren(QLineEdit):
        if line.text() == str(folder / "wetness.emd"):
            line.blockSignals(True)
            line.setText("/data/models/wetness.emd")
            line.deselect()
    wait(300)
    save(dialog, "classify-pixels-arguments.png")
    dialog.close()


def picture_export() -> None:
    """An export of the generated town: its chips on the map, and the sheet it draws."""
    folder = SCRATCH / "chips"
    shutil.rmtree(folder, ignore_errors=True)
    raster = QgsRasterLayer(os.environ["IMAGERYDL_TOWN"] + "/train.tif", "train")
    QgsProject.instance().clear()
    QgsProject.instance().setCrs(raster.crs())
    QgsProject.instance().addMapLayer(raster)
    found = processing.runAndLoadResults(
        "imagerydl:exporttrainingdata",
        {
            "IN_RASTER": [raster.id()],
            "IN_CLASS_DATA": os.environ["IMAGERYDL_TOWN"] + "/train.gpkg",
            "CLASS_VALUE_FIELD": "classvalue",
            "CLASS_SCHEMA": os.environ["IMAGERYDL_TOWN"] + "/classes.txt",
            "METADATA_FORMAT": "Classified_Tiles",
            "TILE_SIZE_X": 128, "TILE_SIZE_Y": 128, "STRIDE_X": 128, "STRIDE_Y": 128,
            "SPLIT": "SPATIAL_BLOCKS", "SPLIT_PERCENTAGES": "60;20;20", "SPLIT_BLOCK_SIZE": 1,
            "OUT_FOLDER": str(folder), "OUT_FOOTPRINTS": str(SCRATCH / "footprints.gpkg"), "OVERWRITE": True,
        },
    )  # fmt: skip
    say(f"{found['NUM_CHIPS']} chips")
    picture_map(raster.extent().buffered(3), "export-footprints.png")
    shutil.copyfile(next(folder.rglob("preview.png")), PICTURES / "export-preview.png")


def picture_map(extent: QgsRectangle, name: str) -> None:
    """What the map shows of ``extent``."""
    canvas = iface.mapCanvas()
    for dock in iface.mainWindow().findChildren(QDockWidget):
        dock.hide()
    iface.mainWindow().resize(1000, 800)
    wait(1000)
    canvas.setExtent(extent)
    canvas.refresh()
    canvas.waitWhileRendering()
    wait(1500)
    save(canvas, name)


def picture_detection() -> None:
    """Houses of the generated town, learnt, found and judged by the model in examples/; on the map."""
    town, folder = Path(os.environ["IMAGERYDL_TOWN"]), SCRATCH / "detection"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    layers = {name: QgsVectorLayer(str(town / f"{name}.gpkg"), name, "ogr") for name in ("train", "held_out")}
    for layer in layers.values():
        layer.setSubsetString('"classvalue" = 1')
    raster = QgsRasterLayer(str(town / "held_out.tif"), "held out")
    QgsProject.instance().clear()
    QgsProject.instance().setCrs(raster.crs())
    QgsProject.instance().addMapLayers([raster, *layers.values()])
    model = QgsProcessingModelAlgorithm()
    if not model.fromFile(os.environ["IMAGERYDL_EXAMPLES"] + "/export_train_detect.model3"):
        raise RuntimeError("the model of the example cannot be read")
    found = processing.run(
        model,
        {
            "image": str(town / "train.tif"), "labels": layers["train"], "field": "classvalue",
            "target": raster, "truth": layers["held_out"], "tile": 128, "stride": 64, "cell": 0.6,
            "epochs": 12, "overlap": 0.3, "export:chips": str(folder / "chips"),
            "train:model": str(folder / "model"), "suppress:detected": str(folder / "detected.gpkg"),
            "judge:accuracy": str(folder / "accuracy.csv"), "judge:marks": str(folder / "marks.gpkg"),
            "judge:report": str(folder / "report.html"),
        },
    )  # fmt: skip
    say((folder / "accuracy.csv").read_text(encoding="utf-8"))
    QgsProject.instance().removeMapLayers([layer.id() for layer in layers.values()])
    for key, name in (("suppress:detected", "detected-objects.png"), ("judge:marks", "accuracy-marks.png")):
        layer = QgsVectorLayer(found[key], key, "ogr")
        QgsProject.instance().addMapLayer(layer)
        picture_map(raster.extent().buffered(3), name)
        QgsProject.instance().removeMapLayer(layer.id())


def steps() -> dict[str, Callable[[], None]]:
    """Every picture or group of them, by its name."""
    raster, labels = add_layers()
    layers = {
        "exporttrainingdata": {"IN_RASTER": [raster.id()], "IN_CLASS_DATA": labels.id()},
        "classifypixels": {"IN_RASTER": [raster.id()]},
        "detectobjects": {"IN_RASTER": [raster.id()]},
        "computeaccuracyobjectdetection": {"DETECTED_FEATURES": labels, "GROUND_TRUTH_FEATURES": labels},
    }
    dialogs = {
        f"dialog-{name}": partial(picture_dialog, name, tool_id, {**layers.get(tool_id, {}), **values})
        for name, (tool_id, values) in DIALOGS.items()
    }
    return {
        "toolbox": picture_toolbox,
        **dialogs,
        "arguments": partial(picture_arguments, raster),
        "export": picture_export,
        "detection": picture_detection,
        "labelling": picture_label_dock,
        "review": picture_review_dock,
    }


def fresh_window(name: str, part: float) -> QgsRasterLayer:
    """A project with one raster of the town; the map shows that part of its width, from its middle."""
    raster = QgsRasterLayer(os.environ["IMAGERYDL_TOWN"] + f"/{name}.tif", name)
    QgsProject.instance().clear()
    QgsProject.instance().setCrs(raster.crs())
    QgsProject.instance().addMapLayer(raster)
    for dock in iface.mainWindow().findChildren(QDockWidget):
        dock.hide()
    iface.mainWindow().resize(1280, 860)
    wait(1000)
    box = raster.extent()
    box.scale(part)
    iface.mapCanvas().setExtent(box)
    return raster


def town_shapes(name: str, value: int, box: QgsRectangle, most: int) -> list[QgsGeometry]:
    """Some of the town's own polygons of a class."""
    layer = QgsVectorLayer(os.environ["IMAGERYDL_TOWN"] + f"/{name}.gpkg", name)
    request = QgsFeatureRequest(box).setFilterExpression(f'"classvalue" = {value}')
    shapes = [QgsGeometry(feature.geometry()) for feature in layer.getFeatures(request)]
    return sorted((shape for shape in shapes if box.contains(shape.boundingBox())), key=_area)[-most:]


def _area(shape: QgsGeometry) -> float:
    return shape.area()


def open_dock(name: str) -> QWidget:
    """One of the plugin's docks, beside the map."""
    switches = plugins["imagerydl"]._switches
    switches.actions[name].setChecked(True)
    dock = switches.dock(name)
    iface.mainWindow().resizeDocks([dock], [430], Qt.Orientation.Horizontal)
    wait(800)
    return dock


def picture_label_dock() -> None:
    """Samples drawn on the town, and one being drawn."""
    fresh_window("train", 0.55)
    dock = open_dock("label")
    samples = SCRATCH / "town_samples.gpkg"
    samples.unlink(missing_ok=True)
    dock.classes.load(os.environ["IMAGERYDL_TOWN"] + "/classes.txt")
    dock.new_samples(str(samples))
    box = iface.mapCanvas().extent()
    for value, most in ((1, 14), (3, 16), (4, 2), (5, 3)):
        dock.classes.choose(value)
        for shape in town_shapes("train", value, box, most):
            dock._draw(shape, QgsProject.instance().crs())
    dock.classes.choose(1)
    dock.set_tool("polygon")
    wait(400)
    dock.save()
    iface.mapCanvas().refresh()
    iface.mapCanvas().waitWhileRendering()
    wait(1500)
    save(iface.mainWindow(), "label-objects.png")
    dock.close()


def picture_review_dock() -> None:
    """Objects found in the town, some of which are none, under review."""
    raster = fresh_window("held_out", 0.5)
    found = QgsVectorLayer(
        f"Polygon?crs={raster.crs().authid()}&field=Class:integer&field=ClassName:string"
        "&field=Confidence:double",
        "detected objects",
        "memory",
    )
    features = []
    for number, shape in enumerate(town_shapes("held_out", 1, raster.extent(), 60)):
        feature = QgsFeature(found.fields())
        box = shape.boundingBox()
        if number % 9 == 4:  # beside the house
            box = QgsRectangle(box.xMinimum() + 9, box.yMinimum() + 9, box.xMaximum() + 9, box.yMaximum() + 9)
        feature.setGeometry(QgsGeometry.fromRect(box))
        feature.setAttributes([1, "Building", 42.0 + (number * 37 % 57)])
        features.append(feature)
    found.dataProvider().addFeatures(features)
    symbol = QgsFillSymbol.createSimple({"style": "no", "outline_color": "#d64541", "outline_width": "0.5"})
    found.setRenderer(QgsCategorizedSymbolRenderer("Class", [QgsRendererCategory(1, symbol, "Building")]))
    QgsProject.instance().addMapLayer(found)
    dock = open_dock("review")
    copy = SCRATCH / "town_review.gpkg"
    copy.unlink(missing_ok=True)
    dock.layer_box.setLayer(found)
    dock.review_copy(str(copy))
    QgsProject.instance().removeMapLayer(found.id())
    dock.panel.order_box.setCurrentIndex(1)
    for number in range(18):
        if number % 5 == 2:
            dock.panel.issue_box.setCurrentIndex(1)
            dock.reject()
        else:
            dock.approve()
    dock.panel.issue_box.setCurrentIndex(0)
    iface.mapCanvas().waitWhileRendering()
    wait(1500)
    save(iface.mainWindow(), "review-results.png")
    dock.close()


def take() -> None:
    """Every picture, then leave without questions."""
    try:
        if QgsApplication.processingRegistry().providerById("imagerydl") is None:
            raise RuntimeError("the plugin is not loaded")
        wanted = set(os.environ.get("IMAGERYDL_PICTURES_ONLY", "").split())
        for name, picture in steps().items():
            if not wanted or name in wanted:
                picture()
        say("done")
    except Exception:  # noqa: BLE001 - an uncaught one would open a dialog and wait for ever
        say(traceback.format_exc())
    finally:
        QApplication.instance().processEvents()
        os._exit(0)


# --code runs before the window is ready.
QTimer.singleShot(4000, take)
