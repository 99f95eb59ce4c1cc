"""Means over a grid of bins, in a form that exports to ONNX for images of any size."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class BinMeans(nn.Module):
    """What ``AdaptiveAvgPool2d`` computes, as two products with matrices.

    The exporter writes adaptive pooling for a fixed image size only.

    Args:
        bins: Rows and columns of the result.
    """

    def __init__(self, bins: int) -> None:
        super().__init__()
        self.bins = bins

    def forward(self, features: Tensor) -> Tensor:
        """Means ``[n, channels, bins, bins]`` of features ``[n, channels, h, w]``."""
        rows, columns = (self._shares(features.shape[axis], features) for axis in (2, 3))
        return rows @ features @ columns.transpose(0, 1)

    def _shares(self, size: int, like: Tensor) -> Tensor:
        """Which share each of ``size`` positions has in each bin, ``[bins, size]``."""
        position = torch.arange(size, device=like.device)[None]
        number = torch.arange(self.bins, device=like.device)[:, None]
        first = number * size // self.bins
        end = ((number + 1) * size + self.bins - 1) // self.bins
        inside = ((position >= first) & (position < end)).to(like.dtype)
        return inside / inside.sum(dim=1, keepdim=True)


class PooledBlock(nn.Module):
    """The pooling block of the library's PSPNet, with its weights, for export with any image size.

    Args:
        block: The library's block: ``pool``, a pooling and a convolution.
    """

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.pool = nn.Sequential(BinMeans(block.pool_size), block.pool[1])

    def forward(self, features: Tensor) -> Tensor:
        """Means of each bin, weighed and brought back to the size of ``features``."""
        size = features.shape[2:]
        return functional.interpolate(self.pool(features), size=size, mode="bilinear", align_corners=True)


def make_exportable(network: nn.Module) -> None:
    """Put a :class:`PooledBlock` in place of each pooling block of ``network``."""
    from segmentation_models_pytorch.decoders.pspnet.decoder import PSPBlock

    for parent in list(network.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, PSPBlock):
                setattr(parent, name, PooledBlock(child))
