"""Mixup: chips are mixed two by two, and so is their loss (Zhang et al. 2018)."""

from __future__ import annotations

import torch
from torch import Tensor

#: Both parameters of the beta distribution that shares are drawn from: mostly one chip or the other.
_ALPHA = 0.4


def draw_mix(count: int, device: torch.device) -> tuple[float, Tensor]:
    """The share of the chips themselves, and the partner of each of ``count`` chips."""
    share = float(torch.distributions.Beta(_ALPHA, _ALPHA).sample())
    return share, torch.randperm(count, device=device)


def mix(batch: Tensor, share: float, partner: Tensor) -> Tensor:
    """``share`` of each chip and the rest of its partner."""
    return torch.lerp(batch[partner], batch, share)
