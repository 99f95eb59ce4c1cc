"""The architecture that a Keras model file states, as JSON: read without running any of it.

Keras 2 files are rewritten into what Keras 3 reads. Standard library only, but for h5py, which ``.h5``
files need.
"""

from __future__ import annotations

import copy
import json
import shutil
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Optional

from ...errors import ModelError

Config = dict[str, Any]

_CONFIG_MEMBER = "config.json"

#: Keys of Keras 2 layers that Keras 3 does not take: with the only value that can be left out, or "any"
#: where none matters once the model is trained.
_ANY = object()
_DROPPED: dict[str, dict[str, Any]] = {
    "Conv2DTranspose": {"groups": 1},
    "DepthwiseConv2D": {"groups": 1},
    "SeparableConv2D": {
        "groups": 1,
        "kernel_initializer": _ANY,
        "kernel_regularizer": _ANY,
        "kernel_constraint": _ANY,
    },
    "Lambda": dict.fromkeys(("function_type", "module", "output_shape_type", "output_shape_module"), _ANY),
    "SpatialDropout2D": {"noise_shape": _ANY, "trainable": _ANY},
    "MultiHeadAttention": {
        "query_shape": _ANY,
        "key_shape": _ANY,
        "value_shape": _ANY,
        "softmax_robust_masking": False,
    },
    **{
        f"Random{name}": {"rng_type": _ANY}
        for name in ("Flip", "Rotation", "Zoom", "Translation", "Contrast", "Brightness", "Crop")
    },
}

#: Models within models: where Keras 3 finds their classes.
_MODELS = {"Functional": "keras.src.models.functional", "Model": "keras", "Sequential": "keras"}

#: TensorFlow functions of one tensor that are an activation of Keras.
_ACTIVATIONS = {
    "cast": "linear",
    "identity": "linear",
    "nn.relu": "relu",
    "nn.relu6": "relu6",
    "nn.elu": "elu",
    "nn.silu": "silu",
    "nn.swish": "silu",
    "nn.sigmoid": "sigmoid",
    "math.sigmoid": "sigmoid",
    "sigmoid": "sigmoid",
    "nn.tanh": "tanh",
    "math.tanh": "tanh",
    "nn.softmax": "softmax",
}

#: TensorFlow functions of a tensor and a number, or of two tensors, and the layer of two tensors.
_ARITHMETIC = {
    "__operators__.add": "Add",
    "math.add": "Add",
    "math.subtract": "Subtract",
    "math.multiply": "Multiply",
    "math.truediv": "",
    "math.divide": "",
}

#: Layers that hand on what their input means.
_HANDS_ON = frozenset(
    {
        *("Cropping2D", "ZeroPadding2D", "UpSampling2D", "Resizing", "AveragePooling2D", "MaxPooling2D"),
        *("Dropout", "SpatialDropout2D", "GaussianDropout", "GaussianNoise", "ActivityRegularization"),
        *("Reshape", "Permute", "Identity"),
    }
)


def read_config(path: Path) -> Config:
    """The architecture in a ``.keras``, ``.h5`` or ``.hdf5`` file.

    Raises:
        ModelError: If the file is damaged, or holds weights without an architecture.
        RuntimeMissingError: If it is an ``.h5`` file and h5py is not installed.
    """
    try:
        text = _text_in_zip(path) if zipfile.is_zipfile(path) else _text_in_hdf5(path)
        config = None if text is None else json.loads(text)
    except (OSError, KeyError, ValueError, RuntimeError, zipfile.BadZipFile) as error:
        raise ModelError(
            f"{path.name} is no complete Keras model ({error}).",
            "Save it again with model.save(), and copy it as a whole.",
        ) from error
    if config is None:
        raise ModelError(
            f"{path.name} holds the weights of a Keras model without its architecture.",
            "Save the whole model with model.save() instead of model.save_weights().",
        )
    if not isinstance(config, dict) or "class_name" not in config:
        raise ModelError(f"The architecture in {path.name} is none of Keras.", "Save it with model.save().")
    return config


def write_copy(path: Path, config: Config, target: Path) -> None:
    """Copy a model file to ``target``, with another architecture in it."""
    text = json.dumps(config)
    if not zipfile.is_zipfile(path):
        import h5py

        shutil.copyfile(path, target)
        with h5py.File(target, "r+") as file:
            file.attrs["model_config"] = text
        return
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(target, "w") as sink:
        for member in source.infolist():
            with source.open(member) as stream, sink.open(member.filename, "w", force_zip64=True) as copied:
                if member.filename == _CONFIG_MEMBER:
                    copied.write(text.encode())
                else:
                    shutil.copyfileobj(stream, copied, 1 << 20)


def layers_with_code(config: Config) -> tuple[str, ...]:
    """Names of the layers that carry Python code of their own, which runs when the model does."""
    names = []
    for item in _objects(config):
        settings = item["config"]
        if item["class_name"] == "Lambda" and _is_bytecode(settings.get("function")):
            names.append(str(settings.get("name", "Lambda")))
        elif item["class_name"] == "TorchModuleWrapper":  # a pickled module
            names.append(str(settings.get("name", "TorchModuleWrapper")))
    return tuple(names)


