"""Classify Pixels from job to published raster."""

from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
from affine import Affine
from rasterio.crs import CRS

from imagerydl.errors import (
    CancelledError,
    DataError,
    ModelDefinitionError,
    ModelError,
    OutputError,
    ParameterError,
)
from imagerydl.events import Reporter
from imagerydl.imagery.source import open_source
from imagerydl.imagery.transforms import compose
from imagerydl.jobs import make_job, run_job
from imagerydl.models.runtimes.onnx import OnnxPixelModel

#: Class 1 where band 1 is large, 2 where band 2 is, 5 otherwise.
WEIGHTS = [[1, 0, 0], [0, 1, 0], [0, 0, 1]]
CLASSES = [1, 2, 5]


def picture(height=70, width=90, seed=0):
    return np.random.default_rng(seed).integers(1, 250, (3, height, width)).astype(np.uint8)


def truth(data):
    return np.array(CLASSES)[data.argmax(axis=0)]


class Run:
    """Runs the tool; keeps what it said."""

    def __init__(self, folder):
        self.out = folder / "out" / "classified.tif"
        self.events = []

    def __call__(self, raster, model, **values):
        values = {"OUT_CLASSIFIED_RASTER": str(self.out), "DEVICE": "CPU", **values}
        job = make_job("classifypixels", {"IN_RASTER": raster, "IN_MODEL_DEFINITION": model, **values})
        return run_job(job, Reporter(self.events.append))

    @property
    def said(self):
        return " ".join(event["text"] for event in self.events if event["event"] == "message")

    def result(self):
        with open_source(str(self.out)) as source:
            return source.read(source.grid.window)[0][0], source


@pytest.fixture
def classify(tmp_path):
    return Run(tmp_path)


@pytest.fixture
def model(make_model):
    return make_model(WEIGHTS, classes=CLASSES)


# --- the result --------------------------------------------------------------------------------


def test_every_pixel_gets_its_class_with_names_colours_table_and_style(make_raster, model, classify):
    """P1, P7, P16: a class raster on the input's grid, with an attribute table."""
    data = picture()
    path = make_raster("town.tif", data)
    values = classify(path, model)
    found, source = classify.result()
    np.testing.assert_array_equal(found, truth(data))
    assert source.grid == open_source(path).grid
    assert source.nodata == 255
    assert source.categories == {1: "class 1", 2: "class 2", 5: "class 5"}
    assert source.colormap[5] == (5, 10, 20)
    assert values == {
        "OUT_CLASSIFIED_RASTER": str(classify.out),
        "VALID_PIXELS": 70 * 90,
    }
    beside = {file.name for file in classify.out.parent.iterdir()}
    assert beside == {
        f"classified.{end}" for end in ("tif", "tif.aux.xml", "tif.vat.dbf", "tif.vat.cpg", "qml")
    }
    assert "ONNX Runtime" in classify.said


@pytest.mark.parametrize(
    ("crs", "transform", "shape"),
    [
        (
            "EPSG:32633",
            compose(Affine.translation(5e5, 5e6), Affine.rotation(25), Affine.scale(2, -2)),
            (50, 60),
        ),
        ("EPSG:4326", Affine(1e-5, 0, 15, 0, -1e-5, 50), (50, 60)),
        ("EPSG:32633", Affine(2, 0, 5e5, 0, 2, 5e6), (50, 60)),
        (None, None, (50, 60)),
        ("EPSG:32633", Affine(2, 0, 5e5, 0, -2, 5e6), (5, 7)),
        ("EPSG:32633", Affine(2, 0, 5e5, 0, -2, 5e6), (1, 5000)),
    ],
    ids=["rotated", "degrees", "south-up", "pixel space", "smaller than a tile", "1 x 5000"],
)
def test_odd_rasters_give_complete_aligned_results(make_raster, model, classify, crs, transform, shape):
    data = picture(*shape)
    path = make_raster("odd.tif", data, crs=crs, transform=transform)
    classify(path, model)
    found, source = classify.result()
    np.testing.assert_array_equal(found, truth(data))
    assert source.grid.crs == (CRS.from_user_input(crs) if crs else None)
    assert source.grid.transform.almost_equals(transform or Affine.identity(), 1e-9)


