"""Lets a network that halves its input several times take images of any size."""

from __future__ import annotations

import torch
from torch import Tensor


def pad_to_multiple(images: Tensor, multiple: int) -> Tensor:
    """Extend images to the right and below until both sides are multiples of ``multiple``.

    The new pixels mirror the image; where it is shorter than the piece to add, its edge is
    repeated. Written with index arithmetic because that exports to ONNX with dynamic sizes, which
    a padding operator with computed widths does not do reliably.

    Args:
        images: ``[n, channels, height, width]``.
        multiple: Pixels.

    Returns:
        The images, the same tensor where nothing is to add.
    """
    # A traced or exported graph must keep the padding even if the example needs none.
    traced = torch.jit.is_tracing() or torch.compiler.is_exporting()
    if not traced and images.shape[-2] % multiple == 0 and images.shape[-1] % multiple == 0:
        return images
    for dimension in (2, 3):
        size = images.shape[dimension]
        padded = (size + multiple - 1) // multiple * multiple
        last = size - 1
        positions = torch.arange(padded, device=images.device)
        images = images.index_select(dimension, (last - (last - positions).abs()).clamp(min=0))
    return images
