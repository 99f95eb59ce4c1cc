"""Make examples/export_train_classify.model3: the main job as one model of the graphical modeler.

    QGIS_PLUGINPATH=build/plugins python3 examples/make_model3.py

The model file is what counts; this script is how it came to be, and makes it anew when a tool
gets a parameter that the model should pass on.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from pipeline import BUNDLED_PLUGINS

TARGET = Path(__file__).resolve().parent / "export_train_classify.model3"


def build_model() -> Any:
    """The model; QGIS has to be running, with the plugin's provider."""
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
        "exporttrainingdata",
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
        "trainmodel",
        1,
        IN_FOLDER=_from_step(export, "OUT_FOLDER"),
        MAX_EPOCHS=_given("epochs"),
        BATCH_SIZE=_given("batch"),
        LEARNING_RATE=_given("rate"),
    )
    classify = _add_step(
        model,
        "classify",
        "classifypixels",
        2,
        IN_RASTER=_given("target"),
        IN_MODEL_DEFINITION=_from_step(train, "OUT_MODEL_DEFINITION"),
    )
    _give_out(model, export, "OUT_FOLDER", "chips")
    _give_out(model, train, "OUT_FOLDER", "model")
    _give_out(model, classify, "OUT_CLASSIFIED_RASTER", "classified")
    return model


def _add_input(model: Any, definition: Any, row: int) -> None:
    from qgis.core import QgsProcessingModelParameter
    from qgis.PyQt.QtCore import QPointF

    component = QgsProcessingModelParameter(definition.name())
    component.setPosition(QPointF(140 + 220 * (row % 5), 60 + 80 * (row // 5)))
    model.addModelParameter(definition, component)


def _add_step(model: Any, name: str, tool: str, column: int, **sources: Any) -> str:
    from qgis.core import QgsProcessingModelChildAlgorithm
    from qgis.PyQt.QtCore import QPointF

    step = QgsProcessingModelChildAlgorithm(f"imagerydl:{tool}")
    step.setChildId(name)
    step.setDescription(step.algorithm().displayName())
    for key, source in sources.items():
        step.addParameterSources(key, [source])
    step.setPosition(QPointF(180 + 320 * column, 280))
    model.addChildAlgorithm(step)
    return name


def _give_out(model: Any, step: str, key: str, name: str) -> None:
    from qgis.core import QgsProcessingModelOutput

    output = QgsProcessingModelOutput(name)
    output.setDescription(name.capitalize())
    output.setChildId(step)
    output.setChildOutputName(key)
    child = model.childAlgorithm(step)
    child.setModelOutputs({name: output})
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


def main() -> None:
    """Write the model file."""
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
    model = build_model()
    if not model.toFile(str(TARGET)):
        sys.exit(f"{TARGET} cannot be written.")
    print(TARGET)
    QgsApplication.processingRegistry().removeProvider(provider)
    application.exitQgis()


if __name__ == "__main__":
    main()