def test_no_data_stays_no_data_in_both_results(make_raster, model, classify, tmp_path):
    """P1: nodata stays nodata."""
    data = picture(200, 200)
    data[:, :120, :130] = 0
    confidence = tmp_path / "confidence.tif"
    values = classify(make_raster("a.tif", data, nodata=0), model, OUT_CONFIDENCE_RASTER=str(confidence))
    found, _ = classify.result()
    invalid = ~data.any(axis=0)
    np.testing.assert_array_equal(found == 255, invalid)
    assert values["VALID_PIXELS"] == (~invalid).sum()
    with open_source(str(confidence)) as source:
        probability, valid = source.read(source.grid.window)
    np.testing.assert_array_equal(valid, ~invalid)
    assert 1 / 3 <= probability[0][valid].min() <= probability[0][valid].max() <= 1.0001
    assert "tiles hold no data" in classify.said


def test_a_raster_without_a_valid_pixel_gives_an_empty_result_and_a_warning(make_raster, model, classify):
    assert classify(make_raster("a.tif", picture() * 0, nodata=0), model)["VALID_PIXELS"] == 0
    assert (classify.result()[0] == 255).all()
    assert "no valid pixel" in classify.said


def test_definition_package_and_text_give_the_same(make_raster, model, classify, tmp_path):
    """P2: .emd, .dlpk and JSON text; three equal outputs."""
    path = make_raster("a.tif", picture())
    definition = json.loads(Path(model).read_text())
    package = tmp_path / "model.dlpk"
    with zipfile.ZipFile(package, "w") as archive:
        archive.write(model, "model.emd")
        archive.write(tmp_path / "model.onnx", "model.onnx")
    text = json.dumps({**definition, "ModelFile": str(tmp_path / "model.onnx")})
    results = []
    for form in (model, str(package), text):
        classify(path, form, OVERWRITE=True)
        results.append(classify.out.read_bytes())
    assert results[0] == results[1] == results[2]


def test_several_rasters_are_one_mosaic(make_raster, model, classify):
    """P8, P13: several rasters, processed as a mosaic."""
    left, right = picture(40, 50), picture(40, 50, seed=1)
    beside = Affine(0.5, 0, 500025, 0, -0.5, 5000000)
    classify([make_raster("l.tif", left), make_raster("r.tif", right, transform=beside)], model)
    np.testing.assert_array_equal(classify.result()[0], np.hstack([truth(left), truth(right)]))


def test_an_extent_gives_that_part_of_the_whole_result(make_raster, model, classify):
    data = picture()
    path = make_raster("a.tif", data)
    classify(path, model, EXTENT="500005,500020,4999980,4999990 [EPSG:32633]")
    found, source = classify.result()
    assert open_source(path).grid.offset_of(source.grid) == (10, 20)
    np.testing.assert_array_equal(found, truth(data)[20:40, 10:40])


def test_another_cell_size_gives_a_coarser_result(make_raster, model, classify):
    classify(make_raster("a.tif", picture()), model, CELL_SIZE=1)
    found, source = classify.result()
    assert found.shape == (35, 45)
    assert source.grid.cell_size == (1, 1)


def test_wide_class_values_take_sixteen_bits(make_raster, make_model, classify):
    data = picture()
    classify(make_raster("a.tif", data), make_model(WEIGHTS, classes=[0, 255, 1000]))
    found, source = classify.result()
    assert source.nodata == 65535
    np.testing.assert_array_equal(found, np.array([0, 255, 1000])[data.argmax(axis=0)])


def test_a_binary_network_gives_background_and_class(make_raster, make_model, classify):
    data = picture()
    classify(make_raster("a.tif", data), make_model([[1, -1, 0]], classes=[7]))
    values = data.astype(int)
    np.testing.assert_array_equal(classify.result()[0], np.where(values[0] > values[1], 7, 0))
    assert classify.result()[1].categories == {0: "Background", 7: "class 7"}


# --- arguments ---------------------------------------------------------------------------------


