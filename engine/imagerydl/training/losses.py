"""The loss: cross entropy, with an overlap term that follows the Jaccard index."""

from __future__ import annotations

from typing import Optional

import torch
from torch import Tensor, nn
from torch.nn import functional

from .channels import IGNORED
from .settings import LossSettings

#: Exponent of the focal loss (Lin et al. 2017).
FOCAL_GAMMA = 2


class PixelLoss(nn.Module):
    """Loss and soft Jaccard index of a batch.

    Args:
        settings: Which terms, and how much of each.
        class_weights: Weight of each channel in the cross entropy.
    """

    def __init__(self, settings: LossSettings, class_weights: Optional[Tensor] = None) -> None:
        super().__init__()
        self.settings = settings
        self.register_buffer("class_weights", class_weights)

    def forward(self, logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Compare.

        Args:
            logits: ``[n, channels, h, w]``.
            target: Channels ``[n, h, w]``; :data:`IGNORED` pixels do not count.

        Returns:
            The loss, and the soft Jaccard index (see :func:`soft_jaccard`), both scalars.
        """
        logits = logits.float()
        surprise = functional.cross_entropy(logits, target, reduction="none", ignore_index=IGNORED)
        counted = target != IGNORED
        pixels = counted.sum()
        right = torch.exp(-surprise)  # probability given to the true class
        overlap = (right * counted).sum()
        jaccard = soft_jaccard(overlap, pixels)

        loss = self._weighted_mean(surprise, right, target, counted, pixels)
        if self.settings.dice_loss_fraction:
            dice = self._dice(logits, target, counted, overlap, pixels)
            loss = torch.lerp(loss, 1 - dice, self.settings.dice_loss_fraction)
        if self.settings.jaccard_loss_weight:
            loss = loss + self.settings.jaccard_loss_weight * (1 - jaccard)
        return loss, jaccard.detach()

    def _weighted_mean(
        self, surprise: Tensor, right: Tensor, target: Tensor, counted: Tensor, pixels: Tensor
    ) -> Tensor:
        if self.settings.focal_loss:
            surprise = (1 - right) ** FOCAL_GAMMA * surprise
        if self.class_weights is None:
            return surprise.sum() / pixels.clamp(min=1)  # ignored pixels have surprise 0
        weights = self.class_weights[torch.where(counted, target, 0)] * counted
        return (surprise * weights).sum() / weights.sum().clamp(min=1e-6)

    def _dice(
        self, logits: Tensor, target: Tensor, counted: Tensor, overlap: Tensor, pixels: Tensor
    ) -> Tensor:
        if self.settings.dice_loss_average == "micro":
            return (overlap + 1) / (pixels + 1)  # 2 I / (N + N)
        probabilities = logits.softmax(dim=1) * counted[:, None]
        channels = logits.shape[1]
        truth = functional.one_hot(torch.where(counted, target, 0), channels).permute(0, 3, 1, 2)
        truth = truth * counted[:, None]
        axes = (0, 2, 3)
        both = 2 * (probabilities * truth).sum(axes) + 1
        return (both / (probabilities.sum(axes) + truth.sum(axes) + 1)).mean()


def soft_jaccard(overlap: Tensor, pixels: Tensor) -> Tensor:
    """The article's Jaccard index over a flattened batch.

    ``(I + 1) / (sum_true + sum_predicted - I + 1)`` on one-hot truth and softmax probabilities.
    Both of these sum to 1 in every pixel, so the two sums are the number of pixels, and ``I`` is
    the sum of the probabilities given to the true classes.

    Args:
        overlap: ``I``.
        pixels: Number of pixels that count.
    """
    return (overlap + 1) / (2 * pixels - overlap + 1)


def balancing_weights(pixel_counts: list[int]) -> Tensor:
    """Weight of each class by the inverse of its share of pixels, mean 1 over the pixels.

    At most 10, so that a class of a handful of pixels does not drown the rest; 0 where a class
    does not occur.
    """
    counts = torch.tensor(pixel_counts, dtype=torch.float64)
    occurring = counts > 0
    weights = torch.zeros_like(counts)
    weights[occurring] = counts.sum() / (occurring.sum() * counts[occurring])
    return weights.clamp(max=10).float()
