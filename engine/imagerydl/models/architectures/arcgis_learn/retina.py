"""RetinaNet as arcgis.learn builds it: five levels, with its own anchors and its own way of moving them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.ops import nms

from .bodies import make_body, run_stages, stage_widths
from .boxes import Boxes, from_centres, rows_first_to_xy
from .facts import NetworkFacts
from .single_shot import by_place

_WIDTH = 256

# An anchor of scale 1 is so many cells wide.
_CELLS = 4

_SCALES = (1.0, 2 ** (-1 / 3), 2 ** (-2 / 3))
_RATIOS = (0.5, 1.0, 2.0)


def build(facts: NetworkFacts, weights: Mapping[str, Tensor]) -> nn.Module:
    """The network of a RetinaNet."""
    return RetinaNet(facts)


class RetinaNet(nn.Module):
    """``[n, bands, h, w]`` to class logits ``[n, anchors, classes]`` and activations ``[n, anchors, 4]``."""

    def __init__(self, facts: NetworkFacts) -> None:
        super().__init__()
        self.encoder = make_body(facts)
        widths = stage_widths(self.encoder)
        shapes = len(shapes_of(facts))
        self._classes = facts.classes
        self.c5top5 = nn.Conv2d(widths[7], _WIDTH, 1)
        self.c5top6 = nn.Conv2d(widths[7], _WIDTH, 3, stride=2, padding=1)
        self.p6top7 = nn.Sequential(nn.ReLU(), nn.Conv2d(_WIDTH, _WIDTH, 3, stride=2, padding=1))
        self.merges = nn.ModuleList([_Merge(widths[6]), _Merge(widths[5])])
        self.smoothers = nn.ModuleList(nn.Conv2d(_WIDTH, _WIDTH, 3, padding=1) for _ in range(3))
        self.classifier = _head(facts.classes * shapes)
        self.box_regressor = _head(4 * shapes)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Levels from fine to coarse; within one, row, column, shape."""
        top, kept = run_stages(self.encoder, image, (5, 6))
        p5, p6 = self.c5top5(top), self.c5top6(top)
        p4 = self.merges[0](p5, kept[6])
        p3 = self.merges[1](p4, kept[5])
        fine = [smooth(level) for smooth, level in zip(self.smoothers, (p3, p4, p5))]
        levels = [*fine, p6, self.p6top7(p6)]
        return (
            torch.cat([by_place(self.classifier(level), self._classes) for level in levels], dim=1),
            torch.cat([by_place(self.box_regressor(level), 4) for level in levels], dim=1),
        )


class _Merge(nn.Module):
    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.conv_lat = nn.Conv2d(inputs, _WIDTH, 1)

    def forward(self, upper: Tensor, lateral: Tensor) -> Tensor:
        up = functional.interpolate(upper, scale_factor=2, mode="nearest")
        return functional.interpolate(self.conv_lat(lateral), up.shape[-2:], mode="nearest") + up


def _head(outputs: int) -> nn.Sequential:
    layers = [
        nn.Sequential(nn.Conv2d(_WIDTH, _WIDTH, 3, padding=1), nn.ReLU(), nn.BatchNorm2d(_WIDTH))
        for _ in range(4)
    ]
    return nn.Sequential(*layers, nn.Conv2d(_WIDTH, outputs, 3, padding=1))


def shapes_of(facts: NetworkFacts) -> tuple[tuple[float, float], ...]:
    """Height and width of the anchors at each cell, in anchors of scale 1: ratios outside, scales inside."""
    ratios = facts.settings.get("ratios") or _RATIOS
    scales = facts.settings.get("scales") or _SCALES
    return tuple((float(s) * float(r) ** 0.5, float(s) * float(r) ** -0.5) for r in ratios for s in scales)


def level_sizes(tile: int) -> tuple[int, ...]:
    """Cells along a side of each level, fine to coarse."""
    sizes = [tile]
    for _ in range(5):
        sizes.append((sizes[-1] + 1) // 2)
    p5 = sizes[5]
    p6 = (p5 + 1) // 2
    # Upper maps are doubled, whatever the encoder's have.
    return 4 * p5, 2 * p5, p5, p6, (p6 + 1) // 2


def anchors(sizes: Sequence[int], shapes: Sequence[tuple[float, float]]) -> tuple[Tensor, Tensor]:
    """Centres and sizes ``[n, 2]``, row first, in a frame from -1 to 1."""
    centres, extents = [], []
    for size in sizes:
        along = (torch.arange(size) + 0.5) * 2 / size - 1
        centres.append(torch.cartesian_prod(along, along).repeat_interleave(len(shapes), dim=0))
        extents.append(torch.tensor(shapes).repeat(size * size, 1) * (_CELLS * 2 / size))
    return torch.cat(centres), torch.cat(extents)


def decode(
    outputs: tuple[Tensor, Tensor], facts: NetworkFacts, threshold: float, nms_overlap: float
) -> list[Boxes]:
    """Objects of each tile of a batch.

    Args:
        outputs: What :class:`RetinaNet` gives.
        facts: Of the network.
        threshold: The best class's score must be above it.
        nms_overlap: Largest overlap of two boxes, of whatever classes.
    """
    centres, sizes = anchors(level_sizes(facts.tile), shapes_of(facts))
    found = []
    for logits, activations in zip(*outputs):
        # The same two activations move a box and stretch it: so the tool does, and trains.
        moves = activations[:, :2] * 0.1
        corners = from_centres(sizes * moves + centres, sizes * torch.exp(moves)).clamp(-1, 1)
        scores, positions = torch.sigmoid(logits).max(dim=1)
        has_area = (corners[:, 2:] > corners[:, :2]).all(dim=1)
        passing = torch.nonzero((scores > threshold) & has_area).flatten()
        # Sure scores are all 1.0 in float32. Which of them comes first decides what stays, and the
        # tool leaves that to an unstable sort of just these: the same call gives the same order.
        passing = passing[torch.sort(scores[passing], descending=True).indices]
        passing = passing[nms(corners[passing], scores[passing], nms_overlap)]
        pixels = rows_first_to_xy((corners[passing] + 1) / 2 * facts.tile)
        found.append(Boxes(pixels, scores[passing], positions[passing]))
    return found
