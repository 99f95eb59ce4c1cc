"""Architectures of Keras models as JSON: what is told from them, and how Keras 2 becomes Keras 3."""

from __future__ import annotations

import json
import sys
import zipfile

import pytest

from imagerydl.errors import ModelError, RuntimeMissingError
from imagerydl.models.runtimes.keras_config import (
    final_activation,
    is_channels_first,
    layers_with_code,
    layers_without_code,
    modernised,
    read_config,
    write_copy,
)

KNOWN = frozenset({"InputLayer", "Conv2D", "Functional", "Lambda", "Rescaling", "Activation", "Add"})


def layer(kind, name, *sources, **settings):
    """A layer of Keras 2, called on the layers named."""
    calls = [[[source, 0, 0, {}] for source in sources]] if sources else []
    return {"class_name": kind, "config": {"name": name, **settings}, "name": name, "inbound_nodes": calls}


def operation(function, source="image", name="operation", **arguments):
    """A TensorFlow function as a layer."""
    return {
        "class_name": "TFOpLambda",
        "config": {"name": name, "trainable": True, "dtype": "float32", "function": function},
        "name": name,
        "inbound_nodes": [[source, 0, 0, {**arguments, "name": None}]],
    }


def model(*layers, output=None, name="net"):
    ends = [[output or layers[-1]["name"], 0, 0]]
    first = layer("InputLayer", "image", batch_input_shape=[None, 8, 8, 3])
    settings = {"name": name, "layers": [first, *layers], "input_layers": [["image", 0, 0]]}
    return {"class_name": "Functional", "config": {**settings, "output_layers": ends}}


def keras3_layer(kind, name, source, **settings):
    tensor = {"class_name": "__keras_tensor__", "config": {"keras_history": [source, 0, 0]}}
    return {
        "module": "keras.layers",
        "class_name": kind,
        "config": {"name": name, **settings},
        "name": name,
        "inbound_nodes": [{"args": [tensor], "kwargs": {}}],
    }


LAMBDAS = {
    "Keras 2": layer("Lambda", "scale", "image", function=["4wEA", None, None], function_type="lambda"),
    "Keras 3": keras3_layer(
        "Lambda", "scale", "image", function={"class_name": "__lambda__", "config": {"code": "4wEA"}}
    ),
}


@pytest.mark.parametrize(
    ("function", "number", "scale", "offset"),
    [
        ("math.truediv", 255.0, 1 / 255, 0),
        ("math.multiply", 0.5, 0.5, 0),
        ("math.subtract", 127.5, 1, -127.5),
        ("__operators__.add", 3, 1, 3),
        ("math.truediv", [2.0, 4.0, 5.0], [0.5, 0.25, 0.2], [0, 0, 0]),
    ],
)
def test_arithmetic_with_numbers_becomes_a_rescaling(function, number, scale, offset):
    changed = modernised(model(operation(function, y=number)))["config"]["layers"][1]
    assert changed["class_name"] == "Rescaling"
    assert changed["config"]["scale"] == pytest.approx(scale)
    assert changed["config"]["offset"] == pytest.approx(offset)
    assert changed["config"]["name"] == changed["name"] == "operation"
    assert changed["inbound_nodes"] == [[["image", 0, 0, {}]]]
    assert "function" not in changed["config"]


@pytest.mark.parametrize(
    ("function", "scale", "offset"),
    [("math.subtract", -1, 2), ("math.multiply", 2, 0), ("__operators__.add", 1, 2)],
)
def test_a_number_may_stand_in_front(function, scale, offset):
    written = operation(function)
    written["inbound_nodes"] = [["_CONSTANT_VALUE", -1, 2.0, {"y": ["image", 0, 0], "name": None}]]
    changed = modernised(model(written))["config"]["layers"][1]
    assert (changed["config"]["scale"], changed["config"]["offset"]) == (scale, offset)
    assert changed["inbound_nodes"] == [[["image", 0, 0, {}]]]


@pytest.mark.parametrize(("function", "kind"), [("__operators__.add", "Add"), ("math.multiply", "Multiply")])
def test_arithmetic_with_another_tensor_becomes_a_layer_of_two(function, kind):
    changed = modernised(model(operation(function, y=["conv", 0, 0])))["config"]["layers"][1]
    assert changed["class_name"] == kind
    assert changed["inbound_nodes"] == [[["image", 0, 0, {}], ["conv", 0, 0, {}]]]


