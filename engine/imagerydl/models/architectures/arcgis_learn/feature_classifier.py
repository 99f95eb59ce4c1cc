"""FeatureClassifier: one label, or several, for a whole tile."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from .bodies import make_body, width_of
from .facts import NetworkFacts

_HIDDEN = 512

#: ``MetaDataMode`` of models that give a tile several labels.
MULTI_LABEL = "MultiLabeled_Tiles"


def build(facts: NetworkFacts, weights: Mapping[str, Tensor]) -> nn.Module:
    """The network of a FeatureClassifier: ``[n, bands, h, w]`` to logits ``[n, classes]``."""
    body = make_body(facts, only_resnet=False)
    pooled = 2 * width_of(body)
    head = nn.Sequential(
        _Pooling(),
        nn.Flatten(),
        nn.BatchNorm1d(pooled),
        nn.Dropout(),
        nn.Linear(pooled, _HIDDEN),
        nn.ReLU(),
        nn.BatchNorm1d(_HIDDEN),
        nn.Dropout(),
        nn.Linear(_HIDDEN, facts.classes),
    )
    return nn.Sequential(body, head)


def decode(logits: Tensor, *, is_multi_label: bool) -> Tensor:
    """Scores ``[n, classes]``: they sum to one, or each stands for itself."""
    return torch.sigmoid(logits) if is_multi_label else torch.softmax(logits, dim=1)


class _Pooling(nn.Module):
    """The largest and the mean value of each channel, in this order."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x.amax(dim=(2, 3), keepdim=True), x.mean(dim=(2, 3), keepdim=True)], dim=1)
