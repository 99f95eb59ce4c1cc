"""FasterRCNN and MaskRCNN: torchvision's models on the backbones that arcgis.learn gives them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models.detection import FasterRCNN, MaskRCNN
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone
from torchvision.ops import FrozenBatchNorm2d, MultiScaleRoIAlign

from .bodies import make_body, take_bands
from .boxes import Boxes
from .facts import NetworkFacts
from .normalisation import mean_and_deviation

_SMALL = ("resnet18", "resnet34")
_FEATURE_PYRAMIDS = ("resnet50", "resnet101", "resnet152")
_SMALL_WIDTH = 512

#: A mask covers a pixel from this on.
_MASK_THRESHOLD = 0.5


def build(facts: NetworkFacts, weights: Mapping[str, Tensor]) -> nn.Module:
    """The network of a FasterRCNN or a MaskRCNN."""
    if facts.is_on("pointrend"):
        raise facts.refuse("PointRend")
    makes_masks = facts.model_name == "MaskRCNN"
    options: dict[str, Any] = {
        "min_size": 1.5 * facts.tile,
        "max_size": 2 * facts.tile,
        **_numbers(facts.settings.get("MaskRCNNkwargs" if makes_masks else "Kwargs")),
    }
    if facts.backbone in _SMALL:
        backbone = make_body(facts)
        backbone.out_channels = _SMALL_WIDTH
        options["rpn_anchor_generator"] = AnchorGenerator(((32,),), ((0.5, 1.0, 2.0),))
        options["box_roi_pool"] = MultiScaleRoIAlign(["0"], output_size=7, sampling_ratio=2)
        if makes_masks:
            options["mask_roi_pool"] = MultiScaleRoIAlign(["0"], output_size=14, sampling_ratio=2)
    elif facts.backbone in _FEATURE_PYRAMIDS:
        backbone = resnet_fpn_backbone(
            backbone_name=facts.backbone, weights=None, norm_layer=FrozenBatchNorm2d, trainable_layers=5
        )
        take_bands(backbone, facts.bands)
    else:
        raise facts.refuse(f"the backbone {facts.backbone}")
    means, deviations = mean_and_deviation(facts)
    outputs = facts.classes + 1
    if makes_masks:
        options.update(image_mean=means, image_std=deviations)
        return _Masks(backbone, outputs, **options)
    if facts.settings.get("NormalizationStats"):
        # The input is normalised already.
        options.update(image_mean=[0.0] * facts.bands, image_std=[1.0] * facts.bands)
        return _Boxes(backbone, outputs, **options)
    options.update(image_mean=means, image_std=deviations)
    return _NormalisedTwice(backbone, outputs, **options)


def decode(outputs: list[dict[str, Tensor]]) -> list[Boxes]:
    """Objects of each tile of a batch, from what the network gives once it has its thresholds."""
    return [
        Boxes(
            output["boxes"],
            output["scores"],
            output["labels"] - 1,
            output["masks"][:, 0] >= _MASK_THRESHOLD if "masks" in output else None,
        )
        for output in outputs
    ]


def set_thresholds(network: nn.Module, threshold: float, nms_overlap: float) -> None:
    """Set what the network itself sorts out objects by."""
    network.roi_heads.score_thresh = threshold
    network.roi_heads.nms_thresh = nms_overlap


def resize_for(network: nn.Module, tile: int) -> None:
    """Set the size that tiles of ``tile`` pixels are brought to within the network."""
    network.transform.min_size, network.transform.max_size = (1.5 * tile,), 2 * tile


class _Boxes(FasterRCNN):
    def forward(self, images: Tensor) -> list[dict[str, Tensor]]:
        return super().forward(list(images))


class _NormalisedTwice(FasterRCNN):
    """Takes normalised imagery and undoes that, for torchvision normalises by itself.

    A round trip that costs a rounding or two: those which the tool has.
    """

    def forward(self, images: Tensor) -> list[dict[str, Tensor]]:
        means = torch.tensor(self.transform.image_mean, device=images.device).view(-1, 1, 1)
        deviations = torch.tensor(self.transform.image_std, device=images.device).view(-1, 1, 1)
        return super().forward(list(images * deviations + means))


class _Masks(MaskRCNN):
    def forward(self, images: Tensor) -> list[dict[str, Tensor]]:
        return super().forward(list(images))


def _numbers(given: Any) -> dict[str, Any]:
    """Options of torchvision's that a definition passes on."""
    if not isinstance(given, Mapping):
        return {}
    return {
        name: value
        for name, value in given.items()
        if name.startswith(("rpn_", "box_")) and isinstance(value, (int, float))
    }
