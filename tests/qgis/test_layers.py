"""QGIS layers into the job: files as they are, everything else written for the run and gone after it."""

from __future__ import annotations

import json
import os
import shutil
from contextlib import suppress
from pathlib import Path

import processing
import pytest
from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsFeature,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeatureSourceDefinition,
    QgsRasterLayer,
    QgsRectangle,
    QgsSettings,
    QgsVectorFileWriter,
    QgsVectorLayer,
)
from recording import Recording
from samples import squares, tile_pyramid, write_raster

WORLD = 20037508.342789244

pytestmark = pytest.mark.usefixtures("toys")


def run(feedback=None, **values):
    """The toy's run: what its job held, and which inputs existed meanwhile."""
    done = processing.run("toys:quicktoy", values, feedback=feedback or Recording())
    return json.loads(done["SEEN"]), done


@pytest.fixture
def kept(monkeypatch):
    """Keeps the job's folder until the test ends, to look at the layers written for it."""
    from imagerydl.processing_provider import runtime

    folders = []
    monkeypatch.setattr(runtime.JobFolder, "__exit__", lambda folder, *_: folders.append(folder.path))
    yield
    for folder in folders:
        shutil.rmtree(folder)


@pytest.fixture
def geopackage(tmp_path):
    """A GeoPackage with the layers ``squares`` and ``others``."""
    path = tmp_path / "town.gpkg"
    for name, count in (("squares", 4), ("others", 2)):
        options = QgsVectorFileWriter.SaveVectorOptions()
        options.layerName = name
        options.layerOptions = ["FID=key"]
        if path.exists():
            options.actionOnExistingFile = QgsVectorFileWriter.ActionOnExistingFile.CreateOrOverwriteLayer
        layer = squares(count)
        written = QgsVectorFileWriter.writeAsVectorFormatV3(
            layer, str(path), layer.transformContext(), options
        )
        assert written[0] == QgsVectorFileWriter.WriterError.NoError
    return path


@pytest.fixture
def layer(geopackage, project):
    layer = QgsVectorLayer(f"{geopackage}|layername=squares", "squares", "ogr")
    project.addMapLayer(layer)
    return layer


@pytest.fixture
def online(tmp_path, project):
    """An XYZ layer served from disk."""
    layer = QgsRasterLayer(tile_pyramid(tmp_path / "tiles"), "World tiles", "wms")
    assert layer.isValid()
    project.addMapLayer(layer)
    return layer


def test_a_raster_file_stays_where_it_is(tmp_path, project, monkeypatch):
    path = write_raster(tmp_path / "a.tif")
    raster = QgsRasterLayer(path, "a")
    project.addMapLayer(raster)
    for given in (path, raster, raster.id(), "a"):
        assert run(RASTER=given)[0]["values"]["RASTER"] == path
    monkeypatch.chdir(tmp_path)
    assert run(RASTER="a.tif")[0]["values"]["RASTER"] == path


def test_a_crs_assigned_in_qgis_to_a_raster_is_told(tmp_path, project):
    """What the file says counts, which is not what the user sees on the map."""
    path = write_raster(tmp_path / "a.tif")
    raster = QgsRasterLayer(path, "a")
    project.addMapLayer(raster)
    feedback = Recording()
    assert run(feedback, RASTER=raster)[0]["values"]["RASTER"] == path
    assert not feedback.warnings
    raster.setCrs(QgsCoordinateReferenceSystem("EPSG:3067"))
    assert run(feedback, RASTER=raster)[0]["values"]["RASTER"] == path
    assert any("EPSG:3067" in text for text in feedback.warnings)


def test_several_rasters_come_as_layers_paths_or_text(tmp_path):
    a, b = write_raster(tmp_path / "a.tif"), write_raster(tmp_path / "b.tif")
    for given in ([a, b], [QgsRasterLayer(a), b], f"{a};{b}"):
        assert run(RASTERS=given)[0]["values"]["RASTERS"] == [a, b]
    assert run(RASTERS=a)[0]["values"]["RASTERS"] == [a]


def test_a_vector_file_stays_where_it_is(layer, geopackage):
    source = f"{geopackage}|layername=squares"
    for given in (source, layer, layer.id()):
        assert run(FEATURES=given)[0]["values"]["FEATURES"] == source
        assert run(LAYER=given)[0]["values"]["LAYER"] == source


def written(seen, key="FEATURES") -> QgsVectorLayer:
    """The layer that was written for the run."""
    path = seen["values"][key]
    assert seen["files"][path]
    assert path.endswith(".gpkg")
    layer = QgsVectorLayer(path, "written", "ogr")
    assert layer.isValid()
    return layer


@pytest.mark.parametrize("key", ["FEATURES", "LAYER"])
def test_a_memory_layer_is_written_with_its_ids(key, kept):
    memory = squares(4)
    copy = written(run(**{key: memory})[0], key)
    assert copy.featureCount() == 4
    assert copy.crs() == memory.crs()
    assert sorted(f["_fid"] for f in copy.getFeatures()) == sorted(f.id() for f in memory.getFeatures())
    assert {f["class"] for f in copy.getFeatures()} == {1, 2}
    assert {f["fid"] for f in copy.getFeatures()} == {"no 0", "no 1", "no 2", "no 3"}