@pytest.mark.parametrize(
    ("written", "activation"),
    [
        (operation("nn.relu"), "relu"),
        (operation("nn.softmax", axis=-1), "softmax"),
        (operation("cast", dtype="float32"), "linear"),
    ],
)
def test_functions_of_one_tensor_become_activations(written, activation):
    changed = modernised(model(written))["config"]["layers"][1]
    assert (changed["class_name"], changed["config"]["activation"]) == ("Activation", activation)


@pytest.mark.parametrize(
    "written",
    [
        operation("image.rgb_to_grayscale"),
        operation("nn.softmax", axis=1),
        operation("cast", dtype="int32"),
        operation("math.truediv", y=0),
        operation("math.truediv", y=["conv", 0, 0]),
        {
            **operation("math.truediv"),
            "inbound_nodes": [["_CONSTANT_VALUE", -1, 1.0, {"y": ["image", 0, 0]}]],
        },
        {**operation("nn.relu"), "inbound_nodes": [["image", 0, 0, {}], ["conv", 0, 0, {}]]},
    ],
    ids=lambda written: written["config"]["function"],
)
def test_what_keras_3_cannot_say_is_left_and_named(written):
    config = modernised(model(written))
    assert config["config"]["layers"][1] == written
    assert layers_without_code(config, KNOWN) == (f"TensorFlow's {written['config']['function']} as a layer",)


def test_keys_of_keras_2_are_spelled_anew_or_dropped_where_they_say_nothing():
    config = model(
        layer("Conv2DTranspose", "up", "image", groups=1, filters=8),
        layer("Conv2DTranspose", "grouped", "up", groups=2),
        layer("SpatialDropout2D", "drop", "grouped", rate=0.1, noise_shape=None, trainable=True),
        layer("BatchNormalization", "norm", "drop", axis=[3]),
        layer("LeakyReLU", "leaky", "norm", alpha=0.3),
    )
    up, grouped, drop, norm, leaky = modernised(config)["config"]["layers"][1:]
    assert up["config"] == {"name": "up", "filters": 8}
    assert grouped["config"]["groups"] == 2
    assert drop["config"] == {"name": "drop", "rate": 0.1}
    assert norm["config"]["axis"] == 3
    assert leaky["config"] == {"name": "leaky", "negative_slope": 0.3}


def test_models_inside_the_model_are_rewritten_too():
    inner = model(operation("math.truediv", y=255.0), name="inner")
    inner.update(name="inner", inbound_nodes=[[["image", 0, 0, {}]]])
    changed = modernised(model(inner))["config"]["layers"][1]["config"]["layers"][1]
    assert changed["class_name"] == "Rescaling"


def test_a_model_of_keras_3_stays_as_it_is():
    config = model(keras3_layer("SpatialDropout2D", "drop", "image", rate=0.1, trainable=True))
    assert modernised(config) == config


def test_modules_of_keras_2_are_found_in_keras_3():
    config = model({**operation("math.truediv", y=255.0), "module": "tf_keras.src.layers.core.tf_op_layer"})
    config.update(module="keras.src.engine.functional", registered_name="Functional")
    changed = modernised(config)
    assert changed["module"] == "keras.src.models.functional"
    assert changed["config"]["layers"][1]["module"] == "keras.layers"


@pytest.mark.parametrize("era", LAMBDAS)
def test_code_in_a_lambda_layer_is_told_without_running_it(era):
    inner = {**model(LAMBDAS[era], name="inner"), "name": "inner", "inbound_nodes": []}
    assert layers_with_code(model(LAMBDAS[era])) == ("scale",)
    assert layers_with_code(model(inner)) == ("scale",)
    assert layers_with_code(model(layer("Conv2D", "conv", "image"))) == ()
    assert layers_without_code(model(LAMBDAS[era]), KNOWN) == ()


def test_a_lambda_of_keras_2_becomes_one_of_keras_3():
    config = modernised(model(LAMBDAS["Keras 2"]))["config"]["layers"][1]["config"]
    code = {"code": "4wEA", "defaults": None, "closure": None}
    assert config == {"name": "scale", "function": {"class_name": "__lambda__", "config": code}}


