"""Keras models: as their own framework computes them, or refused with the reason."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from imagerydl.errors import ModelError, ParameterError, RuntimeMissingError, TrustError
from imagerydl.models import trust
from imagerydl.models.runtimes.devices import Device
from imagerydl.models.runtimes.keras import KerasPixelModel, foreign_code, open_model
from imagerydl.models.runtimes.options import RunOptions
from imagerydl.models.runtimes.protocol import Gives

DATA = Path(__file__).parents[5] / "shared" / "data" / "models" / "keras_h5"

os.environ["KERAS_BACKEND"] = "torch"
pytest.importorskip("h5py", reason="h5py reads .h5 files: make test-frameworks")
keras = pytest.importorskip("keras", reason="Keras is an extra of the runtime: make test-frameworks")
layers = keras.layers


@pytest.fixture(autouse=True)
def own_trust(tmp_path, monkeypatch):
    monkeypatch.setenv(trust.FILE_VARIABLE, str(tmp_path / "trusted.json"))


@pytest.fixture
def save(tmp_path):
    """Save a model whose layers are given by a function from its input; returns the file."""

    def make(build, shape=(None, None, 3), batch=None, name="net.keras"):
        inputs = layers.Input(shape, batch_size=batch)
        keras.utils.set_random_seed(1)
        keras.Model(inputs, build(inputs)).save(tmp_path / name)
        return tmp_path / name

    return make


def picture(bands=3, size=(8, 8), count=2):
    return np.random.default_rng(3).random((count, bands, *size), dtype=np.float32)


def classify(channels=4, activation="softmax", **settings):
    return layers.Conv2D(channels, 1, activation=activation, **settings)


@pytest.mark.parametrize(
    ("file", "gives"),
    [
        ("unet_keras2_h5.h5", Gives.PROBABILITIES),
        ("unet_keras2_keras.keras", Gives.PROBABILITIES),
        ("unet_keras3_h5.h5", Gives.PROBABILITIES),
        ("unet_keras3_keras.keras", Gives.PROBABILITIES),
        ("operations_keras2.h5", Gives.PROBABILITIES),
        ("logits_keras2.h5", Gives.LOGITS),
        ("logits_keras3.h5", Gives.LOGITS),
    ],
)
def test_a_model_agrees_with_its_own_framework(references, reference, define, on_cpu, file, gives):
    """W8: Keras 2 and Keras 3, .h5 and .keras, to 1e-5 of what TensorFlow gives."""
    batch, expected = reference(Path(file).stem)
    model = open_model(define(references / file), on_cpu())
    scores = model.scores(batch, np.ones_like(batch[:, 0], bool))
    difference = np.abs(scores - expected.transpose(0, 3, 1, 2)).max()
    print(f"{file}: {difference:.1e} from its own framework")
    assert difference < 1e-5
    assert model.gives is gives
    assert model.tile_size is None
    assert model.outputs == expected.shape[3]


@pytest.mark.parametrize("era", [2, 3])
def test_a_single_sigmoid_becomes_background_and_object(references, reference, define, on_cpu, era):
    batch, expected = reference(f"binary_keras{era}")
    model = open_model(define(references / f"binary_keras{era}.h5", bands=4, size=(64, 96)), on_cpu())
    scores = model.scores(batch, np.ones_like(batch[:, 0], bool))
    np.testing.assert_allclose(scores[:, 1], expected[..., 0], atol=1e-5)
    np.testing.assert_allclose(scores[:, 0], 1 - expected[..., 0], atol=1e-5)
    assert (model.gives, model.outputs, model.tile_size) == (Gives.PROBABILITIES, 2, (64, 96))


@pytest.mark.parametrize("file", ["lambda_keras2.h5", "lambda_keras2.keras", "lambda_keras3.h5"])
def test_a_lambda_layer_runs_only_with_consent(references, reference, define, on_cpu, file):
    """Code in a model runs only after consent for these very files, which is remembered."""
    definition = define(references / file)
    code = foreign_code(definition)
    assert code.files == (references / file,)
    assert code.reason == "Python code in the layer lambda"
    with pytest.raises(TrustError, match="Python code in the layer lambda"):
        open_model(definition, on_cpu())
    batch, expected = reference(Path(file).stem)
    model = open_model(definition, on_cpu(consent=True))
    np.testing.assert_allclose(model.predict(batch), expected.transpose(0, 3, 1, 2), atol=1e-5)
    assert open_model(definition, on_cpu()).tile_size == (64, 64)  # remembered


def test_weights_without_an_architecture_are_refused(references, define, on_cpu):
    with pytest.raises(
        ModelError, match=r"weights of a Keras model without its architecture.*model\.save\(\)"
    ):
        open_model(define(references / "weights_only.h5"), on_cpu())


def test_a_lambda_is_told_and_refused_without_being_run(save, define, on_cpu, tmp_path):
    trace = tmp_path / "ran"
    leave_a_trace = eval(f"lambda x: (open({str(trace)!r}, 'w').close(), x)[1]")
    path = save(lambda x: classify()(layers.Lambda(leave_a_trace)(x)))
    trace.unlink()
    definition = define(path, classes=4)
    assert foreign_code(definition) is not None
    with pytest.raises(TrustError, match="TRUST_MODEL"):
        open_model(definition, on_cpu())
    assert not trace.exists()
    open_model(definition, on_cpu(consent=True)).predict(picture())
    assert trace.exists()


def test_a_model_without_code_asks_for_no_consent(save, define):
    assert foreign_code(define(save(classify()))) is None


def test_a_layer_whose_code_is_not_in_the_file_is_named(save, define, on_cpu):
    class AttentionGate(layers.Layer):
        def call(self, x):
            return x

    path = save(lambda x: classify()(AttentionGate()(x)))
    with pytest.raises(ModelError, match="the layer AttentionGate, which is neither part of Keras 3 nor in"):
        open_model(define(path), on_cpu(consent=True))


def test_a_network_without_padding_leaves_a_margin(save, define, on_cpu):
    path = save(lambda x: classify()(layers.Conv2D(4, 5, padding="valid")(x)))
    model = open_model(define(path, size=16), on_cpu())
    assert model.margin == 2
    assert model.predict(picture(size=(16, 16))).shape == (2, 4, 12, 12)


def test_a_network_of_a_fixed_batch_and_size_is_fed_full_batches(save, define, on_cpu):
    model = open_model(define(save(lambda x: classify()(x), (8, 6, 3), batch=2), size=32), on_cpu())
    assert model.tile_size == (8, 6)
    batch = picture(size=(8, 6), count=5)
    free = open_model(define(save(lambda x: classify()(x), (8, 6, 3), name="free.keras")), on_cpu())
    np.testing.assert_allclose(model.predict(batch), free.predict(batch), atol=1e-6)


def test_bands_first_models_are_fed_bands_first(save, define, on_cpu):
    path = save(classify(activation=None, data_format="channels_first"), (3, 8, 10))
    model = open_model(define(path), on_cpu())
    assert model.tile_size == (8, 10)
    assert model.scores(picture(size=(8, 10)), None).shape == (2, 4, 8, 10)


def test_raw_values_are_fed_unless_the_definition_says_otherwise(save, define, on_cpu):
    path = save(classify())
    assert open_model(define(path), on_cpu()).input.normalisation is None
    stated = {"Normalization": {"Subtract": [0, 0, 0], "Divide": [255, 255, 255]}}
    assert open_model(define(path, **stated), on_cpu()).input.normalisation.divide == (255, 255, 255)


@pytest.mark.parametrize("name", ["net.hdf5", "NET.H5"])
def test_the_extension_may_be_any_of_keras_own(save, define, on_cpu, tmp_path, name):
    shutil.copyfile(save(classify(), name="net.h5"), tmp_path / name)
    assert open_model(define(tmp_path / name), on_cpu()).outputs == 4


def test_hdf5_called_keras_as_older_versions_wrote_it_is_read(save, define, on_cpu, tmp_path):
    save(classify(), name="net.h5").rename(tmp_path / "old.keras")
    assert open_model(define(tmp_path / "old.keras"), on_cpu()).outputs == 4


@pytest.mark.parametrize(
    ("build", "problem"),
    [
        (
            lambda x: layers.Dense(7)(layers.GlobalAveragePooling2D()(x)),
            r"\[any, 7\].*does not classify pixels",
        ),
        (lambda x: classify()(layers.MaxPooling2D()(x)), "gives 16 x 16 pixels for a tile of 32 x 32"),
        (lambda x: [classify()(x), classify()(x)], "gives 2 outputs"),
        (classify(1), "softmax over a single channel"),
        (classify(1, "tanh"), "one channel from tanh"),
        (lambda x: classify()(layers.Conv2D(2, 64)(x)), "cannot run on tiles of 32 x 32|gives -?\\d+ x"),
        (lambda x: layers.Softmax(axis=1)(x), "softmax over other axes"),
    ],
    ids=["classifier", "downsampled", "two outputs", "softmax of one", "tanh of one", "too small", "axes"],
)
def test_what_does_not_classify_pixels_is_refused(save, define, on_cpu, build, problem):
    with pytest.raises(ModelError, match=problem):
        open_model(define(save(build), size=32), on_cpu())


def test_other_bands_than_the_definition_extracts_are_refused(save, define, on_cpu):
    with pytest.raises(ModelError, match=r"takes 4 bands.*extracts 3"):
        open_model(define(save(classify(), (None, None, 4))), on_cpu())


def test_two_inputs_are_refused(define, on_cpu, tmp_path):
    image, height = layers.Input((None, None, 3)), layers.Input((None, None, 1))
    joined = layers.Concatenate()([image, height])
    keras.Model([image, height], classify()(joined)).save(tmp_path / "net.keras")
    with pytest.raises(
        ModelError, match=r"takes \[any, any, any, 3\], \[any, any, any, 1\], not one picture"
    ):
        open_model(define(tmp_path / "net.keras"), on_cpu())


def test_a_tile_the_network_cannot_take_is_named(save, define, on_cpu):
    def build(x):
        return classify()(layers.Add()([x, layers.UpSampling2D()(layers.MaxPooling2D()(x))]))

    model = open_model(define(save(build), size=32), on_cpu())
    with pytest.raises(ModelError, match="cannot run on tiles of 9 x 9 pixels"):
        model.predict(picture(size=(9, 9)))


@pytest.mark.parametrize("name", ["net.h5", "net.keras"])
def test_a_truncated_file_is_named(save, define, on_cpu, name):
    path = save(classify(), name=name)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(ModelError, match=name):
        open_model(define(path), on_cpu())


def test_other_precisions_are_refused(save, define, on_cpu):
    with pytest.raises(ParameterError, match="PRECISION is INT8"):
        open_model(define(save(classify())), on_cpu(precision="INT8"))


def test_a_card_that_is_not_there_is_refused_when_named_and_passed_over_when_not(save, define):
    import torch

    if torch.cuda.is_available():
        pytest.skip("this PyTorch has CUDA")
    definition = define(save(classify()))
    with pytest.raises(RuntimeMissingError, match="CUDA:0"):
        open_model(definition, RunOptions(Device("cuda", 0)))
    assert open_model(definition, RunOptions(Device("cuda", 0, is_demanded=False))).device == "CPU"


def test_out_of_memory_comes_out_as_such(save, define, on_cpu, monkeypatch):
    def full(*arguments, **options):
        raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")

    model = open_model(define(save(classify())), on_cpu())
    monkeypatch.setattr(model, "_network", full)
    with pytest.raises(MemoryError):
        model.predict(picture())


def test_the_description_says_what_runs_where(save, define, on_cpu):
    text = KerasPixelModel(define(save(classify())), on_cpu()).description
    assert text.startswith(f"Keras {keras.__version__} with PyTorch ")
    assert "CPU" in text


@pytest.mark.skipif(not DATA.is_dir(), reason="needs ../shared/data/models")
def test_a_published_classifier_of_faces_is_refused_with_the_reason(define, on_cpu):
    """All Keras models among the samples run or are refused with the reason."""
    path = DATA / "tiny_XCEPTION_KDEF.hdf5"
    with pytest.raises(ModelError, match=r"gives \[any, 7\] for a tile.*Classify Objects"):
        open_model(define(path, bands=1), on_cpu())
