"""INT8: made from real tiles, measured, kept; and what AUTO takes."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("onnxruntime", reason="the runtime under test")

from imagerydl.errors import ModelError
from imagerydl.models.cache import FOLDER_VARIABLE
from imagerydl.models.definition import load_definition
from imagerydl.models.runtimes import open_pixel_model, precision, quantisation

TILES = [np.random.default_rng(seed).normal(size=(4, 3, 32, 32)).astype(np.float32) for seed in (0, 1)]
WHOLE = np.ones((4, 32, 32), bool)
WEIGHTS = np.random.default_rng(5).normal(size=(4, 3))


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "cache"))
    return tmp_path / "cache" / "quantised"


@pytest.fixture
def open_model(make_model, cache):
    def build(asked):
        return open_pixel_model(load_definition(make_model(WEIGHTS)), "CPU", 1, precision=asked)

    return build


def exact_classes(open_model):
    model = open_model("FLOAT32")
    assert not model.wants_calibration
    assert model.calibrate(TILES) == ""
    return np.stack([model.scores(tile, WHOLE).argmax(axis=1) for tile in TILES])


def test_int8_is_calibrated_measured_and_runs(open_model):
    model = open_model("INT8")
    assert model.wants_calibration
    said = model.calibrate(TILES)
    given = np.stack([model.scores(tile, WHOLE).argmax(axis=1) for tile in TILES])
    assert model.agreement == np.mean(given == exact_classes(open_model))
    assert 0.9 < model.agreement < 1
    assert f"{100 * model.agreement:.3f} %" in said
    assert "int8" in model.description
    assert not model.wants_calibration


def test_int8_without_calibration_is_refused(open_model):
    with pytest.raises(ModelError, match="has not been calibrated"):
        open_model("INT8").scores(TILES[0], WHOLE)


def test_int8_without_tiles_is_refused(open_model):
    with pytest.raises(ModelError, match="no tile to calibrate"):
        open_model("INT8").calibrate([])


def test_what_was_quantised_once_is_kept(open_model, cache, monkeypatch):
    first = open_model("INT8")
    said = first.calibrate(TILES)
    assert sorted(path.suffix for path in cache.iterdir()) == [".json", ".onnx"]

    def again(*arguments):
        raise AssertionError("quantised again")

    monkeypatch.setattr(quantisation, "_quantise", again)
    second = open_model("INT8")
    assert second.calibrate(TILES) == said
    np.testing.assert_array_equal(second.scores(TILES[0], WHOLE), first.scores(TILES[0], WHOLE))
    with pytest.raises(AssertionError, match="quantised again"):
        open_model("INT8").calibrate(TILES[:1])  # other tiles, other ranges


@pytest.mark.parametrize(
    ("faster", "alike", "is_taken"), [(2.0, 0.999, True), (2.0, 0.99, False), (1.0, 1.0, False)]
)
def test_auto_takes_int8_where_it_is_faster_and_alike(open_model, monkeypatch, faster, alike, is_taken):
    monkeypatch.setattr(quantisation, "speedup", lambda *arguments: faster)
    monkeypatch.setattr(quantisation, "agreement", lambda *arguments: alike)
    model = open_model("AUTO")
    said = model.calibrate(TILES)
    assert ("int8" in model.description) == is_taken
    assert ("stays in float32" in said) != is_taken
    assert (model.agreement == alike) == is_taken
    if not is_taken:
        given = np.stack([model.scores(tile, WHOLE).argmax(axis=1) for tile in TILES])
        np.testing.assert_array_equal(given, exact_classes(open_model))


def test_auto_runs_in_float32_until_it_is_calibrated(open_model):
    given = np.stack([open_model("AUTO").scores(tile, WHOLE).argmax(axis=1) for tile in TILES])
    np.testing.assert_array_equal(given, exact_classes(open_model))


def test_agreement_is_the_share_of_pixels_that_keep_their_class():
    scores = np.zeros((1, 2, 2, 2), np.float32)
    scores[0, 1, 0, 0] = 1
    assert precision.agreement(lambda batch: scores, np.zeros_like, [scores]) == 0.75
