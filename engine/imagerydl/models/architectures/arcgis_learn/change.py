"""ChangeDetector: one encoder for both dates, attention over both, and the distance of what they see."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torchvision
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models.resnet import BasicBlock

from .bodies import take_bands
from .facts import NetworkFacts
from .psp import resize

#: A pixel has changed where the distance is above this.
THRESHOLD = 1.0

_RESNETS = ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152")
_REDUCED = 96
_FEATURES = 64
_KEY = _FEATURES // 8
_SCALES = (1, 2, 4, 8)

# Keeps the distance differentiable where both dates are the same; part of the trained measure.
_EPSILON = 1e-6


def build(facts: NetworkFacts, weights: Mapping[str, Tensor]) -> nn.Module:
    """The network of a ChangeDetector."""
    if facts.backbone not in _RESNETS:
        raise facts.refuse(f"the backbone {facts.backbone}")
    kind = str(facts.settings.get("attention_type", "PAM")).upper()
    if kind not in ("PAM", "BAM"):
        raise facts.refuse(f"the attention {kind}")
    return ChangeDetector(facts, PyramidAttention() if kind == "PAM" else PlainAttention())


class ChangeDetector(nn.Module):
    """Both dates stacked, before first, to logits."""

    def __init__(self, facts: NetworkFacts, attention: nn.Module) -> None:
        super().__init__()
        self.netF = nn.Module()
        self.netF.module = _Features(facts)
        self.netA = nn.Module()
        self.netA.Self_Att = attention

    def distance(self, images: Tensor) -> Tensor:
        """``[n, 2 bands, h, w]`` to the distance of the two dates ``[n, 1, h, w]``."""
        before, after = (self.netF.module(date) for date in images.chunk(2, dim=1))
        both = self.netA.Self_Att(torch.cat([before, after], dim=3))
        before, after = both.chunk(2, dim=3)
        distance = torch.linalg.vector_norm(before - after + _EPSILON, dim=1, keepdim=True)
        return resize(distance, images)

    def forward(self, images: Tensor) -> Tensor:
        """``[n, 2 bands, h, w]`` to logits of no change and change ``[n, 2, h, w]``.

        The logits are the threshold and the distance: the larger one decides, as in the tool.
        """
        distance = self.distance(images)
        return torch.cat([torch.full_like(distance, THRESHOLD), distance], dim=1)


class _Features(nn.Module):
    def __init__(self, facts: NetworkFacts) -> None:
        super().__init__()
        self.backbone = _backbone(facts)
        widths = [64, 128, 256, 512]
        if not isinstance(self.backbone.layer1[0], BasicBlock):
            widths = [4 * width for width in widths]
        self.decoder = _Decoder(widths)

    def forward(self, image: Tensor) -> Tensor:
        body = self.backbone
        x = body.maxpool(body.relu(body.bn1(body.conv1(image))))
        maps = []
        for stage in (body.layer1, body.layer2, body.layer3, body.layer4):
            x = stage(x)
            maps.append(x)
        return self.decoder(maps)


def _backbone(facts: NetworkFacts) -> nn.Module:
    body = getattr(torchvision.models, facts.backbone)(weights=None)
    del body.fc, body.avgpool
    # The last stage has three blocks whatever the depth, each looking further than the one before.
    while len(body.layer4) < 3:
        last = body.layer4[-1]
        body.layer4.append(type(last)(last.conv2.out_channels, last.conv2.out_channels))
    for block, dilation in zip(body.layer4, (1, 2, 4)):
        first = block.conv1 if isinstance(block, BasicBlock) else block.conv2
        first.dilation = first.padding = (dilation, dilation)
    take_bands(body, facts.bands)
    return body


class _Decoder(nn.Module):
    def __init__(self, widths: list[int]) -> None:
        super().__init__()
        for number, width in enumerate(widths, start=2):
            setattr(self, f"dr{number}", _Reduction(width))
        self.last_conv = nn.Sequential(
            nn.Conv2d(4 * _REDUCED, 256, 3, padding=1, bias=False),
            nn.BatchNorm2d(256),
            nn.ReLU(),
            nn.Dropout(),
            nn.Conv2d(256, _FEATURES, 1, bias=False),
            nn.BatchNorm2d(_FEATURES),
            nn.ReLU(),
        )

    def forward(self, maps: list[Tensor]) -> Tensor:
        shallow, *deeper = (getattr(self, f"dr{i}")(x) for i, x in enumerate(maps, start=2))
        second, third, deepest = (resize(x, shallow) for x in deeper)
        return self.last_conv(torch.cat([deepest, shallow, second, third], dim=1))


class _Reduction(nn.Module):
    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, _REDUCED, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(_REDUCED)

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(self.bn1(self.conv1(x)))


def attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Every place's mean of all values ``[n, channels, places]``, weighed by likeness of keys."""
    likeness = torch.bmm(query.transpose(1, 2), key) * _KEY**-0.5
    return torch.bmm(value, likeness.softmax(dim=-1).transpose(1, 2))


