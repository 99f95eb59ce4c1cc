"""Bringing a network to life from any file PyTorch writes."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, Optional

from ...errors import EngineError, ModelError
from ..architectures.backbones import encoder_name, forbid_downloads
from ..definition import ModelDefinition
from ..pickles import TorchFile, code_in, torch_file_kind

#: Prefixes that training programs put before the names of a network's weights.
_PREFIXES = ("", "module.", "model.", "network.", "net.", "_orig_mod.", "model._orig_mod.")


#: From a definition and a state dict to the network it belongs to, with fresh weights.
Builder = Callable[[ModelDefinition, Mapping[str, Any]], Any]


def load_network(definition: ModelDefinition, build: Optional[Builder] = None) -> Any:
    """The network of a model definition, on the processor; consent to run its code was given before.

    Args:
        definition: The model.
        build: Builds the network of weights that come alone; one that classifies pixels where None.

    Raises:
        ModelError: If the file is damaged, or does not fit what the definition says.
    """
    path = definition.model_file
    kind = torch_file_kind(path)
    try:
        if kind is TorchFile.TORCHSCRIPT:
            return _torchscript(definition)
        if kind is TorchFile.EXPORTED:
            import torch

            return torch.export.load(str(path)).module()
        if kind is TorchFile.PICKLE and code_in(path):
            return _pickled(definition, build or _built)
    except EngineError:
        raise
    except Exception as error:  # whatever the file's own code, or PyTorch's readers, come upon
        raise ModelError(
            f"{path.name} cannot be loaded ({_first_line(error)}).",
            "Check that it is complete, and made for the PyTorch that is installed.",
        ) from error
    return _with_weights(definition, read_state(definition), build or _built)


def read_state(definition: ModelDefinition) -> dict[str, Any]:
    """The named tensors of a state dict; no code in the file is run."""
    import numpy as np
    import torch

    from ..architectures.weights import read_weights

    plain = [np.ndarray, np.dtype, np._core.multiarray._reconstruct, np._core.multiarray.scalar]
    plain += [type(np.dtype(name)) for name in ("f4", "f8", "i4", "i8", "u1", "?")]
    with torch.serialization.safe_globals(plain):
        return read_weights(definition.model_file)


def _torchscript(definition: ModelDefinition) -> Any:
    import warnings

    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # the format stays in use for years
        return torch.jit.load(str(definition.model_file), map_location="cpu")


def _pickled(definition: ModelDefinition, build: Builder) -> Any:
    """A whole module, or a checkpoint with more in it than tensors."""
    import torch

    forbid_downloads()
    # The caller has asked for consent to run what is in this very file.
    content = torch.load(definition.model_file, map_location="cpu", weights_only=False)
    if isinstance(content, torch.nn.Module):
        return content
    for key in ("state_dict", "model_state_dict", "model"):
        if isinstance(content, Mapping) and key in content:
            content = content[key]
            break
    if isinstance(content, torch.nn.Module):
        return content
    tensors = {
        name: value
        for name, value in (content.items() if isinstance(content, Mapping) else ())
        if isinstance(value, torch.Tensor)
    }
    if not tensors:
        raise ModelError(
            f"{definition.model_file.name} holds neither a network nor its weights.",
            "Save the network's state dict, or the network itself.",
        )
    return _with_weights(definition, tensors, build)


def _with_weights(definition: ModelDefinition, state: Mapping[str, Any], build: Builder) -> Any:
    network = build(definition, state)
    # A network of the segmentation library is wrapped here, and its files are not.
    inner = getattr(network, "network", network)
    for target in {id(network): network, id(inner): inner}.values():
        wanted = set(target.state_dict())
        for prefix in _PREFIXES:
            fitting = {name[len(prefix) :]: value for name, value in state.items() if name.startswith(prefix)}
            if wanted <= set(fitting):
                return _filled(definition, network, target, {name: fitting[name] for name in wanted})
    return _filled(definition, network, network, state)


def _filled(definition: ModelDefinition, network: Any, target: Any, state: Mapping[str, Any]) -> Any:
    try:
        target.load_state_dict(state)
    except RuntimeError as error:
        raise ModelError(
            f"The weights in {definition.model_file.name} do not fit the network of {definition.name} "
            f"({error}).",
            "Use the definition and the weights of one training run.",
        ) from error
    return network


def _built(definition: ModelDefinition, state: Mapping[str, Any]) -> Any:
    """The network a state dict belongs to, with fresh weights."""
    from ..architectures.registry import MODEL_TYPES, build_network

    bands, outputs = len(definition.extract_bands), len(definition.output_values)
    parameters = definition.model_parameters
    named = str(parameters.get("architecture") or "")
    if definition.model_name.upper() in MODEL_TYPES and (definition.is_own or not named):
        return build_network(definition.model_name, parameters, bands, outputs)
    forbid_downloads()
    import segmentation_models_pytorch as smp
    import torchvision

    wanted = (named or definition.model_name).replace("smp.", "").replace("smp_", "")
    by_name = smp.MODEL_ARCHITECTURES_MAPPING
    if wanted.lower() in by_name:
        return _from_smp(by_name[wanted.lower()], definition, state)
    known = torchvision.models.list_models(torchvision.models.segmentation)
    if wanted.lower() in known:
        return _from_torchvision(wanted.lower(), definition, state)
    raise ModelError(
        f"{definition.model_file.name} holds weights alone, and {definition.name} does not say of which "
        f"network{f' that is known here ({wanted!r})' if wanted else ''}.",
        "Name it in ModelParameters.architecture: "
        f"{', '.join(cls.__name__ for cls in by_name.values())} (with encoder_name), or {', '.join(known)}.",
    )


def _from_smp(cls: Any, definition: ModelDefinition, state: Mapping[str, Any]) -> Any:
    from ..architectures.segmentation import BackboneNetwork

    parameters = dict(definition.model_parameters)
    encoder = encoder_name(str(parameters.get("encoder_name") or parameters.get("backbone") or "resnet34"))
    own = set(inspect.signature(cls).parameters) - {
        "encoder_name",
        "encoder_weights",
        "in_channels",
        "classes",
    }
    more = {key: value for key, value in parameters.items() if key in own}
    heads = [tensor for name, tensor in state.items() if name.endswith("segmentation_head.0.weight")]
    outputs = heads[0].shape[0] if heads else len(definition.output_values)
    try:
        network = cls(
            encoder_name=encoder,
            encoder_weights=None,
            in_channels=len(definition.extract_bands),
            classes=outputs,
            **more,
        )
    except (KeyError, RuntimeError, TypeError, ValueError) as error:
        raise ModelError(
            f"{cls.__name__} with {encoder} of {definition.name} cannot be built ({error}).",
            "Correct ModelParameters: they are the arguments of segmentation-models-pytorch.",
        ) from error
    return BackboneNetwork(network)


def _from_torchvision(name: str, definition: ModelDefinition, state: Mapping[str, Any]) -> Any:
    import torchvision

    heads = [v for k, v in state.items() if k.endswith(("classifier.4.weight", "high_classifier.weight"))]
    outputs = heads[0].shape[0] if heads else len(definition.output_values)
    more = {} if name.startswith("lraspp") else {"aux_loss": any("aux_classifier" in key for key in state)}
    return torchvision.models.get_model(
        name, weights=None, weights_backbone=None, num_classes=outputs, **more
    )


def last_operator(network: Any, definition: ModelDefinition) -> str:
    """What gives the output its meaning, as ONNX names it; "" where that cannot be told.

    ``ModelParameters.activation`` says it for networks that are plain Python.
    """
    import torch

    stated = str(definition.model_parameters.get("activation") or "").lower()
    name = stated
    try:
        if isinstance(network, torch.jit.ScriptModule):
            graph = network.inlined_graph  # kept, as its nodes do not keep it alive
            name = next(graph.outputs()).node().kind()
        elif isinstance(network, torch.fx.GraphModule):
            result = network.graph.output_node().args[0]
            name = str((result[0] if isinstance(result, (tuple, list)) else result).target)
    except (AttributeError, IndexError, RuntimeError, StopIteration, TypeError):
        name = stated
    for part, operator in (("log_softmax", "LogSoftmax"), ("softmax", "Softmax"), ("sigmoid", "Sigmoid")):
        if part in name:
            return operator
    return ""


def _first_line(error: Exception) -> str:
    return (str(error).strip().split("\n")[0] or type(error).__name__)[:200]
