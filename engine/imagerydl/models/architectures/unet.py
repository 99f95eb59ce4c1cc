"""The plain U-Net: 16-32-64-128 filters, a bottleneck of 160, dropout, transposed convolutions.

The network of "Semantic segmentation of aerial imagery using U-Net in Python" (A. Davies, 2022),
itself after Ronneberger et al. 2015: 1,421,830 parameters for 3 bands and 6 classes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from .padding import pad_to_multiple

FILTERS = (16, 32, 64, 128, 160)

#: Dropout of the article, per level. A tenth of it trains better in 20 epochs (``dropout=0.1``).
ARTICLE_DROPOUT = (0.1, 0.1, 0.2, 0.2, 0.3)


def describe(model_type: str, backbone: str, dropout: float) -> dict[str, Any]:
    """The ``ModelParameters`` that :func:`build` rebuilds the network from.

    Args:
        model_type: "UNET", or "CHANGEDETECTOR", which is one over the stacked bands of two dates.
        backbone: "NONE".
        dropout: Share of the article's dropout, 0 for none, 1 for all of it.
    """
    return {
        "architecture": "plain_unet",
        "backbone": backbone,
        "filters": list(FILTERS),
        "dropout": [round(rate * dropout, 6) for rate in ARTICLE_DROPOUT],
    }


def build(model_type: str, parameters: Mapping[str, Any], bands: int, outputs: int) -> PlainUNet:
    """The network that ``parameters`` describe, with fresh weights."""
    filters = [int(count) for count in parameters.get("filters", FILTERS)]
    dropout = [float(rate) for rate in parameters.get("dropout", ARTICLE_DROPOUT)]
    return PlainUNet(bands, outputs, filters, dropout)


class PlainUNet(nn.Module):
    """A U-Net of plain convolutions, without a backbone.

    Args:
        bands: Bands of the input.
        outputs: Channels of the output, one per class.
        filters: Filters of each level, the last one being the bottleneck.
        dropout: Dropout probability of each level.
    """

    #: Name of the layer that turns features into classes.
    HEAD = "head"

    def __init__(
        self,
        bands: int,
        outputs: int,
        filters: Sequence[int] = FILTERS,
        dropout: Sequence[float] = ARTICLE_DROPOUT,
    ) -> None:
        super().__init__()
        if len(filters) != len(dropout) or len(filters) < 2:
            raise ValueError("filters and dropout need one number per level, at least two levels")
        self.multiple = 2 ** (len(filters) - 1)
        inputs = [bands, *filters[:-1]]
        self.encoder = nn.ModuleList(_block(i, o, p) for i, o, p in zip(inputs, filters, dropout))
        upwards = list(zip(filters[:0:-1], filters[-2::-1], dropout[-2::-1]))
        self.upsampling = nn.ModuleList(nn.ConvTranspose2d(i, o, 2, stride=2) for i, o, _ in upwards)
        self.decoder = nn.ModuleList(_block(2 * o, o, p) for _, o, p in upwards)
        self.head = nn.Conv2d(filters[0], outputs, kernel_size=1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight)
                nn.init.zeros_(module.bias)

    def forward(self, images: Tensor) -> Tensor:
        """Logits ``[n, outputs, h, w]`` of images ``[n, bands, h, w]`` of any size."""
        height, width = images.shape[-2], images.shape[-1]
        features = pad_to_multiple(images, self.multiple)
        skipped = []
        for level, block in enumerate(self.encoder):
            features = block(functional.max_pool2d(features, 2) if level else features)
            skipped.append(features)
        skipped.pop()  # the bottleneck goes up, not across
        for upsample, block in zip(self.upsampling, self.decoder):
            features = block(torch.cat([upsample(features), skipped.pop()], dim=1))
        return self.head(features)[..., :height, :width]


def _block(inputs: int, outputs: int, dropout: float) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.Dropout(dropout),
        nn.Conv2d(outputs, outputs, 3, padding=1),
        nn.ReLU(inplace=True),
    )
