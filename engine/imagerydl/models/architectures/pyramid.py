"""What lies around the encoder of a detector: the image before it, feature maps of one width after it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any, Optional

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.roi_heads import paste_masks_in_image
from torchvision.ops import FeaturePyramidNetwork

#: Both sides of what an encoder is given are a multiple of it: its deepest map is 32 times smaller.
MULTIPLE = 32

#: An encoder's deepest map.
DEEPEST = 32

Detected = list[dict[str, Tensor]]


class Pyramid(nn.Module):
    """An encoder and a feature pyramid on it.

    Args:
        encoder: Gives maps 1, 2, 4, 8, 16 and 32 times smaller than the image.
        strides: Which of them the pyramid has; beyond the deepest one, maps are pooled from it.
        channels: Of each map of the pyramid.
    """

    def __init__(self, encoder: nn.Module, strides: Sequence[int], channels: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.strides, self.out_channels = tuple(strides), channels
        self._levels = [stride.bit_length() - 1 for stride in strides if stride <= DEEPEST]
        inputs = [int(encoder.out_channels[level]) for level in self._levels]
        self.pyramid = FeaturePyramidNetwork(inputs, channels, norm_layer=nn.BatchNorm2d)

    def forward(self, images: Tensor) -> OrderedDict[str, Tensor]:
        """Maps by name, finest first."""
        maps = self.encoder(images)
        features = self.pyramid(OrderedDict((str(i), maps[level]) for i, level in enumerate(self._levels)))
        for number in range(len(self._levels), len(self.strides)):
            features[str(number)] = functional.max_pool2d(features[str(number - 1)], 1, 2)
        return features


class Fitting(nn.Module):
    """Takes the place of torchvision's transform: chips are neither normalised nor brought to another size.

    Only where all objects are large are pixels averaged first, by a whole number, which nothing has to be
    interpolated for.

    Args:
        shrink: Pixels of the image, along each side, that become one.
    """

    def __init__(self, shrink: int = 1) -> None:
        super().__init__()
        self.shrink = shrink

    def forward(
        self, images: Tensor, targets: Optional[Sequence[Mapping[str, Tensor]]] = None
    ) -> tuple[ImageList, Optional[list[dict[str, Tensor]]]]:
        """What the network sees of images ``[n, bands, h, w]``, and their targets in its pixels."""
        height, width = images.shape[-2:]
        piece = MULTIPLE * self.shrink
        below, right = -height % piece, -width % piece
        if below or right:
            images = functional.pad(images, (0, right, 0, below))
        if self.shrink > 1:
            images = functional.avg_pool2d(images, self.shrink)
        size = (-(-height // self.shrink), -(-width // self.shrink))
        fitted = None if targets is None else [self._fit_target(target) for target in targets]
        return ImageList(images, [size] * len(images)), fitted

    def postprocess(
        self, result: Detected, image_shapes: Sequence[tuple[int, int]], original: Sequence[tuple[int, int]]
    ) -> Detected:
        """Detections in pixels of the image; torchvision's models call it by this name."""
        for found, (height, width) in zip(result, original):
            boxes = found["boxes"] * self.shrink
            x, y = boxes[:, 0::2].clamp(0, width), boxes[:, 1::2].clamp(0, height)
            found["boxes"] = torch.stack((x[:, 0], y[:, 0], x[:, 1], y[:, 1]), dim=1)
            if "masks" in found:
                found["masks"] = paste_masks_in_image(found["masks"], found["boxes"], (height, width))
        return result

    def _fit_target(self, target: Mapping[str, Tensor]) -> dict[str, Any]:
        fitted = dict(target)
        fitted["boxes"] = target["boxes"] / self.shrink
        if "masks" in target and self.shrink > 1:
            fitted["masks"] = target["masks"][:, :: self.shrink, :: self.shrink]
        return fitted
