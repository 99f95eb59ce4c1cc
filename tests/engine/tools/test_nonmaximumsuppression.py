"""Non Maximum Suppression as a tool: layers in, a layer out, nothing lost."""

from __future__ import annotations

import json
import sqlite3

import numpy as np
import pyogrio
import pytest
import shapely

from imagerydl.errors import DataError, OutputError, ParameterError
from imagerydl.events import Reporter
from imagerydl.imagery.layer_style import save_layer_style
from imagerydl.jobs import make_job, run_job

BOXES = shapely.box([0, 1, 10, 20], [0, 1, 0, 0], [4, 5, 14, 24], [4, 5, 4, 4])


def write(path, geometries=BOXES, crs="EPSG:32633", geometry_type="Polygon", **columns):
    fields = columns or {"Confidence": np.linspace(0.9, 0.6, len(geometries))}
    pyogrio.raw.write(
        str(path),
        shapely.to_wkb(geometries),
        [np.asarray(column) for column in fields.values()],
        list(fields),
        crs=crs,
        geometry_type=geometry_type,
    )
    return str(path)


def run(source, target, events=None, **values):
    values = {"CONFIDENCE_SCORE_FIELD": "Confidence", **values}
    job = make_job(
        "nonmaximumsuppression", {"IN_FEATURECLASS": source, "OUT_FEATURECLASS": str(target), **values}
    )
    return run_job(job, Reporter(events.append if events is not None else lambda event: None))


def read(path):
    meta, _, wkb, columns = pyogrio.raw.read(str(path))
    return meta, shapely.from_wkb(wkb), dict(zip(meta["fields"], columns))


@pytest.mark.parametrize("extension", ["gpkg", "shp", "geojson"])
def test_layers_of_the_usual_formats_lose_their_duplicates(tmp_path, extension):
    crs = "EPSG:4326" if extension == "geojson" else "EPSG:32633"
    source = write(tmp_path / f"found.{extension}", crs=crs)
    results = run(source, tmp_path / "kept.gpkg")
    meta, geometries, columns = read(tmp_path / "kept.gpkg")
    assert columns["Confidence"].tolist() == pytest.approx([0.9, 0.7, 0.6])
    assert [geometry.bounds[0] for geometry in geometries] == [0, 10, 20]
    assert meta["crs"] == crs
    assert (results["FEATURE_COUNT"], results["REMOVED_COUNT"]) == (3, 1)


def test_all_attributes_stay_as_they_were(tmp_path):
    """Whole numbers stay whole beside empty cells; flags, dates, texts and lists keep their meaning."""
    features = [
        {
            "type": "Feature",
            "properties": {
                "Confidence": 0.9 - 0.1 * i,
                "count": None if i == 1 else i,
                "seen": None if i == 1 else True,
                "day": None if i == 1 else "2024-05-06",
                "text": None if i == 1 else "höher",
                "tags": None if i == 1 else ["a", "b"],
            },
            "geometry": {
                "type": "Polygon",
                "coordinates": [[[10 * i, 0], [10 * i + 1, 0], [10 * i, 1], [10 * i, 0]]],
            },
        }
        for i in range(3)
    ]
    source = tmp_path / "found.geojson"
    source.write_text(json.dumps({"type": "FeatureCollection", "features": features}), encoding="utf-8")
    events = []
    run(str(source), tmp_path / "kept.gpkg", events)
    meta, _, columns = read(tmp_path / "kept.gpkg")
    kinds = dict(zip(meta["fields"], meta["dtypes"]))
    assert (kinds["count"], kinds["seen"], kinds["day"]) == ("int32", "bool", "datetime64[D]")
    np.testing.assert_array_equal(columns["count"], [0, np.nan, 2])
    assert columns["text"].tolist() == ["höher", None, "höher"]
    assert columns["tags"].tolist() == ['["a", "b"]', None, '["a", "b"]']
    assert any("'tags'" in event.get("text", "") for event in events)


def test_multipolygons_with_heights_are_written_as_they_are(tmp_path):
    parts = [shapely.box(0, 0, 1, 1), shapely.box(3, 0, 4, 1)]
    shapes = np.array([shapely.force_3d(shapely.multipolygons(parts), 7.0)])
    run(write(tmp_path / "found.gpkg", shapes, geometry_type="MultiPolygon Z"), tmp_path / "kept.gpkg")
    _, geometries, _ = read(tmp_path / "kept.gpkg")
    assert shapely.equals_exact(geometries[0], shapes[0])
    assert shapely.has_z(geometries[0])


@pytest.mark.parametrize("field", ["Classvalue", "VALUE", "class_value"])
def test_the_class_field_is_found_by_its_usual_names(tmp_path, field):
    """Three in a row, each over the next: by class the middle one removes the last before it falls itself."""
    row = shapely.box([0, 3, 6], 0, [4, 7, 10], 1)
    columns = {"Confidence": [0.9, 0.8, 0.7], field: np.array([1, 2, 2])}
    results = run(write(tmp_path / "found.gpkg", row, **columns), tmp_path / "kept.gpkg")
    assert results["FEATURE_COUNT"] == 1
    other = run(
        write(tmp_path / "other.gpkg", row, Confidence=[0.9, 0.8, 0.7], kind=["a", "b", "b"]),
        tmp_path / "other_kept.gpkg",
        CLASS_VALUE_FIELD="kind",
    )
    assert other["FEATURE_COUNT"] == 1
    no_class = run(
        write(tmp_path / "all.gpkg", row, Confidence=[0.9, 0.8, 0.7], kind=["a", "b", "b"]),
        tmp_path / "all_kept.gpkg",
    )
    assert no_class["FEATURE_COUNT"] == 2