class PyramidAttention(nn.Module):
    """Attention within 1, 4, 16 and 64 blocks of the picture, each over both dates."""

    def __init__(self) -> None:
        super().__init__()
        self.stages = nn.ModuleList(_BlockAttention(scale) for scale in _SCALES)
        self.conv_bn = nn.Sequential(nn.Conv2d(len(_SCALES) * _FEATURES, _FEATURES, 1, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        """``[n, features, h, 2 w]``, the dates side by side; same shape."""
        return self.conv_bn(torch.cat([stage(x) for stage in self.stages], dim=1))


class _BlockAttention(nn.Module):
    def __init__(self, scale: int) -> None:
        super().__init__()
        self._scale = scale
        self.f_key = nn.Sequential(nn.Conv2d(_FEATURES, _KEY, 1), nn.BatchNorm2d(_KEY))
        self.f_query = nn.Sequential(nn.Conv2d(_FEATURES, _KEY, 1), nn.BatchNorm2d(_KEY))
        self.f_value = nn.Conv2d(_FEATURES, _FEATURES, 1)

    def forward(self, x: Tensor) -> Tensor:
        # A last axis for the date, so that a block of the picture holds both.
        parts = [
            torch.stack(layer(x).chunk(2, dim=3), dim=4) for layer in (self.f_query, self.f_key, self.f_value)
        ]
        value = parts[2]
        result = torch.empty_like(value)
        for rows in _bounds(value.shape[2], self._scale):
            for columns in _bounds(value.shape[3], self._scale):
                query, key, inner = (part[:, :, rows, columns] for part in parts)
                seen = attend(query.flatten(2), key.flatten(2), inner.flatten(2))
                result[:, :, rows, columns] = seen.view(inner.shape)
        return torch.cat(result.unbind(dim=4), dim=3)


def _bounds(length: int, parts: int) -> list[slice]:
    """``length`` pixels as ``parts`` equal pieces; what is left over belongs to the last."""
    step = length // parts
    stops = [*(step * (i + 1) for i in range(parts - 1)), length]
    return [slice(step * i, stop) for i, stop in enumerate(stops) if stop > step * i]


class PlainAttention(nn.Module):
    """Attention of every place of both dates to every other."""

    def __init__(self) -> None:
        super().__init__()
        self.query_conv = nn.Conv2d(_FEATURES, _KEY, 1)
        self.key_conv = nn.Conv2d(_FEATURES, _KEY, 1)
        self.value_conv = nn.Conv2d(_FEATURES, _FEATURES, 1)
        # In the file, but of no effect.
        self.gamma = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        """``[n, features, h, 2 w]``, the dates side by side; same shape."""
        query, key, value = self.query_conv(x), self.key_conv(x), self.value_conv(x)
        return x + attend(query.flatten(2), key.flatten(2), value.flatten(2)).view(x.shape)
