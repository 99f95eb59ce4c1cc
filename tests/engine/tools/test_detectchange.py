"""Detect Change from job to published raster."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.enums import Resampling
from rasterio.warp import reproject, transform_bounds

from imagerydl.errors import (
    CancelledError,
    DataError,
    ModelDefinitionError,
    ParameterError,
)
from imagerydl.events import Reporter
from imagerydl.imagery.pairs import open_pair
from imagerydl.imagery.source import open_source
from imagerydl.imagery.transforms import compose
from imagerydl.jobs import make_job, run_job

UTM = "EPSG:32633"
PLACE = Affine(0.5, 0, 500000, 0, -0.5, 5000000)
NAIP = Path(__file__).parents[4] / "shared" / "data" / "cd_naip_series"

#: For 3 bands a date. Class 1 where the first band falls, 2 where the second rises by more than that.
WEIGHTS = [[1, 0, 0, -1, 0, 0], [0, -1, 0, 0, 1, 0]]
CLASSES = [1, 2]


def picture(height=70, width=90, seed=0, bands=3):
    return np.random.default_rng(seed).integers(1, 250, (bands, height, width)).astype(np.uint8)


def smooth(height=80, width=100, seed=0):
    """A picture that resampling by a part of a pixel hardly changes."""
    y, x = np.mgrid[:height, :width]
    waves = [120 + 60 * np.sin((x + seed * 9) / 11 + b) + 40 * np.cos(y / 13 + seed + b) for b in range(3)]
    return np.array(waves).astype(np.uint8)


def truth(before, after):
    """The classes by numpy, with a margin for rounding where both scores are near each other."""
    scores = np.einsum("oc,chw->ohw", WEIGHTS, np.concatenate([before, after]).astype(float))
    return np.array(CLASSES)[scores.argmax(axis=0)], np.abs(scores[0] - scores[1])


class Run:
    """Runs the tool; keeps what it said."""

    def __init__(self, folder):
        self.out = folder / "out" / "change.tif"
        self.events = []

    def __call__(self, before, after, model, reporter=None, **values):
        given = {"FROM_RASTER": before, "TO_RASTER": after, "IN_MODEL_DEFINITION": model, "DEVICE": "CPU"}
        job = make_job("detectchange", {**given, "OUT_CLASSIFIED_RASTER": str(self.out), **values})
        return run_job(job, reporter or Reporter(self.events.append))

    @property
    def warned(self):
        return " ".join(event["text"] for event in self.events if event.get("level") == "warning")

    def result(self):
        with rasterio.open(self.out) as file:
            return file.read(1)


@pytest.fixture
def detect(tmp_path):
    return Run(tmp_path)


@pytest.fixture
def model(make_model):
    return make_model(WEIGHTS, classes=CLASSES)


# --- the result --------------------------------------------------------------------------------


def test_the_model_sees_the_bands_of_the_first_date_and_then_those_of_the_second(make_raster, model, detect):
    """Every pixel is what numpy makes of both dates; the result lies on the first raster's grid."""
    before, after = picture(seed=1), picture(seed=2)
    first = make_raster("a.tif", before)
    values = detect(first, make_raster("b.tif", after), model)
    np.testing.assert_array_equal(detect.result(), truth(before, after)[0])
    assert values == {"OUT_CLASSIFIED_RASTER": str(detect.out), "VALID_PIXELS": 70 * 90}
    with open_source(str(detect.out)) as source:
        assert source.grid == open_source(first).grid
        assert source.categories == {1: "class 1", 2: "class 2"}


@pytest.mark.parametrize(
    "bands", [[0, 1, 2, 0, 1, 2], [0, 1, 2, 3, 4, 5], [0, 1, 2, 4, 5, 6]], ids=["own", "stack", "stack of 4"]
)
def test_bands_of_the_second_date_may_be_counted_in_it_or_in_a_stack(make_raster, make_model, detect, bands):
    model = make_model(WEIGHTS, classes=CLASSES, ExtractBands=bands)
    before, after = picture(seed=1, bands=4), picture(seed=2, bands=4)
    detect(make_raster("a.tif", before), make_raster("b.tif", after), model)
    np.testing.assert_array_equal(detect.result(), truth(before[:3], after[:3])[0])


