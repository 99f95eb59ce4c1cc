"""Classify Pixels: every kind of input, and every result beside the class raster."""

from __future__ import annotations

import csv
import json
import shutil
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import numpy as np
import pyogrio
import pytest
import rasterio
import shapely
from affine import Affine

from imagerydl import outputs
from imagerydl.errors import CancelledError, DataError, ModelError, OutputError, ParameterError
from imagerydl.events import Reporter
from imagerydl.imagery.source import open_source
from imagerydl.imagery.transforms import apply
from imagerydl.jobs import make_job, run_job
from imagerydl.models.runtimes.onnx import OnnxPixelModel

WEIGHTS = [[1, 0, 0], [0, 1, 0], [0, 0, 1]]
CLASSES = [1, 2, 5]


def picture(height=70, width=90, seed=0):
    return np.random.default_rng(seed).integers(1, 250, (3, height, width)).astype(np.uint8)


def truth(data):
    return np.array(CLASSES)[data.argmax(axis=0)]


def read(path):
    with rasterio.open(path) as file:
        data = file.read()
    return data[0] if len(data) == 1 else data


@pytest.fixture
def model(make_model):
    return make_model(WEIGHTS, classes=CLASSES)


@pytest.fixture
def classify(tmp_path):
    def run(model, is_cancelled=lambda: False, **values):
        job = make_job("classifypixels", {"IN_MODEL_DEFINITION": model, "DEVICE": "CPU", **values})
        events = []
        results = run_job(job, Reporter(events.append, is_cancelled))
        run.said = " ".join(event["text"] for event in events if event["event"] == "message")
        return results

    return run


# --- inputs ------------------------------------------------------------------------------------


def test_a_folder_gives_a_folder_and_a_mosaic_over_it(make_raster, model, classify, tmp_path):
    """P8, P14, P16, W9, W14: one definition for every image of a folder, and a mosaic of the results."""
    left, right = picture(seed=1), picture(seed=2)
    make_raster("images/left.tif", left)
    make_raster("images/deep/right.tif", right, transform=Affine(0.5, 0, 500045, 0, -0.5, 5000000))
    out, mosaic = tmp_path / "out", tmp_path / "all.vrt"
    results = classify(
        model,
        IN_FOLDER=str(tmp_path / "images"),
        OUT_CLASSIFIED_FOLDER=str(out),
        OUT_CLASSIFIED_RASTER=str(mosaic),
    )
    assert results["VALID_PIXELS"] == 2 * 70 * 90
    assert sorted(path.name for path in out.glob("*.tif")) == ["deep_right.tif", "left.tif"]
    np.testing.assert_array_equal(read(out / "left.tif"), truth(left))
    np.testing.assert_array_equal(read(out / "deep_right.tif"), truth(right))
    assert not list(out.glob(".*"))
    with rasterio.open(mosaic) as file:
        assert file.crs == rasterio.open(out / "left.tif").crs
        assert file.colormap(1)[5] == (5, 10, 20, 255)
        both = file.read(1)
    assert (both == 5).sum() >= (truth(right) == 5).sum()


def test_a_mosaic_can_be_one_file_of_its_own(make_raster, model, classify, tmp_path):
    data = picture()
    make_raster("images/a.tif", data)
    classify(
        model,
        IN_FOLDER=str(tmp_path / "images"),
        OUT_CLASSIFIED_FOLDER=str(tmp_path / "out"),
        OUT_CLASSIFIED_RASTER=str(tmp_path / "copy.tif"),
    )
    shutil.rmtree(tmp_path / "out")
    np.testing.assert_array_equal(read(tmp_path / "copy.tif"), truth(data))


