"""The main job with the real engine: chips from a memory layer, a model, a class raster in QGIS's colours."""

from __future__ import annotations

import subprocess
from pathlib import Path

import processing
import pytest
from qgis.core import (
    Qgis,
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransformContext,
    QgsFeature,
    QgsGeometry,
    QgsProcessingModelAlgorithm,
    QgsProcessingModelChildAlgorithm,
    QgsProcessingModelChildParameterSource,
    QgsProcessingModelOutput,
    QgsProcessingModelParameter,
    QgsProcessingParameterMapLayer,
    QgsProcessingParameterRasterLayer,
    QgsRasterBlock,
    QgsRasterFileWriter,
    QgsRasterLayer,
    QgsRectangle,
    QgsVectorFileWriter,
    QgsVectorLayer,
)
from recording import Recording
from samples import tile_pyramid

SIZE, TILE = 128, 32
EXPORT = {
    "METADATA_FORMAT": "Classified_Tiles", "TILE_SIZE_X": TILE, "TILE_SIZE_Y": TILE, "STRIDE_X": TILE,
    "STRIDE_Y": TILE, "CLASS_VALUE_FIELD": "class", "OUTPUT_NOFEATURE_TILES": True,
    "CLASS_SCHEMA": "1, Roof, #aa3322",
}  # fmt: skip
TRAIN = {
    "MAX_EPOCHS": 1,
    "BATCH_SIZE": 4,
    "LEARNING_RATE": 0.002,
    "DEVICE": "CPU",
    "VALIDATION_PERCENTAGE": 25,
}

pytestmark = pytest.mark.usefixtures("provider", "engine")


