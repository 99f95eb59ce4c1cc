"""YOLOv3: Darknet-53 with three heads."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from .bodies import take_bands
from .boxes import Boxes, from_centres, suppress_per_class
from .facts import NetworkFacts

_HEADS = {14: 32, 22: 16, 28: 8}
_ROUTES = (6, 8, 12, 20)

# Where the way goes on from an earlier map, and where one is joined.
_BACK_TO = {14: 12, 22: 20}
_JOINED = {16: 8, 24: 6}

_MOST = 200
_STRIDE = 32


def build(facts: NetworkFacts, weights: Mapping[str, Tensor]) -> nn.Module:
    """The network of a YOLOv3."""
    pairs = facts.settings.get("anchors") or ()
    flat = [float(v) for pair in pairs for v in (pair if isinstance(pair, (list, tuple)) else [pair])]
    if len(flat) != 18:
        raise facts.refuse(f"{len(flat) // 2} anchors in place of 9")
    if facts.tile % _STRIDE:
        raise facts.refuse(f"tiles of {facts.tile} pixels, which {_STRIDE} does not divide")
    anchors = list(zip(flat[::2], flat[1::2]))
    network = YOLOv3(facts.classes, anchors)
    take_bands(network, facts.bands)
    return network


def decode(outputs: Tensor, facts: NetworkFacts, threshold: float, nms_overlap: float) -> list[Boxes]:
    """Objects of each tile of a batch.

    Args:
        outputs: What :class:`YOLOv3` gives.
        facts: Of the network.
        threshold: Objectness times class score must reach it.
        nms_overlap: Boxes of a class that overlap so much are one.
    """
    found = []
    for rows in outputs:
        corners = from_centres(rows[:, :2], rows[:, 2:4])
        scores = rows[:, 4:5] * rows[:, 5:]
        boxes = suppress_per_class(
            corners, scores, threshold, nms_overlap, includes_threshold=True, drops_equal=True, most=_MOST
        )
        # The tool takes the last pixel's centre for the border.
        scaled = (boxes.corners / (facts.tile - 1)).clamp(0, 1) * facts.tile
        found.append(Boxes(scaled, boxes.scores, boxes.positions))
    return found


class YOLOv3(nn.Module):
    """``[n, bands, h, w]`` to ``[n, boxes, 5 + classes]``: x, y, w, h in pixels, objectness, class scores."""

    def __init__(self, classes: int, anchors: list[tuple[float, float]]) -> None:
        super().__init__()
        self.module_list = nn.ModuleList(
            [
                _Convolution(3, 32, 3),
                _Convolution(32, 64, 3, 2),
                _Blocks(64, 1),
                _Convolution(64, 128, 3, 2),
                _Blocks(128, 2),
                _Convolution(128, 256, 3, 2),
                _Blocks(256, 8),
                _Convolution(256, 512, 3, 2),
                _Blocks(512, 8),
                _Convolution(512, 1024, 3, 2),
                _Blocks(1024, 4),
                _Blocks(1024, 2, is_residual=False),
                _Convolution(1024, 512, 1),
                _Convolution(512, 1024, 3),
                _HeadLayer(1024, classes, anchors[6:9], _HEADS[14]),
                _Convolution(512, 256, 1),
                nn.Upsample(scale_factor=2, mode="nearest"),
                _Convolution(768, 256, 1),
                _Convolution(256, 512, 3),
                _Blocks(512, 1, is_residual=False),
                _Convolution(512, 256, 1),
                _Convolution(256, 512, 3),
                _HeadLayer(512, classes, anchors[3:6], _HEADS[22]),
                _Convolution(256, 128, 1),
                nn.Upsample(scale_factor=2, mode="nearest"),
                _Convolution(384, 128, 1),
                _Convolution(128, 256, 3),
                _Blocks(256, 2, is_residual=False),
                _HeadLayer(256, classes, anchors[0:3], _HEADS[28]),
            ]
        )

    def forward(self, image: Tensor) -> Tensor:
        """Heads from coarse to fine; within one, anchor, row, column."""
        x, routes, found = image, {}, []
        for number, module in enumerate(self.module_list):
            if number in _HEADS:
                found.append(module(x))
                x = routes.get(_BACK_TO.get(number, -1), x)
                continue
            x = module(x)
            if number in _ROUTES:
                routes[number] = x
            if number in _JOINED:
                x = torch.cat([x, routes[_JOINED[number]]], dim=1)
        return torch.cat(found, dim=1)


class _Convolution(nn.Module):
    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, (kernel - 1) // 2, bias=False)
        self.batch_norm = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        return functional.leaky_relu(self.batch_norm(self.conv(x)), 0.1)


class _Blocks(nn.Module):
    """Pairs of convolutions through half the channels, each added to what goes into it, or not."""

    def __init__(self, width: int, count: int, *, is_residual: bool = True) -> None:
        super().__init__()
        self._is_residual = is_residual
        self.module_list = nn.ModuleList(
            nn.ModuleList([_Convolution(width, width // 2, 1), _Convolution(width // 2, width, 3)])
            for _ in range(count)
        )

    def forward(self, x: Tensor) -> Tensor:
        for first, second in self.module_list:
            y = second(first(x))
            x = x + y if self._is_residual else y
        return x


class _HeadLayer(nn.Module):
    def __init__(self, inputs: int, classes: int, anchors: list[tuple[float, float]], stride: int) -> None:
        super().__init__()
        self._columns, self._anchors, self._stride = 5 + classes, anchors, stride
        self.conv = nn.Conv2d(inputs, len(anchors) * self._columns, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        n, _, height, width = x.shape
        x = x.view(n, len(self._anchors), self._columns, height, width).permute(0, 1, 3, 4, 2)
        across = torch.arange(width, device=x.device, dtype=x.dtype).view(1, 1, 1, -1)
        down = torch.arange(height, device=x.device, dtype=x.dtype).view(1, 1, -1, 1)
        sizes = torch.tensor(self._anchors, device=x.device, dtype=x.dtype).view(1, -1, 1, 1, 2)
        left = (torch.sigmoid(x[..., 0]) + across) * self._stride
        top = (torch.sigmoid(x[..., 1]) + down) * self._stride
        place = torch.stack([left, top], dim=-1)
        rows = torch.cat([place, torch.exp(x[..., 2:4]) * sizes, torch.sigmoid(x[..., 4:])], dim=-1)
        return rows.reshape(n, -1, self._columns)
