"""ONNX models: what they take and give, and what is said where they do not."""

from pathlib import Path

import numpy as np
import pytest

from imagerydl.errors import ModelError
from imagerydl.models.runtimes.devices import Device
from imagerydl.models.runtimes.onnx import OnnxPixelModel
from imagerydl.models.runtimes.protocol import looks_like_out_of_memory

WEIGHTS = [[1, 0], [0, 1], [-1, -1]]
BATCH = np.random.default_rng(0).normal(size=(5, 2, 8, 6)).astype(np.float32)
LOGITS = np.einsum("cb,nbhw->nchw", np.array(WEIGHTS, np.float32), BATCH)


@pytest.fixture
def open_model(make_model):
    def build(weights=WEIGHTS, bands=None, **options):
        path = Path(make_model(weights, **options)).with_suffix(".onnx")
        return OnnxPixelModel(path, bands or len(weights[0]), Device("cpu"), threads=1)

    return build


def test_logits_become_probabilities(open_model):
    model = open_model()
    assert model.outputs == 3
    assert model.tile_size is None
    np.testing.assert_allclose(model.scores(BATCH), LOGITS, atol=1e-5)
    expected = np.exp(LOGITS) / np.exp(LOGITS).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(model.predict(BATCH), expected, atol=1e-5)


def test_a_single_channel_is_a_binary_network(open_model):
    model = open_model([[1, 0]])
    assert model.outputs == 2
    probability = 1 / (1 + np.exp(-BATCH[:, 0]))
    np.testing.assert_allclose(model.predict(BATCH)[:, 1], probability, atol=1e-5)
    np.testing.assert_allclose(model.predict(BATCH)[:, 0], 1 - probability, atol=1e-5)


def test_a_network_of_fixed_batch_and_size_is_fed_full_batches(open_model):
    model = open_model(shape=(2, None, 8, 6))
    assert model.tile_size == (8, 6)
    np.testing.assert_allclose(model.scores(BATCH), LOGITS, atol=1e-5)


def test_the_description_says_what_runs_where(open_model):
    assert "ONNX Runtime" in open_model().description
    assert "CPU (1 thread)" in open_model().description


def test_a_network_of_other_bands_than_its_definition_is_refused(open_model):
    with pytest.raises(ModelError, match=r"takes 2 bands.*extracts 4"):
        open_model(bands=4)


def test_a_tile_the_network_cannot_take_is_the_models_fault(open_model):
    with pytest.raises(ModelError, match="6 x 8 pixels"):
        open_model(shape=("n", None, 4, 4)).scores(BATCH)


def test_a_damaged_file_is_named(tmp_path):
    (tmp_path / "broken.onnx").write_bytes(b"not a model")
    with pytest.raises(ModelError, match=r"broken\.onnx cannot be loaded"):
        OnnxPixelModel(tmp_path / "broken.onnx", 3, Device("cpu"))


@pytest.mark.parametrize(
    ("text", "is_memory"),
    [
        ("CUDA out of memory. Tried to allocate 2.00 GiB", True),
        ("Failed to allocate memory for requested buffer of size 1073741824", True),
        ("bfc_arena.cc: std::bad_alloc", True),
        ("Got invalid dimensions for input", False),
    ],
)
def test_out_of_memory_is_told_by_its_words(text, is_memory):
    assert looks_like_out_of_memory(RuntimeError(text)) == is_memory


def test_out_of_memory_comes_out_as_such(open_model, monkeypatch):
    class Full:
        def run(self, *arguments):
            raise RuntimeError("Failed to allocate memory for requested buffer")

    model = open_model()
    monkeypatch.setattr(model, "_session", Full())
    with pytest.raises(MemoryError):
        model.scores(BATCH)
