"""UnetClassifier, and the U-shaped decoder that PSPNetClassifier shares with it: fastai's dynamic U-Net."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from .bodies import make_body, run_stages, stage_widths, width_of
from .facts import NetworkFacts


def build(facts: NetworkFacts, weights: Mapping[str, Tensor]) -> nn.Module:
    """The network of a UnetClassifier."""
    # An odd tile has a layer without weights before the concatenation, which moves later names.
    return UnetClassifier(facts, has_resize="layers.11.layers.0.0.weight" in weights)


class WeightNormConv(nn.Module):
    """A 1 x 1 convolution kept as direction and length of each filter."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.weight_g = nn.Parameter(torch.ones(outputs, 1, 1, 1))
        self.weight_v = nn.Parameter(torch.ones(outputs, inputs, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """``[n, inputs, h, w]`` to ``[n, outputs, h, w]``."""
        length = torch.linalg.vector_norm(self.weight_v, dim=(1, 2, 3), keepdim=True)
        return functional.conv2d(x, self.weight_v * (self.weight_g / length), self.bias)


class Upsampling(nn.Module):
    """Twice the size: a 1 x 1 convolution, ReLU, and its channels laid out as 2 x 2 pixels."""

    def __init__(self, inputs: int, outputs: int, *, normed: bool) -> None:
        super().__init__()
        layer = WeightNormConv(inputs, 4 * outputs) if normed else nn.Conv2d(inputs, 4 * outputs, 1)
        self.conv = nn.Sequential(layer)

    def forward(self, x: Tensor) -> Tensor:
        """``[n, inputs, h, w]`` to ``[n, outputs, 2 h, 2 w]``."""
        return functional.pixel_shuffle(functional.relu(self.conv(x)), 2)


class DecoderBlock(nn.Module):
    """Upsampling, joined with a map of the encoder, and two convolutions."""

    def __init__(self, inputs: int, skip: int, *, normed: bool, is_last: bool) -> None:
        super().__init__()
        joined = inputs // 2 + skip
        self.width = joined // 2 if is_last else joined
        self.shuf = Upsampling(inputs, inputs // 2, normed=normed)
        self.bn = nn.BatchNorm2d(skip)
        self.conv1 = convolution(joined, self.width, normed=normed)
        self.conv2 = convolution(self.width, self.width, normed=normed)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """The map of the level below and the encoder's, as one of this level."""
        up = self.shuf(x)
        if up.shape[-2:] != skip.shape[-2:]:
            up = functional.interpolate(up, skip.shape[-2:], mode="nearest")
        return self.conv2(self.conv1(functional.relu(torch.cat([up, self.bn(skip)], dim=1))))


class CrossBlock(nn.Module):
    """Two 3 x 3 convolutions through half the channels, plus what goes in."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        half = channels // 2
        self.layers = nn.Sequential(
            convolution(channels, half, normed=False), convolution(half, channels, normed=False)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Same shape."""
        return x + self.layers(x)


class UnetClassifier(nn.Module):
    """The U-Net of arcgis.learn.

    Args:
        facts: What the definition says.
        has_resize: Whether a layer without weights stands before the concatenation with the image.
    """

    _SKIPS = (6, 5, 4, 2)

    def __init__(self, facts: NetworkFacts, *, has_resize: bool) -> None:
        super().__init__()
        body = make_body(facts)
        width, skips = width_of(body), stage_widths(body)
        blocks = []
        inputs = width
        for number in self._SKIPS:
            is_last = number == self._SKIPS[-1]
            blocks.append(DecoderBlock(inputs, skips[number], normed=False, is_last=is_last))
            inputs = blocks[-1].width
        self.layers = nn.ModuleList(
            [
                body,
                nn.BatchNorm2d(width),
                nn.ReLU(),
                bottom(width, normed=False),
                *blocks,
                Upsampling(inputs, inputs, normed=False),
                *[nn.Identity()] * (2 if has_resize else 1),
                CrossBlock(inputs + facts.bands),
                nn.Sequential(nn.Conv2d(inputs + facts.bands, facts.classes + 1, 1)),
            ]
        )

    def forward(self, image: Tensor) -> Tensor:
        """``[n, bands, h, w]`` to logits ``[n, classes + 1, h, w]``."""
        x, skips = run_stages(self.layers[0], image, self._SKIPS)
        x = self.layers[3](functional.relu(self.layers[1](x)))
        for block, number in zip(self.layers[4:8], self._SKIPS):
            x = block(x, skips[number])
        x = self.layers[8](x)
        if x.shape[-2:] != image.shape[-2:]:
            x = functional.interpolate(x, image.shape[-2:], mode="nearest")
        return self.layers[-1](self.layers[-2](torch.cat([x, image], dim=1)))


def bottom(width: int, *, normed: bool) -> nn.Sequential:
    """The two convolutions at the bottom of the U."""
    return nn.Sequential(
        convolution(width, 2 * width, normed=normed), convolution(2 * width, width, normed=normed)
    )


def convolution(inputs: int, outputs: int, *, normed: bool) -> nn.Sequential:
    """3 x 3 convolution and ReLU; ``normed``: batch normalisation behind, and no bias."""
    layers = [nn.Conv2d(inputs, outputs, 3, padding=1, bias=not normed), nn.ReLU()]
    return nn.Sequential(*layers, *([nn.BatchNorm2d(outputs)] if normed else []))