def styles(path):
    with sqlite3.connect(path) as database:
        query = "SELECT f_table_name, styleName, styleQML, useAsDefault FROM layer_styles"
        return database.execute(query).fetchall()


@pytest.mark.parametrize("named", ["", "|layername=found"])
def test_detections_keep_their_style(tmp_path, named):
    """What stays looks as it did before."""
    source = write(tmp_path / "found.gpkg")
    save_layer_style(tmp_path / "found.gpkg", "found", "objects", "<qgis/>", "By class")
    run(source + named, tmp_path / "kept.gpkg")
    assert styles(tmp_path / "kept.gpkg") == [("detections", "objects", "<qgis/>", 1)]


@pytest.mark.parametrize("source", ["found.geojson", "found.gpkg"])
def test_a_layer_without_a_style_gets_none(tmp_path, source):
    run(write(tmp_path / source, crs="EPSG:4326"), tmp_path / "kept.gpkg")
    with pytest.raises(sqlite3.OperationalError, match="no such table"):
        styles(tmp_path / "kept.gpkg")


def test_what_cannot_be_judged_is_left_out_and_told(tmp_path):
    bow_tie = shapely.Polygon([(50, 0), (54, 4), (54, 0), (50, 4)])
    shapes = np.array([BOXES[0], None, shapely.Polygon(), BOXES[2], bow_tie])
    events = []
    source = write(tmp_path / "found.gpkg", shapes, Confidence=[0.5, 0.9, 0.9, np.nan, 0.4])
    assert run(source, tmp_path / "kept.gpkg", events)["FEATURE_COUNT"] == 2
    told = " ".join(event.get("text", "") for event in events)
    assert "gpkg without a usable polygon were left out." in told
    assert "2 features of" in told
    assert "gpkg without a confidence were left out." in told
    assert "gpkg were repaired for comparing" in told
    _, geometries, _ = read(tmp_path / "kept.gpkg")
    assert shapely.equals_exact(geometries[1], bow_tie), "written as it was"


def test_confidences_may_be_texts(tmp_path):
    source = write(tmp_path / "found.gpkg", Confidence=["0.1", "0,9", "", " 0.5 "])
    run(source, tmp_path / "kept.gpkg")
    assert read(tmp_path / "kept.gpkg")[2]["Confidence"].tolist() == ["0,9", " 0.5 "]


def test_bad_input_is_refused_with_its_name(tmp_path):
    source = write(tmp_path / "found.gpkg", Confidence=["high", "low", "low", "low"])
    with pytest.raises(DataError, match="'high', which is no number"):
        run(source, tmp_path / "kept.gpkg")
    with pytest.raises(ParameterError, match=r"no field 'sure' \(CONFIDENCE_SCORE_FIELD\)"):
        run(source, tmp_path / "kept.gpkg", CONFIDENCE_SCORE_FIELD="sure")
    none = write(tmp_path / "none.gpkg", Confidence=np.full(4, np.nan))
    with pytest.raises(DataError, match=r"No feature of .*none\.gpkg has a confidence"):
        run(none, tmp_path / "kept.gpkg")
    empty = write(tmp_path / "empty.gpkg", BOXES[:0], Confidence=np.empty(0))
    with pytest.raises(DataError, match=r"empty\.gpkg is empty"):
        run(empty, tmp_path / "kept.gpkg")
    points = write(
        tmp_path / "points.gpkg", shapely.points([[0, 0]]), geometry_type="Point", Confidence=[0.5]
    )
    with pytest.raises(DataError, match="has no polygons"):
        run(points, tmp_path / "kept.gpkg")
    assert not (tmp_path / "kept.gpkg").exists()


def test_an_existing_layer_is_kept_unless_asked(tmp_path):
    source = write(tmp_path / "found.gpkg")
    run(source, tmp_path / "kept.gpkg")
    with pytest.raises(OutputError):
        run(source, tmp_path / "kept.gpkg")
    assert run(source, tmp_path / "kept.gpkg", OVERWRITE=True)["FEATURE_COUNT"] == 3


def test_detections_in_different_images_leave_each_other_alone(tmp_path):
    """Without georeference all coordinates are pixels: the same ones, in every image."""
    same = shapely.box([0, 0, 1], [-9, -9, -9], [9, 9, 9], [0, 0, 0])
    columns = {
        "Confidence": np.array([0.9, 0.8, 0.7]),
        "Image": np.array(["a.tif", "b.tif", "b.tif"], object),
    }
    events: list[dict[str, object]] = []
    source = write(tmp_path / "found.gpkg", same, None, **columns)
    run(source, tmp_path / "kept.gpkg", events)
    _, geometries, kept = read(tmp_path / "kept.gpkg")
    assert kept["Confidence"].tolist() == [0.9, 0.8]
    assert [geometry.bounds for geometry in geometries] == [(0, -9, 9, 0)] * 2
    assert any("2 images" in str(event.get("text")) for event in events)
    # On the map the same object seen in two images is the same object, unless the user says otherwise.
    placed = write(tmp_path / "placed.gpkg", same, **columns)
    assert run(placed, tmp_path / "one.gpkg")["FEATURE_COUNT"] == 1
    assert run(placed, tmp_path / "two.gpkg", IMAGE_FIELD="image")["FEATURE_COUNT"] == 2
    with pytest.raises(ParameterError, match="IMAGE_FIELD"):
        run(placed, tmp_path / "none.gpkg", IMAGE_FIELD="photo")
