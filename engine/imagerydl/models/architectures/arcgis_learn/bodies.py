"""Encoders: torchvision's classifiers without pooling and classifier, children numbered from 0."""

from __future__ import annotations

import torchvision
from torch import Tensor, nn

from .facts import NetworkFacts

_RESNETS = ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152")
_MOBILENETS = ("mobilenet_v2",)


def make_body(facts: NetworkFacts, *, only_resnet: bool = True) -> nn.Sequential:
    """The encoder that a definition names, with fresh weights, for its number of bands.

    Raises:
        ModelDefinitionError: For a backbone that is not rebuilt.
    """
    name = facts.backbone
    if name in _RESNETS:
        body = nn.Sequential(*list(getattr(torchvision.models, name)(weights=None).children())[:-2])
    elif name in _MOBILENETS and not only_resnet:
        body = nn.Sequential(getattr(torchvision.models, name)(weights=None).features)
    else:
        raise facts.refuse(f"the backbone {name or 'of an unknown name'}")
    take_bands(body, facts.bands)
    return body


def take_bands(network: nn.Module, bands: int) -> None:
    """Let a network's first convolution take another number of bands."""
    owner, name, old = next(
        (owner, name, child)
        for owner in network.modules()
        for name, child in owner.named_children()
        if isinstance(child, nn.Conv2d)
    )
    if old.in_channels != bands:
        new = nn.Conv2d(
            bands, old.out_channels, old.kernel_size, old.stride, old.padding, bias=old.bias is not None
        )
        setattr(owner, name, new)


def width_of(body: nn.Sequential) -> int:
    """Channels of a body's last map."""
    last = body[-1][-1]
    if isinstance(last, torchvision.models.resnet.Bottleneck):
        return last.conv3.out_channels
    if isinstance(last, torchvision.models.resnet.BasicBlock):
        return last.conv2.out_channels
    return next(m for m in reversed(list(last.modules())) if isinstance(m, nn.Conv2d)).out_channels


def stage_widths(body: nn.Sequential) -> dict[int, int]:
    """Channels after each child of a ResNet body, by number."""
    stem = body[0].out_channels
    return {0: stem, 1: stem, 2: stem, 3: stem, **{i: width_of(body[: i + 1]) for i in range(4, 8)}}


def dilate(body: nn.Sequential) -> None:
    """Keep a ResNet's last two stages at an eighth of the input: dilation in place of stride.

    Unlike torchvision's own way every 3 x 3 convolution of a stage has the same dilation, the first
    one too, and blocks of two convolutions are taken as well.
    """
    for stage, dilation in ((6, 2), (7, 4)):
        for layer in body[stage].modules():
            if isinstance(layer, nn.Conv2d):
                layer.stride = (1, 1)
                if layer.kernel_size == (3, 3):
                    layer.dilation = layer.padding = (dilation, dilation)


def run_stages(body: nn.Sequential, x: Tensor, wanted: tuple[int, ...]) -> tuple[Tensor, dict[int, Tensor]]:
    """Run a body; returns its last map and the maps after the children ``wanted``."""
    kept = {}
    for number, child in enumerate(body):
        x = child(x)
        if number in wanted:
            kept[number] = x
    return x, kept
