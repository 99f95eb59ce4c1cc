"""Compute Accuracy for Object Detection: known answers, what is left out, and what is written (W20)."""

from __future__ import annotations

import csv
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pyogrio
import pytest
import shapely

from imagerydl.errors import DataError, OutputError, ParameterError
from imagerydl.events import Reporter
from imagerydl.jobs import make_job, run_job

DATA = Path(__file__).resolve().parents[4] / "shared" / "data" / "accuracy_vector_solaris_spacenet"
real_data = pytest.mark.skipif(
    not DATA.is_dir(), reason="needs ../shared/data/accuracy_vector_solaris_spacenet"
)


def boxes(*lefts):
    """Squares of 10 m at y = 0, at these x from the origin of the map."""
    left = 500_000 + np.array(lefts, dtype=float)
    return shapely.box(left, 5_000_000, left + 10, 5_000_010)


def write(path, geometries, crs="EPSG:32633", geometry_type="Polygon", **columns):
    columns = columns or {"note": np.full(len(geometries), "x", dtype=object)}
    fields = [np.asarray(column) for column in columns.values()]
    fields = [field.astype(object) if field.dtype.kind == "U" else field for field in fields]
    pyogrio.raw.write(
        str(path), shapely.to_wkb(geometries), fields, list(columns), crs=crs, geometry_type=geometry_type
    )
    return str(path)


@pytest.fixture
def assess(tmp_path):
    """Run the tool; gives results, rows of the table by class, and what was said."""

    def run(found, truth, **values):
        table = tmp_path / "accuracy.csv"
        said = []
        job = make_job(
            "computeaccuracyobjectdetection",
            {
                "DETECTED_FEATURES": str(found),
                "GROUND_TRUTH_FEATURES": str(truth),
                "OUT_ACCURACY_TABLE": str(table),
                "OVERWRITE": True,
                **values,
            },
        )
        results = run_job(job, Reporter(lambda event: said.append(event.get("text", ""))))
        with open(table, encoding="utf-8", newline="") as file:
            rows = {row["Class"]: row for row in csv.DictReader(file)}
        return results, rows, " ".join(said)

    return run


def counts(row):
    return tuple(int(row[key]) for key in ("True_Positive", "False_Positive", "False_Negative"))


@real_data
def test_buildings_as_published(assess):
    """The published answer: TP 8, FP 20, FN 20, precision = recall = F1 = 0.285714."""
    results, rows, _ = assess(DATA / "pred.geojson", DATA / "gt.geojson")
    assert counts(rows["All classes"]) == (8, 20, 20)
    for key in ("PRECISION", "RECALL", "F1_SCORE"):
        assert results[key] == pytest.approx(0.285714, abs=1e-6)


@real_data
def test_aircraft_as_published(assess):
    name = "10_104005000FDC8300.geojson"
    found, truth = DATA / "eval_vector" / "preds" / name, DATA / "eval_vector" / "gt" / name
    fields = {"DETECTED_CLASS_VALUE_FIELD": "class", "GROUND_TRUTH_CLASS_VALUE_FIELD": "subclass"}
    for values in ({}, fields):
        _, rows, _ = assess(found, truth, **values)
        assert counts(rows["All classes"]) == (37, 1, 0)


@real_data
def test_buildings_in_another_system_give_the_same(assess, tmp_path):
    """The truth in degrees is brought to the system of the detections."""
    meta, _, wkb, _ = pyogrio.raw.read(str(DATA / "gt.geojson"))
    from rasterio.crs import CRS

    from imagerydl.labels.geometry import transformed

    degrees = transformed(CRS.from_user_input(meta["crs"]), CRS.from_epsg(4326), shapely.from_wkb(wkb))
    moved = write(tmp_path / "moved.gpkg", degrees, crs="EPSG:4326")
    _, rows, _ = assess(DATA / "pred.geojson", moved)
    assert counts(rows["All classes"]) == (8, 20, 20)


