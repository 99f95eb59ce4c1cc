"""The pipeline as a whole: every valid pixel once, and the same whatever the way there."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from imagerydl.errors import CancelledError
from imagerydl.events import Reporter
from imagerydl.imagery.source import open_source
from imagerydl.imagery.writing import RasterWriter
from imagerydl.inference import layout as layouts
from imagerydl.inference.classification import ClassOutput, classify
from imagerydl.inference.layout import whole_layout
from imagerydl.inference.prediction import Predictor
from imagerydl.models.runtimes.protocol import PixelModel, softmax

VALUES = np.array([3, 1, 200], dtype=np.uint8)
WEIGHTS = np.array([[2, -1], [-1, 3], [0, 1]], dtype=np.float32)


class PixelByPixel(PixelModel):
    """Logits from the pixel alone, in whole numbers: the same wherever the pixel stands."""

    device, description, tile_size, outputs = "CPU", "a test", None, 3

    def scores(self, batch, valid):
        first, second = batch[:, :1], batch[:, 1:]
        return first * WEIGHTS[:, 0].reshape(1, 3, 1, 1) + second * WEIGHTS[:, 1].reshape(1, 3, 1, 1)


def expected_classes(data, valid):
    scores = PixelByPixel().scores(data[np.newaxis].astype(np.float32), valid)[0]
    return np.where(valid, VALUES[scores.argmax(axis=0)], 255)


def run(path, out, tile, padding, batch=4, readers=1, model=None, reporter=None, confidence=None):
    with open_source(path) as source:
        layout = whole_layout(source.grid.width, source.grid.height, tile, padding)
        predictor = Predictor(model or PixelByPixel(), 3, lambda text: None)
        with RasterWriter(out, source.grid, np.uint8, nodata=255) as writer:
            output = ClassOutput(writer, VALUES, 255, confidence)
            tally = classify(
                source,
                layout,
                (0, 1),
                None,
                predictor,
                output,
                reporter or Reporter(),
                batch_size=batch,
                readers=readers,
            )
    with open_source(str(out)) as source:
        return tally, source.read(source.grid.window)[0][0]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_model_of_single_pixels_gives_the_whole_image_result(data, make_raster, tmp_path):
    """P1: every valid pixel gets a class, and pixels without data stay without."""
    draw = data.draw
    width, height = draw(st.integers(1, 90), "width"), draw(st.integers(1, 90), "height")
    tile = draw(st.tuples(st.integers(2, 48), st.integers(2, 48)), "tile")
    padding = draw(st.integers(0, (min(tile) - 1) // 2), "padding")
    batch, readers = draw(st.integers(1, 9), "batch"), draw(st.integers(1, 3), "readers")
    generator = np.random.default_rng(draw(st.integers(0, 5), "seed"))
    image = generator.integers(1, 9, (2, height, width)).astype(np.uint8)
    image[:, generator.random((height, width)) < draw(st.sampled_from([0, 0.2, 1]), "holes")] = 0
    valid = image.any(axis=0)

    path = make_raster("image.tif", image, nodata=0)
    tally, found = run(path, tmp_path / "out.tif", tile, padding, batch, readers)
    np.testing.assert_array_equal(found, expected_classes(image, valid))
    assert tally.valid_pixels == valid.sum()


@pytest.mark.parametrize(("height", "width"), [(1, 5000), (5000, 1), (1, 1), (600, 530)])
def test_long_tiny_and_many_block_rasters_are_complete(make_raster, tmp_path, height, width):
    image = np.random.default_rng(0).integers(1, 9, (2, height, width)).astype(np.uint8)
    _, found = run(make_raster("i.tif", image), tmp_path / "o.tif", (64, 64), 16)
    np.testing.assert_array_equal(found, expected_classes(image, True))


class Neighbourhood(PixelByPixel):
    """Looks around: its answer depends on where in a tile a pixel stands."""

    def scores(self, batch, valid):
        return super().scores(batch + np.roll(batch, (1, 2), axis=(2, 3)) + np.roll(batch, -3, axis=3), valid)


def test_batch_size_readers_and_column_blocks_change_no_byte(make_raster, tmp_path, monkeypatch):
    image = np.random.default_rng(0).integers(1, 9, (2, 300, 900)).astype(np.uint8)
    image[:, 40:80, 100:700] = 0
    path = make_raster("i.tif", image, nodata=0)

    def result(batch, readers):
        return run(path, tmp_path / "o.tif", (32, 32), 7, batch, readers, Neighbourhood())[1].tobytes()

    first = result(4, 1)
    assert result(1, 2) == first
    assert result(13, 3) == first
    monkeypatch.setattr(layouts, "STRIP_BYTES", 1)
    assert len(whole_layout(900, 300, (32, 32), 7).column_blocks(3)) > 1
    assert result(5, 2) == first


def test_confidence_is_that_of_the_winner_up_to_the_corners(make_raster, tmp_path):
    image = np.full((2, 70, 50), 2, np.uint8)
    image[:, 5, 5] = 0
    path = make_raster("i.tif", image, nodata=0)
    with open_source(path) as source:
        with RasterWriter(tmp_path / "c.tif", source.grid, np.float32, nodata=-1) as confidence:
            run(path, tmp_path / "o.tif", (32, 32), 8, confidence=confidence)
    with open_source(str(tmp_path / "c.tif")) as source:
        data, valid = source.read(source.grid.window)
    winner = softmax(np.array([2, 4, 2], np.float32).reshape(1, 3, 1, 1)).max()
    np.testing.assert_allclose(data[0][valid], winner, atol=2e-4)
    assert np.argwhere(~valid).tolist() == [[5, 5]]


def test_empty_tiles_are_skipped_and_counted(make_raster, tmp_path):
    image = np.zeros((2, 64, 64), np.uint8)
    image[:, :8, :8] = 1
    tally, found = run(make_raster("i.tif", image, nodata=0), tmp_path / "o.tif", (16, 16), 0)
    assert (tally.tiles, tally.skipped, tally.valid_pixels) == (16, 15, 64)
    assert (found != 255).sum() == 64


def test_cancelling_ends_the_run(make_raster, tmp_path):
    image = np.ones((2, 64, 64), np.uint8)
    calls = []

    def cancelled():
        calls.append(1)
        return len(calls) > 3

    with pytest.raises(CancelledError):
        run(
            make_raster("i.tif", image),
            tmp_path / "o.tif",
            (16, 16),
            4,
            1,
            2,
            None,
            Reporter(is_cancelled=cancelled),
        )
    assert len(calls) == 4


def test_a_fault_behind_the_model_ends_the_run(make_raster, tmp_path):
    class Broken(PixelByPixel):
        def scores(self, batch, valid):
            return super().scores(batch, valid).astype(object)  # no numbers: fails where they are blended

    with pytest.raises(TypeError):
        run(
            make_raster("i.tif", np.ones((2, 64, 64), np.uint8)),
            tmp_path / "o.tif",
            (16, 16),
            4,
            model=Broken(),
        )
