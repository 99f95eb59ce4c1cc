"""Object detectors of torchvision on any encoder, for any number of bands.

torchvision's ready-made models are sized for photographs of a million pixels and pretrained weights. Here
the parts are the same (heads, matching, losses, sampling, suppression), but narrow, and fitted to the
sizes of the objects they are trained on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models.detection import FCOS, FasterRCNN, MaskRCNN, RetinaNet
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.fcos import FCOSHead
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor
from torchvision.models.detection.retinanet import RetinaNetHead
from torchvision.models.detection.ssd import SSD, SSDHead
from torchvision.ops import MultiScaleRoIAlign

from ...errors import ModelError
from .backbones import NONE, encoder_name, forbid_downloads
from .encoders import build_encoder
from .object_detector import MOST_BOXES, NMS_OVERLAP, THRESHOLD, ObjectDetector
from .pyramid import Fitting, Pyramid

#: Channels of the pyramid and the heads; a quarter of torchvision's.
CHANNELS = 64

#: Numbers between the boxes of a two-stage detector and their classes.
_HIDDEN = 256

#: Detectors whose class 0 is "nothing": their classes count from 1.
_WITH_BACKGROUND = ("SSD", "FASTERRCNN", "MASKRCNN")

#: :data:`MOST_BOXES` where each has a mask as large as the tile.
MOST_OUTLINES = 200


def describe(model_type: str, backbone: str, dropout: float) -> dict[str, Any]:
    """The ``ModelParameters`` that do not depend on the objects; ``anchors`` come from the training boxes."""
    name = NONE if backbone.upper() == NONE else encoder_name(backbone)
    return {"architecture": f"torchvision_{model_type.lower()}", "backbone": name, "channels": CHANNELS}


def build(model_type: str, parameters: Mapping[str, Any], bands: int, outputs: int) -> Detector:
    """The network that ``parameters`` describe, with fresh weights; nothing is downloaded.

    Args:
        model_type: "SSD", "RETINANET", "FASTERRCNN", "MASKRCNN" or "FCOS".
        parameters: ``backbone``, ``channels``, ``shrink``, ``strides`` (one a level), ``sizes`` (of the
            anchors of each level, pixels of the shrunk image) and ``ratios`` (height by width).
        bands: Bands it takes.
        outputs: Number of classes, without background.
    """
    forbid_downloads()
    backbone = str(parameters["backbone"])
    try:
        pyramid = Pyramid(
            build_encoder(backbone, bands), parameters["strides"], int(parameters.get("channels", CHANNELS))
        )
        network = _BUILDERS[model_type](pyramid, parameters, outputs)
        network.transform = Fitting(int(parameters.get("shrink", 1)))
        detector = Detector(network, 1 if model_type in _WITH_BACKGROUND else 0)
        with torch.inference_mode():  # some backbones take images of one size only
            detector.eval()(torch.zeros(1, bands, 96, 64))
    except (AssertionError, KeyError, NotImplementedError, RuntimeError, TypeError, ValueError) as error:
        raise ModelError(
            f"{model_type} with the backbone {backbone} cannot be built for {bands} bands ({error}).",
            "Choose another backbone, for example resnet18.",
        ) from error
    return detector.train()


class Detector(ObjectDetector):
    """A detector of torchvision with classes that count from 0.

    Args:
        network: torchvision's.
        first: Its own number of the first class.
    """

    def __init__(self, network: nn.Module, first: int) -> None:
        super().__init__()
        self.network, self._first = network, first
        self.set_limits()

    @property
    def encoder(self) -> nn.Module:
        """The backbone."""
        return self.network.backbone.encoder

    @property
    def dense_part(self) -> nn.Module:
        """What runs over the whole image: nearly all of what an image costs."""
        return _Dense(self.network)

    def set_limits(self, threshold: float = THRESHOLD, nms_overlap: float = NMS_OVERLAP) -> None:
        """Say which boxes count from now on."""
        heads = getattr(self.network, "roi_heads", None)
        final = self.network if heads is None else heads
        final.score_thresh, final.nms_thresh = threshold, nms_overlap
        gives_masks = heads is not None and heads.has_mask()
        final.detections_per_img = MOST_OUTLINES if gives_masks else MOST_BOXES

    def losses(self, images: Tensor, targets: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
        """The parts of the loss.

        Args:
            images: ``[n, bands, h, w]``, normalised.
            targets: ``boxes`` ``[m, 4]``, ``labels`` ``[m]`` from 0, for masks ``masks`` ``[m, h, w]``.
        """
        counted = [{**target, "labels": target["labels"] + self._first} for target in targets]
        # In evaluation mode torchvision gives boxes: these flags ask for losses, and leave the
        # statistics of the layers below as they are.
        inner = [getattr(self.network, name) for name in ("rpn", "roi_heads") if hasattr(self.network, name)]
        modes = [(part, part.training) for part in (self.network, *inner)]
        for part, _ in modes:
            part.training = True
        try:
            return self.network(images, counted)
        finally:
            for part, mode in modes:
                part.training = mode

    def forward(self, images: Tensor) -> list[dict[str, Tensor]]:
        """What is found in each image: ``boxes``, ``labels`` from 0, ``scores``, some have ``masks``."""
        found = self.network(images)
        for one in found:
            one["labels"] = one["labels"] - self._first
        return found


class _Dense(nn.Module):
    """The part of a detector that runs over the whole image."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.transform, self.backbone = network.transform, network.backbone
        self.head = network.rpn.head if hasattr(network, "rpn") else network.head

    def forward(self, images: Tensor) -> Any:
        fitted, _ = self.transform(images)
        return self.head(list(self.backbone(fitted.tensors).values()))


