"""Classifiers of whole chips: any encoder, the mean of its deepest map, one layer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ...errors import ModelError
from .backbones import NONE, encoder_name, forbid_downloads
from .encoders import build_encoder

#: Share of the features left out while training: chips of objects are few.
_DROPOUT = 0.2

_TIMM = "tu-"


def describe(model_type: str, backbone: str, dropout: float) -> dict[str, Any]:
    """The ``ModelParameters`` that do not depend on the chips."""
    name = NONE if backbone.upper() == NONE else encoder_name(backbone)
    return {"architecture": "chip_classifier", "backbone": name}


def build(model_type: str, parameters: Mapping[str, Any], bands: int, outputs: int) -> ChipNetwork:
    """The network that ``parameters`` describe, with fresh weights; nothing is downloaded."""
    forbid_downloads()
    backbone = str(parameters["backbone"])
    try:
        encoder = _TimmEncoder(backbone, bands) if backbone.startswith(_TIMM) else None
        network = ChipNetwork(encoder or build_encoder(backbone, bands), outputs)
        with torch.inference_mode():  # some backbones take images of one size only
            network.eval()(torch.zeros(1, bands, 96, 64))
    except (AssertionError, KeyError, NotImplementedError, RuntimeError, TypeError, ValueError) as error:
        raise ModelError(
            f"{model_type} with the backbone {backbone} cannot be built for {bands} bands ({error}).",
            "Choose another backbone, for example resnet18.",
        ) from error
    return network.train()


class ChipNetwork(nn.Module):
    """Scores of a chip for each class.

    Args:
        encoder: Gives maps, the deepest one last; has ``out_channels``.
        outputs: Number of classes.
    """

    HEAD = "head"

    def __init__(self, encoder: nn.Module, outputs: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.dropout = nn.Dropout(_DROPOUT)
        self.head = nn.Linear(int(encoder.out_channels[-1]), outputs)

    def forward(self, images: Tensor) -> Tensor:
        """Logits ``[n, outputs]`` of images ``[n, bands, h, w]``."""
        return self.head(self.dropout(self.encoder(images)[-1].mean(dim=(2, 3))))


class _TimmEncoder(nn.Module):
    """A network of timm up to its deepest map; all of them have one, not all have a pyramid."""

    def __init__(self, name: str, bands: int) -> None:
        super().__init__()
        import timm

        self.model = timm.create_model(
            name[len(_TIMM) :], pretrained=False, in_chans=bands, num_classes=0, global_pool=""
        )
        self.out_channels = (bands, self.model.num_features)

    def forward(self, images: Tensor) -> list[Tensor]:
        """The deepest map; for a transformer its tokens, in a row."""
        features = self.model.forward_features(images)
        if features.dim() == 3:  # [n, tokens, channels]
            features = features.transpose(1, 2)[..., None]
        elif features.shape[1] != self.out_channels[-1]:  # channels last
            features = features.permute(0, 3, 1, 2)
        return [images, features]