def box(number: int) -> QgsRectangle:
    """Ground of roof ``number``, in metres; one roof in every tile."""
    x, y = (number % 4) * TILE + 8, (number // 4) * TILE + 8
    return QgsRectangle(x, y, x + 14, y + 14)


@pytest.fixture(scope="module")
def town(tmp_path_factory):
    """Bright roofs on dark ground, 1 m cells, and the polygons in a memory layer."""
    rows = [bytearray([40] * SIZE) for _ in range(SIZE)]
    layer = QgsVectorLayer("Polygon?crs=EPSG:32636&field=class:integer", "roofs", "memory")
    features = []
    for number in range(16):
        area = box(number)
        for y in range(int(area.yMinimum()), int(area.yMaximum())):
            rows[SIZE - 1 - y][int(area.xMinimum()) : int(area.xMaximum())] = bytes([200] * int(area.width()))
        feature = QgsFeature(layer.fields())
        feature.setGeometry(QgsGeometry.fromRect(area))
        feature.setAttributes([1])
        features.append(feature)
    layer.dataProvider().addFeatures(features)
    path = tmp_path_factory.mktemp("town") / "town.tif"
    output = QgsRasterFileWriter(str(path)).createMultiBandRaster(
        Qgis.DataType.Byte,
        SIZE,
        SIZE,
        QgsRectangle(0, 0, SIZE, SIZE),
        QgsCoordinateReferenceSystem("EPSG:32636"),
        3,
    )
    for band in (1, 2, 3):
        block = QgsRasterBlock(Qgis.DataType.Byte, SIZE, SIZE)
        block.setData(b"".join(bytes(row) for row in rows))
        output.writeBlock(block, band)
    output.setEditable(False)
    return str(path), layer


def check_classified(raster: str, town: str) -> None:
    """Same grid, and the class named and coloured as the schema says."""
    classified, image = QgsRasterLayer(raster, "classified"), QgsRasterLayer(town, "town")
    assert classified.extent() == image.extent()
    assert classified.width() == SIZE
    legend = {
        int(entry.value): (entry.label, entry.color.name()) for entry in classified.renderer().classes()
    }
    assert legend[1] == ("Roof", "#aa3322")


def run_script(town, folder: Path) -> None:
    """The three steps by ``processing.run``."""
    image, roofs = town
    exported = processing.run(
        "imagerydl:exporttrainingdata",
        {"IN_RASTER": [image], "IN_CLASS_DATA": roofs, "OUT_FOLDER": str(folder / "chips"), **EXPORT},
    )
    assert exported["NUM_CHIPS"] == 16
    assert exported["NUM_CLASSES"] >= 1
    feedback = Recording()
    trained = processing.run(
        "imagerydl:trainmodel",
        {"IN_FOLDER": exported["OUT_FOLDER"], "OUT_FOLDER": str(folder / "model"), **TRAIN},
        feedback=feedback,
    )
    assert Path(trained["OUT_MODEL_PACKAGE"]).suffix == ".dlpk"
    assert 0 <= trained["ACCURACY"] <= 1
    assert feedback.values[-1] == 100.0
    classified = processing.runAndLoadResults(
        "imagerydl:classifypixels",
        {
            "IN_RASTER": [image],
            "IN_MODEL_DEFINITION": trained["OUT_MODEL_PACKAGE"],
            "OUT_CLASSIFIED_RASTER": str(folder / "classified.tif"),
        },
    )
    assert classified["VALID_PIXELS"] == SIZE * SIZE


def run_saved_model(town, folder: Path) -> None:
    """The three steps as one model, saved and opened again."""
    image, roofs = town
    source = QgsProcessingModelChildParameterSource
    model = QgsProcessingModelAlgorithm("main job", "tests")
    model.addModelParameter(
        QgsProcessingParameterRasterLayer("image", "Image"), QgsProcessingModelParameter("image")
    )
    model.addModelParameter(
        QgsProcessingParameterMapLayer("labels", "Labels"), QgsProcessingModelParameter("labels")
    )

    def add(name, tool, constants, output=None, **sources):
        step = QgsProcessingModelChildAlgorithm(f"imagerydl:{tool}")
        step.setChildId(name)
        for key, value in constants.items():
            step.addParameterSources(key, [source.fromStaticValue(value)])
        for key, value in sources.items():
            step.addParameterSources(key, [value])
        if output:
            final = QgsProcessingModelOutput(output)
            final.setChildId(name)
            final.setChildOutputName(output)
            step.setModelOutputs({output: final})
        model.addChildAlgorithm(step)

    add(
        "export", "exporttrainingdata", EXPORT, "OUT_FOLDER",
        IN_RASTER=source.fromModelParameter("image"), IN_CLASS_DATA=source.fromModelParameter("labels"),
    )  # fmt: skip
    add("train", "trainmodel", TRAIN, "OUT_FOLDER", IN_FOLDER=source.fromChildOutput("export", "OUT_FOLDER"))
    add(
        "classify", "classifypixels", {}, "OUT_CLASSIFIED_RASTER",
        IN_RASTER=source.fromModelParameter("image"),
        IN_MODEL_DEFINITION=source.fromChildOutput("train", "OUT_MODEL_DEFINITION"),
    )  # fmt: skip
    assert model.toFile(str(folder / "job.model3"))
    saved = QgsProcessingModelAlgorithm()
    assert saved.fromFile(str(folder / "job.model3"))
    processing.run(
        saved,
        {
            "image": image,
            "labels": roofs,
            "export:OUT_FOLDER": str(folder / "chips"),
            "train:OUT_FOLDER": str(folder / "model"),
            "classify:OUT_CLASSIFIED_RASTER": str(folder / "classified.tif"),
        },
        feedback=Recording(),
    )


def run_commands(town, folder: Path, python: str) -> None:
    """The three steps by the command line, without QGIS."""
    image, roofs = town
    folder.mkdir()
    options = QgsVectorFileWriter.SaveVectorOptions()
    QgsVectorFileWriter.writeAsVectorFormatV3(
        roofs, str(folder / "roofs.gpkg"), QgsCoordinateTransformContext(), options
    )

    def run(command: str, **values: object) -> None:
        options = []
        for key, value in values.items():
            options += ["--" + key.lower().replace("_", "-"), str(value)]
        engine = Path(__file__).resolve().parents[2] / "engine" / "imagerydl"
        subprocess.run([python, "-I", str(engine), command, *options], check=True, capture_output=True)

    labels, chips, model = (str(folder / name) for name in ("roofs.gpkg", "chips", "model"))
    run("export-training-data", IN_RASTER=image, IN_CLASS_DATA=labels, OUT_FOLDER=chips, **EXPORT)
    run("train-model", IN_FOLDER=chips, OUT_FOLDER=model, **TRAIN)
    package, out = folder / "model" / "model.dlpk", folder / "classified.tif"
    run("classify-pixels", IN_RASTER=image, IN_MODEL_DEFINITION=package, OUT_CLASSIFIED_RASTER=out)


def test_script_saved_model_and_commands_give_the_same_bytes(town, project, engine, tmp_path):
    """W1: prepare, train, infer; one engine and one seed: the way it is called makes no difference."""
    image, roofs = town
    project.addMapLayer(roofs.clone())
    script, saved, commands = (tmp_path / name for name in ("script", "saved model", "commands"))
    script.mkdir()
    saved.mkdir()
    run_script(town, script)
    run_saved_model(town, saved)
    run_commands(town, commands, engine)
    for name in ("chips/images/000000000005.tif", "chips/labels/000000000005.tif", "model/model.safetensors"):
        assert len({(folder / name).read_bytes() for folder in (script, saved, commands)}) == 1, name
    for folder in (script, saved, commands):
        assert (folder / "classified.tif").read_bytes() == (script / "classified.tif").read_bytes()
        check_classified(str(folder / "classified.tif"), image)
    out = str(script / "classified.tif")
    (loaded,) = [layer for layer in project.mapLayers().values() if layer.source() == out]
    assert "Roof" in [entry.label for entry in loaded.renderer().classes()]
    check_online(str(script / "model" / "model.dlpk"), project, tmp_path)


def check_online(model: str, project, tmp_path: Path) -> None:
    """The same model on an online layer: fetched, classified on its grid, empty where nothing is drawn."""
    online = QgsRasterLayer(tile_pyramid(tmp_path / "tiles"), "World tiles", "wms")
    project.addMapLayer(online)
    world = 20037508.342789244
    classified = processing.run(
        "imagerydl:classifypixels",
        {
            "IN_RASTER": [online],
            "IN_MODEL_DEFINITION": model,
            "EXTENT": f"{-world},{world},{-world},{world} [EPSG:3857]",
            "CELL_SIZE": 2 * world / 1024,
            "OUT_CLASSIFIED_RASTER": str(tmp_path / "world.tif"),
        },
    )
    assert classified["VALID_PIXELS"] == 1024 * 1024 - 256 * 256  # one tile of 16 is missing