def test_bands_are_found_by_name_in_each_raster(make_raster, make_model, detect):
    names = ["Red", "Green", "Blue"]
    model = make_model(WEIGHTS, classes=CLASSES, ExtractBands=names * 2)
    before, after = picture(seed=1), picture(seed=2)
    first = make_raster("a.tif", before, names=names)
    detect(first, make_raster("b.tif", after[[2, 0, 1]], names=["Blue", "Red", "Green"]), model)
    np.testing.assert_array_equal(detect.result(), truth(before, after)[0])


def test_each_band_of_each_date_is_normalised_by_its_own_numbers(make_raster, make_model, detect):
    means, spreads = [10, 20, 30, 40, 50, 60], [1, 2, 3, 4, 5, 6]
    stated = {"Mean": means, "StdDev": spreads}
    model = make_model(WEIGHTS, classes=CLASSES, Normalization=normalization(stated))
    before, after = picture(seed=1), picture(seed=2)
    detect(make_raster("a.tif", before), make_raster("b.tif", after), model)
    both = (np.concatenate([before, after]) - np.reshape(means, (6, 1, 1))) / np.reshape(spreads, (6, 1, 1))
    scores = np.einsum("oc,chw->ohw", WEIGHTS, both)
    clear = np.abs(scores[0] - scores[1]) > 1e-3
    np.testing.assert_array_equal(detect.result()[clear], np.array(CLASSES)[scores.argmax(axis=0)][clear])


def normalization(stated):
    from imagerydl.models.normalisation import Normalisation

    return Normalisation(tuple(map(float, stated["Mean"])), tuple(map(float, stated["StdDev"]))).to_json()


def test_a_pixel_that_one_date_does_not_have_has_no_data(make_raster, model, detect):
    before, after = picture(seed=1), picture(seed=2)
    before[:, 10:30, 5:25] = 0
    after[:, 50:, :40] = 0
    values = detect(make_raster("a.tif", before, nodata=0), make_raster("b.tif", after, nodata=0), model)
    expected = truth(before, after)[0]
    expected[10:30, 5:25] = expected[50:, :40] = 255
    np.testing.assert_array_equal(detect.result(), expected)
    assert values["VALID_PIXELS"] == 70 * 90 - 20 * 20 - 20 * 40


def test_confidence_areas_and_polygons_come_with_it(make_raster, model, detect, tmp_path):
    before, after = smooth(seed=1), smooth(seed=2)
    more = {
        "OUT_CONFIDENCE_RASTER": str(tmp_path / "out" / "sure.tif"),
        "OUT_CLASS_AREAS": str(tmp_path / "out" / "areas.csv"),
        "OUT_POLYGONS": str(tmp_path / "out" / "change.gpkg"),
    }
    first, second = make_raster("a.tif", before), make_raster("b.tif", after)
    values = detect(first, second, model, MIN_POLYGON_AREA=1.0, **more)
    assert set(more) < set(values)
    with rasterio.open(more["OUT_CONFIDENCE_RASTER"]) as file:
        assert 0.5 <= file.read(1).min() <= file.read(1).max() <= 1
    with open(more["OUT_CLASS_AREAS"], encoding="utf-8-sig", newline="") as file:
        rows = list(csv.reader(file))
    assert {"class 1", "class 2"} <= {text for row in rows for text in row}
    assert (tmp_path / "out" / "change.gpkg").is_file()


# --- alignment ---------------------------------------------------------------------------------


def test_a_second_raster_that_lies_elsewhere_on_the_lattice_counts_where_both_are(make_raster, model, detect):
    before, after = picture(seed=1), picture(80, 80, seed=2)
    moved = compose(PLACE, Affine.translation(20, -15))  # starts right of, and above, the first
    detect(make_raster("a.tif", before), make_raster("b.tif", after, transform=moved), model)
    expected = np.full((70, 90), 255)
    expected[:65, 20:] = truth(before[:, :65, 20:], after[:, 15:, :70])[0]
    np.testing.assert_array_equal(detect.result(), expected)


def test_beyond_the_shared_ground_both_dates_are_mirrored_at_one_line(make_raster):
    """Otherwise the dates would be out of step in the context of tiles at the border."""
    data = picture(40, 40, seed=1)
    first = make_raster("a.tif", data[:, 10:])
    second = make_raster("b.tif", data[:, :, 6:], transform=compose(PLACE, Affine.translation(6, -10)))
    with open_pair(first, second) as pair:
        read, valid, context = pair.read_context(rasterio.windows.Window(-4, -4, 38, 38))
    np.testing.assert_array_equal(read[:3], read[3:])
    assert context.all()
    expected = np.zeros((38, 38), bool)
    expected[4:34, 10:38] = True
    np.testing.assert_array_equal(valid, expected)