def test_a_table_that_is_no_file_is_written(tmp_path, project, kept):
    """In memory, or read by another provider of QGIS; label tables have no geometry."""
    table = QgsVectorLayer("NoGeometry?field=image:string&field=xmin:double", "boxes", "memory")
    row = QgsFeature(table.fields())
    row.setAttributes(["a.jpg", 3.5])
    table.dataProvider().addFeatures([row])
    path = tmp_path / "boxes.csv"
    path.write_text("image,xmin\na.jpg,3.5\n")
    text = QgsVectorLayer(f"{path.as_uri()}?delimiter=,&geomType=none", "text", "delimitedtext")
    assert text.isValid()
    project.addMapLayer(text)
    for given in (table, text, text.id()):
        copy = written(run(CHOICE="TIFF", LEVEL="HIGH", OVERLAY=given)[0], "OVERLAY")
        assert not copy.isSpatial()
        assert [(f["image"], f["xmin"]) for f in copy.getFeatures()] == [("a.jpg", 3.5)]


def test_selected_features_only(layer, kept):
    layer.selectByIds([f.id() for f in layer.getFeatures()][:2])
    definition = QgsProcessingFeatureSourceDefinition(layer.id(), True)
    assert written(run(FEATURES=definition)[0]).featureCount() == 2
    assert written(run(LAYER=layer, LAYER_SELECTED_ONLY=True)[0], "LAYER").featureCount() == 2


@pytest.mark.parametrize("key", ["FEATURES", "LAYER"])
def test_nothing_selected_is_an_error_that_says_so(layer, key):
    definition = QgsProcessingFeatureSourceDefinition(layer.id(), True)
    values = (
        {"FEATURES": definition} if key == "FEATURES" else {"LAYER": layer, "LAYER_SELECTED_ONLY": "true"}
    )
    feedback = Recording()
    with pytest.raises(QgsProcessingException):
        run(feedback, **values)
    assert any(
        f"{key}: only selected features are wanted, but none is selected in squares" in e
        for e in feedback.errors
    )


def test_a_filter_counts(layer, kept):
    layer.setSubsetString('"class" = 1')
    copy = written(run(FEATURES=layer)[0])
    assert [f["class"] for f in copy.getFeatures()] == [1, 1]


def test_unsaved_edits_and_an_assigned_crs_count(layer, kept):
    layer.setCrs(QgsCoordinateReferenceSystem("EPSG:32637"))
    assert written(run(LAYER=layer)[0], "LAYER").crs().authid() == "EPSG:32637"
    layer.startEditing()
    layer.deleteFeature(next(layer.getFeatures()).id())
    assert written(run(FEATURES=layer)[0]).featureCount() == 3


def test_invalid_and_curved_geometries_pass(kept):
    from qgis.core import QgsGeometry

    layer = QgsVectorLayer("CurvePolygon?crs=EPSG:32636", "curves", "memory")
    feature = QgsFeature()
    feature.setGeometry(QgsGeometry.fromWkt("CurvePolygon (CircularString (0 0, 1 1, 2 0, 1 -1, 0 0))"))
    bow = QgsFeature()
    bow.setGeometry(QgsGeometry.fromWkt("Polygon ((0 0, 1 1, 1 0, 0 1, 0 0))"))
    layer.dataProvider().addFeatures([feature, bow])
    copy = written(run(FEATURES=layer)[0])
    areas = [round(f.geometry().area(), 1) for f in copy.getFeatures()]
    assert areas[0] == 3.1
    assert len(areas) == 2


def test_layers_written_for_a_run_are_gone_after_it():
    seen, _ = run(FEATURES=squares())
    assert seen["files"] == {seen["values"]["FEATURES"]: True}
    assert not Path(seen["values"]["FEATURES"]).parent.exists()


@pytest.mark.parametrize("given", [{}, {"CELL_SIZE": 100000}, {"EXTENT": "0,1,0,1 [EPSG:4326]"}])
def test_an_online_layer_asks_for_extent_and_cell_size(toys, project, online, given):
    algorithm = toys.algorithm("quicktoy").create()
    context = QgsProcessingContext()
    context.setProject(project)
    acceptable, message = algorithm.checkParameterValues({"RASTER": online.id(), **given}, context)
    missing = [key for key in ("EXTENT", "CELL_SIZE") if key not in given]
    assert not acceptable
    assert message == (
        "RASTER: the layer World tiles is not a file. "
        f"Set {' and '.join(missing)}, so that this part of it can be fetched."
    )


