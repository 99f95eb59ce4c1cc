"""A small residual encoder for detectors and classifiers that start from random weights.

A backbone made for a million photographs has ten times the weights a few hundred chips can teach, and
takes a processor ten times as long. This one keeps the shape of a ResNet (four stages of residual blocks,
each at half the resolution of the one before) and is as narrow as that allows.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional

#: Filters of the stem and of the stages, whose features are 2, 4, 8, 16 and 32 times smaller than the image.
WIDTHS = (24, 32, 64, 96, 128)


class PlainEncoder(nn.Module):
    """Features of an image at five resolutions, as the segmentation library's encoders give them.

    Args:
        bands: Bands of the input.
        widths: Filters of the stem and of each stage.
    """

    def __init__(self, bands: int, widths: Sequence[int] = WIDTHS) -> None:
        super().__init__()
        #: Channels of the image and of each feature map.
        self.out_channels = (bands, *widths)
        self.stem = _normalised(bands, widths[0], stride=2)
        self.stages = nn.ModuleList(
            nn.Sequential(_Residual(before, after, stride=2), _Residual(after, after))
            for before, after in zip(widths, widths[1:])
        )

    def forward(self, images: Tensor) -> list[Tensor]:
        """The images and their features, each map half as wide as the one before."""
        maps = [images, functional.relu(self.stem(images))]
        for stage in self.stages:
            maps.append(stage(maps[-1]))
        return maps


class _Residual(nn.Module):
    """Two convolutions beside a short cut."""

    def __init__(self, before: int, after: int, stride: int = 1) -> None:
        super().__init__()
        self.first = _normalised(before, after, stride)
        self.second = _normalised(after, after)
        same = before == after and stride == 1
        self.short_cut = nn.Identity() if same else _normalised(before, after, stride, size=1)

    def forward(self, features: Tensor) -> Tensor:
        own = self.second(functional.relu(self.first(features)))
        return functional.relu(own + self.short_cut(features))


def _normalised(before: int, after: int, stride: int = 1, size: int = 3) -> nn.Sequential:
    """A convolution and its batch normalisation."""
    convolution = nn.Conv2d(before, after, size, stride, padding=size // 2, bias=False)
    nn.init.kaiming_normal_(convolution.weight, mode="fan_out", nonlinearity="relu")
    return nn.Sequential(convolution, nn.BatchNorm2d(after))