def test_the_table_has_a_row_for_each_class_and_one_for_all(assess, tmp_path):
    """W20: the table. Numbers and texts of the same value are one class."""
    found = write(
        tmp_path / "found.gpkg", boxes(0, 20, 40), Confidence=[0.9, 0.8, 0.7], Classvalue=["1", "2", "1.0"]
    )
    truth = write(tmp_path / "truth.gpkg", boxes(0, 20, 80), Value=np.array([1, 2, 2]))
    results, rows, _ = assess(found, truth)
    assert list(rows) == ["1", "2", "All classes"]
    assert counts(rows["1"]) == (1, 1, 0)
    assert counts(rows["2"]) == (1, 0, 1)
    assert counts(rows["All classes"]) == (2, 1, 1)
    assert float(rows["1"]["AP"]) == 1.0
    assert float(rows["2"]["AP"]) == pytest.approx(51 / 101)
    assert float(rows["All classes"]["AP"]) == pytest.approx((1 + 51 / 101) / 2)
    assert (results["TRUE_POSITIVES"], results["FALSE_POSITIVES"], results["FALSE_NEGATIVES"]) == (2, 1, 1)


@pytest.mark.parametrize("extension", ["gpkg", "dbf"])
def test_the_table_comes_in_other_formats(assess, tmp_path, extension):
    found = write(tmp_path / "found.gpkg", boxes(0), Confidence=[0.9], Classvalue=["Haus: groß"])
    target = tmp_path / f"table.{extension}"
    with pytest.raises(FileNotFoundError):
        assess(
            found, write(tmp_path / "truth.gpkg", boxes(0), Value=["Haus: groß"]), OUT_ACCURACY_TABLE=target
        )
    meta, _, _, columns = pyogrio.raw.read(str(target), read_geometry=False)
    assert columns[0].tolist() == ["Haus: groß", "All classes"]
    names = [name[:10] for name in ("Class", "IoU", "Precision", "Recall", "F1_Score", "AP", "COCO_mAP")]
    assert [str(name)[:10] for name in meta["fields"][:7]] == names
    assert columns[7].tolist() == [1, 1]
    assert not [path.name for path in tmp_path.iterdir() if "unfinished" in path.name]


@pytest.mark.parametrize("extension", ["pdf", "html"])
def test_the_report_stands_alone(assess, tmp_path, extension):
    """W20: the report. Text and pictures lie inside the file."""
    found = write(tmp_path / "found.gpkg", boxes(0, 20), Confidence=[0.9, 0.8])
    report = tmp_path / f"report.{extension}"
    assess(found, write(tmp_path / "truth.gpkg", boxes(0, 40)), OUT_ACCURACY_REPORT=str(report))
    content = report.read_bytes()
    if extension == "pdf":
        assert content.startswith(b"%PDF")
        assert content.count(b"/Type /Page ") >= 4
    else:
        page = content.decode("utf-8")
        assert page.count("data:image/png;base64,") == 3
        assert "0.5000" in page
        assert 'src="http' not in page


def test_every_hit_false_detection_and_miss_is_on_the_map(assess, tmp_path):
    found = write(tmp_path / "found.gpkg", boxes(1, 20), Confidence=[0.9, 0.8])
    truth = write(tmp_path / "truth.gpkg", boxes(0, 40))
    marked = tmp_path / "marked.gpkg"
    assess(found, truth, OUT_MARKED_FEATURES=str(marked))
    meta, _, wkb, columns = pyogrio.raw.read(str(marked), layer="accuracy")
    cells = dict(zip(meta["fields"], columns))
    assert cells["Result"].tolist() == ["TP", "FP", "FN"]
    assert [geometry.bounds[0] - 500_000 for geometry in shapely.from_wkb(wkb)] == [1, 20, 40]
    np.testing.assert_allclose(cells["IoU"], [9 / 11, np.nan, np.nan])
    np.testing.assert_array_equal(cells["Detected_ID"], [1, 2, np.nan])
    np.testing.assert_array_equal(cells["Truth_ID"], [1, np.nan, 2])
    np.testing.assert_array_equal(cells["Confidence"], [0.9, 0.8, np.nan])
    with closing(sqlite3.connect(marked)) as database:
        (style,) = database.execute("SELECT styleQML FROM layer_styles").fetchone()
    assert 'attr="Result"' in style