def test_several_rasters_are_one_mosaic_or_done_one_by_one(make_raster, model, classify, tmp_path):
    """P8, P13, W14: a mosaic unless the processing mode says otherwise."""
    left, right = picture(seed=1), picture(seed=2)
    paths = [
        make_raster("a.tif", left),
        make_raster("b.tif", right, transform=Affine(0.5, 0, 500045, 0, -0.5, 5000000)),
    ]
    with open_source(paths) as source:
        whole = source.read(source.grid.window)[0]
    classify(model, IN_RASTER=paths, OUT_CLASSIFIED_RASTER=str(tmp_path / "one.tif"))
    np.testing.assert_array_equal(read(tmp_path / "one.tif"), truth(whole))
    classify(
        model,
        IN_RASTER=paths,
        PROCESSING_MODE="PROCESS_ITEMS_SEPARATELY",
        OUT_CLASSIFIED_FOLDER=str(tmp_path / "two"),
    )
    np.testing.assert_array_equal(read(tmp_path / "two" / "b.tif"), truth(right))


def test_an_image_that_cannot_be_read_is_listed_and_the_others_are_done(
    make_raster, model, classify, tmp_path
):
    data = picture()
    make_raster("images/good.tif", data)
    (tmp_path / "images" / "bad.tif").write_bytes(b"no picture")
    make_raster("images/grey.tif", data[:1])
    classify(model, IN_FOLDER=str(tmp_path / "images"), OUT_CLASSIFIED_FOLDER=str(tmp_path / "out"))
    assert [path.name for path in (tmp_path / "out").glob("*.tif")] == ["good.tif"]
    assert "bad.tif is left out" in classify.said
    assert "grey.tif is left out" in classify.said
    (tmp_path / "images" / "good.tif").unlink()
    with pytest.raises(DataError, match="None of the 2 images"):
        classify(model, IN_FOLDER=str(tmp_path / "images"), OUT_CLASSIFIED_FOLDER=str(tmp_path / "none"))
    assert not (tmp_path / "none").exists()


