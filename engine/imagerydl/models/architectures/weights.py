"""Weights: reading them from files, and moving them into networks that fit only in part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from ...errors import ModelError

#: Prefixes that training programs put before the names of an encoder's own weights.
_PREFIXES = ("", "encoder.", "module.", "model.", "backbone.", "network.encoder.", "model.encoder.")


def read_weights(path: Path) -> dict[str, Tensor]:
    """The named tensors in a ``.safetensors``, ``.pth`` or ``.pt`` file.

    A PyTorch file is read without running code that it may hold.

    Raises:
        ModelError: For a file that is missing, damaged or holds something else.
    """
    fix = "Give a .safetensors file, or a PyTorch file (.pth, .pt) that holds a state dict."
    if not path.is_file():
        raise ModelError(f"The weights file {path} does not exist.", fix)
    try:
        if path.suffix.lower() == ".safetensors":
            from safetensors.torch import load_file

            return load_file(str(path))
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise ModelError(f"The weights in {path} cannot be read ({_first_line(error)}).", fix) from error
    for key in ("state_dict", "model"):
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    tensors = (
        {k: v for k, v in content.items() if isinstance(v, Tensor)} if isinstance(content, Mapping) else {}
    )
    if not tensors:
        raise ModelError(f"{path} holds no weights.", fix)
    return tensors


def transfer_weights(
    network: nn.Module, weights: Mapping[str, Tensor], old_values: Sequence[int], new_values: Sequence[int]
) -> int:
    """Fill ``network`` with ``weights`` of a network alike but for its classes.

    Args:
        network: Freshly built; its last layer has one channel per new class value.
        weights: Of the trained network.
        old_values: Class value of each channel it was trained with.
        new_values: Class value of each channel wanted.

    Returns:
        How many classes keep what their channel had learnt.
    """
    kept = [(old_values.index(value), new) for new, value in enumerate(new_values) if value in old_values]
    state = network.state_dict()
    for name, tensor in weights.items():
        if name.startswith(network.HEAD + "."):
            for old, new in kept:
                state[name][new] = tensor[old]
        elif name in state and state[name].shape == tensor.shape:
            state[name] = tensor
        else:
            raise ModelError(
                f"The weights {name!r} do not fit the network.", "Give a model that was trained here."
            )
    network.load_state_dict(state)
    return len(kept)


def load_encoder(encoder: nn.Module, path: Path, scheme: str, red_green_blue: Sequence[int]) -> int:
    """Fill an encoder with weights from a local file.

    The first convolution is fitted to the number of bands: where the file's takes three bands,
    its weights go to the red, green and blue bands and the other bands follow ``scheme``.

    Args:
        encoder: The encoder of a network, freshly built.
        path: The file; its names may carry one of the usual prefixes.
        scheme: RANDOM (other bands keep fresh weights), RED_BAND (they get the weights of the
            red band) or ALL_RANDOM (the first convolution keeps fresh weights in all bands).
        red_green_blue: 0-based positions of these bands in the images.

    Returns:
        How many tensors were filled.

    Raises:
        ModelError: Where less than half of the encoder's weights are in the file.
    """
    weights, state = read_weights(path), encoder.state_dict()
    prefix = max(_PREFIXES, key=lambda candidate: sum(candidate + name in weights for name in state))
    first = next((name for name, tensor in state.items() if tensor.dim() == 4), "")
    filled = 0
    for name, own in state.items():
        given = weights.get(prefix + name)
        if given is None:
            continue
        if name == first:
            given = _first_convolution(own, given, scheme, red_green_blue)
        if given.shape == own.shape:
            state[name] = given.to(own.dtype)
            filled += 1
    if filled * 2 < len(state):
        raise ModelError(
            f"{path.name} fits {filled} of the {len(state)} weights of the backbone.",
            f"Give weights of the same backbone, with names such as {first!r}.",
        )
    encoder.load_state_dict(state)
    return filled


def _first_convolution(own: Tensor, given: Tensor, scheme: str, red_green_blue: Sequence[int]) -> Tensor:
    fits = given.shape[0] == own.shape[0] and given.shape[2:] == own.shape[2:]
    if scheme == "ALL_RANDOM" or not fits:
        return own
    if given.shape == own.shape and own.shape[1] != 3:
        return given  # trained on as many bands
    if given.shape[1] != 3:
        return own
    result = given[:, :1].repeat(1, own.shape[1], 1, 1) if scheme == "RED_BAND" else own.clone()
    for source, band in enumerate(red_green_blue):
        if band < own.shape[1]:
            result[:, band] = given[:, source]
    return result


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0][:200]
