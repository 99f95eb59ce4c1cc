"""SingleShotDetector: boxes of preset shapes at the cells of one or more grids."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from .bodies import make_body, width_of
from .boxes import Boxes, from_centres, rows_first_to_xy, suppress_per_class
from .facts import NetworkFacts

_WIDTH = 256

# Of each class only so many boxes are looked at.
_BEST = 50

# A first grid finer than this takes the encoder's last map but one, if that is nearer.
_FINE_GRID, _FAR = 8, 4


def build(facts: NetworkFacts, weights: Mapping[str, Tensor]) -> nn.Module:
    """The network of a SingleShotDetector."""
    version = int(facts.settings.get("SSDVersion", 1))
    if version != 2:
        raise facts.refuse(f"SSDVersion {version}")
    grids, shapes = grids_of(facts), len(shapes_of(facts))
    body = make_body(facts, only_resnet=False).eval()
    size = _map_size(body, facts)
    if facts.backbone.startswith("resnet") and grids[0] > _FINE_GRID and abs(size - grids[0]) > _FAR:
        body = body[:-1]
        size = _map_size(body, facts)
    return nn.Sequential(body, _Head(width_of(body), size, grids, shapes, facts.classes + 1))


def grids_of(facts: NetworkFacts) -> tuple[int, ...]:
    """Cells along a side of each grid."""
    return tuple(int(grid) for grid in facts.settings.get("Grids") or ())


def shapes_of(facts: NetworkFacts) -> tuple[tuple[float, float], ...]:
    """Height and width in cells of the boxes at each cell: zooms outside, ratios inside."""
    zooms, ratios = facts.settings.get("Zooms") or (), facts.settings.get("Ratios") or ()
    return tuple((float(z) * float(high), float(z) * float(wide)) for z in zooms for high, wide in ratios)


def anchors(grids: Sequence[int], shapes: Sequence[tuple[float, float]]) -> tuple[Tensor, Tensor]:
    """Boxes before they are moved, 0 to 1, row first.

    Returns:
        Centres and sizes ``[n, 4]``, and the size of each one's cell ``[n, 1]``.
    """
    places, sizes, cells = [], [], []
    for grid in grids:
        along = (torch.arange(grid) + 0.5) / grid
        places.append(torch.cartesian_prod(along, along).repeat_interleave(len(shapes), dim=0))
        sizes.append(torch.tensor(shapes).repeat(grid * grid, 1) / grid)
        cells.append(torch.full((len(sizes[-1]), 1), 1 / grid))
    return torch.cat([torch.cat(places), torch.cat(sizes)], dim=1), torch.cat(cells)


def decode(
    outputs: tuple[Tensor, Tensor], facts: NetworkFacts, threshold: float, nms_overlap: float
) -> list[Boxes]:
    """Objects of each tile of a batch.

    Args:
        outputs: Class logits ``[n, anchors, classes + 1]``, background first, and box activations
            ``[n, anchors, 4]``.
        facts: Of the network.
        threshold: Scores must be above it.
        nms_overlap: Largest overlap of two boxes of a class.
    """
    preset, cell = anchors(grids_of(facts), shapes_of(facts))
    found = []
    for logits, activations in zip(*outputs):
        moved = torch.tanh(activations)
        centres = moved[:, :2] / 2 * cell + preset[:, :2]
        sizes = (moved[:, 2:] / 2 + 1) * preset[:, 2:]
        corners = rows_first_to_xy(from_centres(centres, sizes)) * facts.tile
        scores = torch.sigmoid(logits)[:, 1:]
        found.append(suppress_per_class(corners, scores, threshold, nms_overlap, best=_BEST))
    return found


def _map_size(body: nn.Module, facts: NetworkFacts) -> int:
    return int(body(torch.zeros(1, facts.bands, facts.tile, facts.tile)).shape[-1])


class _Unit(nn.Module):
    """Convolution, ReLU, normalisation; before that, the map is brought to ``size`` where that is given."""

    def __init__(self, inputs: int, kernel: int, stride: int, padding: int, size: int = 0) -> None:
        super().__init__()
        self._size = size
        self.conv = nn.Conv2d(inputs, _WIDTH, kernel, stride, padding)
        self.bn = nn.BatchNorm2d(_WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        if self._size:
            x = functional.interpolate(x, (self._size, self._size), mode="nearest")
        return self.bn(functional.relu(self.conv(x)))


def _transition(size: int, grid: int) -> _Unit:
    """From a map of ``size`` to one of ``grid`` cells along a side."""
    if grid == 1:
        return _Unit(_WIDTH, size, 1, 0)
    if grid <= size:
        for stride in (1, 2):
            for padding in (0, 1):
                if (size + 2 * padding - 3) // stride + 1 == grid and size + 2 * padding >= 3:
                    return _Unit(_WIDTH, 3, stride, padding)
    return _Unit(_WIDTH, 3, 1, 1, size=grid)


class _Outputs(nn.Module):
    def __init__(self, shapes: int, columns: int) -> None:
        super().__init__()
        self._columns = columns
        self.oconv1 = nn.Conv2d(_WIDTH, shapes * columns, 3, padding=1)
        self.oconv2 = nn.Conv2d(_WIDTH, shapes * 4, 3, padding=1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return by_place(self.oconv1(x), self._columns), by_place(self.oconv2(x), 4)


class _Head(nn.Module):
    def __init__(self, inputs: int, size: int, grids: Sequence[int], shapes: int, columns: int) -> None:
        super().__init__()
        self.sconvs = nn.ModuleList([_Unit(inputs, 3, 1, 1)])
        self.oconvs = nn.ModuleList()
        for grid in grids:
            self.sconvs.append(_transition(size, grid))
            self.oconvs.append(_Outputs(shapes, columns))
            size = grid

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = self.sconvs[0](functional.relu(x))
        logits, activations = [], []
        for step, outputs in zip(self.sconvs[1:], self.oconvs):
            x = step(x)
            classes, moves = outputs(x)
            logits.append(classes)
            activations.append(moves)
        return torch.cat(logits, dim=1), torch.cat(activations, dim=1)


def by_place(x: Tensor, columns: int) -> Tensor:
    """``[n, shapes * columns, h, w]`` as ``[n, h * w * shapes, columns]``: row, column, shape."""
    return x.permute(0, 2, 3, 1).reshape(len(x), -1, columns)