def test_an_interrupted_folder_goes_on_with_the_next_image(
    make_raster, model, classify, tmp_path, monkeypatch
):
    images = {f"i{number}": picture(seed=number) for number in range(3)}
    for name, data in images.items():
        make_raster(f"images/{name}.tif", data)
    values = {"IN_FOLDER": str(tmp_path / "images"), "OUT_CLASSIFIED_FOLDER": str(tmp_path / "out")}
    runs = []
    scores = OnnxPixelModel.scores

    def counted(self, batch, valid):
        runs.append(len(batch))
        return scores(self, batch, valid)

    monkeypatch.setattr(OnnxPixelModel, "scores", counted)
    classify(model, **{**values, "OUT_CLASSIFIED_FOLDER": str(tmp_path / "whole")})
    whole = sum(runs)
    runs.clear()
    with pytest.raises(CancelledError):
        classify(model, is_cancelled=lambda: sum(runs) > whole // 2, **values)
    assert not (tmp_path / "out").exists()
    stopped = sum(runs)
    runs.clear()
    results = classify(model, **values)
    assert results["VALID_PIXELS"] == 3 * 70 * 90
    assert sum(runs) <= whole - whole // 3
    assert stopped < whole
    for name, data in images.items():
        np.testing.assert_array_equal(read(tmp_path / "out" / f"{name}.tif"), truth(data))
        first, second = (tmp_path / folder / f"{name}.tif" for folder in ("out", "whole"))
        assert first.read_bytes() == second.read_bytes()


def test_features_with_image_paths_come_back_with_their_class_rasters(make_raster, model, classify, tmp_path):
    """P8, P15: features with images give features."""
    data = picture()
    make_raster("photos/a.tif", data, crs=None, transform=None)
    pyogrio.raw.write(
        tmp_path / "sites.gpkg",
        shapely.to_wkb(shapely.points([[1, 2], [3, 4]])),
        [np.array(["photos/a.tif", None], dtype=object), np.array([7, 8])],
        ["Image", "number"],
        geometry_type="Point",
        crs="EPSG:4326",
    )
    classify(
        model,
        IN_IMAGE_FEATURES=str(tmp_path / "sites.gpkg"),
        OUT_FEATURECLASS=str(tmp_path / "done.gpkg"),
    )
    _, _, geometries, columns = pyogrio.raw.read(tmp_path / "done.gpkg", columns=["number", "Classified"])
    assert columns[0].tolist() == [7, 8]
    assert columns[1].tolist() == ["done_classified/a.tif", None]
    assert shapely.from_wkb(geometries[0]) == shapely.Point(1, 2)
    np.testing.assert_array_equal(read(tmp_path / columns[1][0]), truth(data))
    with pytest.raises(ParameterError, match=r"no field 'photo'.*Image, number"):
        classify(
            model,
            IN_IMAGE_FEATURES=str(tmp_path / "sites.gpkg"),
            IMAGE_FIELD="photo",
            OUT_FEATURECLASS=str(tmp_path / "other.gpkg"),
        )


def test_attachments_are_images_too(make_raster, model, classify, tmp_path):
    data = picture()
    photo = Path(make_raster("photo.tif", data, crs=None, transform=None)).read_bytes()
    path = tmp_path / "sites.gpkg"
    point = shapely.to_wkb(np.array([shapely.Point(1, 2)]))
    pyogrio.raw.write(
        path, point, [np.array(["{A-1}"], dtype=object)], ["GlobalID"], geometry_type="Point",
        crs="EPSG:4326", layer="sites",
    )  # fmt: skip
    with closing(sqlite3.connect(path)) as base, base:
        base.execute(
            "CREATE TABLE sites__ATTACH (id INTEGER PRIMARY KEY, REL_GLOBALID TEXT, ATT_NAME TEXT, DATA BLOB)"
        )
        base.execute("INSERT INTO sites__ATTACH VALUES (1, '{A-1}', 'photo.tif', ?)", (photo,))
        base.execute(
            "INSERT INTO gpkg_contents (table_name, data_type, identifier) "
            "VALUES ('sites__ATTACH', 'attributes', 'sites__ATTACH')"
        )
    classify(model, IN_IMAGE_FEATURES=f"{path}|layername=sites", OUT_FEATURECLASS=str(tmp_path / "out.gpkg"))
    np.testing.assert_array_equal(read(tmp_path / "out_classified" / "photo.tif"), truth(data))


#: Serves parts of files, as servers of imagery do. In a process of its own: GDAL, which asks, holds
#: Python's lock meanwhile.
_SERVER = """
import functools, http.server, pathlib, sys

class Ranges(http.server.SimpleHTTPRequestHandler):
    def do_GET(self):
        wanted, path = self.headers.get("Range"), pathlib.Path(self.translate_path(self.path))
        if not wanted or not path.is_file():
            return super().do_GET()
        content = path.read_bytes()
        first, last = (int(part or len(content) - 1) for part in wanted.removeprefix("bytes=").split("-"))
        piece = content[first : last + 1]
        self.send_response(206)
        self.send_header("Content-Range", f"bytes {first}-{first + len(piece) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(piece)))
        self.end_headers()
        self.wfile.write(piece)

handler = functools.partial(Ranges, directory=sys.argv[1])
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
print(server.server_address[1], flush=True)
server.serve_forever()
"""


def test_a_raster_on_a_server_is_read_in_parts(make_raster, model, classify, tmp_path):
    data = picture()
    make_raster("served/a.tif", data, tiled=True, blockxsize=16, blockysize=16)
    command = [sys.executable, "-c", _SERVER, str(tmp_path / "served")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        try:
            url = f"http://127.0.0.1:{int(server.stdout.readline())}"
            classify(model, IN_RASTER=[f"{url}/a.tif"], OUT_CLASSIFIED_RASTER=str(tmp_path / "o.tif"))
            np.testing.assert_array_equal(read(tmp_path / "o.tif"), truth(data))
            with pytest.raises(DataError, match=r"missing\.tif"):
                classify(
                    model, IN_RASTER=[f"{url}/missing.tif"], OUT_CLASSIFIED_RASTER=str(tmp_path / "p.tif")
                )
        finally:
            server.kill()


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({}, "nothing to classify"),
        ({"IN_RASTER": ["a.tif"], "IN_FOLDER": "b"}, "IN_RASTER and IN_FOLDER are all given"),
        ({"IN_RASTER": ["a.tif"]}, "OUT_CLASSIFIED_RASTER"),
        ({"IN_FOLDER": "b"}, "OUT_CLASSIFIED_FOLDER is missing"),
        ({"IN_IMAGE_FEATURES": "b.gpkg"}, "OUT_FEATURECLASS is missing"),
        (
            {"IN_RASTER": ["a.tif"], "OUT_CLASSIFIED_RASTER": "o.tif", "OUT_CLASSIFIED_FOLDER": "f"},
            "one result only",
        ),
        (
            {"IN_RASTER": ["a.tif"], "OUT_CLASSIFIED_RASTER": "o.tif", "OUT_FEATURECLASS": "f.gpkg"},
            "goes with IN_IMAGE_FEATURES",
        ),
        ({"IN_FOLDER": "b", "OUT_CLASSIFIED_FOLDER": "f", "OUT_POLYGONS": "p.gpkg"}, "one result only"),
        (
            {"IN_RASTER": ["a.tif"], "OUT_CLASSIFIED_RASTER": "o.tif", "OUT_ENTROPY_RASTER": "o.tif"},
            "same file",
        ),
    ],
)
def test_inputs_and_outputs_that_do_not_go_together_are_refused(model, values, said):
    """P14, P15: what each kind of input needs is asked for by name."""
    with pytest.raises(ParameterError, match=said):
        make_job("classifypixels", {"IN_MODEL_DEFINITION": model, **values})


