"""The pipeline as a whole: every valid pixel once, and the same whatever the way there."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import rasterio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from imagerydl.errors import CancelledError
from imagerydl.events import Reporter
from imagerydl.imagery.overviews import write_cloud_optimized
from imagerydl.imagery.source import open_source
from imagerydl.inference import layout as layouts
from imagerydl.inference.classification import CLASSES, View, classify
from imagerydl.inference.decision import CONFIDENCE, FORMS, Decider
from imagerydl.inference.layout import whole_layout
from imagerydl.inference.prediction import Predictor
from imagerydl.inference.spool import BAND_ROWS, RasterForm, Spool
from imagerydl.inference.tiles import TilePlan
from imagerydl.models.runtimes.protocol import ModelInput, PixelModel, softmax

VALUES = np.array([3, 1, 200], dtype=np.uint8)
WEIGHTS = np.array([[2, -1], [-1, 3], [0, 1]], dtype=np.float32)


class PixelByPixel(PixelModel):
    """Logits from the pixel alone, in whole numbers: the same wherever the pixel stands."""

    device, description, outputs = "CPU", "a test", 3

    def __init__(self, margin=0):
        self.margin = margin

    def scores(self, batch, valid):
        inner = slice(self.margin, -self.margin or None)
        first, second = batch[:, :1, inner, inner], batch[:, 1:, inner, inner]
        return first * WEIGHTS[:, 0].reshape(1, 3, 1, 1) + second * WEIGHTS[:, 1].reshape(1, 3, 1, 1)


class Neighbourhood(PixelByPixel):
    """Looks around: its answer depends on where in a tile a pixel stands."""

    def scores(self, batch, valid):
        around = np.roll(batch, (1, 2), axis=(2, 3)) + np.roll(batch, -3, axis=3)
        return super().scores(batch + around, valid)


def expected_classes(data, valid):
    scores = PixelByPixel().scores(data[np.newaxis].astype(np.float32), valid)[0]
    return np.where(valid, VALUES[scores.argmax(axis=0)], 255)


class Run:
    """Runs the pipeline over a raster file, into a folder of bands."""

    def __init__(self, path, folder, tile=(32, 32), padding=0, margin=0, crop=0, layers=(), policy="mean"):
        self.path, self.folder, self.layers, self.policy = path, folder, layers, policy
        self.tile, self.padding, self.margin, self.crop = tile, padding, margin, crop

    def __call__(self, batch=4, readers=1, model=None, reporter=None):
        model = model or PixelByPixel(self.margin)
        context = self.margin + self.crop
        counted = tuple(side - 2 * context for side in self.tile)
        decider = Decider(VALUES, 255, self.layers)
        forms = {CLASSES: RasterForm("uint8", 255, ("Class",))}
        for layer in self.layers:
            bands = decider.shape_of(layer, (1, 1))[0] if layer == "probabilities" else 1
            forms[layer] = RasterForm(FORMS[layer].dtype, FORMS[layer].nodata, ("",) * bands)
        with open_source(self.path) as source:
            layout = whole_layout(source.grid.width, source.grid.height, counted, self.padding)
            plan = TilePlan(layout, self.tile, context, self.crop, batch)
            spool = Spool(self.folder, source.grid, forms, {"run": "test"})
            predictor = Predictor(model, 3, lambda text: None, crop=self.crop)
            try:
                self.tally = classify(
                    View(source, (0, 1), ModelInput()),
                    plan,
                    predictor,
                    decider,
                    spool,
                    reporter or Reporter(),
                    readers=readers,
                    policy=self.policy,
                )
            finally:
                spool.close()
        self.spool = spool
        return self.raster()

    def raster(self, name=CLASSES):
        with rasterio.open(self.spool.mosaic(name)) as file:
            data = file.read()
        return data[0] if len(data) == 1 else data


@settings(
    max_examples=1000,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
def test_a_model_of_single_pixels_gives_the_whole_image_result(data, make_raster, tmp_path):
    """P1: every valid pixel gets a class, and pixels without data stay without."""
    draw = data.draw
    width, height = draw(st.integers(1, 90), "width"), draw(st.integers(1, 90), "height")
    tile = draw(st.tuples(st.integers(2, 48), st.integers(2, 48)), "tile")
    context = draw(st.integers(0, (min(tile) - 1) // 2), "context")
    margin = draw(st.integers(0, context), "margin")
    padding = draw(st.integers(0, (min(tile) - 2 * context - 1) // 2), "padding")
    batch, readers = draw(st.integers(1, 9), "batch"), draw(st.integers(1, 3), "readers")
    generator = np.random.default_rng(draw(st.integers(0, 5), "seed"))
    image = generator.integers(1, 9, (2, height, width)).astype(np.uint8)
    image[:, generator.random((height, width)) < draw(st.sampled_from([0, 0.2, 1]), "holes")] = 0
    valid = image.any(axis=0)

    path = make_raster("image.tif", image, nodata=0)
    shutil.rmtree(tmp_path / "spool", ignore_errors=True)
    run = Run(path, tmp_path / "spool", tile, padding, margin, context - margin)
    np.testing.assert_array_equal(run(batch, readers), expected_classes(image, valid))
    assert run.tally.valid_pixels == valid.sum()
    assert sum(run.tally.counts.values()) == valid.sum()


@pytest.mark.parametrize(("height", "width"), [(1, 5000), (5000, 1), (1, 1), (600, 530)])
def test_long_tiny_and_many_block_rasters_are_complete(make_raster, tmp_path, height, width):
    image = np.random.default_rng(0).integers(1, 9, (2, height, width)).astype(np.uint8)
    found = Run(make_raster("i.tif", image), tmp_path / "spool", (64, 64), 16)()
    np.testing.assert_array_equal(found, expected_classes(image, True))


def test_statistics_made_of_the_counts_are_those_of_all_pixels(make_raster, tmp_path):
    image = np.random.default_rng(0).integers(1, 9, (2, 300, 530)).astype(np.uint8)
    image[:, :40] = 0
    run = Run(make_raster("i.tif", image, nodata=0), tmp_path / "spool")
    run()
    found = []
    for counts in (None, run.tally.counts):
        write_cloud_optimized(run.spool.mosaic(CLASSES, counts), tmp_path / "cog.tif")
        with rasterio.open(tmp_path / "cog.tif") as file:
            found.append({key: float(value) for key, value in file.tags(1).items()})
    assert len(found[0]) == 5
    assert found[1] == pytest.approx(found[0], rel=1e-12)


@pytest.mark.parametrize("policy", ["mean", "max", "min"])
def test_batch_size_readers_and_column_blocks_change_no_byte(make_raster, tmp_path, monkeypatch, policy):
    image = np.random.default_rng(0).integers(1, 9, (2, 300, 900)).astype(np.uint8)
    image[:, 40:80, 100:700] = 0
    path = make_raster("i.tif", image, nodata=0)

    def result(name, batch, readers):
        run = Run(path, tmp_path / name, (32, 32), 7, layers=(CONFIDENCE,), policy=policy)
        return run(batch, readers, Neighbourhood()).tobytes() + run.raster(CONFIDENCE).tobytes()

    first = result("a", 4, 1)
    assert result("b", 1, 2) == first
    assert result("c", 13, 3) == first
    monkeypatch.setattr(layouts, "STRIP_BYTES", 1)
    assert len(whole_layout(900, 300, (32, 32), 7).column_blocks(3)) > 1
    assert result("d", 5, 2) == first


def test_confidence_is_that_of_the_winner_up_to_the_corners(make_raster, tmp_path):
    image = np.full((2, 70, 50), 2, np.uint8)
    image[:, 5, 5] = 0
    run = Run(make_raster("i.tif", image, nodata=0), tmp_path / "spool", (32, 32), 8, layers=(CONFIDENCE,))
    run()
    confidence = run.raster(CONFIDENCE)
    winner = softmax(np.array([2, 4, 2], np.float32).reshape(1, 3, 1, 1)).max()
    np.testing.assert_allclose(confidence[confidence >= 0], winner, atol=2e-4)
    assert np.argwhere(confidence == -1).tolist() == [[5, 5]]


def test_empty_tiles_are_skipped_and_counted(make_raster, tmp_path):
    image = np.zeros((2, 64, 64), np.uint8)
    image[:, :8, :8] = 1
    run = Run(make_raster("i.tif", image, nodata=0), tmp_path / "spool", (16, 16))
    found = run()
    assert (run.tally.tiles, run.tally.skipped, run.tally.valid_pixels) == (16, 15, 64)
    assert (found != 255).sum() == 64


class _StopAfter(Reporter):
    def __init__(self, tiles):
        super().__init__(is_cancelled=lambda: self.seen > tiles)
        self.seen = 0

    def progress(self, *arguments, **more):
        self.seen += 1


@pytest.mark.parametrize("blocks", [1, 4])
@pytest.mark.parametrize("padding", [0, 9])
def test_a_run_that_was_stopped_anywhere_goes_on_and_ends_with_the_same_bytes(
    make_raster, tmp_path, monkeypatch, blocks, padding
):
    if blocks > 1:
        monkeypatch.setattr(layouts, "STRIP_BYTES", 1)
    image = np.random.default_rng(1).integers(1, 9, (2, 3 * BAND_ROWS + 50, 1000)).astype(np.uint8)
    image[:, 300:500] = 0
    path = make_raster("i.tif", image, nodata=0)
    model = Neighbourhood()
    whole = Run(path, tmp_path / "whole", (40, 40), padding)
    expected = whole(7, 1, model)
    assert len({note.block for note in whole.spool.notes}) == blocks
    stops = 0
    broken = Run(path, tmp_path / "broken", (40, 40), padding)
    for batches in (3, 20, 35, 50, 60, 10_000):
        try:
            found = broken(7, 1, model, _StopAfter(batches))
            break
        except CancelledError:
            stops += 1
    assert stops >= 3
    np.testing.assert_array_equal(found, expected)
    assert vars(broken.tally) == vars(whole.tally)
    names = sorted(path.name for path in (tmp_path / "whole").glob("*.tif"))
    assert names == sorted(path.name for path in (tmp_path / "broken").glob("*.tif"))
    for name in names:
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "broken" / name).read_bytes()


def test_a_journal_cut_short_and_a_band_that_is_gone_are_done_again(make_raster, tmp_path):
    image = np.random.default_rng(1).integers(1, 9, (2, 4 * BAND_ROWS, 60)).astype(np.uint8)
    path = make_raster("i.tif", image)
    run = Run(path, tmp_path / "spool", (40, 40), 9)
    expected = run()
    journal = tmp_path / "spool" / "journal.jsonl"
    journal.write_bytes(journal.read_bytes()[:-20])
    (tmp_path / "spool" / "classes_0_512.tif").unlink()
    np.testing.assert_array_equal(run(), expected)
    assert run.spool.went_on
    header, *lines = journal.read_text().splitlines()
    assert json.loads(header) == {"run": "test"}
    assert [json.loads(line)["row"] for line in lines] == [0, 256, 512, 768]


def test_cancelling_ends_the_run(make_raster, tmp_path):
    image = np.ones((2, 64, 64), np.uint8)
    calls = []

    def cancelled():
        calls.append(1)
        return len(calls) > 3

    run = Run(make_raster("i.tif", image), tmp_path / "spool", (16, 16), 4)
    with pytest.raises(CancelledError):
        run(1, 2, reporter=Reporter(is_cancelled=cancelled))
    assert len(calls) == 4


def test_a_fault_behind_the_model_ends_the_run(make_raster, tmp_path):
    class Broken(PixelByPixel):
        def scores(self, batch, valid):
            return super().scores(batch, valid).astype(object)  # no numbers: fails where they are blended

    run = Run(make_raster("i.tif", np.ones((2, 64, 64), np.uint8)), tmp_path / "spool", (16, 16), 4)
    with pytest.raises(TypeError):
        run(model=Broken())
