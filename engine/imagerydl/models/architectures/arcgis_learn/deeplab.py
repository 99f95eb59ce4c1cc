"""DeepLab: torchvision's DeepLabV3 head on an encoder whose last stages are dilated."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn
from torch.nn import functional
from torchvision.models.segmentation import deeplabv3_resnet101
from torchvision.models.segmentation.deeplabv3 import DeepLabHead
from torchvision.models.segmentation.fcn import FCNHead

from .bodies import dilate, make_body, stage_widths, take_bands
from .facts import NetworkFacts


def build(facts: NetworkFacts, weights: Mapping[str, Tensor]) -> nn.Module:
    """The network of a DeepLab."""
    if facts.is_on("pointrend"):
        raise facts.refuse("PointRend")
    return _TorchvisionDeepLab(facts) if facts.backbone == "resnet101" else DeepLab(facts)


class DeepLab(nn.Module):
    """Dilated encoder, pyramid head, bilinear to the input's size."""

    def __init__(self, facts: NetworkFacts) -> None:
        super().__init__()
        self.backbone = make_body(facts)
        dilate(self.backbone)
        widths, outputs = stage_widths(self.backbone), facts.classes + 1
        self.classifier = DeepLabHead(widths[7], outputs)
        # Only training used it; its weights are in the file.
        self.aux_classifier = FCNHead(widths[6], outputs)

    def forward(self, image: Tensor) -> Tensor:
        """``[n, bands, h, w]`` to logits ``[n, classes + 1, h, w]``."""
        scores = self.classifier(self.backbone(image))
        return functional.interpolate(scores, image.shape[-2:], mode="bilinear", align_corners=False)


class _TorchvisionDeepLab(nn.Module):
    """For resnet101 the tool takes torchvision's whole network, under its own names."""

    def __init__(self, facts: NetworkFacts) -> None:
        super().__init__()
        whole = deeplabv3_resnet101(
            weights=None, weights_backbone=None, num_classes=facts.classes + 1, aux_loss=True
        )
        take_bands(whole.backbone, facts.bands)
        self.backbone, self.classifier = whole.backbone, whole.classifier
        self.aux_classifier = whole.aux_classifier

    def forward(self, image: Tensor) -> Tensor:
        """``[n, bands, h, w]`` to logits ``[n, classes + 1, h, w]``."""
        scores = self.classifier(self.backbone(image)["out"])
        return functional.interpolate(scores, image.shape[-2:], mode="bilinear", align_corners=False)