@pytest.mark.parametrize("shift", [(0.4, 0.3), (-0.5, 0.25)])
def test_grids_that_differ_by_a_part_of_a_pixel_are_brought_together(make_raster, model, detect, shift):
    """The second raster is bilinear between its pixels, as numpy computes it."""
    before, after = smooth(seed=1), smooth(seed=2)
    moved = compose(PLACE, Affine.translation(*shift))
    detect(make_raster("a.tif", before), make_raster("b.tif", after, transform=moved), model)
    y, x = np.mgrid[2:78, 2:98].astype(float)
    y, x = y - shift[1], x - shift[0]
    top, left = np.floor(y).astype(int), np.floor(x).astype(int)
    dy, dx = y - top, x - left
    seen = sum(
        after[:, top + i, left + j] * np.abs(1 - i - dy) * np.abs(1 - j - dx) for i in (0, 1) for j in (0, 1)
    )
    expected, apart = truth(before[:, 2:78, 2:98], seen)
    clear = apart > 3  # bytes are rounded
    assert clear.mean() > 0.9
    np.testing.assert_array_equal(detect.result()[2:78, 2:98][clear], expected[clear])


def test_a_second_raster_in_another_system_and_cell_size_is_seen_on_the_first_grid(
    make_raster, model, detect
):
    before, after = smooth(seed=1), smooth(seed=2)
    first = make_raster("a.tif", before)
    west, south, east, north = transform_bounds(UTM, "EPSG:4326", 499995, 4999955, 500055, 5000005)
    target = rasterio.transform.from_bounds(west, south, east, north, 240, 200)
    degrees = np.zeros((3, 200, 240), np.uint8)
    reproject(
        after,
        degrees,
        src_transform=PLACE,
        src_crs=UTM,
        dst_transform=target,
        dst_crs="EPSG:4326",
        resampling=Resampling.bilinear,
    )
    second = make_raster("b.tif", degrees, crs="EPSG:4326", transform=target, nodata=0)
    detect(first, second, model)
    found = detect.result()[3:-3, 3:-3]
    expected, apart = truth(before[:, 3:-3, 3:-3], after[:, 3:-3, 3:-3])
    clear = apart > 20
    assert clear.mean() > 0.6
    np.testing.assert_array_equal(found[clear], expected[clear])


def test_an_extent_and_a_cell_size_make_the_grid(make_raster, model, detect):
    before, after = smooth(seed=1), smooth(seed=2)
    first, second = make_raster("a.tif", before), make_raster("b.tif", after)
    detect(first, second, model, EXTENT={"bounds": [500010, 4999980, 500030, 4999990], "crs": UTM})
    np.testing.assert_array_equal(detect.result(), truth(before[:, 20:40, 20:60], after[:, 20:40, 20:60])[0])
    detect(first, second, model, CELL_SIZE=1.0, OVERWRITE=True)
    assert detect.result().shape == (40, 50)


def test_images_without_georeference_lie_pixel_on_pixel(make_raster, model, detect):
    before, after = picture(seed=1), picture(seed=2)
    nowhere = {"crs": None, "transform": None}
    first, second = make_raster("a.tif", before, **nowhere), make_raster("b.tif", after, **nowhere)
    detect(first, second, model)
    np.testing.assert_array_equal(detect.result(), truth(before, after)[0])
    detect(first, second, model, EXTENT={"bounds": [10, 20, 40, 60], "crs": ""}, OVERWRITE=True)
    np.testing.assert_array_equal(detect.result(), truth(before[:, 20:60, 10:40], after[:, 20:60, 10:40])[0])


# --- going on ----------------------------------------------------------------------------------


def test_an_interrupted_run_goes_on_and_ends_with_the_same_bytes(make_raster, model, detect, tmp_path):
    """Cancelled half-way, nothing half-made is published."""
    first = make_raster("a.tif", picture(1200, 100, seed=1))
    second = make_raster("b.tif", picture(1200, 100, seed=2))
    detect(first, second, model)
    whole = detect.out.read_bytes()
    detect.out = tmp_path / "again" / "change.tif"
    polled = []
    stopping = Reporter(is_cancelled=lambda: polled.append(1) or len(polled) > 20)
    with pytest.raises(CancelledError):
        detect(first, second, model, stopping)
    assert not detect.out.exists()
    detect(first, second, model)
    assert detect.out.read_bytes() == whole