def test_what_is_neither_in_keras_nor_in_the_file_is_named():
    config = model(
        layer("Conv2D", "conv", "image"),
        layer("AttentionGate", "gate", "conv"),
        layer("Lambda", "prepare", "gate", function="preprocess", function_type="function"),
        {**keras3_layer("MyBlock", "block", "prepare"), "module": "my_package.layers"},
    )
    assert layers_without_code(config, KNOWN) == (
        "the layer AttentionGate",
        "the function preprocess in a Lambda layer",
        "the layer MyBlock",
    )


CONV = layer("Conv2D", "conv", "image", activation="linear")
SIGMOID = layer("Conv2D", "conv", "image", activation="sigmoid")


@pytest.mark.parametrize(
    ("layers", "activation"),
    [
        ([layer("Conv2D", "conv", "image", activation="softmax")], "softmax"),
        ([layer("Conv2D", "conv", "image", activation=None)], "linear"),
        ([CONV, layer("Softmax", "end", "conv", axis=-1)], "softmax"),
        ([CONV, layer("Softmax", "end", "conv", axis=1)], "softmax over space"),
        ([SIGMOID, layer("UpSampling2D", "up", "conv"), layer("Cropping2D", "crop", "up")], "sigmoid"),
        ([CONV, layer("Add", "sum", "conv", "image")], ""),
        ([layer("UpSampling2D", "up", "image")], ""),
    ],
)
def test_what_an_output_means_is_told_by_the_activation_it_comes_from(layers, activation):
    assert final_activation(model(*layers)) == activation


def test_it_is_told_in_the_words_of_keras_3_too():
    softmax = {"module": "builtins", "class_name": "function", "config": "softmax"}
    config = model(
        keras3_layer("Conv2D", "classes", "image", activation=softmax),
        keras3_layer("Resizing", "resize", "classes"),
    )
    assert final_activation(config) == "softmax"


def test_a_model_at_the_end_is_looked_into():
    inner = model(layer("Conv2D", "classes", "image", activation="softmax"), name="decoder")
    inner.update(name="decoder", inbound_nodes=[[["image", 0, 0, {}]]])
    assert final_activation(model(inner)) == "softmax"


@pytest.mark.parametrize("as_list", [True, False], ids=["Keras 2.0", "later"])
def test_a_chain_of_layers_ends_in_its_last(as_list):
    chain = [layer("Conv2D", "conv", activation="relu"), layer("Activation", "end", activation="sigmoid")]
    settings = chain if as_list else {"name": "net", "layers": chain}
    assert final_activation({"class_name": "Sequential", "config": settings}) == "sigmoid"


def test_bands_first_is_told_by_any_layer():
    assert is_channels_first(model(layer("Conv2D", "conv", "image", data_format="channels_first")))
    assert not is_channels_first(model(layer("Conv2D", "conv", "image", data_format="channels_last")))


def test_the_architecture_in_a_zip_is_read_and_replaced_and_the_weights_are_kept(tmp_path):
    path, copied = tmp_path / "net.keras", tmp_path / "copy.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", json.dumps(model(operation("math.truediv", y=255.0))))
        archive.writestr("model.weights.h5", b"weights")
    written = path.read_bytes()
    write_copy(path, modernised(read_config(path)), copied)
    assert read_config(copied)["config"]["layers"][1]["class_name"] == "Rescaling"
    with zipfile.ZipFile(copied) as archive:
        assert archive.read("model.weights.h5") == b"weights"
    assert path.read_bytes() == written


@pytest.mark.parametrize("content", ["{", "[]", "{}"])
def test_a_damaged_architecture_is_named(tmp_path, content):
    path = tmp_path / "net.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", content)
    with pytest.raises(ModelError, match=r"net\.keras"):
        read_config(path)


def test_a_zip_of_something_else_is_named(tmp_path):
    with zipfile.ZipFile(tmp_path / "net.keras", "w") as archive:
        archive.writestr("letters.txt", "")
    with pytest.raises(ModelError, match=r"net\.keras is no complete Keras model.*config\.json"):
        read_config(tmp_path / "net.keras")


def test_without_h5py_the_extra_that_brings_it_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "h5py", None)
    (tmp_path / "net.h5").write_bytes(b"\x89HDF")
    with pytest.raises(RuntimeMissingError, match=r"net\.h5 needs h5py.*EXTRAS set to KERAS"):
        read_config(tmp_path / "net.h5")