def layers_without_code(config: Config, known: frozenset[str]) -> tuple[str, ...]:
    """What the model uses that is neither part of Keras nor in the file, each as a phrase.

    Args:
        config: The architecture.
        known: Class names of Keras's layers.
    """
    found = []
    for layer in layers(config):
        kind, settings = layer["class_name"], layer["config"]
        module = str(layer.get("module") or "")
        if kind == "TFOpLambda":
            found.append(f"TensorFlow's {settings.get('function')} as a layer")
        elif kind == "Lambda" and not _is_bytecode(settings.get("function")):
            found.append(f"the function {_named(settings.get('function'))} in a Lambda layer")
        elif kind == "TFSMLayer" or not (kind in known or module.startswith("keras.")):
            found.append(f"the layer {kind}")
    return tuple(dict.fromkeys(found))


def modernised(config: Config) -> Config:
    """The architecture as Keras 3 reads it; what it cannot say in Keras 3's terms stays as it is."""
    result = copy.deepcopy(config)
    is_keras3 = _is_keras3(config)
    for item in _objects(result):
        if str(item.get("module", "")).startswith(("tf_keras.", "keras.src.engine.")):
            item["module"] = _MODELS.get(item["class_name"], "keras.layers")
            item["registered_name"] = None
        if not is_keras3:
            _respell(item["class_name"], item["config"])
        if item["class_name"] == "TFOpLambda":
            item.update(_layer_of_operation(item) or {})
    return result


def layers(config: Config) -> Iterator[Config]:
    """Every layer, those of models inside the model too."""
    settings = config["config"]
    listed = settings if isinstance(settings, list) else settings.get("layers", ())
    for layer in listed:
        if isinstance(layer, dict) and "class_name" in layer and "config" in layer:
            yield layer
            yield from layers(layer)


def is_channels_first(config: Config) -> bool:
    """Whether it takes ``[n, bands, h, w]``."""
    return any(
        isinstance(layer["config"], dict) and layer["config"].get("data_format") == "channels_first"
        for layer in layers(config)
    )


def final_activation(config: Config) -> str:
    """The activation that the model's output comes from: "softmax", "sigmoid", "linear"...

    Layers that only move or resize pixels are looked through. "" where it comes from several.
    """
    if not isinstance(config["config"], dict) or "output_layers" not in config["config"]:
        return _activation_in_chain(list(_direct_layers(config)))
    by_name = {layer.get("name") or layer["config"].get("name"): layer for layer in _direct_layers(config)}
    ends = _flat_names(config["config"]["output_layers"])
    while len(ends) == 1 and ends[0] in by_name:
        layer = by_name[ends[0]]
        found = _activation_of(layer)
        if found is not None:
            return found
        ends = _sources(layer)
    return ""


def _text_in_zip(path: Path) -> str:
    with zipfile.ZipFile(path) as archive:
        return archive.read(_CONFIG_MEMBER).decode("utf-8")


def _text_in_hdf5(path: Path) -> Optional[str]:
    try:
        import h5py
    except ImportError as error:
        from .opener import missing_packages

        raise missing_packages(path.name, ["h5py"]) from error
    with h5py.File(path, "r") as file:
        text = file.attrs.get("model_config")
    return text.decode("utf-8") if isinstance(text, bytes) else text


def _objects(node: Any) -> Iterator[Config]:
    """Every dict with a class and its settings, outermost first."""
    if isinstance(node, dict):
        if isinstance(node.get("class_name"), str) and isinstance(node.get("config"), dict):
            yield node
        for value in list(node.values()):
            yield from _objects(value)
    elif isinstance(node, list):
        for value in node:
            yield from _objects(value)


def _is_keras3(config: Config) -> bool:
    """Whether its layers are tied together in the words of Keras 3."""
    return any(item["class_name"] == "__keras_tensor__" for item in _objects(config))


def _respell(kind: str, settings: Config) -> None:
    """Put the settings of a Keras 2 layer into the words of Keras 3."""
    for key, neutral in _DROPPED.get(kind, {}).items():
        if key in settings and (neutral is _ANY or settings[key] == neutral):
            del settings[key]
    if kind == "LeakyReLU" and "alpha" in settings:
        settings["negative_slope"] = settings.pop("alpha")
    axis = settings.get("axis")
    if kind == "BatchNormalization" and isinstance(axis, list) and len(axis) == 1:
        settings["axis"] = axis[0]
    function = settings.get("function")
    if kind == "Lambda" and isinstance(function, list) and len(function) == 3:
        code, defaults, closure = function
        parts = {"code": code, "defaults": defaults, "closure": closure}
        settings["function"] = {"class_name": "__lambda__", "config": parts}


def _is_bytecode(function: Any) -> bool:
    if isinstance(function, dict):
        return function.get("class_name") == "__lambda__"
    return isinstance(function, list)


def _named(function: Any) -> str:
    return str(function.get("config", "")) if isinstance(function, dict) else str(function)


