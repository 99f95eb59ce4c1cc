"""Out of memory, output that is none, views."""

import numpy as np
import pytest

from imagerydl.errors import ModelError, OutOfMemoryError
from imagerydl.inference.prediction import Predictor
from imagerydl.models.runtimes.protocol import PixelModel, softmax


class Model(PixelModel):
    """Scores are the input's bands; holds ``room`` tiles at a time."""

    device, description, tile_size, outputs = "CPU", "a test", None, 2

    def __init__(self, room=1000):
        self.room, self.batches = room, []

    def scores(self, batch, valid):
        if len(batch) > self.room:
            raise MemoryError
        self.batches.append(len(batch))
        return batch * 1


BATCH = np.random.default_rng(0).random((16, 2, 4, 4), dtype=np.float32)
VALID = np.ones((16, 4, 4), dtype=bool)


def test_out_of_memory_halves_the_batch_says_so_and_goes_on():
    """P9: the message suggests the batch size that fits."""
    model, said = Model(room=5), []
    predictor = Predictor(model, 2, said.append)
    for _ in range(2):
        np.testing.assert_array_equal(np.concatenate(predictor.scores(BATCH, VALID)), BATCH)
    assert model.batches == [4] * 8
    assert len(said) == 2
    assert "batch_size 4" in said[1]


def test_a_model_that_is_quickest_with_a_few_tiles_is_given_a_few_at_a_time():
    class Few(Model):
        at_once = 3

    model = Few(room=2)
    pieces = Predictor(model, 2, lambda text: None).scores(BATCH, VALID)
    np.testing.assert_array_equal(np.concatenate(pieces), BATCH)
    assert model.batches == [1] * 16  # 3 do not fit: half of them
    model = Few()
    Predictor(model, 2, lambda text: None).scores(BATCH, VALID)
    assert model.batches == [3, 3, 3, 3, 3, 1]


def test_a_single_tile_that_does_not_fit_is_an_error():
    with pytest.raises(OutOfMemoryError, match="single tile of 4 x 4"):
        Predictor(Model(room=0), 2, lambda text: None).scores(BATCH, VALID)


def test_not_a_number_and_wrong_channels_are_the_models_fault():
    predictor = Predictor(Model(), 2, lambda text: None)
    scores = BATCH.copy()
    scores[3, 1, 2, 2] = np.nan
    with pytest.raises(ModelError, match="not a number"):
        predictor.probabilities(scores)
    with pytest.raises(ModelError, match=r"gives 1 channels.*lists 2"):
        predictor.scores(BATCH[:, :1], VALID)
    with pytest.raises(ModelError, match="pixel classifier gives"):
        Predictor(Shrinking(), 2, lambda text: None).scores(BATCH, VALID)


class Shrinking(Model):
    """Gives less than it was given, without saying so."""

    def scores(self, batch, valid):
        return batch[..., 1:-1, 1:-1]


@pytest.mark.parametrize("shape", [(3, 2, 8, 8), (3, 2, 8, 6)], ids=["square", "rectangle"])
def test_views_of_a_model_without_sense_of_direction_average_to_itself(shape):
    batch = np.random.default_rng(1).random(shape, dtype=np.float32)
    predictor = Predictor(Model(), 2, lambda text: None, average_views=True)
    (averaged,) = predictor.scores(batch, np.ones_like(batch[:, 0], dtype=bool))
    np.testing.assert_allclose(averaged, softmax(batch.copy()), atol=1e-6)


def test_views_even_out_a_sense_of_direction():
    class Leaning(Model):
        def scores(self, batch, valid):
            return batch + np.linspace(0, 1, batch.shape[3], dtype=np.float32) * [[[[1]], [[0]]]]

    flat = np.zeros((1, 2, 8, 8), np.float32)
    predictor = Predictor(Leaning(), 2, lambda text: None, average_views=True)
    (averaged,) = predictor.scores(flat, np.ones_like(flat[:, 0], dtype=bool))
    np.testing.assert_allclose(averaged, np.rot90(averaged, axes=(2, 3)), atol=1e-6)
    np.testing.assert_allclose(averaged, averaged[..., ::-1], atol=1e-6)


@pytest.mark.parametrize("views", [False, True])
def test_an_excluded_channel_leaves_the_others_apart_however_certain_it_was(views):
    class Certain(Model):
        outputs = 3

        def scores(self, batch, valid):
            return np.concatenate([batch * 0 + 500, batch], axis=1)[:, 1:]

    predictor = Predictor(Certain(), 3, lambda text: None, average_views=views, excluded={0})
    (scores,) = predictor.scores(BATCH, VALID)
    probabilities = predictor.probabilities(scores)
    np.testing.assert_allclose(probabilities, softmax(BATCH.copy()), atol=1e-6)