def test_background_never_wins_where_it_is_not_predicted(make_raster, make_model, classify):
    data = picture()
    classify(
        make_raster("a.tif", data),
        make_model(WEIGHTS, classes=[0, 1, 2]),
        ARGUMENTS="predict_background False",
    )
    np.testing.assert_array_equal(classify.result()[0], 1 + data[1:].argmax(axis=0))


@pytest.mark.parametrize(
    "arguments", ["padding 0", "padding 15;batch_size 6", "batch_size 17", "test_time_augmentation True"]
)
def test_a_model_of_single_pixels_does_not_care_for_arguments(make_raster, model, classify, arguments):
    """P10, P11: batch sizes that are no square work as they are."""
    data = picture()
    classify(make_raster("a.tif", data), model, ARGUMENTS=arguments)
    np.testing.assert_array_equal(classify.result()[0], truth(data))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("batch_size 0", "batch_size"),
        ("padding 16", "less than half a tile"),
        ("tile_sise 64", "no argument 'tile_sise'"),
        ("tile_size 0", "tile_size cannot be"),
    ],
)
def test_unusable_arguments_are_refused_and_leave_nothing(make_raster, model, classify, arguments, said):
    with pytest.raises(ParameterError, match=said):
        classify(make_raster("a.tif", picture()), model, ARGUMENTS=arguments)
    assert not classify.out.exists()


def test_out_of_memory_goes_on_with_half_the_batch(make_raster, model, classify, monkeypatch):
    """P9: lower the batch on out-of-memory; the message suggests it."""
    scores = OnnxPixelModel.scores

    def three_tiles_at_most(self, batch, valid):
        if len(batch) > 3:
            raise MemoryError
        return scores(self, batch, valid)

    monkeypatch.setattr(OnnxPixelModel, "scores", three_tiles_at_most)
    # Whole batches, as a graphics card is given them.
    monkeypatch.setattr("imagerydl.models.runtimes.onnx.tiles_at_once", lambda *device: None)
    data = picture()
    classify(make_raster("a.tif", data), model, ARGUMENTS="batch_size 8")
    np.testing.assert_array_equal(classify.result()[0], truth(data))
    assert "batch_size 2" in classify.said or "batch_size 3" in classify.said


# --- bands and normalisation -------------------------------------------------------------------


def test_bands_are_found_by_name_in_any_order(make_raster, make_model, classify):
    data = picture()
    model = make_model(WEIGHTS, classes=CLASSES, InputRastersProps={"BandNames": ["Red", "Green", "Blue"]})
    classify(make_raster("bgr.tif", data[::-1], names=("Blue", "Green", "Red")), model)
    np.testing.assert_array_equal(classify.result()[0], truth(data))


def test_a_model_with_other_bands_than_the_raster_is_refused(make_raster, make_model, classify):
    with pytest.raises(DataError, match=r"takes band 4, and a\.tif has 3 bands"):
        classify(make_raster("a.tif", picture()), make_model(np.eye(4)))
    assert not classify.out.parent.exists()


def test_values_are_normalised_as_the_definition_says(make_raster, make_model, classify):
    data = picture()
    keys = {"Normalization": {"Subtract": [100, 0, 50], "Divide": [1, 2, 4]}}
    classify(make_raster("a.tif", data), make_model(WEIGHTS, classes=CLASSES, **keys))
    seen = (data - np.reshape([100.0, 0, 50], (3, 1, 1))) / np.reshape([1, 2, 4], (3, 1, 1))
    np.testing.assert_array_equal(classify.result()[0], truth(seen))


def test_values_unlike_the_training_imagerys_are_warned_about(make_raster, make_model, classify):
    stats = [{"Mean": 5000, "StdDev": 100}] * 3
    classify(make_raster("a.tif", picture()), make_model(WEIGHTS, AllTilesStats=stats))
    assert "trained on values around 5000" in classify.said


# --- bad input ---------------------------------------------------------------------------------


def test_a_model_that_gives_no_numbers_is_an_error_and_leaves_nothing(make_raster, make_model, classify):
    with pytest.raises(ModelError, match="not a number"):
        classify(make_raster("a.tif", picture()), make_model(WEIGHTS, bias=[np.nan, 0, 0]))
    assert list(classify.out.parent.iterdir()) == []