# --- where -------------------------------------------------------------------------------------


def test_only_polygons_of_interest_are_classified_and_other_tiles_are_not_run(
    make_raster, model, classify, tmp_path, monkeypatch
):
    data = picture(320, 320)
    path = make_raster("a.tif", data)
    with open_source(path) as source:
        transform = source.grid.transform
    corner = shapely.transform(
        shapely.box(0, 0, 20, 10), lambda xy: np.array([apply(transform, *p) for p in xy])
    )
    pyogrio.raw.write(
        tmp_path / "area.gpkg", shapely.to_wkb(np.array([corner])), [], [], geometry_type="Polygon",
        crs=source.grid.crs.to_wkt(),
    )  # fmt: skip
    tiles = []
    scores = OnnxPixelModel.scores
    monkeypatch.setattr(
        OnnxPixelModel, "scores", lambda self, b, v: tiles.append(len(b)) or scores(self, b, v)
    )
    results = classify(
        model,
        IN_RASTER=[path],
        IN_POLYGONS_OF_INTEREST=str(tmp_path / "area.gpkg"),
        OUT_CLASSIFIED_RASTER=str(tmp_path / "o.tif"),
    )
    found = read(tmp_path / "o.tif")
    np.testing.assert_array_equal(found[:10, :20], truth(data)[:10, :20])
    assert (found != 255).sum() == results["VALID_PIXELS"] == 200
    assert sum(tiles) <= 4


def test_polygons_elsewhere_are_an_error(make_raster, model, classify, tmp_path):
    pyogrio.raw.write(
        tmp_path / "area.gpkg", shapely.to_wkb(np.array([shapely.box(0, 0, 1, 1)])), [], [],
        geometry_type="Polygon", crs="EPSG:4326",
    )  # fmt: skip
    with pytest.raises(DataError, match="touches the raster"):
        classify(
            model,
            IN_RASTER=[make_raster("a.tif", picture())],
            IN_POLYGONS_OF_INTEREST=str(tmp_path / "area.gpkg"),
            OUT_CLASSIFIED_RASTER=str(tmp_path / "o.tif"),
        )


def test_a_finer_raster_is_brought_to_the_models_cell_size_unless_told_not_to(
    make_raster, make_model, classify, tmp_path
):
    data = np.repeat(np.repeat(picture(40, 40), 4, axis=1), 4, axis=2)
    path = make_raster("a.tif", data)
    model = make_model(WEIGHTS, classes=CLASSES, MinCellSize={"x": 2.0, "y": 2.0})
    out = tmp_path / "o.tif"
    classify(model, IN_RASTER=[path], OUT_CLASSIFIED_RASTER=str(out))
    with rasterio.open(out) as file:
        assert (file.width, file.res) == (40, (2.0, 2.0))
    assert "brought to 2" in classify.said
    classify(model, IN_RASTER=[path], OUT_CLASSIFIED_RASTER=str(out), MATCH_CELL_SIZE=False, OVERWRITE=True)
    np.testing.assert_array_equal(read(out), truth(data))