# --- what cannot be ----------------------------------------------------------------------------


def test_rasters_that_do_not_overlap_are_refused(make_raster, model, detect):
    first = make_raster("a.tif", picture())
    apart = make_raster("b.tif", picture(), transform=compose(PLACE, Affine.translation(1000, 0)))
    with pytest.raises(DataError, match=r"b\.tif covers .* does not overlap a\.tif"):
        detect(first, apart, model)
    far = make_raster("c.tif", picture(), crs="EPSG:4326", transform=Affine(1e-5, 0, 20, 0, -1e-5, 10))
    with pytest.raises(DataError, match="overlap"):
        detect(first, far, model)


def test_a_raster_with_too_few_bands_is_refused_by_name(make_raster, model, detect):
    three, two = make_raster("a.tif", picture()), make_raster("b.tif", picture(bands=2))
    with pytest.raises(DataError, match=r"takes band 3, and b\.tif has 2 bands"):
        detect(three, two, model)
    with pytest.raises(DataError, match=r"takes band 3, and b\.tif has 2 bands"):
        detect(two, three, model)


def test_a_model_of_one_date_is_refused(make_raster, make_model, detect):
    model = make_model([[1, 0, 0], [0, 1, 0]])
    with pytest.raises(ModelDefinitionError, match="takes 3 bands, which are not the bands of two dates"):
        detect(make_raster("a.tif", picture()), make_raster("b.tif", picture(seed=1)), model)


def test_a_model_of_another_kind_is_refused(make_raster, make_model, detect):
    model = make_model(WEIGHTS, classes=CLASSES, ModelType="ObjectDetection")
    with pytest.raises(ModelDefinitionError, match="ObjectDetection, not for change detection"):
        detect(make_raster("a.tif", picture()), make_raster("b.tif", picture(seed=1)), model)


def test_one_raster_on_the_map_and_one_off_it_are_refused_unless_of_one_size(make_raster, model, detect):
    here, nowhere = make_raster("a.tif", picture()), {"crs": None, "transform": None}
    with pytest.raises(DataError, match="no georeference"):
        detect(here, make_raster("b.tif", picture(60, 90), **nowhere), model)
    with pytest.raises(DataError, match="how they lie is unknown"):
        detect(make_raster("c.tif", picture(), **nowhere), here, model)


def test_coordinates_without_a_system_are_not_guessed(make_raster, model, detect):
    first = make_raster("a.tif", picture())
    unknown = make_raster("b.tif", picture(), crs=None)
    with pytest.raises(DataError, match=r"b\.tif has no coordinate reference system, .*a\.tif has one"):
        detect(first, unknown, model)


def test_damaged_parts_of_either_date_have_no_data_and_are_listed(make_raster, model, detect):
    before, after = picture(256, 256, seed=1), picture(256, 256, seed=2)
    tiles = {"tiled": True, "blockxsize": 128, "blockysize": 128}
    first, second = make_raster("a.tif", before, **tiles), make_raster("b.tif", after, **tiles)
    with open(second, "r+b") as file:
        file.truncate(Path(second).stat().st_size - 3 * 128 * 128)  # of the last block, one band or more
    detect(first, second, model)
    expected = truth(before, after)[0]
    expected[128:, 128:] = 255
    np.testing.assert_array_equal(detect.result(), expected)
    assert "b.tif is damaged" in detect.warned


def test_only_polygons_of_interest_are_compared(make_raster, model, detect, tmp_path):
    area = {"type": "Polygon", "coordinates": [[[500005, 4999970], [500020, 4999970], [500020, 4999990],
            [500005, 4999990], [500005, 4999970]]]}  # fmt: skip
    feature = {"type": "Feature", "properties": {}, "geometry": area}
    crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::32633"}}
    layer = tmp_path / "area.geojson"
    layer.write_text(json.dumps({"type": "FeatureCollection", "crs": crs, "features": [feature]}))
    before, after = picture(seed=1), picture(seed=2)
    first, second = make_raster("a.tif", before), make_raster("b.tif", after)
    detect(first, second, model, IN_POLYGONS_OF_INTEREST=str(layer))
    expected = np.full((70, 90), 255)
    expected[20:60, 10:40] = truth(before, after)[0][20:60, 10:40]
    np.testing.assert_array_equal(detect.result(), expected)


