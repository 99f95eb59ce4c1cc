"""MultiTaskRoadExtractor and ConnectNet: LinkNet or two hourglasses, each with a branch for directions.

The direction branch only helped training. Its weights are in the file, so it is built, but not run.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn
from torch.nn import functional

from .bodies import make_body, run_stages, stage_widths
from .facts import NetworkFacts

_ROAD_CLASSES = 2
_FINAL = 32


def build(facts: NetworkFacts, weights: Mapping[str, Tensor]) -> nn.Module:
    """The network of a road extractor."""
    kind = str(facts.settings.get("mtl_model", "linknet")).lower()
    if kind == "linknet":
        return LinkNet(facts, _channels(facts, weights, "o_finalconv3.weight"))
    if kind == "hourglass":
        return Hourglasses(facts, _channels(facts, weights, "angle_finalconv3.weight"))
    raise facts.refuse(f"the road network {kind}")


def _channels(facts: NetworkFacts, weights: Mapping[str, Tensor], name: str) -> int:
    if name not in weights:
        raise facts.refuse(f"a road network without {name}")
    return int(weights[name].shape[0])


class RoadDecoder(nn.Module):
    """Twice the size, through a quarter of the channels."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        quarter = inputs // 4
        self.conv1 = nn.Conv2d(inputs, quarter, 1)
        self.norm1 = nn.BatchNorm2d(quarter)
        self.deconv2 = nn.ConvTranspose2d(quarter, quarter, 3, stride=2, padding=1, output_padding=1)
        self.norm2 = nn.BatchNorm2d(quarter)
        self.conv3 = nn.Conv2d(quarter, outputs, 1)
        self.norm3 = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """``[n, inputs, h, w]`` to ``[n, outputs, 2 h, 2 w]``."""
        x = functional.relu(self.norm1(self.conv1(x)))
        x = functional.relu(self.norm2(self.deconv2(x)))
        return functional.relu(self.norm3(self.conv3(x)))


class LinkNet(nn.Module):
    """LinkNet on a ResNet."""

    _SKIPS = (6, 5, 4)

    def __init__(self, facts: NetworkFacts, directions: int) -> None:
        super().__init__()
        self.encoder = make_body(facts)
        widths = stage_widths(self.encoder)
        for prefix, outputs in (("", _ROAD_CLASSES), ("o_", directions)):
            for level in (4, 3, 2):
                decoder = RoadDecoder(widths[level + 3], widths[level + 2])
                setattr(self, f"{prefix}decoder{level}", decoder)
            setattr(self, f"{prefix}decoder1", RoadDecoder(widths[4], widths[4]))
            _add_final(self, prefix, widths[4], outputs)

    def forward(self, image: Tensor) -> Tensor:
        """``[n, bands, h, w]`` to logits of background and road ``[n, 2, h, w]``."""
        x, skips = run_stages(self.encoder, image, self._SKIPS)
        for decoder, number in zip((self.decoder4, self.decoder3, self.decoder2), self._SKIPS):
            skip = skips[number]
            x = decoder(x)
            if x.shape[-2:] != skip.shape[-2:]:
                x = functional.interpolate(x, skip.shape[-2:], mode="nearest")
            x = x + skip
        x = functional.leaky_relu(self.finaldeconv1(self.decoder1(x)), 0.2)
        x = self.finalconv3(functional.leaky_relu(self.finalconv2(x), 0.2))
        return x[..., : image.shape[-2], : image.shape[-1]]


