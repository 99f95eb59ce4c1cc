"""Compute Accuracy for Pixel Classification: references of every kind, samples, the error map (W20)."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pyogrio
import pytest
import rasterio
import shapely
from affine import Affine
from rasterio.crs import CRS
from rasterio.warp import Resampling, reproject

from imagerydl.errors import DataError, OutputError, ParameterError
from imagerydl.events import Reporter
from imagerydl.imagery.transforms import apply, compose
from imagerydl.jobs import make_job, run_job

UTM = "EPSG:32633"
#: Pixels of 10 m: a hundredth of a hectare each.
GRID = Affine(10, 0, 500_000, 0, -10, 5_000_000)

DATA = Path(__file__).resolve().parents[4] / "shared" / "data" / "accuracy_raster_enmap_berlin"


def table_of(path):
    with open(path, encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return {row["ClassValue"]: row for row in rows}


@pytest.fixture
def assess(tmp_path):
    """Run the tool; gives results, rows of the table, and what was said."""

    def run(raster, truth, **values):
        said = []
        target = str(tmp_path / "matrix.csv")
        job = make_job(
            "computeaccuracypixelclassification",
            {
                "IN_RASTER": str(raster),
                "IN_GROUND_TRUTH_DATA": str(truth),
                "OUT_CONFUSION_MATRIX": target,
                "OVERWRITE": True,
                **values,
            },
        )
        results = run_job(job, Reporter(lambda event: said.append(event.get("text", ""))))
        return results, table_of(target), " ".join(said)

    return run


@pytest.fixture
def scene(make_raster):
    """A class raster of 60 x 80 pixels with classes 0, 1, 2, and a reference that agrees on most."""
    random = np.random.default_rng(0)
    truth = np.repeat(np.repeat(random.integers(0, 3, (6, 8)), 10, 0), 10, 1).astype(np.uint8)
    found = np.where(random.random(truth.shape) < 0.8, truth, random.integers(0, 3, truth.shape))
    found = found.astype(np.uint8)
    paths = [make_raster(name, data[None], UTM, GRID) for name, data in (("f.tif", found), ("t.tif", truth))]
    return found, truth, *paths


def write_layer(path, geometries, geometry_type, crs=UTM, **columns):
    fields = [np.asarray(column) for column in columns.values()]
    fields = [field.astype(object) if field.dtype.kind == "U" else field for field in fields]
    pyogrio.raw.write(
        str(path), shapely.to_wkb(geometries), fields, list(columns), crs=crs, geometry_type=geometry_type
    )
    return str(path)


def counts(rows):
    names = [name for name in rows if name.startswith("c_")]
    return [[int(float(rows[row][column])) for column in names] for row in names]


def joint(found, truth, values=(0, 1, 2)):
    return [[int(((found == a) & (truth == b)).sum()) for b in values] for a in values]


def test_the_matrix_has_classified_rows_and_reference_columns(assess, scene):
    """W20: the table."""
    found, truth, raster, reference = scene
    results, rows, _ = assess(raster, reference)
    assert list(rows) == ["c_0", "c_1", "c_2", "Total", "P_Accuracy", "Kappa"]
    assert counts(rows) == joint(found, truth)
    agreed = (found == truth) & (found == 1)
    assert float(rows["c_1"]["U_Accuracy"]) == pytest.approx(agreed.sum() / (found == 1).sum())
    assert float(rows["P_Accuracy"]["c_1"]) == pytest.approx(agreed.sum() / (truth == 1).sum())
    union = ((found == 1) | (truth == 1)).sum()
    assert float(rows["c_1"]["IoU"]) == pytest.approx(agreed.sum() / union)
    assert float(rows["P_Accuracy"]["U_Accuracy"]) == results["ACCURACY"] == (found == truth).mean()
    assert float(rows["Kappa"]["Kappa"]) == results["KAPPA"]
    assert rows["c_1"]["Kappa"] == rows["Kappa"]["c_1"] == ""
    assert int(float(rows["Total"]["Total"])) == found.size


def test_pixels_without_data_are_left_out(assess, make_raster):
    found = np.array([[[1, 1, 9, 2]]], np.uint8)
    truth = np.array([[[1, 2, 2, 7]]], np.uint8)
    raster = make_raster("f.tif", found, UTM, GRID, nodata=9)
    _, rows, _ = assess(raster, make_raster("t.tif", truth, UTM, GRID, nodata=7))
    assert counts(rows) == [[1, 1], [0, 0]]


def test_values_that_mean_no_class_can_be_ignored(assess, scene):
    found, truth, raster, reference = scene
    _, rows, _ = assess(raster, reference, IGNORE_CLASS_VALUES="0; 77")
    assert counts(rows) == joint(found, truth, (1, 2))
    with pytest.raises(ParameterError, match="IGNORE_CLASS_VALUES"):
        assess(raster, reference, IGNORE_CLASS_VALUES="none")


def test_a_finer_reference_counts_at_the_centre_of_each_pixel(assess, scene, make_raster):
    found, truth, raster, _ = scene
    fine = np.repeat(np.repeat(truth, 3, 0), 3, 1)
    reference = make_raster("fine.tif", fine[None], UTM, compose(GRID, Affine.scale(1 / 3)))
    _, rows, _ = assess(raster, reference)
    assert counts(rows) == joint(found, truth)


def test_a_reference_in_another_system_is_warped_by_nearest_neighbour(assess, scene, make_raster):
    found, truth, raster, _ = scene
    warped = np.full((900, 1200), 255, np.uint8)
    degrees = Affine(1e-5, 0, 14.9985, 0, -1e-5, 45.1565)
    options = {"src_transform": GRID, "src_crs": UTM, "dst_transform": degrees, "dst_crs": "EPSG:4326"}
    reproject(truth, warped, **options, resampling=Resampling.nearest, dst_nodata=255)
    reference = make_raster("degrees.tif", warped[None], CRS.from_epsg(4326), degrees, nodata=255)
    _, rows, _ = assess(raster, reference)
    difference = np.abs(np.array(counts(rows)) - joint(found, truth)).sum()
    assert difference <= 0.01 * found.size, "pixels of a metre blur the edges of fields by a hair"


@pytest.mark.parametrize("crs", [UTM, "EPSG:4326"])
@pytest.mark.parametrize("as_text", [False, True])
def test_polygons_are_a_reference_where_they_lie(assess, scene, tmp_path, crs, as_text):
    """Fields of one class each; class 0 is a class, and what no polygon covers is not compared."""
    from imagerydl.labels.geometry import transformed

    found, truth, raster, _ = scene
    left, top = np.meshgrid(500_000 + 100 * np.arange(8), 5_000_000 - 100 * np.arange(5))
    shapes = shapely.box(left.ravel(), top.ravel() - 100, left.ravel() + 100, top.ravel())
    shapes = transformed(CRS.from_string(UTM), CRS.from_string(crs), shapes)
    values = truth[5:50:10, 5::10].ravel()
    field = values.astype(str) if as_text else values.astype(np.int32)
    polygons = write_layer(tmp_path / "p.gpkg", shapes, "Polygon", crs, classvalue=field)
    _, rows, _ = assess(raster, polygons)
    assert counts(rows) == joint(found[:50], truth[:50])


def test_points_are_a_sample_of_their_own(assess, scene, tmp_path):
    """Multipoints count point by point; points outside are told."""
    found, _, raster, _ = scene
    places = [(3, 4), (20, 50), (59, 79), (0, 0)]
    xy = [(500_000 + 10 * column + 5, 5_000_000 - 10 * row - 5) for row, column in places]
    groups = [xy[:2], xy[2:3], [(0, 0)]]
    shapes = np.array([shapely.MultiPoint(group) for group in groups])
    points = write_layer(tmp_path / "p.gpkg", shapes, "MultiPoint", kind=np.array([1, 2, 1]))
    target = tmp_path / "compared.gpkg"
    field = {"GROUND_TRUTH_CLASS_VALUE_FIELD": "kind"}
    results, rows, said = assess(raster, points, OUT_SAMPLE_POINTS=str(target), **field)
    pairs = [(int(found[row, column]), value) for (row, column), value in zip(places, (1, 1, 2))]
    assert results["COMPARED_PIXELS"] == 3
    assert counts(rows) == [[pairs.count((a, b)) for b in (0, 1, 2)] for a in (0, 1, 2)]
    assert "1 points of" in said
    _, _, wkb, columns = pyogrio.raw.read(str(target))
    assert list(zip(columns[0].tolist(), columns[1].tolist())) == pairs
    np.testing.assert_allclose(shapely.get_coordinates(shapely.from_wkb(wkb)), xy[:3])
    with pytest.raises(ParameterError, match="OUT_ERROR_MAP"):
        assess(raster, points, OUT_ERROR_MAP=str(tmp_path / "e.tif"), **field)
    with pytest.raises(ParameterError, match="SAMPLING is RANDOM"):
        assess(raster, points, SAMPLING="RANDOM", **field)


def test_names_of_the_attribute_table_stand_for_values(assess, tmp_path):
    from imagerydl.imagery.grid import Grid
    from imagerydl.imagery.writing import RasterWriter
    from imagerydl.labels.classes import ClassEntry, ClassSchema

    classes = ClassSchema([ClassEntry(3, "Water", (0, 0, 255)), ClassEntry(5, "Forest", (0, 99, 0))])
    grid = Grid(CRS.from_string(UTM), GRID, 2, 1)
    with RasterWriter(tmp_path / "f.tif", grid, np.uint8, nodata=255, classes=classes) as writer:
        writer.write(np.array([[3, 5]], np.uint8), grid.window)
    shape = np.array([shapely.box(500_000, 4_999_990, 500_020, 5_000_000)])
    named = write_layer(tmp_path / "p.gpkg", shape, "Polygon", value=["water"])
    error_map = tmp_path / "errors.tif"
    _, rows, _ = assess(tmp_path / "f.tif", named, OUT_ERROR_MAP=str(error_map))
    assert list(rows)[:2] == ["c_3", "c_5"]
    assert counts(rows) == [[1, 0], [1, 0]]
    assert "Forest, is Water" in (tmp_path / "errors.tif.aux.xml").read_text(encoding="utf-8")
    unknown = write_layer(tmp_path / "u.gpkg", shape, "Polygon", value=["Road"])
    with pytest.raises(DataError, match=r"no class Road.*Water, Forest"):
        assess(tmp_path / "f.tif", unknown)


def test_the_error_map_tells_every_kind_of_mistake(assess, scene, tmp_path):
    found, truth, raster, reference = scene
    target = tmp_path / "errors.tif"
    assess(raster, reference, OUT_ERROR_MAP=str(target), IGNORE_CLASS_VALUES="2")
    with rasterio.open(target) as file:
        errors = file.read(1)
        assert (file.transform, file.crs, file.nodata) == (GRID, CRS.from_string(UTM), 0)
    judged = (found != 2) & (truth != 2)
    assert (errors[~judged] == 0).all()
    assert (errors[judged & (found == truth)] == 1).all()
    assert (errors[judged & (found == 0) & (truth == 1)] == 2).all()
    assert (errors[judged & (found == 1) & (truth == 0)] == 3).all()
    assert (tmp_path / "errors.qml").exists()


@pytest.mark.parametrize(
    ("sampling", "sizes"),
    [("STRATIFIED_RANDOM", None), ("EQUALIZED_STRATIFIED_RANDOM", 100), ("RANDOM", None)],
)
def test_a_sample_is_drawn_at_random_and_shown(assess, scene, tmp_path, sampling, sizes):
    found, truth, raster, reference = scene
    target, areas = tmp_path / "sample.gpkg", tmp_path / "areas.csv"
    values = {"SAMPLING": sampling, "NUM_RANDOM_POINTS": 300, "OUT_SAMPLE_POINTS": str(target)}
    results, rows, _ = assess(raster, reference, **values, OUT_AREA_ESTIMATES=str(areas))
    assert 300 <= results["COMPARED_PIXELS"] <= 302
    totals = [float(rows[f"c_{value}"]["Total"]) for value in (0, 1, 2)]
    if sizes:
        assert totals == [sizes] * 3
    elif sampling == "STRATIFIED_RANDOM":
        shares = np.bincount(found.ravel()) / found.size
        np.testing.assert_allclose(totals, 300 * shares, atol=1)
    _, _, wkb, columns = pyogrio.raw.read(str(target))
    column, row = apply(~GRID, *shapely.get_coordinates(shapely.from_wkb(wkb)).T)
    at = np.floor(row).astype(int), np.floor(column).astype(int)
    assert len(set(zip(*at))) == results["COMPARED_PIXELS"], "without replacement"
    np.testing.assert_array_equal(columns[0], found[at])
    np.testing.assert_array_equal(columns[1], truth[at])
    estimated = table_of(areas)
    for value in (0, 1, 2):
        cells = estimated[f"c_{value}"]
        true_area = 0.01 * (truth == value).sum()
        assert cells["Unit"] == "ha"
        assert float(cells["Mapped_Area"]) == pytest.approx(0.01 * (found == value).sum())
        # Three standard errors: a right estimate lies within them in 99.7 % of all samples.
        assert abs(float(cells["Area"]) - true_area) < 3 / 1.96 * float(cells["Area_CI95"])
    again = assess(raster, reference, **values)[1]
    assert again == rows, "the same seed draws the same sample"
    assert assess(raster, reference, **values, SEED=2)[1] != rows


@pytest.mark.parametrize("extension", ["pdf", "html"])
def test_the_report_stands_alone(assess, scene, tmp_path, extension):
    """W20: the report."""
    *_, raster, reference = scene
    report = tmp_path / f"report.{extension}"
    assess(raster, reference, OUT_ACCURACY_REPORT=str(report))
    content = report.read_bytes()
    if extension == "pdf":
        assert content.startswith(b"%PDF")
    else:
        assert content.count(b"data:image/png;base64,") == 1
        assert b"Area-adjusted estimates" in content


def test_bad_input_is_refused_with_its_name(assess, scene, make_raster, tmp_path):
    found, _, raster, reference = scene
    three = make_raster("rgb.tif", np.zeros((3, 4, 4), np.uint8), UTM, GRID)
    with pytest.raises(DataError, match=r"rgb\.tif has 3 bands"):
        assess(three, reference)
    with pytest.raises(DataError, match="has 3 bands"):
        assess(raster, three)
    far = make_raster("far.tif", found[None], UTM, compose(Affine.translation(1e6, 0), GRID))
    with pytest.raises(DataError, match="no pixel with data in common"):
        assess(raster, far)
    heights = make_raster("heights.tif", found[None] + np.float32(0.5), UTM, GRID)
    with pytest.raises(DataError, match=r"holds 0\.5|holds 1\.5|holds 2\.5"):
        assess(raster, heights)
    box = np.array([shapely.box(500_000, 4_999_990, 500_020, 5_000_000)])
    plain = write_layer(tmp_path / "plain.gpkg", box, "Polygon", note=["x"])
    with pytest.raises(DataError, match="no field of classes; its fields are note"):
        assess(raster, plain)
    with pytest.raises(ParameterError, match="NUM_RANDOM_POINTS"):
        assess(raster, reference, NUM_RANDOM_POINTS=7)
    with pytest.raises(ParameterError, match="OUT_SAMPLE_POINTS needs a sample"):
        assess(raster, reference, OUT_SAMPLE_POINTS=str(tmp_path / "s.gpkg"))
    assess(raster, reference)
    with pytest.raises(OutputError):
        assess(raster, reference, OVERWRITE=False)


@pytest.mark.skipif(not DATA.is_dir(), reason="needs ../shared/data/accuracy_raster_enmap_berlin")
def test_land_cover_of_berlin(assess):
    """The reference polygons were burnt on the map's own grid: they agree where they are labelled."""
    _, rows, _ = assess(
        DATA / "landcover_map_l3.tif", DATA / "landcover_polygon_30m.tif", IGNORE_CLASS_VALUES="0"
    )
    assert [int(float(rows[f"c_{value}"][f"c_{value}"])) for value in range(1, 7)] == [
        495, 586, 320, 539, 51, 37,
    ]  # fmt: skip
    assert int(float(rows["Total"]["Total"])) == 2028