def test_outputs_that_would_harm_inputs_or_each_other_are_refused(make_raster, model, detect, tmp_path):
    first, second = make_raster("a.tif", picture()), make_raster("b.tif", picture(seed=1))
    for values, said in (
        ({"OUT_CLASSIFIED_RASTER": second}, "overwrite the input"),
        ({"OUT_CLASSIFIED_RASTER": str(tmp_path / "x.png")}, "GeoTIFF"),
        ({"OUT_CONFIDENCE_RASTER": str(detect.out)}, "same file"),
    ):
        with pytest.raises(ParameterError, match=said):
            detect(first, second, model, **values)
    with pytest.raises(ParameterError, match="same raster"):
        detect(first, first, model)


# --- models of other origin --------------------------------------------------------------------


@pytest.fixture
def change_detector(tmp_path):
    """Write a ChangeDetector package of arcgis.learn with random weights; gives its definition's path."""
    torch = pytest.importorskip("torch", reason="the network is PyTorch's")

    def make(bands):
        from imagerydl.models.architectures.arcgis_learn import building, facts
        from imagerydl.models.definition import load_definition

        raw = {
            "Framework": "arcgis.learn.models._inferencing",
            "InferenceFunction": "[Functions]System\\DeepLearning\\ArcGISLearn\\ArcGISChangeDetector.py",
            "ModelType": "ImageClassification",
            "ModelName": "ChangeDetector",
            "ModelFile": "m.pth",
            "ModelParameters": {"backbone": "resnet18", "attention_type": "PAM"},
            "ExtractBands": [0, 1, 2],
            "ImageHeight": 64,
            "ImageWidth": 64,
            "Classes": [{"Value": 0, "Name": "NoChange"}, {"Value": 255, "Name": "Change"}],
        }
        path = tmp_path / "m.emd"
        path.write_text(json.dumps(raw), encoding="utf-8")
        (tmp_path / "m.pth").touch()
        known = facts.facts_of(load_definition(str(path)))
        torch.manual_seed(0)
        torch.save(building._module(known).build(known, {}).state_dict(), tmp_path / "m.pth")
        path.write_text(json.dumps({**raw, "ExtractBands": bands}), encoding="utf-8")
        return str(path)

    return make


@pytest.mark.parametrize("bands", [[0, 1, 2], [0, 1, 2, 3, 4, 5]], ids=["once", "for each date"])
def test_a_change_detector_of_arcgis_learn_runs_as_it_is(make_raster, change_detector, detect, bands):
    from imagerydl.models.definition import load_definition
    from imagerydl.models.runtimes.change_opening import open_change_model

    definition = change_detector(bands)
    before, after = picture(64, 64, seed=1), picture(64, 64, seed=2)
    detect(make_raster("a.tif", before), make_raster("b.tif", after), definition, ARGUMENTS="padding 0")
    found = detect.result()

    model = open_change_model(load_definition(definition), "CPU", 1)
    fed = model.input.normalisation.apply(np.concatenate([before, after])[None])
    logits = model.scores(fed, np.ones((1, 64, 64), bool))
    np.testing.assert_array_equal(found, np.where(logits[0, 1] > logits[0, 0], 255, 0))


def test_two_dates_of_real_imagery_whose_grids_differ_are_compared(make_model, detect):
    """The classes are where the second date, laid on the first by GDAL, is brighter or darker."""
    files = sorted(NAIP.glob("*.tif"))
    if len(files) != 2:
        pytest.skip("cd_naip_series is not there")
    weights = [[1, 0, 0, 0, -1, 0, 0, 0], [-1, 0, 0, 0, 1, 0, 0, 0]]
    first, second = map(str, files)
    values = detect(first, second, make_model(weights, classes=CLASSES, tile=256))
    with rasterio.open(first) as a, rasterio.open(second) as b:
        before, here, there = a.read(1), a.dataset_mask() > 0, np.zeros(a.shape, np.uint8)
        reproject(
            b.read(1), there, src_transform=b.transform, src_crs=b.crs, src_nodata=0,
            dst_transform=a.transform, dst_crs=a.crs, dst_nodata=0, resampling=Resampling.bilinear,
        )  # fmt: skip
    found = detect.result()
    assert found.shape == before.shape
    counted = found != 255
    assert counted.sum() == values["VALID_PIXELS"] > 0.9 * (here & (there > 0)).sum()
    apart = before.astype(int) - there
    clear = counted & (there > 0) & (np.abs(apart) > 3)
    same = (found == np.where(apart > 0, 1, 2))[clear]
    assert same.mean() > 0.999