def test_a_model_whose_classes_do_not_match_its_channels_is_refused(make_raster, make_model, classify):
    with pytest.raises(ModelError, match=r"gives 3 channels and model\.emd lists 5"):
        classify(make_raster("a.tif", picture()), make_model(WEIGHTS, classes=[1, 2, 3, 4, 5]))


def test_a_network_bound_to_another_tile_size_is_refused(make_raster, make_model, classify):
    with pytest.raises(ModelError, match=r"64 x 64 pixels and model\.emd states 32 x 32"):
        classify(make_raster("a.tif", picture()), make_model(WEIGHTS, shape=("n", None, 64, 64)))


def test_a_detection_model_is_refused(make_raster, make_model, classify):
    with pytest.raises(ModelDefinitionError, match="ObjectDetection"):
        classify(make_raster("a.tif", picture()), make_model(WEIGHTS, ModelType="ObjectDetection"))


def test_a_missing_model_file_is_named(make_raster, model, classify):
    """P3: a definition whose model file is missing is an error that names it."""
    Path(model).with_suffix(".onnx").unlink()
    with pytest.raises(ModelDefinitionError, match=r"model\.onnx"):
        classify(make_raster("a.tif", picture()), model)


def test_damaged_parts_become_no_data_and_are_listed(make_raster, model, classify):
    data = picture(256, 256)
    path = Path(make_raster("cut.tif", data, tiled=True, blockxsize=64, blockysize=64, compress="DEFLATE"))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    values = classify(str(path), model)
    assert 0 < values["VALID_PIXELS"] < 256 * 256
    found, _ = classify.result()
    whole = found != 255
    np.testing.assert_array_equal(found[whole], truth(data)[whole])
    assert "cut.tif is damaged" in classify.said


# --- outputs -----------------------------------------------------------------------------------


def test_an_existing_result_is_only_replaced_when_asked(make_raster, model, classify):
    path = make_raster("a.tif", picture())
    classify(path, model)
    before = classify.out.read_bytes()
    other = make_raster("b.tif", picture(seed=9))
    with pytest.raises(OutputError, match="already exists"):
        classify(other, model)
    assert classify.out.read_bytes() == before
    classify(other, model, OVERWRITE=True)
    assert classify.out.read_bytes() != before


@pytest.mark.parametrize("key", ["OUT_CLASSIFIED_RASTER", "OUT_CONFIDENCE_RASTER"])
def test_the_input_is_never_overwritten(make_raster, model, classify, key):
    path = make_raster("a.tif", picture())
    with pytest.raises(ParameterError, match="overwrite the input"):
        classify(path, model, **{key: path}, OVERWRITE=True)


def test_two_results_under_one_name_are_refused(make_raster, model, classify):
    with pytest.raises(ParameterError, match="same file"):
        classify(make_raster("a.tif", picture()), model, OUT_CONFIDENCE_RASTER=str(classify.out))


def test_only_geotiff_is_written(make_raster, model, classify):
    with pytest.raises(ParameterError, match=r"ends with \.tif"):
        classify(make_raster("a.tif", picture()), model, OUT_CLASSIFIED_RASTER="out.png")


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="permissions do not stop this user")
def test_a_folder_that_cannot_be_written_is_named(make_raster, model, classify):
    classify.out.parent.mkdir()
    classify.out.parent.chmod(0o500)
    with pytest.raises(OutputError, match="classified"):
        classify(make_raster("a.tif", picture()), model)


def test_cancelling_leaves_nothing_but_what_the_next_run_goes_on_with(make_raster, model, classify):
    job = make_job(
        "classifypixels",
        {
            "IN_RASTER": make_raster("a.tif", picture(300, 300)),
            "IN_MODEL_DEFINITION": model,
            "OUT_CLASSIFIED_RASTER": str(classify.out),
            "DEVICE": "CPU",
        },
    )
    polled = []
    with pytest.raises(CancelledError):
        run_job(job, Reporter(is_cancelled=lambda: polled.append(1) or len(polled) > 4))
    assert [path.name for path in classify.out.parent.iterdir()] == [".classified.unfinished"]
    run_job(job, Reporter())
    assert not list(classify.out.parent.glob(".*"))
    np.testing.assert_array_equal(classify.result()[0], truth(picture(300, 300)))