# --- results -----------------------------------------------------------------------------------


def softmax(logits):
    exponents = np.exp(logits - logits.max(axis=0))
    return exponents / exponents.sum(axis=0)


@pytest.mark.parametrize("arguments", ["padding 0", "padding 8", "test_time_augmentation True"])
def test_what_is_known_beside_the_class_is_right(make_raster, make_model, classify, tmp_path, arguments):
    data = picture() // 60
    data[:, :5, :7] = 255
    model = make_model(WEIGHTS, classes=CLASSES)
    files = {
        f"OUT_{name.upper()}_RASTER": str(tmp_path / f"{name}.tif")
        for name in ("classified", "confidence", "margin", "entropy", "probability")
    }
    classify(model, IN_RASTER=[make_raster("a.tif", data, nodata=255)], ARGUMENTS=arguments, **files)
    expected = softmax(data.astype(np.float64))
    valid = np.ones(data.shape[1:], bool)
    valid[:5, :7] = False
    ranked = np.sort(expected, axis=0)
    entropy = -(expected * np.log(expected)).sum(axis=0) / np.log(3)
    for name, values in (
        ("confidence", ranked[-1]),
        ("margin", ranked[-1] - ranked[-2]),
        ("entropy", entropy),
    ):
        found = read(tmp_path / f"{name}.tif")
        np.testing.assert_allclose(found[valid], values[valid], atol=2e-3)
        assert (found[~valid] == -1).all()
    with rasterio.open(tmp_path / "probability.tif") as file:
        assert file.descriptions == ("class 1", "class 2", "class 5")
        stored, scale = file.read(), file.scales[0]
    np.testing.assert_allclose(stored[:, valid] * scale, expected[:, valid], atol=0.004)
    assert (stored[:, ~valid] == 255).all()


def test_class_areas_are_a_table(make_raster, model, classify, tmp_path):
    data = picture()
    classify(
        model,
        IN_RASTER=[make_raster("a.tif", data)],
        OUT_CLASSIFIED_RASTER=str(tmp_path / "o.tif"),
        OUT_CLASS_AREAS=str(tmp_path / "areas.csv"),
    )
    rows = list(csv.DictReader((tmp_path / "areas.csv").open(encoding="utf-8")))
    assert [int(row["pixels"]) for row in rows] == [(truth(data) == value).sum() for value in CLASSES]
    assert sum(float(row["area"]) for row in rows) == pytest.approx(70 * 90 * 0.25)


def test_polygons_cover_what_was_classified(make_raster, model, classify, tmp_path):
    data = np.repeat(np.repeat(picture(9, 9), 8, axis=1), 8, axis=2)
    classify(
        model,
        IN_RASTER=[make_raster("a.tif", data)],
        OUT_CLASSIFIED_RASTER=str(tmp_path / "o.tif"),
        OUT_CONFIDENCE_RASTER=str(tmp_path / "c.tif"),
        OUT_POLYGONS=str(tmp_path / "p.gpkg"),
    )
    _, _, geometries, columns = pyogrio.raw.read(tmp_path / "p.gpkg", columns=["class_value", "confidence"])
    polygons = shapely.from_wkb(geometries)
    assert shapely.area(polygons).sum() == pytest.approx(72 * 72 * 0.25)
    assert set(columns[0]) == set(np.unique(truth(data)))
    assert (columns[1] > 0.3).all()