def test_only_what_lies_completely_inside_the_mask_is_judged(assess, tmp_path):
    found = write(tmp_path / "found.gpkg", boxes(0, 20, 95), Confidence=[0.9, 0.8, 0.7])
    truth = write(tmp_path / "truth.gpkg", boxes(0, 95, 200))
    # Two touching polygons are one area.
    y = 5_000_000
    mask = write(
        tmp_path / "mask.gpkg",
        shapely.box([500_000, 500_005], [y, y], [500_005, 500_100], [y + 10, y + 10]),
    )
    _, rows, said = assess(found, truth, MASK_FEATURES=mask)
    assert counts(rows["All classes"]) == (1, 1, 0)
    assert "Inside the mask lie 2 of 3 detections and 1 of 3 true objects" in said


def test_detections_without_confidence_are_told(assess, tmp_path):
    found = write(tmp_path / "found.gpkg", boxes(0, 20))
    results, _, said = assess(found, write(tmp_path / "truth.gpkg", boxes(0, 40)))
    assert results["AVERAGE_PRECISION"] == pytest.approx(0.5 * 51 / 101)
    assert "comes from one point" in said


def test_an_empty_layer_is_an_answer(assess, tmp_path):
    """A detector that returns nothing has missed everything."""
    none = write(tmp_path / "none.gpkg", boxes(), Confidence=np.empty(0))
    some = write(tmp_path / "some.gpkg", boxes(0, 20), Confidence=[0.9, 0.8])
    results, rows, said = assess(none, some, OUT_ACCURACY_REPORT=str(tmp_path / "r.pdf"))
    assert counts(rows["All classes"]) == (0, 0, 2)
    assert (results["RECALL"], results["PRECISION"], rows["All classes"]["Precision"]) == (0, None, "")
    assert "every object is a miss" in said
    _, rows, said = assess(some, none)
    assert counts(rows["All classes"]) == (0, 2, 0)
    with pytest.raises(DataError, match="both empty"):
        assess(none, none)


def test_invalid_and_missing_polygons_are_repaired_or_left_out(assess, tmp_path):
    (square,) = boxes(0)
    x, y, right, top = square.bounds
    doubled = shapely.Polygon([(x, y), (right, y), (right, top), (x, top), (x, y), (right, y), (x, y)])
    assert not doubled.is_valid
    found = write(tmp_path / "found.gpkg", np.array([doubled, None]), Confidence=[0.9, 0.8])
    _, rows, said = assess(found, write(tmp_path / "truth.gpkg", boxes(0)))
    assert counts(rows["All classes"]) == (1, 0, 0)
    assert "repaired" in said
    assert "without a geometry were left out" in said


def test_classes_that_cannot_be_compared_are_listed(assess, tmp_path):
    found = write(tmp_path / "found.gpkg", boxes(0), Confidence=[0.9], Classvalue=["tree"])
    other = write(tmp_path / "other.gpkg", boxes(0), Value=["car"])
    plain = write(tmp_path / "plain.gpkg", boxes(0))
    with pytest.raises(DataError, match=r"No class is in both layers: .* has tree, .* has car"):
        assess(found, other)
    _, rows, said = assess(found, plain)
    assert counts(rows["All classes"]) == (1, 0, 0)
    assert "taken as one class" in said
    with pytest.raises(DataError, match="has no class field"):
        assess(found, plain, DETECTED_CLASS_VALUE_FIELD="Classvalue")
    both = write(tmp_path / "both.gpkg", boxes(0, 20), Value=["tree", "car"])
    assert "both.gpkg has the classes car" in assess(found, both)[2]


def test_bad_input_is_refused_with_its_name(assess, tmp_path):
    found = write(tmp_path / "found.gpkg", boxes(0), Confidence=[0.9])
    truth = write(tmp_path / "truth.gpkg", boxes(0))
    points = write(tmp_path / "points.gpkg", shapely.points([[500_000, 5_000_000]]), geometry_type="Point")
    with pytest.raises(DataError, match="has no polygons"):
        assess(found, points)
    with pytest.raises(ParameterError, match="GROUND_TRUTH_CLASS_VALUE_FIELD"):
        assess(found, truth, GROUND_TRUTH_CLASS_VALUE_FIELD="kind")
    with pytest.raises(ParameterError, match=r"OUT_ACCURACY_REPORT is .*\.docx"):
        assess(found, truth, OUT_ACCURACY_REPORT=str(tmp_path / "report.docx"))
    with pytest.raises(ParameterError, match="MIN_IOU"):
        assess(found, truth, MIN_IOU=1.5)
    unplaced = write(tmp_path / "unplaced.gpkg", boxes(0), crs=None)
    with pytest.raises(DataError, match="has no coordinate system"):
        assess(found, unplaced)
    assess(found, truth)
    with pytest.raises(OutputError):
        assess(found, truth, OVERWRITE=False)


