"""ONNX models: what they take and give, and what is said where they do not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from imagerydl.errors import ModelError, ParameterError
from imagerydl.models.definition import load_definition, parse_definition
from imagerydl.models.onnx_file import OnnxFile
from imagerydl.models.onnx_metadata import definition_from_onnx
from imagerydl.models.runtimes.devices import Device
from imagerydl.models.runtimes.onnx import OnnxPixelModel
from imagerydl.models.runtimes.onnx_session import is_narrow
from imagerydl.models.runtimes.options import RunOptions
from imagerydl.models.runtimes.protocol import Gives, looks_like_out_of_memory

WEIGHTS = [[1, 0], [0, 1], [-1, -1]]
BATCH = np.random.default_rng(0).normal(size=(5, 2, 8, 6)).astype(np.float32)
VALID = np.ones((5, 8, 6), bool)
LOGITS = np.einsum("cb,nbhw->nchw", np.array(WEIGHTS, np.float32), BATCH)
CPU = RunOptions(Device("cpu"), threads=1)

DEEPNESS = Path(__file__).parents[5] / "shared" / "data" / "models" / "deepness_onnx"


@pytest.fixture
def open_model(make_model):
    """Open a model of ``make_model``: one 1 x 1 convolution."""

    def build(weights=WEIGHTS, precision="FLOAT32", **options):
        definition = load_definition(make_model(weights, tile=(8, 6), **options))
        return OnnxPixelModel(definition, RunOptions(Device("cpu"), 1, precision))

    return build


@pytest.fixture
def open_graph(tmp_path):
    """Open a network of some nodes; ``classes`` are the class values of the definition."""
    onnx = pytest.importorskip("onnx", reason="the onnx package writes the test's model")

    def build(
        nodes,
        in_shape=("n", 2, "h", "w"),
        outputs=(("y", ("n", "c", "oh", "ow")),),
        classes=(0, 1, 2),
        bands=2,
        element="FLOAT",
        weights=(),
        tile=(8, 6),
        threads=1,
        **keys,
    ):
        kinds = onnx.TensorProto
        graph = onnx.helper.make_graph(
            [
                onnx.helper.make_node(kind, sources.split(), results.split(), **more)
                for kind, sources, results, more in nodes
            ],
            "network",
            [onnx.helper.make_tensor_value_info("x", getattr(kinds, element), in_shape)],
            [
                onnx.helper.make_tensor_value_info(name, kind[0] if kind else kinds.FLOAT, shape)
                for name, shape, *kind in outputs
            ],
            [onnx.numpy_helper.from_array(np.asarray(value), name) for name, value in dict(weights).items()],
        )
        opset = [onnx.helper.make_opsetid("", 17)]
        onnx.save(onnx.helper.make_model(graph, opset_imports=opset, ir_version=8), tmp_path / "net.onnx")
        raw = {
            "Framework": "ONNX",
            "ModelType": "ImageClassification",
            "ModelFile": "net.onnx",
            "ImageHeight": tile[0],
            "ImageWidth": tile[1],
            "ExtractBands": list(range(bands)),
            "Classes": [{"Value": value, "Name": f"class {value}"} for value in classes],
            **keys,
        }
        return OnnxPixelModel(parse_definition(raw, tmp_path), RunOptions(Device("cpu"), threads))

    return build


def softmax(logits):
    exponents = np.exp(logits - logits.max(axis=1, keepdims=True))
    return exponents / exponents.sum(axis=1, keepdims=True)


def sigmoid(logits):
    return 1 / (1 + np.exp(-logits))


CONV = {"w": np.array(WEIGHTS, np.float32)[:, :, None, None]}
ONE = {"w": np.array([[1, 0.5]], np.float32)[:, :, None, None]}
SCORE = BATCH[:, :1] + 0.5 * BATCH[:, 1:]


def test_logits_become_probabilities(open_model):
    model = open_model()
    assert model.outputs == 3
    assert model.gives is Gives.LOGITS
    assert model.tile_size is None
    np.testing.assert_allclose(model.scores(BATCH, VALID), LOGITS, atol=1e-5)
    np.testing.assert_allclose(model.predict(BATCH), softmax(LOGITS), atol=1e-5)


def test_scores_are_the_callers_to_change(open_model):
    model = open_model()
    first = model.scores(BATCH, VALID)
    first[:] = 7
    np.testing.assert_allclose(model.scores(BATCH, VALID), LOGITS, atol=1e-5)


@pytest.mark.parametrize(
    ("threads", "batch", "expected"), [(1, "n", 1), (2, 1, 1), (8, "n", 4), (8, 2, None)]
)
def test_a_processor_is_given_few_tiles_at_a_time_unless_the_network_is_bound_to_more(
    open_graph, threads, batch, expected
):
    nodes = [("Conv", "x w", "y", {})]
    model = open_graph(nodes, (batch, 2, "h", "w"), weights=CONV, threads=threads)
    assert model.at_once == expected


@pytest.mark.parametrize(
    ("convolutions", "narrow"),
    [
        ([(6, 3, 1, 1)], True),
        ([(15, 14, 3, 3), (6, 15, 1, 1)], True),
        ([(16, 3, 1, 1), (6, 16, 1, 1)], False),  # as many channels as a block holds
        ([(8, 15, 3, 3)], False),  # 135 products: more than are added up in one go
        ([(6, 3, 1, 1), ()], False),  # weights that the graph computes
        ([], False),
    ],
)
def test_a_network_of_few_channels_is_narrow(convolutions, narrow):
    assert is_narrow(OnnxFile(convolutions=tuple(convolutions))) is narrow


def test_a_narrow_network_gives_the_same_bits_in_any_batch_and_with_any_threads(open_graph):
    random = np.random.default_rng(3)
    weights = {
        "first": random.normal(size=(14, 2, 3, 3)).astype(np.float32),
        "second": random.normal(size=(14, 14, 3, 3)).astype(np.float32),
        "last": random.normal(size=(3, 14, 1, 1)).astype(np.float32),
    }
    nodes = [
        ("Conv", "x first", "a", {"pads": [1] * 4}),
        ("Relu", "a", "b", {}),
        ("Conv", "b second", "c", {"pads": [1] * 4}),
        ("Conv", "c last", "y", {}),
    ]
    batch = random.normal(size=(6, 2, 48, 40)).astype(np.float32)
    valid = np.ones((6, 48, 40), bool)
    found = []
    for threads in (1, 2, 3):
        model = open_graph(nodes, weights=weights, tile=(48, 40), threads=threads)
        for size in (1, 2, 4, 6):
            pieces = [model.scores(batch[i : i + size], valid[i : i + size]) for i in range(0, 6, size)]
            found.append(np.concatenate(pieces))
    for other in found[1:]:
        np.testing.assert_array_equal(other, found[0])


def test_a_single_channel_is_a_binary_network(open_model):
    model = open_model([[1, 0]])
    assert model.outputs == 2
    np.testing.assert_allclose(model.predict(BATCH)[:, 1], sigmoid(BATCH[:, 0]), atol=1e-5)
    np.testing.assert_allclose(model.predict(BATCH)[:, 0], 1 - sigmoid(BATCH[:, 0]), atol=1e-5)


def test_a_network_of_fixed_batch_and_size_is_fed_full_batches(open_model):
    model = open_model(shape=(2, None, 8, 6))
    assert model.tile_size == (8, 6)
    np.testing.assert_allclose(model.scores(BATCH, VALID), LOGITS, atol=1e-5)


@pytest.mark.parametrize(("batch", "height"), [(1, 8), (4, "h"), ("n", 8)])
def test_batch_height_and_width_are_free_or_fixed_one_by_one(open_model, batch, height):
    model = open_model(shape=(batch, None, height, "w"))
    assert model.tile_size == ((8, 6) if height == 8 else None)
    np.testing.assert_allclose(model.scores(BATCH, VALID), LOGITS, atol=1e-5)


def test_a_graph_that_ends_in_softmax_gives_probabilities(open_graph):
    nodes = [("Conv", "x w", "a", {}), ("Softmax", "a", "b", {"axis": 1}), ("Identity", "b", "y", {})]
    model = open_graph(nodes, weights=CONV)
    assert model.gives is Gives.PROBABILITIES
    np.testing.assert_allclose(model.predict(BATCH), softmax(LOGITS), atol=1e-6)


def test_a_softmax_in_other_words_is_told_by_its_sums(open_graph):
    nodes = [
        ("Conv", "x w", "a", {}),
        ("Exp", "a", "b", {}),
        ("ReduceSum", "b axis", "c", {}),
        ("Div", "b c", "y", {}),
    ]
    normalised = {"Subtract": [0, 0], "Divide": [255, 255]}
    model = open_graph(nodes, weights={**CONV, "axis": np.array([1], np.int64)}, Normalization=normalised)
    assert model.gives is Gives.PROBABILITIES
    np.testing.assert_allclose(model.predict(BATCH), softmax(LOGITS), atol=1e-6)


@pytest.mark.parametrize("with_axis", [True, False])
def test_one_sigmoid_channel_is_the_probability_of_the_class(open_graph, with_axis):
    nodes = [("Conv", "x w", "a", {}), ("Sigmoid", "a", "b", {})]
    nodes.append(("Identity", "b", "y", {}) if with_axis else ("Squeeze", "b axis", "y", {}))
    weights = {**ONE, "axis": np.array([1], np.int64)}
    shape = ("n", 1, "h", "w") if with_axis else ("n", "h", "w")
    model = open_graph(nodes, weights=weights, outputs=(("y", shape),), classes=(1,))
    assert (model.outputs, model.gives) == (2, Gives.PROBABILITIES)
    expected = np.concatenate([1 - sigmoid(SCORE), sigmoid(SCORE)], axis=1)
    np.testing.assert_allclose(model.scores(BATCH, VALID), expected, atol=1e-6)


def test_several_single_channels_are_classes_beside_a_background(open_graph):
    nodes = [("Conv", "x w", "a", {}), ("Sigmoid", "a", "y", {}), ("Neg", "a", "b", {})]
    nodes.append(("Sigmoid", "b", "z", {}))
    shape = ("n", 1, "h", "w")
    model = open_graph(nodes, weights=ONE, outputs=(("y", shape), ("z", shape)), classes=(1, 2))
    first, second = sigmoid(SCORE), sigmoid(-SCORE)
    expected = np.concatenate([1 - np.maximum(first, second), first, second], axis=1)
    assert model.outputs == 3
    np.testing.assert_allclose(model.scores(BATCH, VALID), expected, atol=1e-6)


def test_of_several_outputs_the_one_with_the_classes_counts(open_graph):
    nodes = [("Conv", "x w", "y", {}), ("ReduceMean", "y", "aux", {"axes": [1]})]
    shape = ("n", "c", "h", "w")
    model = open_graph(nodes, weights=CONV, outputs=(("aux", shape), ("y", shape)))
    np.testing.assert_allclose(model.scores(BATCH, VALID), LOGITS, atol=1e-5)


def test_bands_may_come_last(open_graph):
    nodes = [
        ("Transpose", "x", "a", {"perm": [0, 3, 1, 2]}),
        ("Conv", "a w", "b", {}),
        ("Transpose", "b", "y", {"perm": [0, 2, 3, 1]}),
    ]
    model = open_graph(nodes, ("n", "h", "w", 2), weights=CONV, outputs=(("y", ("n", "h", "w", 3)),))
    np.testing.assert_allclose(model.scores(BATCH, VALID), LOGITS, atol=1e-5)


def test_where_sizes_leave_the_layout_open_the_definition_settles_it(open_graph):
    """A picture of 2 x 2 pixels and 3 bands could be either."""
    nodes = [("MatMul", "x w", "y", {})]
    weights = {"w": np.eye(4, dtype=np.float32)}
    model = open_graph(
        nodes,
        ("n", 4, 4, 4),
        outputs=(("y", ("n", 4, 4, 4)),),
        bands=4,
        weights=weights,
        tile=(4, 4),
        classes=(0, 1, 2, 3),
    )
    batch = np.random.default_rng(1).normal(size=(2, 4, 4, 4)).astype(np.float32)
    np.testing.assert_allclose(model.scores(batch, VALID), batch, atol=1e-6)


def test_class_numbers_become_certain_probabilities(open_graph):
    import onnx

    nodes = [("Conv", "x w", "a", {}), ("ArgMax", "a", "y", {"axis": 1, "keepdims": 0})]
    outputs = (("y", ("n", "h", "w"), onnx.TensorProto.INT64),)
    model = open_graph(nodes, weights=CONV, outputs=outputs, classes=(4, 5, 9))
    scores = model.scores(BATCH, VALID)
    assert (model.outputs, model.gives) == (3, Gives.PROBABILITIES)
    np.testing.assert_array_equal(scores.argmax(axis=1), LOGITS.argmax(axis=1))
    np.testing.assert_array_equal(scores.sum(axis=1), np.ones_like(scores[:, 0]))


def test_class_numbers_beyond_the_classes_are_the_definitions_fault(open_graph):
    import onnx

    nodes = [("Conv", "x w", "a", {}), ("ArgMax", "a", "y", {"axis": 1, "keepdims": 1})]
    outputs = (("y", ("n", 1, "h", "w"), onnx.TensorProto.INT64),)
    model = open_graph(nodes, weights=CONV, outputs=outputs, classes=(1, 2))
    with pytest.raises(ModelError, match=r"from 0 to 2.*lists 2 classes"):
        model.scores(BATCH, VALID)


def test_a_network_without_padding_gives_the_middle_of_a_tile(open_graph):
    kernel = np.zeros((3, 2, 3, 3), np.float32)
    kernel[:, :, 1, 1] = WEIGHTS
    model = open_graph([("Conv", "x w", "y", {})], weights={"w": kernel})
    assert model.margin == 1
    np.testing.assert_allclose(model.scores(BATCH, VALID), LOGITS[:, :, 1:-1, 1:-1], atol=1e-5)


def test_a_coarse_result_is_enlarged_as_pytorch_does(open_graph):
    torch = pytest.importorskip("torch", reason="PyTorch is what is agreed with")
    nodes = [("AveragePool", "x", "a", {"kernel_shape": [2, 2], "strides": [2, 2]})]
    nodes.append(("Conv", "a w", "y", {}))
    model = open_graph(nodes, weights=CONV)
    coarse = torch.from_numpy(LOGITS.reshape(5, 3, 4, 2, 3, 2).mean(axis=(3, 5)))
    expected = torch.nn.functional.interpolate(coarse, scale_factor=2, mode="bilinear")
    assert model.margin == 0
    np.testing.assert_allclose(model.scores(BATCH, VALID), expected.numpy(), atol=1e-5)


def test_half_precision_networks_are_fed_and_read_as_such(open_graph):
    import onnx

    half = onnx.TensorProto.FLOAT16
    weights = {"w": CONV["w"].astype(np.float16)}
    model = open_graph(
        [("Conv", "x w", "y", {})],
        weights=weights,
        element="FLOAT16",
        outputs=(("y", ("n", 3, "h", "w"), half),),
    )
    scores = model.scores(BATCH, VALID)
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores, LOGITS, atol=2e-2)


def test_networks_that_take_bytes_get_raw_values(open_graph):
    nodes = [("Cast", "x", "a", {"to": 1}), ("Conv", "a w", "y", {})]
    model = open_graph(
        nodes, weights=CONV, element="UINT8", Normalization={"Subtract": [5, 5], "Divide": [9, 9]}
    )
    assert model.input.normalisation is None
    raw = np.random.default_rng(2).integers(0, 256, BATCH.shape).astype(np.float32)
    expected = np.einsum("cb,nbhw->nchw", np.array(WEIGHTS, np.float32), raw)
    np.testing.assert_allclose(model.scores(raw, VALID), expected, atol=1e-3)


def test_the_description_says_what_runs_where(open_model):
    assert "ONNX Runtime" in open_model().description
    assert "CPU (1 thread)" in open_model().description


def test_a_network_of_other_bands_than_its_definition_is_refused(open_model):
    with pytest.raises(ModelError, match=r"takes 2 bands.*extracts 4"):
        open_model(ExtractBands=[0, 1, 2, 3])


def test_a_tile_the_network_cannot_take_is_the_models_fault(open_model):
    with pytest.raises(ModelError, match="6 x 8 pixels"):
        open_model(shape=("n", None, 4, 4)).scores(BATCH, VALID)


def test_another_shape_than_the_tile_of_noise_gave_is_the_models_fault(open_graph):
    """P14: a network that gives the wrong shape is named."""
    weights = {**CONV, "size": np.array([0, 3, 8, 6], np.int64)}
    model = open_graph([("Conv", "x w", "a", {}), ("Reshape", "a size", "y", {})], weights=weights)
    with pytest.raises(ModelError, match=r"net\.onnx"):
        model.scores(np.zeros((2, 2, 16, 12), np.float32), VALID)


@pytest.mark.parametrize(
    ("nodes", "outputs", "match"),
    [
        ([("GlobalAveragePool", "x", "a", {}), ("Flatten", "a", "y", {})], ("n", "c"), "Classify Objects"),
        ([("Reshape", "x size", "y", {})], ("n", "boxes", 4), "Detect Objects"),
    ],
)
def test_a_network_for_something_else_is_sent_to_its_tool(open_graph, nodes, outputs, match):
    weights = {"size": np.array([0, -1, 4], np.int64)}
    with pytest.raises(ModelError, match=match):
        open_graph(nodes, outputs=(("y", outputs),), weights=weights)


def test_a_network_of_two_pictures_is_refused(tmp_path):
    onnx = pytest.importorskip("onnx", reason="the onnx package writes the test's model")
    shape = ("n", 2, "h", "w")
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Add", ["a", "b"], ["y"])],
        "change",
        [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape) for name in "ab"],
        [onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, shape)],
    )
    opset = [onnx.helper.make_opsetid("", 17)]
    onnx.save(onnx.helper.make_model(graph, opset_imports=opset, ir_version=8), tmp_path / "two.onnx")
    raw = {
        "Framework": "ONNX", "ModelType": "ImageClassification", "ModelFile": "two.onnx",
        "ImageHeight": 8, "ImageWidth": 8, "ExtractBands": [0, 1], "Classes": [],
    }  # fmt: skip
    with pytest.raises(ModelError, match="does not take one picture"):
        OnnxPixelModel(parse_definition(raw, tmp_path), CPU)


@pytest.mark.parametrize("content", [b"", b"not a model", b"\x89HDF\r\n\x1a\n" + bytes(64)])
def test_a_file_of_another_kind_is_named(make_model, content):
    definition = load_definition(make_model(WEIGHTS, tile=(8, 6)))
    definition.model_file.write_bytes(content)
    with pytest.raises(ModelError, match=r"model\.onnx cannot be read as ONNX"):
        OnnxPixelModel(definition, CPU)


def test_a_file_cut_off_anywhere_is_named(make_model):
    definition = load_definition(make_model(WEIGHTS, tile=(8, 6)))
    whole = definition.model_file.read_bytes()
    for length in range(0, len(whole), 7):
        definition.model_file.write_bytes(whole[:length])
        with pytest.raises(ModelError, match=r"model\.onnx"):
            OnnxPixelModel(definition, CPU)


def test_an_opset_from_the_future_is_named(make_model):
    import onnx

    definition = load_definition(make_model(WEIGHTS, tile=(8, 6)))
    model = onnx.load(definition.model_file)
    model.opset_import[0].version = 99
    onnx.save(model, definition.model_file)
    with pytest.raises(ModelError, match="newer ONNX"):
        OnnxPixelModel(definition, CPU)


def test_weights_in_a_file_beside_are_found_and_missed_by_name(make_model):
    import onnx

    definition = load_definition(make_model(WEIGHTS, tile=(8, 6)))
    onnx.save(
        onnx.load(definition.model_file),
        definition.model_file,
        save_as_external_data=True,
        location="weights.bin",
        size_threshold=0,
    )
    model = OnnxPixelModel(definition, CPU)
    np.testing.assert_allclose(model.scores(BATCH, VALID), LOGITS, atol=1e-5)
    (definition.model_file.parent / "weights.bin").unlink()
    with pytest.raises(ModelError, match=r"weights\.bin, which is not beside it"):
        OnnxPixelModel(definition, CPU)


@pytest.mark.parametrize("precision", ["BF16", "FP16"])
def test_precisions_onnx_runtime_does_not_have_are_refused(open_model, precision):
    with pytest.raises(ParameterError, match=precision):
        open_model(precision=precision)


@pytest.mark.skipif(not DEEPNESS.is_dir(), reason=f"{DEEPNESS} is not there")
@pytest.mark.parametrize(
    ("name", "outputs", "margin", "gives"),
    [
        ("one_output_sigmoid_red_detector", 2, 0, Gives.PROBABILITIES),
        ("dummy_segmentation_models/different_output_size_512_to_484", 2, 14, Gives.PROBABILITIES),
        ("dummy_segmentation_models/dummy_model", 3, 0, Gives.LOGITS),
        ("dummy_segmentation_models/one_output_sigmoid_bsx1x512x512", 2, 0, Gives.PROBABILITIES),
        ("dummy_segmentation_models/one_output_sigmoid_bsx512x512", 2, 0, Gives.PROBABILITIES),
        ("dummy_segmentation_models/one_output_softmax_bsx2x512x512", 2, 0, Gives.PROBABILITIES),
        ("dummy_segmentation_models/two_outputs_sigmoid_bsx1x512x512", 3, 0, Gives.PROBABILITIES),
        ("dummy_segmentation_models/two_outputs_sigmoid_bsx512x512", 3, 0, Gives.PROBABILITIES),
    ],
)
def test_segmentation_models_of_deepness_run(name, outputs, margin, gives):
    path = DEEPNESS / f"{name}.onnx"
    model = OnnxPixelModel(parse_definition(definition_from_onnx(path), path.parent), CPU)
    batch = np.random.default_rng(3).random((2, 3, 512, 512), dtype=np.float32)
    scores = model.predict(batch)
    assert (model.outputs, model.margin, model.gives) == (outputs, margin, gives)
    assert scores.shape == (2, outputs, 512 - 2 * margin, 512 - 2 * margin)
    assert 0 <= scores.min() <= scores.max() <= 1


@pytest.mark.skipif(not DEEPNESS.is_dir(), reason=f"{DEEPNESS} is not there")
@pytest.mark.parametrize(
    ("name", "match"),
    [
        ("deepness_onnx/dummy_recognition_model", "Classify Objects"),
        ("yolox_nano/yolox_nano", "Detect Objects"),
    ],
)
def test_models_for_something_else_are_refused(name, match):
    path = DEEPNESS.parent / f"{name}.onnx"
    with pytest.raises(ModelError, match=match):
        OnnxPixelModel(parse_definition(definition_from_onnx(path), path.parent), CPU)


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
        model.scores(BATCH, VALID)
