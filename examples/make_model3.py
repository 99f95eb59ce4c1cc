"""Make examples/*.model3: the ways from labels to a result, each as one model of the graphical modeler.

    QGIS_PLUGINPATH=build/plugins python3 examples/make_model3.py [export_train_detect ...]

The model files are what counts; this script is how they came to be, and makes them anew when a tool gets a
parameter that a model should pass on.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pipeline import BUNDLED_PLUGINS

FOLDER = Path(__file__).resolve().parent


def build_classification() -> Any:
    """Pixels: chips, a U-Net, a class raster. QGIS has to be running, with the plugin's provider."""
    from qgis.core import (
        QgsProcessing,
        QgsProcessingModelAlgorithm,
        QgsProcessingParameterDefinition,
        QgsProcessingParameterField,
        QgsProcessingParameterNumber,
        QgsProcessingParameterRasterLayer,
        QgsProcessingParameterString,
        QgsProcessingParameterVectorLayer,
    )

    model = QgsProcessingModelAlgorithm("Export, train, classify", "Imagery Deep Learning")
    polygons = [QgsProcessing.TypeVectorPolygon]
    whole = QgsProcessingParameterNumber.Integer
    schema = QgsProcessingParameterString(
        "schema", "Class schema (value, name, colour)", multiLine=True, optional=True
    )
    field = QgsProcessingParameterField("field", "Class value field", None, "labels", optional=True)
    inputs: list[QgsProcessingParameterDefinition] = [
        QgsProcessingParameterRasterLayer("image", "Labelled image"),
        QgsProcessingParameterVectorLayer("labels", "Label polygons", polygons),
        field,
        schema,
        QgsProcessingParameterRasterLayer("target", "Image to classify"),
        QgsProcessingParameterNumber("tile", "Tile size (pixels)", whole, 128, minValue=16),
        QgsProcessingParameterNumber("stride", "Stride (pixels)", whole, 96, minValue=1),
        QgsProcessingParameterNumber("epochs", "Epochs at most", whole, 20, minValue=1),
        QgsProcessingParameterNumber("batch", "Batch size", whole, 8, minValue=1),
        QgsProcessingParameterNumber(
            "rate", "Learning rate", QgsProcessingParameterNumber.Double, 0.003, minValue=0
        ),
    ]
    for row, definition in enumerate(inputs):
        _add_input(model, definition, row)

    export = _add_step(
        model,
        "export",
        "imagerydl:exporttrainingdata",
        0,
        IN_RASTER=_given("image"),
        IN_CLASS_DATA=_given("labels"),
        CLASS_VALUE_FIELD=_given("field"),
        CLASS_SCHEMA=_given("schema"),
        METADATA_FORMAT=_fixed("Classified_Tiles"),
        TILE_SIZE_X=_given("tile"),
        TILE_SIZE_Y=_given("tile"),
        STRIDE_X=_given("stride"),
        STRIDE_Y=_given("stride"),
    )
    train = _add_step(
        model,
        "train",
        "imagerydl:trainmodel",
        1,
        IN_FOLDER=_from_step(export, "OUT_FOLDER"),
        MAX_EPOCHS=_given("epochs"),
        BATCH_SIZE=_given("batch"),
        LEARNING_RATE=_given("rate"),
    )
    classify = _add_step(
        model,
        "classify",
        "imagerydl:classifypixels",
        2,
        IN_RASTER=_given("target"),
        IN_MODEL_DEFINITION=_from_step(train, "OUT_MODEL_DEFINITION"),
    )
    _give_out(model, export, chips="OUT_FOLDER")
    _give_out(model, train, model="OUT_FOLDER")
    _give_out(model, classify, classified="OUT_CLASSIFIED_RASTER")
    return model


