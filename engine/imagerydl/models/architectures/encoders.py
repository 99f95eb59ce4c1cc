"""Encoders by name: the small one of this engine, and those of the segmentation library."""

from __future__ import annotations

from torch import nn

from .backbones import NONE, encoder_name
from .plain_encoder import PlainEncoder


def build_encoder(backbone: str, bands: int) -> nn.Module:
    """The encoder of a name, with fresh weights; it gives six maps and has ``out_channels``.

    Raises:
        ParameterError: For an unknown backbone.
    """
    if backbone.upper() == NONE:
        return PlainEncoder(bands)
    import segmentation_models_pytorch as smp

    return smp.encoders.get_encoder(encoder_name(backbone), in_channels=bands, depth=5, weights=None)
