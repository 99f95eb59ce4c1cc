"""The export dialog: parameters that do not apply to the metadata format, and the footprint layer."""

from __future__ import annotations

import csv

import processing
import pytest
from qgis.core import QgsProcessingContext, QgsProcessingException, QgsRenderContext, QgsVectorLayer
from samples import squares, write_raster

pytestmark = pytest.mark.usefixtures("provider", "engine")

#: What each format takes beside what all of them take.
ONLY = {
    "KITTI_rectangles": {"MIN_POLYGON_OVERLAP_RATIO", "IN_CLASS_DATA"},
    "Labeled_Tiles": {"CROP_MODE", "BLACKEN_AROUND_FEATURE", "MIN_POLYGON_OVERLAP_RATIO", "IN_CLASS_DATA"},
    "Classified_Tiles": {"IN_RASTER2", "IN_FOLDER2", "IN_CLASS_DATA"},
    "Panoptic_Segmentation": {
        "IN_INSTANCE_DATA", "INSTANCE_CLASS_VALUE_FIELD", "MIN_POLYGON_OVERLAP_RATIO", "IN_CLASS_DATA",
    },
    "CycleGAN": {"IN_RASTER2", "IN_FOLDER2"},
}  # fmt: skip


@pytest.fixture
def dialog(provider):
    dialog = provider.algorithm("exporttrainingdata").create().createCustomParametersWidget(None)
    yield dialog
    dialog.deleteLater()


def widget_of(wrapper):
    return getattr(wrapper, "widget", None) or wrapper.wrappedWidget()


@pytest.mark.parametrize("keyword", ONLY)
def test_widgets_follow_the_format(dialog, keyword):
    """E43 to E46: what does not apply is disabled at once, and enabled again."""
    wrappers = dialog.mainWidget().wrappers
    every = set().union(*ONLY.values())
    wrappers["METADATA_FORMAT"].setParameterValue(keyword, QgsProcessingContext())
    enabled = {key for key in every if widget_of(wrappers[key]).isEnabled()}
    assert enabled == ONLY[keyword]
    assert not widget_of(wrappers["SPLIT_PERCENTAGES"]).isEnabled()


def test_a_value_that_no_longer_applies_goes_back_to_its_default(dialog):
    """Else the run would be refused for something that cannot be changed."""
    wrappers, context = dialog.mainWidget().wrappers, QgsProcessingContext()
    wrappers["METADATA_FORMAT"].setParameterValue("Labeled_Tiles", context)
    wrappers["CROP_MODE"].setParameterValue("BOUNDING_BOX", context)
    wrappers["METADATA_FORMAT"].setParameterValue("KITTI_rectangles", context)
    assert wrappers["CROP_MODE"].parameterValue() == "FIXED_SIZE"


def test_scripts_are_refused_by_name(tmp_path):
    """Elsewhere the parameter is named."""
    values = {
        "IN_RASTER": [write_raster(tmp_path / "a.tif")],
        "IN_CLASS_DATA": squares(),
        "METADATA_FORMAT": "KITTI_rectangles",
        "CROP_MODE": "BOUNDING_BOX",
        "OUT_FOLDER": str(tmp_path / "chips"),
    }
    with pytest.raises(QgsProcessingException, match=r"CROP_MODE .*does not apply to METADATA_FORMAT=KITTI"):
        processing.run("imagerydl:exporttrainingdata", values)


def test_a_table_labels_photographs_and_footprints_load(tmp_path):
    """A CSV of boxes in pixels is class data; the footprints are a layer with a count for each class."""
    photo = write_raster(tmp_path / "photo.tif", rows=8)
    with open(tmp_path / "boxes.csv", "w", newline="") as file:
        csv.writer(file).writerows(
            [["image", "xmin", "ymin", "xmax", "ymax", "label"], ["photo.tif", 2, 3, 6, 8, "car"]]
        )
    results = processing.run(
        "imagerydl:exporttrainingdata",
        {
            "IN_RASTER": [photo],
            "IN_CLASS_DATA": str(tmp_path / "boxes.csv"),
            "METADATA_FORMAT": "PASCAL_VOC_rectangles",
            "TILE_SIZE_X": 8,
            "TILE_SIZE_Y": 8,
            "STRIDE_X": 8,
            "STRIDE_Y": 8,
            "OUT_FOLDER": str(tmp_path / "chips"),
            "OUT_FOOTPRINTS": str(tmp_path / "chips.gpkg"),
        },
    )
    annotation = (tmp_path / "chips" / "labels" / "000000000000.xml").read_text()
    assert "<name>1</name>" in annotation
    assert "<xmin>2.00</xmin>" in annotation
    layer = QgsVectorLayer(results["OUT_FOOTPRINTS"], "chips", "ogr")
    assert layer.isValid()
    assert layer.featureCount() == results["NUM_CHIPS"] == 1
    assert next(layer.getFeatures())["c_1"] == 1


def test_footprints_come_to_the_map_in_their_style(project, tmp_path):
    """Outlines by part of the split, nothing filled: the imagery below stays visible."""
    processing.runAndLoadResults(
        "imagerydl:exporttrainingdata",
        {
            "IN_RASTER": [write_raster(tmp_path / "a.tif")],
            "IN_CLASS_DATA": squares(),
            "TILE_SIZE_X": 4,
            "TILE_SIZE_Y": 4,
            "OUTPUT_NOFEATURE_TILES": True,
            "OUT_FOLDER": str(tmp_path / "chips"),
            "OUT_FOOTPRINTS": str(tmp_path / "chips.gpkg"),
        },
    )
    (layer,) = project.mapLayers().values()
    (symbol,) = layer.renderer().symbols(QgsRenderContext())
    assert symbol.symbolLayer(0).layerType() == "SimpleLine"
