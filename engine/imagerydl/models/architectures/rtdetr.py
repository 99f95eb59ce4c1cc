"""RT-DETR of transformers on any encoder, for any number of bands.

The second version (Lv et al. 2024), which is also the one ArcGIS trains: it differs from the first in how
the points that a query looks at are spread, and costs the same. Encoder, decoder, matching, denoising and
losses are those of transformers; the backbone is one of this engine, so that every detector here has the
same ones, and the sizes of the boxes it starts from are fitted to the objects it is trained on.

transformers builds networks to be filled with published weights. Nothing is downloaded here, so layers
start as their articles start them, not as transformers leaves them (:func:`_initialise`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.ops import batched_nms, box_convert

from ...errors import ModelError
from .backbones import NONE, encoder_name, forbid_downloads
from .encoders import build_encoder
from .object_detector import NMS_OVERLAP, THRESHOLD, ObjectDetector
from .pyramid import MULTIPLE

#: Channels of the encoder and the decoder, half of the article's; heads have 32 each.
CHANNELS = 128

#: Numbers in the middle of each layer of the transformers.
_HIDDEN = 512

#: Layers that refine the boxes, half of the article's.
_DECODER_LAYERS = 3

#: Queries of a training step that start from objects with noise: they learn from the first step on,
#: while the others still change places.
_DENOISING = 100

#: Channels of the backbone that is replaced as soon as transformers has built it.
_STAND_IN = 8

#: Positions closer to a border than this, as a share of the image, start from there: on the border
#: itself the logistic scale has no number.
_BORDER = 1e-3

#: Score that every query starts with: "nothing here".
_PRIOR = 0.01

#: Learning rate of the points that queries look at, as a share of the rest (Zhu et al. 2021).
_POINTS_RATE = 0.1

#: Parts of the loss: what names of transformers hold, and what the log calls it.
_PARTS = (("_dn_", "denoising"), ("loss_vfl", "classification"), ("loss_bbox", "bbox_regression"))


def describe(model_type: str, backbone: str, dropout: float) -> dict[str, Any]:
    """The ``ModelParameters`` that do not depend on the objects."""
    return {
        "architecture": "transformers_rt_detr_v2",
        "backbone": NONE if backbone.upper() == NONE else encoder_name(backbone),
        "channels": CHANNELS,
        "decoder_layers": _DECODER_LAYERS,
        "denoising": _DENOISING,
        "nms_overlap": NMS_OVERLAP,
    }


def build(model_type: str, parameters: Mapping[str, Any], bands: int, outputs: int) -> QueryDetector:
    """The network that ``parameters`` describe, with fresh weights; nothing is downloaded.

    Args:
        model_type: "RTDETR".
        parameters: ``backbone``, ``channels``, ``decoder_layers``, ``denoising`` (queries of training),
            ``tile`` (height, width of the images), ``shrink``, ``strides`` (one a level), ``sizes`` (of the
            boxes each level starts from, pixels of the shrunk image) and ``queries``.
        bands: Bands it takes.
        outputs: Number of classes.

    Raises:
        ModelError: Where it cannot be built.
    """
    forbid_downloads()
    backbone = str(parameters["backbone"])
    try:
        detector = QueryDetector(_network(parameters, bands, outputs), parameters)
        # Not in inference mode: transformers keeps the positions it computes for the training to come.
        with torch.no_grad():
            detector.eval()(torch.zeros(1, bands, *detector.tile_size))
    except (AssertionError, KeyError, NotImplementedError, RuntimeError, TypeError, ValueError) as error:
        raise ModelError(
            f"{model_type} with the backbone {backbone} cannot be built for {bands} bands ({error}).",
            "Choose another backbone, for example resnet18.",
        ) from error
    return detector.train()


class QueryDetector(ObjectDetector):
    """An RT-DETR with images and boxes in pixels.

    Boxes are shares of the image inside the network, and so is what it learns of sizes and places: the
    same object in a larger image is another object to it. It is therefore made for images of one size;
    smaller ones are filled up, larger ones refused.

    Args:
        network: Of transformers.
        parameters: ``ModelParameters``.
    """

    learning_rate = 1e-3
    trained_encoder_rate = 0.1

    def __init__(self, network: nn.Module, parameters: Mapping[str, Any]) -> None:
        super().__init__()
        self.network = network
        height, width = parameters["tile"]
        self._tile, self._shrink = (int(height), int(width)), int(parameters.get("shrink", 1))
        self.set_limits()

    @property
    def tile_size(self) -> tuple[int, int]:
        """(height, width) of the images it was made for and takes at most."""
        return self._tile

    @property
    def encoder(self) -> nn.Module:
        """The backbone."""
        return self.network.model.backbone.encoder

    @property
    def dense_part(self) -> nn.Module:
        """What runs over the whole image: nearly all of what an image costs."""
        return _Dense(self)

    def set_limits(self, threshold: float = THRESHOLD, nms_overlap: float = NMS_OVERLAP) -> None:
        """Say which boxes count from now on."""
        self._threshold, self._nms_overlap = threshold, nms_overlap

    def slow_parameters(self) -> dict[nn.Parameter, float]:
        """Where queries look, and the encoder where it brings weights of its own."""
        slow = {
            parameter: _POINTS_RATE
            for name, parameter in self.network.named_parameters()
            if ".sampling_offsets." in name
        }
        if self.encoder_rate != 1:
            slow.update(dict.fromkeys(self.encoder.parameters(), self.encoder_rate))
        return slow

    def losses(self, images: Tensor, targets: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
        """The parts of the loss, summed over the layers of the decoder."""
        sides = images.new_tensor(self._sides * 2)
        labels = [
            {
                "class_labels": target["labels"],
                "boxes": box_convert(target["boxes"] / sides, "xyxy", "cxcywh"),
            }
            for target in targets
        ]
        terms = self.network(pixel_values=self.fitted(images), labels=labels).loss_dict
        parts: dict[str, Tensor] = {}
        for name, value in terms.items():
            part = next((called for word, called in _PARTS if word in name), "box_overlap")
            parts[part] = parts[part] + value if part in parts else value
        return parts

    def answers(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """What every query answers.

        Args:
            images: ``[n, bands, h, w]``, normalised.

        Returns:
            Logits ``[n, queries, classes]``; boxes ``[n, queries, 4]``, centre and size as shares of the
            image, cut at its border.
        """
        given = self.network(pixel_values=self.fitted(images))
        height, width = images.shape[-2:]
        corners = box_convert(given.pred_boxes, "cxcywh", "xyxy") * images.new_tensor(self._sides * 2)
        shares = (corners / images.new_tensor([width, height] * 2)).clamp(0, 1)
        return given.logits, box_convert(shares, "xyxy", "cxcywh")

    def forward(self, images: Tensor) -> list[dict[str, Tensor]]:
        """What is found in each image: ``boxes``, ``labels``, ``scores``, surest first."""
        logits, shares = self.answers(images)
        height, width = images.shape[-2:]
        corners = box_convert(shares, "cxcywh", "xyxy") * images.new_tensor([width, height] * 2)
        scores, labels = logits.sigmoid().max(dim=-1)
        found = []
        for own_boxes, own_scores, own_labels in zip(corners, scores, labels):
            sure = own_scores >= self._threshold
            boxes, sure_scores, sure_labels = own_boxes[sure], own_scores[sure], own_labels[sure]
            kept = batched_nms(boxes, sure_scores, sure_labels, self._nms_overlap)
            found.append({"boxes": boxes[kept], "labels": sure_labels[kept], "scores": sure_scores[kept]})
        return found

    @property
    def _sides(self) -> list[int]:
        """Width and height, in pixels of the image, of what the network sees."""
        piece = MULTIPLE * self._shrink
        height, width = (-(-side // piece) * piece for side in self._tile)
        return [width, height]

    def fitted(self, images: Tensor) -> Tensor:
        """Images as the network sees them: filled up, and shrunk where all objects are large."""
        (height, width), (all_width, all_height) = images.shape[-2:], self._sides
        if height > self._tile[0] or width > self._tile[1]:
            raise ModelError(
                f"This RTDETR takes images of {self._tile[1]} x {self._tile[0]} pixels, the size of chips "
                f"it was trained on, not {width} x {height}.",
                "Give tiles of that size; for another one, train on chips of that size.",
            )
        if (height, width) != (all_height, all_width):
            images = functional.pad(images, (0, all_width - width, 0, all_height - height))
        return functional.avg_pool2d(images, self._shrink) if self._shrink > 1 else images


class _Dense(nn.Module):
    """The part of an RT-DETR that runs over the whole image: all before the queries."""

    def __init__(self, detector: QueryDetector) -> None:
        super().__init__()
        self.detector = detector

    def forward(self, images: Tensor) -> list[Tensor]:
        model = self.detector.network.model
        maps = model.backbone(self.detector.fitted(images), None)
        projected = [project(one) for project, (one, _) in zip(model.encoder_input_proj, maps)]
        return model.encoder(projected).last_hidden_state


class _Levels(nn.Module):
    """An encoder of this engine in the place of transformers' backbone.

    Args:
        encoder: Gives maps 1, 2, 4, 8, 16 and 32 times smaller than the image.
        strides: Which of them are used.
    """

    def __init__(self, encoder: nn.Module, strides: Sequence[int]) -> None:
        super().__init__()
        self.encoder = encoder
        self._places = [int(stride).bit_length() - 1 for stride in strides]

    @property
    def channels(self) -> list[int]:
        """Of each map."""
        return [int(self.encoder.out_channels[place]) for place in self._places]

    def forward(self, images: Tensor, mask: Tensor) -> list[tuple[Tensor, Tensor]]:
        maps = self.encoder(images)
        return [(maps[place], mask) for place in self._places]


class _Starts:
    """The boxes that the places of the feature maps start from; takes the place of transformers' own.

    transformers has boxes of a twentieth of the image, twice as large at each level, and none near the
    border, where tiles of a raster have as many objects as anywhere.

    Args:
        shares: (width, height) of the boxes of each level, as shares of the image.
    """

    def __init__(self, shares: Sequence[tuple[float, float]]) -> None:
        self._shares = tuple(shares)

    def __call__(
        self, shapes: Sequence[tuple[int, int]], device: Any = "cpu", dtype: torch.dtype = torch.float32
    ) -> tuple[Tensor, Tensor]:
        levels = []
        for (height, width), (wide, high) in zip(shapes, self._shares):
            rows, columns = int(height), int(width)  # ONNX sees tensors, of tiles that have one size
            y = (torch.arange(rows, device=device, dtype=dtype) + 0.5) / rows
            x = (torch.arange(columns, device=device, dtype=dtype) + 0.5) / columns
            grid_y, grid_x = torch.meshgrid(y, x, indexing="ij")
            sizes = [torch.full_like(grid_x, share) for share in (wide, high)]
            levels.append(torch.stack((grid_x, grid_y, *sizes), dim=-1).reshape(1, -1, 4))
        starts = torch.cat(levels, dim=1).clamp(_BORDER, 1 - _BORDER)
        return torch.log(starts / (1 - starts)), torch.ones_like(starts[..., :1], dtype=torch.bool)


def _network(parameters: Mapping[str, Any], bands: int, outputs: int) -> nn.Module:
    """Transformers' network with this engine's encoder and starting boxes."""
    from transformers import RTDetrResNetConfig, RTDetrV2Config, RTDetrV2ForObjectDetection

    channels = int(parameters.get("channels", CHANNELS))
    levels = _Levels(build_encoder(str(parameters["backbone"]), bands), parameters["strides"])
    count = len(levels.channels)
    # A backbone to be replaced at once: transformers cannot be told of one that is not its own.
    stand_in = RTDetrResNetConfig(
        embedding_size=_STAND_IN,
        hidden_sizes=[_STAND_IN] * 4,
        depths=[1] * 4,
        layer_type="basic",
        out_features=[f"stage{4 - count + number + 1}" for number in range(count)],
    )
    network = RTDetrV2ForObjectDetection(
        RTDetrV2Config(
            backbone_config=stand_in,
            freeze_backbone_batch_norms=False,
            num_labels=outputs,
            initializer_bias_prior_prob=_PRIOR,
            encoder_hidden_dim=channels,
            encoder_in_channels=[_STAND_IN] * count,
            encoder_ffn_dim=_HIDDEN,
            encoder_attention_heads=channels // 32,
            encode_proj_layers=[count - 1],
            hidden_expansion=0.5,
            d_model=channels,
            decoder_in_channels=[channels] * count,
            decoder_ffn_dim=_HIDDEN,
            decoder_attention_heads=channels // 32,
            decoder_layers=int(parameters.get("decoder_layers", _DECODER_LAYERS)),
            num_feature_levels=count,
            decoder_n_levels=count,
            num_queries=int(parameters["queries"]),
            num_denoising=int(parameters.get("denoising", _DENOISING)),
        )
    )
    # Second names of the decoder's own heads, for transformers' files.
    del network.class_embed, network.bbox_embed
    model = network.model
    model.backbone = levels
    model.encoder_input_proj = nn.ModuleList(
        nn.Sequential(nn.Conv2d(inputs, channels, 1, bias=False), nn.BatchNorm2d(channels))
        for inputs in levels.channels
    )
    height, width = parameters["tile"]
    piece, shrink = MULTIPLE, int(parameters.get("shrink", 1))
    seen = [-(-int(side) // (piece * shrink)) * piece for side in (width, height)]
    model.generate_anchors = _Starts(
        [tuple(float(size) / side for side in seen) for size in parameters["sizes"]]
    )
    _initialise(network)
    return network


def _initialise(network: nn.Module) -> None:
    """Give layers the weights to learn from nothing.

    transformers draws all of them with a deviation of 0.01, factors of batch normalisation included,
    around 0: enough where published weights take their place, but nothing passes such layers. What it
    sets on purpose (heads that start with "nothing here", where queries look) stays.
    """
    model = network.model
    for part in (model.encoder, model.decoder_input_proj):
        for module in part.modules():
            if isinstance(module, (nn.Conv2d, nn.BatchNorm2d)):
                module.reset_parameters()
    transforming = [model.encoder.aifi, model.enc_output, model.decoder.query_pos_head]
    transforming += [layer.self_attn for layer in model.decoder.layers]
    transforming += [layer.mlp for layer in model.decoder.layers]
    heads = [model.enc_bbox_head, *model.decoder.bbox_embed]
    for part in (*transforming, *heads):
        for module in part.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)
    for head in heads:  # boxes stay where they start until it is learnt where to move them
        nn.init.zeros_(head.layers[-1].weight)
