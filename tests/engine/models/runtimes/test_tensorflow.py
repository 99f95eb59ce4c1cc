"""TensorFlow graphs: as TensorFlow computes them, or refused with the reason."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from imagerydl.errors import ModelDefinitionError, ModelError, ParameterError, RuntimeMissingError
from imagerydl.models.runtimes.devices import Device
from imagerydl.models.runtimes.options import RunOptions
from imagerydl.models.runtimes.protocol import Gives
from imagerydl.models.runtimes.tensorflow import foreign_code, open_model

DATA = Path(__file__).parents[5] / "shared" / "data" / "models" / "tf_frozen_pb"
ENDS = {"input": "image", "output": "scores"}


@pytest.fixture
def graph_file(tmp_path):
    """A file that is called like a graph; nothing may read it."""
    (tmp_path / "frozen_inference_graph.pb").touch()
    return tmp_path / "frozen_inference_graph.pb"


def all_valid(batch):
    return np.ones((len(batch), *batch.shape[2:]), bool)


@pytest.mark.parametrize(
    ("name", "file", "gives", "tile"),
    [
        ("frozen", "frozen.pb", Gives.PROBABILITIES, (64, 64)),
        ("frozen_batch_of_two", "frozen_batch_of_two.pb", Gives.PROBABILITIES, (64, 64)),
        ("frozen_logits", "frozen_logits.pb", Gives.LOGITS, None),
        ("saved", "saved", Gives.PROBABILITIES, (64, 64)),
    ],
)
def test_a_graph_agrees_with_tensorflow(
    openvino, references, reference, define, on_cpu, name, file, gives, tile
):
    """W8: frozen graphs and SavedModels, to 1e-5 of what TensorFlow gives."""
    batch, expected = reference(name)
    model = open_model(define(references / file, size=batch.shape[2:]), on_cpu())
    scores = model.scores(batch, all_valid(batch))
    difference = np.abs(scores - expected.transpose(0, 3, 1, 2)).max()
    print(f"{file}: {difference:.1e} from TensorFlow")
    assert difference < 1e-5
    assert (model.gives, model.tile_size, model.outputs) == (gives, tile, expected.shape[3])


def test_a_saved_model_of_any_size_with_one_sigmoid_is_binary(
    openvino, references, reference, define, on_cpu
):
    batch, expected = reference("saved_free")
    model = open_model(define(references / "saved_free", size=(48, 80)), on_cpu())
    scores = model.scores(batch, all_valid(batch))
    np.testing.assert_allclose(scores[:, 1], expected[..., 0], atol=1e-5)
    np.testing.assert_allclose(scores[:, 0], 1 - expected[..., 0], atol=1e-5)
    assert (model.gives, model.tile_size, model.outputs) == (Gives.PROBABILITIES, None, 2)


def test_a_saved_model_may_be_named_by_its_folder_too(openvino, references, define, on_cpu):
    by_file = define(references / "saved")
    by_folder = replace(by_file, model_file=references / "saved")
    assert by_file.model_file.name == "saved_model.pb"
    assert open_model(by_folder, on_cpu()).outputs == open_model(by_file, on_cpu()).outputs == 6


def test_a_deeplab_graph_gives_the_classes_that_tensorflow_gives(
    openvino, references, reference, define, on_cpu
):
    """W23: the DeepLab configuration: ImageTensor in, SemanticPredictions out."""
    batch, expected = reference("deeplab")
    definition = define(references / "deeplab.pb", size=(64, 80), ModelConfiguration="DeepLab")
    model = open_model(definition, on_cpu())
    batch = np.concatenate([batch, batch])
    scores = model.scores(batch, all_valid(batch))
    assert scores.shape == (2, 6, 64, 80)
    assert set(np.unique(scores)) == {0, 1}
    assert (scores.sum(axis=1) == 1).all()
    assert len(np.unique(expected)) > 2
    np.testing.assert_array_equal(scores.argmax(axis=1), np.concatenate([expected, expected]))
    assert (model.gives, model.class_values) == (Gives.PROBABILITIES, (0, 1, 2, 3, 4, 5))


def test_class_values_are_found_by_value_with_background_where_it_is_not_listed(
    openvino, references, reference, define, on_cpu
):
    batch, expected = reference("deeplab")
    listed = [{"Value": value, "Name": str(value)} for value in (5, 4, 3, 2, 1)]
    definition = define(references / "deeplab.pb", size=(64, 80), Classes=listed)
    model = open_model(definition, on_cpu())
    assert model.class_values == (0, 5, 4, 3, 2, 1)
    winners = model.scores(batch, all_valid(batch)).argmax(axis=1)
    np.testing.assert_array_equal(np.array(model.class_values)[winners], expected)


def test_a_class_the_definition_does_not_list_is_named(openvino, references, reference, define, on_cpu):
    batch, _ = reference("deeplab")
    definition = define(references / "deeplab.pb", size=(64, 80), classes=1)
    model = open_model(definition, on_cpu())
    with pytest.raises(ModelError, match=r"gives the class [1-5], which its definition does not list"):
        model.scores(batch, all_valid(batch))


def test_values_that_do_not_fit_eight_bits_are_refused(openvino, references, define, on_cpu):
    model = open_model(define(references / "deeplab.pb", size=(64, 80)), on_cpu())
    batch = np.full((1, 3, 64, 80), 3000, np.float32)
    with pytest.raises(ModelError, match="takes 0 to 255, and a tile holds 3000 to 3000"):
        model.scores(batch, all_valid(batch))


def test_a_graph_of_whole_numbers_takes_no_normalised_input(openvino, references, define, on_cpu):
    stated = {"Normalization": {"Subtract": [0, 0, 0], "Divide": [255, 255, 255]}}
    with pytest.raises(ModelDefinitionError, match=r"normalises the input of deeplab\.pb"):
        open_model(define(references / "deeplab.pb", size=(64, 80), **stated), on_cpu())
    model = open_model(define(references / "frozen.pb", **stated), on_cpu())
    assert model.input.normalisation.divide == (255, 255, 255)


def test_which_of_several_ends_count_is_asked_for_and_then_respected(
    openvino, references, reference, define, on_cpu
):
    with pytest.raises(ModelDefinitionError, match=r'2 inputs: image, height.*"ModelParameters"'):
        open_model(define(references / "two_ends.pb", size=16), on_cpu())
    with pytest.raises(ModelDefinitionError, match="3 outputs: doubled, higher, scores"):
        open_model(define(references / "two_ends.pb", size=16, ModelParameters={"input": "image"}), on_cpu())
    elsewhere = define(references / "two_ends.pb", size=16, ModelParameters={**ENDS, "output": "logits"})
    with pytest.raises(ModelDefinitionError, match="no output logits: doubled, higher, scores"):
        open_model(elsewhere, on_cpu())
    batch, expected = reference("two_ends")
    model = open_model(define(references / "two_ends.pb", size=16, ModelParameters=ENDS), on_cpu())
    scores = model.scores(batch, all_valid(batch))
    np.testing.assert_allclose(scores, expected.transpose(0, 3, 1, 2), atol=1e-5)


def test_an_output_that_hangs_on_another_input_is_refused(openvino, references, define, on_cpu):
    named = {"input": "image", "output": "higher"}
    with pytest.raises(ModelError, match=r"higher of two_ends\.pb needs more than the input image"):
        open_model(define(references / "two_ends.pb", size=16, ModelParameters=named), on_cpu())


def test_a_detector_is_known_by_its_outputs(openvino, references, define, on_cpu):
    """W23: ObjectDetectionAPI is recognised."""
    with pytest.raises(ModelDefinitionError, match=r"detector\.pb finds objects.*Detect Objects"):
        open_model(define(references / "detector.pb"), on_cpu())


def test_other_bands_than_the_definition_extracts_are_refused(openvino, references, define, on_cpu):
    with pytest.raises(ModelError, match=r"takes 3 bands.*extracts 4"):
        open_model(define(references / "frozen.pb", bands=4), on_cpu())


def test_a_tile_the_graph_cannot_take_is_named(openvino, references, define, on_cpu):
    model = open_model(define(references / "deeplab.pb", size=(64, 80)), on_cpu())
    batch = np.zeros((1, 3, 100, 100), np.float32)  # its export script bound it to 96 pixels
    with pytest.raises(
        ModelError, match=r"deeplab\.pb gives \[1, 96, 96\] for a batch of \[1, 3, 100, 100\]"
    ):
        model.scores(batch, all_valid(batch))


def test_precision_is_float32_unless_asked_for(openvino, references, define, on_cpu):
    definition = define(references / "frozen.pb")
    assert "CPU (1 thread, f32)" in open_model(definition, on_cpu()).description
    with pytest.raises(ParameterError, match="PRECISION is INT8"):
        open_model(definition, on_cpu(precision="INT8"))


def test_a_damaged_graph_is_named(openvino, references, define, on_cpu, tmp_path):
    shutil.copyfile(references / "frozen.pb", tmp_path / "half.pb")
    content = (tmp_path / "half.pb").read_bytes()
    (tmp_path / "half.pb").write_bytes(content[: len(content) // 2])
    with pytest.raises(ModelError, match=r"half\.pb"):
        open_model(define(tmp_path / "half.pb"), on_cpu())


def test_an_empty_file_and_a_folder_of_something_else_are_named(openvino, define, on_cpu, graph_file):
    with pytest.raises(ModelError, match=r"frozen_inference_graph\.pb"):
        open_model(define(graph_file), on_cpu())
    definition = replace(define(graph_file), model_file=graph_file.parent)
    with pytest.raises(ModelError, match=graph_file.parent.name):
        open_model(definition, on_cpu())


@pytest.mark.skipif(not DATA.is_dir(), reason="needs ../shared/data/models")
def test_a_published_detector_of_faces_is_refused_with_the_reason(openvino, define, on_cpu):
    """All TensorFlow models among the samples run or are refused with the reason."""
    with pytest.raises(ModelError, match=r"operations that OpenVINO does not run: .*Dequantize"):
        open_model(define(DATA / "opencv_face_detector_uint8.pb"), on_cpu())


@pytest.mark.parametrize(
    "keys",
    [
        {"ModelConfiguration": "ObjectDetectionAPI"},
        {"ModelConfiguration": {"Name": "MaskRCNN"}},
        {"ModelType": "ObjectDetection"},
        {"ModelType": "ObjectionDetection"},
    ],
)
def test_models_of_other_tools_are_refused_before_they_are_read(define, on_cpu, graph_file, keys):
    """W23: predefined configurations are recognised."""
    with pytest.raises(ModelDefinitionError, match="Detect Objects"):
        open_model(define(graph_file, **keys), on_cpu())


def test_a_card_is_refused_when_named(define, graph_file):
    with pytest.raises(RuntimeMissingError, match="CUDA:1, but TensorFlow graphs run on the CPU"):
        open_model(define(graph_file), RunOptions(Device("cuda", 1)))


def test_graphs_hold_no_foreign_code(define, graph_file):
    assert foreign_code(define(graph_file)) is None