def build_detection() -> Any:
    """Objects: chips, a detector, a layer of objects, and how good it is."""
    from qgis.core import (
        QgsProcessing,
        QgsProcessingModelAlgorithm,
        QgsProcessingParameterDefinition,
        QgsProcessingParameterField,
        QgsProcessingParameterNumber,
        QgsProcessingParameterRasterLayer,
        QgsProcessingParameterVectorLayer,
    )

    model = QgsProcessingModelAlgorithm("Export, train, detect", "Imagery Deep Learning")
    polygons = [QgsProcessing.TypeVectorPolygon]
    whole, real = QgsProcessingParameterNumber.Integer, QgsProcessingParameterNumber.Double
    field = QgsProcessingParameterField("field", "Class value field", None, "labels", optional=True)
    inputs: list[QgsProcessingParameterDefinition] = [
        QgsProcessingParameterRasterLayer("image", "Labelled image"),
        QgsProcessingParameterVectorLayer("labels", "Outlines of the objects in it", polygons),
        field,
        QgsProcessingParameterRasterLayer("target", "Image to find objects in"),
        QgsProcessingParameterVectorLayer("truth", "Outlines of the true objects in that", polygons),
        QgsProcessingParameterNumber("tile", "Tile size (pixels)", whole, 256, minValue=16),
        QgsProcessingParameterNumber("stride", "Stride (pixels)", whole, 128, minValue=1),
        QgsProcessingParameterNumber("cell", "Cell size (0: the image's own)", real, 0, minValue=0),
        QgsProcessingParameterNumber("epochs", "Epochs at most", whole, 20, minValue=1),
        QgsProcessingParameterNumber("overlap", "Max overlap ratio", real, 0.3, minValue=0, maxValue=1),
    ]
    for row, definition in enumerate(inputs):
        _add_input(model, definition, row)

    export = _add_step(
        model,
        "export",
        "imagerydl:exporttrainingdata",
        0,
        IN_RASTER=_given("image"),
        IN_CLASS_DATA=_given("labels"),
        CLASS_VALUE_FIELD=_given("field"),
        METADATA_FORMAT=_fixed("PASCAL_VOC_rectangles"),
        TILE_SIZE_X=_given("tile"),
        TILE_SIZE_Y=_given("tile"),
        STRIDE_X=_given("stride"),
        STRIDE_Y=_given("stride"),
        CELL_SIZE=_given("cell"),
        MIN_POLYGON_OVERLAP_RATIO=_fixed(0.3),
    )
    train = _add_step(
        model,
        "train",
        "imagerydl:trainmodel",
        1,
        IN_FOLDER=_from_step(export, "OUT_FOLDER"),
        MAX_EPOCHS=_given("epochs"),
    )
    detect = _add_step(
        model,
        "detect",
        "imagerydl:detectobjects",
        2,
        IN_RASTER=_given("target"),
        IN_MODEL_DEFINITION=_from_step(train, "OUT_MODEL_DEFINITION"),
    )
    suppress = _add_step(
        model,
        "suppress",
        "imagerydl:nonmaximumsuppression",
        3,
        IN_FEATURECLASS=_from_step(detect, "OUT_DETECTED_OBJECTS"),
        MAX_OVERLAP_RATIO=_given("overlap"),
    )
    # A detector gives boxes; what it is compared with has to be boxes, too.
    boxes = _add_step(model, "boxes", "native:boundingboxes", 3, 420, INPUT=_given("truth"))
    judge = _add_step(
        model,
        "judge",
        "imagerydl:computeaccuracyobjectdetection",
        4,
        DETECTED_FEATURES=_from_step(suppress, "OUT_FEATURECLASS"),
        GROUND_TRUTH_FEATURES=_from_step(boxes, "OUTPUT"),
        GROUND_TRUTH_CLASS_VALUE_FIELD=_given("field"),
    )
    _give_out(model, export, chips="OUT_FOLDER")
    _give_out(model, train, model="OUT_FOLDER")
    _give_out(model, suppress, detected="OUT_FEATURECLASS")
    _give_out(
        model,
        judge,
        accuracy="OUT_ACCURACY_TABLE",
        marks="OUT_MARKED_FEATURES",
        report="OUT_ACCURACY_REPORT",
    )
    return model


def _add_input(model: Any, definition: Any, row: int) -> None:
    from qgis.core import QgsProcessingModelParameter
    from qgis.PyQt.QtCore import QPointF

    component = QgsProcessingModelParameter(definition.name())
    component.setPosition(QPointF(140 + 220 * (row % 5), 60 + 80 * (row // 5)))
    model.addModelParameter(definition, component)


def _add_step(
    model: Any, name: str, algorithm: str, column: int, below: float = 280, /, **sources: Any
) -> str:
    from qgis.core import QgsProcessingModelChildAlgorithm
    from qgis.PyQt.QtCore import QPointF

    step = QgsProcessingModelChildAlgorithm(algorithm)
    step.setChildId(name)
    step.setDescription(step.algorithm().displayName())
    for definition in step.algorithm().parameterDefinitions():
        # As the modeler itself does it: what has to have a value is given its default.
        if not definition.isDestination() and definition.defaultValue() is not None:
            sources.setdefault(definition.name(), _fixed(definition.defaultValue()))
    for key, source in sources.items():
        step.addParameterSources(key, [source])
    step.setPosition(QPointF(180 + 320 * column, below))
    model.addChildAlgorithm(step)
    return name


def _give_out(model: Any, step: str, /, **keys: str) -> None:
    """Make results of a step outputs of the model: the step's key of each by its name in the model."""
    from qgis.core import QgsProcessingModelOutput

    outputs = {}
    for name, key in keys.items():
        output = outputs[name] = QgsProcessingModelOutput(name)
        output.setDescription(name.capitalize())
        output.setChildId(step)
        output.setChildOutputName(key)
    child = model.childAlgorithm(step)
    child.setModelOutputs(outputs)
    model.setChildAlgorithm(child)


def _given(name: str) -> Any:
    from qgis.core import QgsProcessingModelChildParameterSource

    return QgsProcessingModelChildParameterSource.fromModelParameter(name)


def _fixed(value: object) -> Any:
    from qgis.core import QgsProcessingModelChildParameterSource

    return QgsProcessingModelChildParameterSource.fromStaticValue(value)


def _from_step(step: str, output: str) -> Any:
    from qgis.core import QgsProcessingModelChildParameterSource

    return QgsProcessingModelChildParameterSource.fromChildOutput(step, output)


MODELS: dict[str, Callable[[], Any]] = {
    "export_train_classify": build_classification,
    "export_train_detect": build_detection,
}


def main(names: Sequence[str]) -> None:
    """Write the models of these names, or all."""
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    sys.path[:0] = [BUNDLED_PLUGINS, *os.environ.get("QGIS_PLUGINPATH", "").split(os.pathsep)]
    from qgis.core import QgsApplication

    application = QgsApplication([], False)
    application.initQgis()
    from processing.core.Processing import Processing

    Processing.initialize()
    from imagerydl.processing_provider.provider import ImageryProvider

    provider = ImageryProvider()
    QgsApplication.processingRegistry().addProvider(provider)
    for name in names or MODELS:
        target = FOLDER / f"{name}.model3"
        if not MODELS[name]().toFile(str(target)):
            sys.exit(f"{target} cannot be written.")
        print(target)
    QgsApplication.processingRegistry().removeProvider(provider)
    application.exitQgis()


if __name__ == "__main__":
    main(sys.argv[1:])