@pytest.mark.parametrize(("threshold", "share"), [(0.2, 1.0), (0.5, 0.5), (0.9, 0.1)])
def test_the_threshold_of_a_binary_model_decides(
    make_raster, make_model, classify, tmp_path, threshold, share
):
    probability = np.linspace(0.001, 0.999, 1000, dtype=np.float32)
    data = np.log(probability / (1 - probability)).reshape(1, 20, 50)
    model = make_model([[1]], classes=[1])
    classify(
        model,
        IN_RASTER=[make_raster("a.tif", data)],
        OUT_CLASSIFIED_RASTER=str(tmp_path / "o.tif"),
        ARGUMENTS=f"threshold {threshold};padding 4",
    )
    found = read(tmp_path / "o.tif")
    assert (found == 1).mean() == pytest.approx(1 - threshold, abs=0.002)
    assert set(np.unique(found)) == {0, 1}


def test_unsure_pixels_of_a_model_without_background_have_no_class(make_raster, model, classify, tmp_path):
    data = (picture() // 50).astype(np.float32)
    results = classify(
        model,
        IN_RASTER=[make_raster("a.tif", data)],
        OUT_CLASSIFIED_RASTER=str(tmp_path / "o.tif"),
        ARGUMENTS="threshold 0.6;padding 0",
    )
    sure = softmax(data.astype(np.float64)).max(axis=0) >= 0.6
    found = read(tmp_path / "o.tif")
    np.testing.assert_array_equal(found != 255, sure)
    assert results["VALID_PIXELS"] == sure.sum()


def test_a_data_range_scales_by_what_the_raster_really_holds(make_raster, make_model, classify, tmp_path):
    """W21: DataRange."""
    data = picture().astype(np.uint16) * 7 + 100
    model = make_model([[1, 0, 0], [0, 1, 0]], bias=[0, 0.1], classes=[1, 2], DataRange=[0, 1])
    classify(model, IN_RASTER=[make_raster("a.tif", data)], OUT_CLASSIFIED_RASTER=str(tmp_path / "o.tif"))
    low, high = (f(axis=(1, 2), keepdims=True).astype(float) for f in (data.min, data.max))
    scaled = (data - low) / (high - low)
    clear = np.abs(scaled[0] - scaled[1] - 0.1) > 1e-5
    np.testing.assert_array_equal(
        read(tmp_path / "o.tif")[clear], np.where(scaled[0] > scaled[1] + 0.1, 1, 2)[clear]
    )


def test_a_model_that_fails_in_the_middle_is_named_and_leaves_nothing(
    make_raster, model, classify, tmp_path, monkeypatch
):
    calls = []

    def failing(self, batch, valid):
        calls.append(1)
        if len(calls) > 2:
            raise ModelError("the model broke")
        return np.zeros((len(batch), 3, *batch.shape[2:]), np.float32)

    monkeypatch.setattr(OnnxPixelModel, "scores", failing)
    with pytest.raises(ModelError, match="the model broke"):
        classify(
            model,
            IN_RASTER=[make_raster("a.tif", picture(300, 300))],
            OUT_CLASSIFIED_RASTER=str(tmp_path / "out" / "o.tif"),
            ARGUMENTS="batch_size 2",
        )
    assert list((tmp_path / "out").iterdir()) == []


def test_the_result_is_a_cloud_optimised_geotiff_with_overviews(make_raster, model, classify, tmp_path):
    data = picture(1100, 1200)
    classify(
        model,
        IN_RASTER=[make_raster("a.tif", data)],
        OUT_CLASSIFIED_RASTER=str(tmp_path / "o.tif"),
        ARGUMENTS="padding 0",
    )
    with rasterio.open(tmp_path / "o.tif") as file:
        assert file.overviews(1) == [2, 4]
        assert file.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert file.tags(1)["STATISTICS_MINIMUM"] == "1"
        assert file.colormap(1)[2] == (2, 10, 20, 255)


def test_the_same_settings_elsewhere_do_not_go_on_with_another_run(make_raster, model, classify, tmp_path):
    """An unfinished run of other imagery, arguments or model is begun anew."""
    path = Path(make_raster("a.tif", picture(700, 90)))
    out = tmp_path / "out" / "o.tif"
    seen = []
    with pytest.raises(CancelledError):
        classify(
            model,
            is_cancelled=lambda: bool(list(out.parent.glob(".o.unfinished/*.tif"))),
            IN_RASTER=[str(path)],
            OUT_CLASSIFIED_RASTER=str(out),
            ARGUMENTS="padding 0;batch_size 1",
        )
    journal = out.parent / ".o.unfinished" / "journal.jsonl"
    seen.append(json.loads(journal.read_text().splitlines()[0]))
    other = picture(700, 90, seed=5)
    make_raster("a.tif", other)
    classify(model, IN_RASTER=[str(path)], OUT_CLASSIFIED_RASTER=str(out), ARGUMENTS="padding 0;batch_size 1")
    assert "gone on with" not in classify.said
    np.testing.assert_array_equal(read(out), truth(other))


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_a_killed_run_goes_on_and_ends_with_the_same_bytes(make_raster, model, classify, tmp_path):
    """kill -9 in the middle, then the same call again: the files of an undisturbed run."""
    path = make_raster("a.tif", picture(900, 300))
    engine = Path(sys.modules["imagerydl"].__file__).parent

    def arguments(name):
        return {
            "IN_RASTER": [path],
            "OUT_CLASSIFIED_RASTER": str(tmp_path / name / "o.tif"),
            "OUT_CONFIDENCE_RASTER": str(tmp_path / name / "c.tif"),
            "ARGUMENTS": "batch_size 1;padding 9",
        }

    classify(model, **arguments("whole"))
    values = {**arguments("killed"), "IN_MODEL_DEFINITION": model, "DEVICE": "CPU"}
    job = tmp_path / "job.json"
    job.write_text(json.dumps({"tool": "classifypixels", "parameters": values}))
    command = [sys.executable, "-I", str(engine), "worker", str(job)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as worker:
        while worker.poll() is None and not list((tmp_path / "killed").glob(".o.unfinished/classes_*.tif")):
            time.sleep(0.002)
        worker.kill()
    if worker.returncode == 0:
        pytest.skip("the run was done before it could be killed")
    assert not (tmp_path / "killed" / "o.tif").exists()
    classify(model, **arguments("killed"))
    for name in ("o.tif", "c.tif"):
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert not list((tmp_path / "killed").glob(".*"))


def test_a_run_stopped_while_its_files_appear_goes_on(make_raster, model, classify, tmp_path, monkeypatch):
    values = {
        "IN_RASTER": [make_raster("a.tif", picture())],
        "OUT_CLASSIFIED_RASTER": str(tmp_path / "o.tif"),
        "OUT_CONFIDENCE_RASTER": str(tmp_path / "c.tif"),
        "OUT_CLASS_AREAS": str(tmp_path / "a.csv"),
    }
    publish, published = outputs._publish, []

    def stopped_after_two(staging, final):
        if len(published) == 2:
            raise CancelledError
        published.append(final.name)
        publish(staging, final)

    with monkeypatch.context() as patch:
        patch.setattr(outputs, "_publish", stopped_after_two)
        with pytest.raises(CancelledError):
            classify(model, **values)
    assert published == ["a.csv", "c.tif"]  # the class raster, last, tells that all is there
    classify(model, **values)
    np.testing.assert_array_equal(read(tmp_path / "o.tif"), truth(picture()))
    with pytest.raises(OutputError, match="already exists"):
        classify(model, **values)


def test_what_another_run_left_is_no_leave_to_replace_a_result(
    make_raster, model, classify, tmp_path, monkeypatch
):
    out = tmp_path / "o.tif"
    values = {"IN_RASTER": [make_raster("a.tif", picture())], "OUT_CLASSIFIED_RASTER": str(out)}
    classify(model, **values)
    before = out.read_bytes()
    (tmp_path / ".o.unfinished").mkdir()
    monkeypatch.setattr(OnnxPixelModel, "scores", lambda *_: pytest.fail("it was refused too late"))
    with pytest.raises(OutputError, match="already exists"):
        classify(model, **values)
    assert out.read_bytes() == before