#: Two photographs, an object in each at the same pixels, and one that is in the second alone.
PIXELS = shapely.box([10, 10, 40], [-30, -30, -60], [30, 30, 60], [-10, -10, -40])


def test_objects_of_different_images_are_never_matched(assess, tmp_path):
    """Without georeference all coordinates are pixels: the same ones, in every image."""
    images = {"Image": ["a.tif", "b.tif", "b.tif"]}
    found = write(tmp_path / "found.gpkg", PIXELS, None, Confidence=[0.9, 0.8, 0.7], **images)
    truth = write(tmp_path / "truth.gpkg", PIXELS, None, Image=["b.tif", "b.tif", "a.tif"])
    _, rows, said = assess(found, truth, OUT_MARKED_FEATURES=str(tmp_path / "marked.gpkg"))
    # In a.tif the detection is at (10, 10) and the object at (40, 40); in b.tif one of two is found.
    assert counts(rows["All classes"]) == (1, 2, 2)
    assert "2 images; each is judged by itself" in said
    meta, _, wkb, columns = pyogrio.raw.read(tmp_path / "marked.gpkg")
    marks = dict(zip(meta["fields"], columns))
    assert list(zip(marks["Result"], marks["Image"])) == [
        ("FP", "a.tif"), ("TP", "b.tif"), ("FP", "b.tif"), ("FN", "b.tif"), ("FN", "a.tif"),
    ]  # fmt: skip
    # They are written where they are.
    assert shapely.bounds(shapely.from_wkb(wkb))[:3].tolist() == shapely.bounds(PIXELS).tolist()


def test_on_the_map_only_a_named_field_tells_images_apart(assess, tmp_path):
    columns = {"Confidence": [0.9], "Image": ["a.tif"]}
    found = write(tmp_path / "found.gpkg", boxes(0), **columns)
    truth = write(tmp_path / "truth.gpkg", boxes(0), Image=["b.tif"])
    assert counts(assess(found, truth)[1]["All classes"]) == (1, 0, 0)
    named = {"DETECTED_IMAGE_FIELD": "Image", "GROUND_TRUTH_IMAGE_FIELD": "Image"}
    assert counts(assess(found, truth, **named)[1]["All classes"]) == (0, 1, 1)


def test_the_truth_may_be_the_label_table_of_the_photographs(assess, tmp_path):
    """Boxes in pixels, row down; names of images with folders, or without the same extension."""
    found = write(
        tmp_path / "found.gpkg",
        PIXELS,
        None,
        Confidence=[0.9, 0.8, 0.7],
        ClassName=["car", "car", "van"],
        Image=["/photos/a.tif", "/photos/b.tif", "/photos/b.tif"],
    )
    table = tmp_path / "labels.csv"
    table.write_text(
        "image,class,xmin,ymin,xmax,ymax\n"
        "a.tif,car,10,10,30,30\nb.jpg,car,11,10,31,30\nb.tif,van,40,40,60,60\nc.tif,car,10,10,30,30\n"
    )
    _, rows, said = assess(found, table, DETECTED_CLASS_VALUE_FIELD="ClassName")
    assert counts(rows["car"]) == (2, 0, 1)
    assert counts(rows["van"]) == (1, 0, 0)
    assert "3 images" in said


def test_a_layer_that_does_not_say_which_image_is_refused_beside_one_of_several(assess, tmp_path):
    images = {"Image": ["a.tif", "b.tif", "b.tif"]}
    found = write(tmp_path / "found.gpkg", PIXELS, None, Confidence=[0.9, 0.8, 0.7], **images)
    truth = write(tmp_path / "truth.gpkg", PIXELS, None)
    with pytest.raises(DataError, match="objects of 2 images") as refusal:
        assess(found, truth)
    assert "GROUND_TRUTH_IMAGE_FIELD" in refusal.value.fix
