"""Results back in QGIS: declared ones only, and class rasters with their colours and names."""

from __future__ import annotations

import shutil
import time

import processing
import pytest
from qgis.core import (
    QgsPalettedRasterRenderer,
    QgsProcessingAlgRunnerTask,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingOutputLayerDefinition,
    QgsProject,
    QgsRasterLayer,
    QgsSingleBandGrayRenderer,
)
from qgis.PyQt.QtGui import QColor
from samples import write_raster

CLASSES = {10: ("Roof", "#ff0000"), 20: ("Tree", "#00aa00")}


def write_class_raster(path):
    """A raster of one class, and the style the engine writes beside it."""
    raster = QgsRasterLayer(write_raster(path, bands=1), "classes")
    classes = [
        QgsPalettedRasterRenderer.Class(value, QColor(colour), name)
        for value, (name, colour) in CLASSES.items()
    ]
    raster.setRenderer(QgsPalettedRasterRenderer(raster.dataProvider(), 1, classes))
    raster.saveNamedStyle(str(path.with_suffix(".qml")))
    return str(path)


def legend(layer):
    return {int(entry.value): (entry.label, entry.color.name()) for entry in layer.renderer().classes()}


def test_undeclared_and_unmade_results_are_left_out():
    from toy_tool import make_tool

    from imagerydl.engine.imagerydl import errors, tool
    from imagerydl.processing_provider.results import declared_results

    toy = make_tool(tool, errors)
    values = {"SEEN": "x", "NUMBER": 7, "OUT_RASTER": None, "SECRET": 1, "WHOLE": 3}
    assert declared_results(toy, values) == {"SEEN": "x", "NUMBER": 7}


def test_a_style_beside_the_raster_is_applied_by_qgis_itself(tmp_path):
    path = write_class_raster(tmp_path / "classes.tif")
    assert legend(QgsRasterLayer(path, "loaded")) == CLASSES


def post_process(layer):
    from imagerydl.processing_provider.results import OwnStyle

    OwnStyle().postProcessLayer(layer, QgsProcessingContext(), QgsProcessingFeedback())


def test_class_colours_replace_any_other_style(tmp_path):
    """Processing styles results its own way, or the user's, before."""
    layer = QgsRasterLayer(write_class_raster(tmp_path / "classes.tif"), "loaded")
    layer.setRenderer(QgsSingleBandGrayRenderer(layer.dataProvider(), 1))
    post_process(layer)
    assert legend(layer) == CLASSES


def test_without_a_style_the_colour_table_inside_counts(tmp_path):
    path = write_raster(tmp_path / "palette.tif", bands=1)
    gdal = pytest.importorskip("osgeo.gdal")
    dataset = gdal.Open(path, gdal.GA_Update)
    table = gdal.ColorTable()
    table.SetColorEntry(10, (255, 0, 0, 255))
    dataset.GetRasterBand(1).SetColorTable(table)
    dataset = None
    layer = QgsRasterLayer(path, "loaded")
    layer.setRenderer(QgsSingleBandGrayRenderer(layer.dataProvider(), 1))
    post_process(layer)
    assert legend(layer)[10][1] == "#ff0000"


def test_a_continuous_raster_keeps_its_style(tmp_path):
    layer = QgsRasterLayer(write_raster(tmp_path / "a.tif", bands=1), "confidence")
    post_process(layer)
    assert not isinstance(layer.renderer(), QgsPalettedRasterRenderer)


def test_a_result_loads_styled(toys, project, tmp_path):
    """As "open output file after running" does, several times over."""
    source = write_class_raster(tmp_path / "classes.tif")
    for number in range(3):
        out = tmp_path / f"out{number}.tif"
        shutil.copy(tmp_path / "classes.qml", out.with_suffix(".qml"))
        processing.runAndLoadResults("toys:quicktoy", {"RASTER": source, "OUT_RASTER": str(out)})
    layers = list(QgsProject.instance().mapLayers().values())
    assert len(layers) == 3
    for layer in layers:
        assert legend(layer) == CLASSES


def test_a_result_of_a_background_run_gets_the_post_processor(toys, project, tmp_path, qgis_app):
    source, out = write_class_raster(tmp_path / "classes.tif"), str(tmp_path / "out.tif")
    context, feedback, done = QgsProcessingContext(), QgsProcessingFeedback(), []
    context.setProject(project)
    parameters = {"RASTER": source, "OUT_RASTER": QgsProcessingOutputLayerDefinition(out, project)}
    task = QgsProcessingAlgRunnerTask(toys.algorithm("quicktoy"), parameters, context, feedback)
    task.executed.connect(lambda ok, results: done.append(ok))
    qgis_app.taskManager().addTask(task)
    end = time.monotonic() + 20
    while not done and time.monotonic() < end:
        qgis_app.processEvents()
    assert done == [True]
    assert context.layerToLoadOnCompletionDetails(out).postProcessor() is not None
