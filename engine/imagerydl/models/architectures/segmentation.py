"""Segmentation networks with any backbone, from segmentation-models-pytorch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ...errors import ModelError
from .backbones import encoder_name, forbid_downloads
from .padding import pad_to_multiple
from .pooling import make_exportable

#: Class of the segmentation library for each model type.
_CLASSES = {
    "UNET": "Unet",
    "CHANGEDETECTOR": "Unet",  # over the stacked bands of both dates
    "UNETPLUSPLUS": "UnetPlusPlus",
    "DEEPLAB": "DeepLabV3Plus",
    "PSPNET": "PSPNet",
    "FPN": "FPN",
    "SEGFORMER": "Segformer",
}


def describe(model_type: str, backbone: str, dropout: float) -> dict[str, Any]:
    """The ``ModelParameters`` that :func:`build` rebuilds the network from.

    ``dropout`` has no place here: these networks regularise by batch normalisation.
    """
    return {"architecture": f"smp_{_CLASSES[model_type].lower()}", "backbone": encoder_name(backbone)}


def build(model_type: str, parameters: Mapping[str, Any], bands: int, outputs: int) -> BackboneNetwork:
    """The network that ``parameters`` describe, with fresh weights; nothing is downloaded."""
    forbid_downloads()
    import segmentation_models_pytorch as smp

    backbone = encoder_name(str(parameters["backbone"]))
    try:
        network = BackboneNetwork(
            getattr(smp, _CLASSES[model_type])(
                encoder_name=backbone, encoder_weights=None, in_channels=bands, classes=outputs
            )
        )
        make_exportable(network)
        # Some backbones take images of one size only, and say so when they see another.
        with torch.inference_mode():
            network.eval()(torch.zeros(1, bands, 96, 64))
    except (AssertionError, KeyError, NotImplementedError, RuntimeError, TypeError, ValueError) as error:
        raise ModelError(
            f"{model_type} with the backbone {backbone} cannot be built for {bands} bands ({error}).",
            "Choose another backbone, for example resnet34.",
        ) from error
    return network.train()


class BackboneNetwork(nn.Module):
    """A network of the segmentation library that takes images of any size.

    Args:
        network: The library's network.
    """

    HEAD = "network.segmentation_head.0"

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        #: The deepest of the encoder's five levels is 32 times smaller than the image.
        self.multiple = 32

    @property
    def encoder(self) -> nn.Module:
        """The backbone."""
        return self.network.encoder

    def forward(self, images: Tensor) -> Tensor:
        """Logits ``[n, outputs, h, w]`` of images ``[n, bands, h, w]`` of any size."""
        height, width = images.shape[-2], images.shape[-1]
        return self.network(pad_to_multiple(images, self.multiple))[..., :height, :width]