class _Block(nn.Module):
    """Two 3 x 3 convolutions with normalisation, plus what goes in."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        same = inputs == outputs
        self.downsample = nn.Identity() if same else nn.Sequential(nn.Conv2d(inputs, outputs, 1))

    def forward(self, x: Tensor) -> Tensor:
        y = functional.relu(self.bn1(self.conv1(x)))
        return functional.relu(self.bn2(self.conv2(y)) + self.downsample(x))


def _blocks(inputs: int, outputs: int, count: int) -> nn.Sequential:
    return nn.Sequential(*[_Block(inputs if i == 0 else outputs, outputs) for i in range(count)])


class _Hourglass(nn.Module):
    """Down ``_DEPTH`` times and up again, on the way up once for roads and once for directions."""

    _DEPTH = 3
    _BLOCKS = 3

    def __init__(self, channels: int) -> None:
        super().__init__()
        # The innermost level comes first and has two more parts: the turning points.
        self.hg = nn.ModuleList(
            nn.ModuleList(_blocks(channels, channels, self._BLOCKS) for _ in range(6 if level == 0 else 4))
            for level in range(self._DEPTH)
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self._level(self._DEPTH - 1, x)

    def _level(self, level: int, x: Tensor) -> tuple[Tensor, Tensor]:
        parts = self.hg[level]
        beside, below = parts[0](x), parts[1](functional.max_pool2d(x, 2, ceil_mode=True))
        roads, directions = self._level(level - 1, below) if level else (parts[4](below), parts[5](below))
        return beside + _doubled(parts[2](roads), x), beside + _doubled(parts[3](directions), x)


class Hourglasses(nn.Module):
    """Two hourglasses behind each other; the second one sees what the first one found."""

    _STACKS = 2
    _WIDTH = 128
    _BLOCKS = 3

    def __init__(self, facts: NetworkFacts, directions: int) -> None:
        super().__init__()
        width = self._WIDTH
        self.conv1 = nn.Conv2d(facts.bands, 64, 7, stride=2, padding=3)
        self.bn1 = nn.BatchNorm2d(64)
        self.layer1 = _blocks(64, 64, 1)
        self.layer2 = _blocks(64, 64, 1)
        self.layer3 = _blocks(64, width, 1)
        self.hg = nn.ModuleList(_Hourglass(width) for _ in range(self._STACKS))
        for task, outputs in ((1, _ROAD_CLASSES), (2, directions)):
            residuals = [_blocks(width, width, self._BLOCKS) for _ in range(self._STACKS)]
            setattr(self, f"res_{task}", nn.ModuleList(residuals))
            mixed = [
                nn.Sequential(nn.Conv2d(width, width, 1), nn.BatchNorm2d(width), nn.ReLU()) for _ in "ab"
            ]
            setattr(self, f"fc_{task}", nn.ModuleList(mixed))
            scores = [nn.Conv2d(width, outputs, 1) for _ in range(self._STACKS)]
            setattr(self, f"score_{task}", nn.ModuleList(scores))
            setattr(self, f"_fc_{task}", nn.ModuleList([nn.Conv2d(width, width, 1)]))
            setattr(self, f"_score_{task}", nn.ModuleList([nn.Conv2d(outputs, width, 1)]))
        for prefix, outputs in (("", _ROAD_CLASSES), ("angle_", directions)):
            setattr(self, f"{prefix}decoder1", RoadDecoder(width, width))
            _add_final(self, prefix, width, outputs)

    def forward(self, image: Tensor) -> Tensor:
        """``[n, bands, h, w]`` to logits of background and road ``[n, 2, h, w]``."""
        x = self.layer1(functional.relu(self.bn1(self.conv1(image))))
        x = self.layer3(self.layer2(functional.max_pool2d(x, 2)))
        roads, directions = self.hg[0](x)
        roads, directions = self.fc_1[0](self.res_1[0](roads)), self.fc_2[0](self.res_2[0](directions))
        x = x + self._fc_1[0](roads) + self._score_1[0](self.score_1[0](roads))
        x = x + self._fc_2[0](directions) + self._score_2[0](self.score_2[0](directions))
        roads, _ = self.hg[1](x)
        roads = self.decoder1(self.fc_1[1](self.res_1[1](roads)))
        roads = functional.relu(self.finalconv2(functional.relu(self.finaldeconv1(roads))))
        return self.finalconv3(roads)[..., : image.shape[-2], : image.shape[-1]]


def _doubled(x: Tensor, like: Tensor) -> Tensor:
    up = functional.interpolate(x, scale_factor=2, mode="nearest")
    return up[..., : like.shape[-2], : like.shape[-1]]


def _add_final(network: nn.Module, prefix: str, inputs: int, outputs: int) -> None:
    setattr(network, f"{prefix}finaldeconv1", nn.ConvTranspose2d(inputs, _FINAL, 3, stride=2))
    setattr(network, f"{prefix}finalconv2", nn.Conv2d(_FINAL, _FINAL, 3))
    setattr(network, f"{prefix}finalconv3", nn.Conv2d(_FINAL, outputs, 2, padding=1))