def _layer_of_operation(item: Config) -> Optional[Config]:
    """The Keras layer that does what a TensorFlow function does as a layer; None where none does."""
    calls = item.get("inbound_nodes") or ()
    if len(calls) != 1 or len(calls[0]) != 4 or not isinstance(calls[0][0], str):
        return None  # called several times, or with something else than one tensor first
    name, node, tensor, arguments = calls[0]
    given = {key: value for key, value in arguments.items() if value is not None and key != "name"}
    function, settings = str(item["config"].get("function")), dict(item["config"])
    settings.pop("function", None)
    first = [name, node, tensor, {}]

    def layer(kind: str, inputs: list[Any], **more: Any) -> Config:
        result = {"class_name": kind, "config": {**settings, **more}, "inbound_nodes": [inputs]}
        return {**result, "module": "keras.layers", "registered_name": None} if "module" in item else result

    if function == "cast" and str(given.pop("dtype", "")) not in ("float32", "float16", "bfloat16"):
        return None
    if function in _ACTIVATIONS and (not given or given == {"axis": -1}):
        return layer("Activation", [first], activation=_ACTIVATIONS[function])
    if function not in _ARITHMETIC or set(given) != {"y"}:
        return None
    other, kind = given["y"], _ARITHMETIC[function]
    if not _is_tensor(other):
        scaling = _scaling(function, other)
    elif name == "_CONSTANT_VALUE":  # 1 - x: the number stands where the tensor's number would
        first, scaling = [*other[:3], {}], _scaling_reversed(function, tensor)
    else:
        return layer(kind, [first, [*other[:3], {}]]) if kind else None
    return scaling and layer("Rescaling", [first], **scaling)


def _is_tensor(value: Any) -> bool:
    """Whether an argument is what a layer gives, ``["name", 0, 0]``, and no number or list of numbers."""
    return isinstance(value, list) and bool(value) and isinstance(value[0], str)


def _scaling(function: str, number: Any) -> Optional[Config]:
    """Arithmetic with a number, or with one for each band, as scale and offset."""
    numbers = number if isinstance(number, list) else [number]
    if not numbers or not all(isinstance(each, (int, float)) for each in numbers):
        return None
    if function in ("math.truediv", "math.divide"):
        if not all(numbers):
            return None
        pairs = [(1.0 / each, 0.0) for each in numbers]
    elif function == "math.multiply":
        pairs = [(float(each), 0.0) for each in numbers]
    else:
        pairs = [(1.0, -float(each) if function == "math.subtract" else float(each)) for each in numbers]
    scale, offset = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    is_list = isinstance(number, list)
    return {"scale": scale if is_list else scale[0], "offset": offset if is_list else offset[0]}


def _scaling_reversed(function: str, number: Any) -> Optional[Config]:
    """The same with the number in front, where that is a scale and an offset."""
    if function not in ("math.subtract", "math.multiply", "math.add", "__operators__.add"):
        return None
    if function != "math.subtract":
        return _scaling(function, number)
    return {"scale": -1.0, "offset": float(number)} if isinstance(number, (int, float)) else None


def _direct_layers(config: Config) -> Iterator[Config]:
    settings = config["config"]
    for layer in settings if isinstance(settings, list) else settings.get("layers", ()):
        if isinstance(layer, dict) and isinstance(layer.get("config"), (dict, list)):
            yield layer


def _activation_in_chain(chain: list[Config]) -> str:
    found = (_activation_of(layer) for layer in reversed(chain))
    return next((activation for activation in found if activation is not None), "")


def _activation_of(layer: Config) -> Optional[str]:
    """What a layer's output comes from; None where it hands on its input's."""
    kind, settings = layer.get("class_name"), layer["config"]
    if kind in _HANDS_ON:
        return None
    if isinstance(settings, list) or "layers" in settings:
        return final_activation(layer)
    if kind == "Softmax":
        return "softmax" if settings.get("axis", -1) in (-1, [-1], 3, [3]) else "softmax over space"
    if "activation" not in settings:
        return ""
    activation = settings["activation"]
    if isinstance(activation, Mapping):
        inner = activation.get("config")
        activation = inner if isinstance(inner, str) else activation.get("class_name")
    return "linear" if activation is None else str(activation)


def _flat_names(outputs: Any) -> list[str]:
    """Layer names of ``["a", 0, 0]``, ``[["a", 0, 0], ...]`` or a dict of such."""
    if isinstance(outputs, Mapping):
        outputs = list(outputs.values())
    if not isinstance(outputs, list) or not outputs:
        return []
    if isinstance(outputs[0], str):
        return [outputs[0]]
    return [name for item in outputs for name in _flat_names(item)]


def _sources(layer: Config) -> list[str]:
    """Names of the layers whose tensors a layer takes, in the spelling of Keras 2 and of Keras 3."""
    names: list[str] = []
    for call in layer.get("inbound_nodes") or ():
        if isinstance(call, Mapping):
            names += [
                str(item["config"]["keras_history"][0])
                for item in _objects(call)
                if item["class_name"] == "__keras_tensor__"
            ]
        else:
            names += _flat_names(call)
    return names
