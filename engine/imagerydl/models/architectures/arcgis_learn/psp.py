"""PSPNetClassifier, in both forms: a plain pyramid network, and a U-Net whose encoder ends in a pyramid."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from .bodies import dilate, make_body, run_stages, stage_widths
from .facts import NetworkFacts
from .unet import DecoderBlock, Upsampling, bottom

_DEFAULT_SIZES = (1, 2, 3, 6)

# What the pyramid is brought to before the U-shaped decoder.
_ENCODED = 512


def build(facts: NetworkFacts, weights: Mapping[str, Tensor]) -> nn.Module:
    """The network of a PSPNetClassifier."""
    for key, what in (("pointrend", "PointRend"), ("unet_aux_loss", "an auxiliary loss (unet_aux_loss)")):
        if facts.is_on(key):
            raise facts.refuse(what)
    if not facts.is_on("use_unet", default=True):
        return PlainPSPNet(facts)
    network = UnetPSPNet(facts)
    # Newer versions put the network into another one.
    return _Wrapped(network) if any(name.startswith("model.") for name in weights) else network


class Pyramid(nn.Module):
    """The map averaged over coarser and coarser grids, behind the map itself."""

    def __init__(self, channels: int, sizes: Sequence[int]) -> None:
        super().__init__()
        part = channels // len(sizes)
        self.width = channels + part * len(sizes)
        self.features = nn.ModuleList(
            nn.Sequential(
                nn.AdaptiveAvgPool2d(size),
                nn.Conv2d(channels, part, 1, bias=False),
                nn.BatchNorm2d(part),
                nn.ReLU(),
            )
            for size in sizes
        )

    def forward(self, x: Tensor) -> Tensor:
        """``[n, channels, h, w]`` to ``[n, width, h, w]``."""
        pooled = [resize(feature(x), x) for feature in self.features]
        return torch.cat([x, *pooled], dim=1)


class PlainPSPNet(nn.Module):
    """Dilated encoder, pyramid, two convolutions."""

    def __init__(self, facts: NetworkFacts) -> None:
        super().__init__()
        self.backbone = make_body(facts)
        dilate(self.backbone)
        widths, outputs, sizes = stage_widths(self.backbone), facts.classes + 1, _sizes(facts)
        self.ppm = Pyramid(widths[7], sizes)
        inner = math.ceil(widths[7] / len(sizes))
        self.final = nn.Sequential(
            nn.Conv2d(self.ppm.width, inner, 3, padding=1, bias=False),
            nn.BatchNorm2d(inner),
            nn.ReLU(),
            nn.Dropout(),
            nn.Conv2d(inner, outputs, 1),
        )
        # Only training used it; its weights are in the file.
        self.aux_logits = nn.Conv2d(widths[6], outputs, 1)

    def forward(self, image: Tensor) -> Tensor:
        """``[n, bands, h, w]`` to logits ``[n, classes + 1, h, w]``."""
        return resize(self.final(self.ppm(self.backbone(image))), image)


class UnetPSPNet(nn.Module):
    """Dilated encoder with a pyramid, and two blocks of a U-Net's decoder."""

    _SKIPS = (4, 2)

    def __init__(self, facts: NetworkFacts) -> None:
        super().__init__()
        body = make_body(facts)
        dilate(body)
        widths = stage_widths(body)
        pyramid = Pyramid(widths[7], _sizes(facts))
        body.append(pyramid)
        body.append(nn.Conv2d(pyramid.width, _ENCODED, 3, padding=1))
        first = DecoderBlock(_ENCODED, widths[4], normed=True, is_last=False)
        last = DecoderBlock(first.width, widths[2], normed=True, is_last=True)
        outputs = facts.classes + 1
        self.layers = nn.ModuleList(
            [
                body,
                nn.BatchNorm2d(_ENCODED),
                nn.ReLU(),
                bottom(_ENCODED, normed=True),
                first,
                last,
                Upsampling(last.width, last.width, normed=True),
                nn.Sequential(nn.Conv2d(last.width, outputs, 1, bias=False), nn.BatchNorm2d(outputs)),
            ]
        )

    def forward(self, image: Tensor) -> Tensor:
        """``[n, bands, h, w]`` to logits ``[n, classes + 1, h, w]``."""
        x, skips = run_stages(self.layers[0], image, self._SKIPS)
        x = self.layers[3](functional.relu(self.layers[1](x)))
        for block, number in zip(self.layers[4:6], self._SKIPS):
            x = block(x, skips[number])
        return resize(self.layers[7](self.layers[6](x)), image)


class _Wrapped(nn.Module):
    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, image: Tensor) -> Tensor:
        return self.model(image)


def resize(x: Tensor, like: Tensor) -> Tensor:
    """Bilinear to the size of ``like``, corner on corner."""
    return functional.interpolate(x, like.shape[-2:], mode="bilinear", align_corners=True)


def _sizes(facts: NetworkFacts) -> tuple[int, ...]:
    return tuple(int(size) for size in facts.settings.get("pyramid_sizes") or _DEFAULT_SIZES)