def test_an_online_layer_is_fetched_for_the_extent(online, kept):
    """West half red, east half green; the missing tile in the far south-east is transparent."""
    cell = 2 * WORLD / 1024
    feedback = Recording()
    seen, _ = run(
        feedback, RASTER=online, EXTENT=f"{-WORLD},{WORLD},{-WORLD},{WORLD} [EPSG:3857]", CELL_SIZE=cell
    )
    values = seen["values"]
    assert values["EXTENT"] is None
    assert values["CELL_SIZE"] is None
    raster = QgsRasterLayer(values["RASTER"], "fetched")
    assert (raster.width(), raster.height(), raster.bandCount()) == (1024, 1024, 4)
    assert raster.crs().authid() == "EPSG:3857"
    assert raster.extent().xMinimum() == pytest.approx(-WORLD)
    assert raster.extent().yMaximum() == pytest.approx(WORLD)
    at = [raster.dataProvider().block(band, raster.extent(), 1024, 1024) for band in range(1, 5)]
    assert [int(block.value(10, 10)) for block in at] == [255, 0, 0, 255]
    assert [int(block.value(10, 1000)) for block in at] == [0, 255, 0, 255]
    assert int(at[3].value(1000, 1000)) == 0
    assert any(text.startswith("Fetching World tiles") for text in feedback.texts)


def test_the_extent_may_be_in_another_crs_and_the_size_is_whole_cells(online, kept):
    seen, _ = run(RASTER=online, EXTENT="-10,10,-10,10 [EPSG:4326]", CELL_SIZE=10000)
    raster = QgsRasterLayer(seen["values"]["RASTER"], "fetched")
    assert (raster.width(), raster.height()) == (223, 224)  # 20 degrees: 2226 km wide, 2238 km high
    assert raster.rasterUnitsPerPixelX() == pytest.approx(10000)
    assert raster.rasterUnitsPerPixelY() == pytest.approx(10000)


def test_a_file_beside_an_online_layer_keeps_extent_and_cell_size(online, tmp_path):
    path = write_raster(tmp_path / "a.tif", crs="EPSG:3857")
    seen, _ = run(RASTERS=[online, path], EXTENT="0,100,0,100 [EPSG:3857]", CELL_SIZE=10)
    assert seen["values"]["EXTENT"]["bounds"] == [0, 0, 100, 100]
    assert seen["values"]["CELL_SIZE"] == 10


def test_too_many_pixels_are_refused_before_anything_is_fetched(online):
    QgsSettings().setValue("imagerydl/max_online_pixels", 1000)
    try:
        feedback = Recording()
        with pytest.raises(QgsProcessingException):
            run(feedback, RASTER=online, EXTENT="0,100,0,100 [EPSG:3857]", CELL_SIZE=1)
        assert any("100 x 100 pixels, more than 1000" in error for error in feedback.errors)
    finally:
        QgsSettings().remove("imagerydl/max_online_pixels")


def open_files() -> list[str]:
    """Rasters and features of a run that this process holds open."""
    paths = []
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # the one of the listing itself is gone
            paths.append(os.readlink(descriptor).replace(" (deleted)", ""))
    return [path for path in paths if path.endswith((".tif", ".gpkg"))]


def test_fetching_can_be_cancelled(online, scratch):
    """Nothing stays open: where open files cannot be removed, the job's folder would stay too."""
    feedback = Recording(cancel_at=lambda text: text.startswith("Fetching"))
    extent = f"{-WORLD},{WORLD},{-WORLD},{WORLD} [EPSG:3857]"
    with pytest.raises(QgsProcessingException, match="Cancelled") as caught:
        run(feedback, RASTER=online, EXTENT=extent, CELL_SIZE=2 * WORLD / 4096)
    assert caught.tb is not None  # it keeps the frames of the run, and must not keep their files
    assert open_files() == []


def test_an_extent_with_nothing_to_see_is_an_error(online, tmp_path):
    half = WORLD / 2
    feedback = Recording()
    with pytest.raises(QgsProcessingException, match="World tiles gave no pixels"):
        run(
            feedback,
            RASTER=online,
            EXTENT=f"{half + 9},{WORLD - 9},{-WORLD + 9},{-half - 9} [EPSG:3857]",
            CELL_SIZE=2 * WORLD / 1024,
        )


def test_a_database_raster_or_other_provider_keeps_its_values(tmp_path, project, kept):
    """A virtual raster (computed by QGIS) is no file either; its numbers are not pictures."""
    path = write_raster(tmp_path / "a.tif")
    base = QgsRasterLayer(path, "base")
    project.addMapLayer(base)
    uri = (
        "?crs=EPSG:32636&extent=0,0,8,4&width=8&height=4&formula=%22base%401%22%20*%202.5"
        f"&base:uri={path}&base:provider=gdal"
    )
    virtual = QgsRasterLayer(uri, "computed", "virtualraster")
    if not virtual.isValid():
        pytest.skip("this QGIS has no virtual raster provider")
    project.addMapLayer(virtual)
    seen, _ = run(RASTER=virtual, EXTENT="0,8,0,4 [EPSG:32636]", CELL_SIZE=1)
    raster = QgsRasterLayer(seen["values"]["RASTER"], "fetched")
    block = raster.dataProvider().block(1, QgsRectangle(0, 0, 8, 4), 8, 4)
    assert raster.bandCount() == 1
    assert {block.value(r, c) for r in range(4) for c in range(8)} == {25.0}