def _anchors(parameters: Mapping[str, Any]) -> AnchorGenerator:
    sizes = tuple(tuple(float(size) for size in level) for level in parameters["sizes"])
    ratios = tuple(float(ratio) for ratio in parameters["ratios"])
    return AnchorGenerator(sizes, (ratios,) * len(sizes))


def _fcos(pyramid: Pyramid, parameters: Mapping[str, Any], outputs: int) -> nn.Module:
    # A point looks for objects of up to eight times its stride, as in the article.
    anchors = AnchorGenerator(
        tuple((stride,) for stride in pyramid.strides), ((1.0,),) * len(pyramid.strides)
    )
    head = FCOSHead(pyramid.out_channels, 1, outputs, num_convs=2)
    return FCOS(pyramid, outputs, anchor_generator=anchors, head=head)


def _retinanet(pyramid: Pyramid, parameters: Mapping[str, Any], outputs: int) -> nn.Module:
    anchors = _anchors(parameters)
    head = RetinaNetHead(
        pyramid.out_channels,
        anchors.num_anchors_per_location()[0],
        outputs,
        norm_layer=partial(nn.GroupNorm, 32),
    )
    return RetinaNet(pyramid, outputs, anchor_generator=anchors, head=head)


def _ssd(pyramid: Pyramid, parameters: Mapping[str, Any], outputs: int) -> nn.Module:
    anchors = _anchors(parameters)
    head = SSDHead(
        [pyramid.out_channels] * len(pyramid.strides), anchors.num_anchors_per_location(), outputs + 1
    )
    return SSD(pyramid, anchors, (0, 0), outputs + 1, head=head, topk_candidates=MOST_BOXES)


def _two_stages(
    kind: type[FasterRCNN], pyramid: Pyramid, parameters: Mapping[str, Any], outputs: int, **more: Any
) -> nn.Module:
    channels = pyramid.out_channels
    return kind(
        pyramid,
        rpn_anchor_generator=_anchors(parameters),
        box_roi_pool=_cut(pyramid, 7),
        box_head=TwoMLPHead(channels * 7 * 7, _HIDDEN),
        box_predictor=FastRCNNPredictor(_HIDDEN, outputs + 1),
        **more,
    )


def _faster_rcnn(pyramid: Pyramid, parameters: Mapping[str, Any], outputs: int) -> nn.Module:
    return _two_stages(FasterRCNN, pyramid, parameters, outputs)


def _mask_rcnn(pyramid: Pyramid, parameters: Mapping[str, Any], outputs: int) -> nn.Module:
    channels = pyramid.out_channels
    return _two_stages(
        MaskRCNN,
        pyramid,
        parameters,
        outputs,
        mask_roi_pool=_cut(pyramid, 14),
        mask_head=MaskRCNNHeads(channels, (channels, channels), 1),
        mask_predictor=MaskRCNNPredictor(channels, channels, outputs + 1),
    )


def _cut(pyramid: Pyramid, side: int) -> MultiScaleRoIAlign:
    names = [str(number) for number in range(len(pyramid.strides))]
    return MultiScaleRoIAlign(names, output_size=side, sampling_ratio=2)


_BUILDERS = {
    "SSD": _ssd,
    "RETINANET": _retinanet,
    "FASTERRCNN": _faster_rcnn,
    "MASKRCNN": _mask_rcnn,
    "FCOS": _fcos,
}
