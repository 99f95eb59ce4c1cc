"""Pixel classifiers of arcgis.learn: tiles classified alone, or blended within a block."""

from __future__ import annotations

from math import isqrt

import numpy as np

from ..definition import ModelDefinition
from .arcgis_learn_arguments import (
    DEFAULT_BATCH,
    DEFAULT_THRESHOLD,
    MERGES,
    Arguments,
    class_values_of,
    never_winning,
    padding_of,
    tile_of,
    turns_of,
)
from .arcgis_learn_network import Network
from .options import RunOptions
from .protocol import Gives, ModelInput, PixelModel, softmax


class TileModel(PixelModel):
    """A pixel classifier whose tiles are classified alone.

    Args:
        definition: The model.
        options: Device, threads and arguments.
    """

    gives = Gives.LOGITS
    blends = False

    def __init__(self, definition: ModelDefinition, options: RunOptions) -> None:
        from ..architectures.arcgis_learn.facts import facts_of
        from ..architectures.arcgis_learn.normalisation import input_normalisation

        arguments = Arguments(options.arguments)
        self.tile = tile_of(definition, arguments)
        self.padding = padding_of(self.tile, arguments)
        self.tile_size = self.tile
        self._side = isqrt(int(arguments.number("batch_size", DEFAULT_BATCH, 1)))
        # The tool puts 0 where its host has no pixel, before anything else.
        self.input = ModelInput(input_normalisation(facts_of(definition)), blank=0.0)
        self.class_values = class_values_of(definition)
        self.outputs = len(self.class_values)
        self.never = never_winning(definition, arguments)
        self._name = definition.name
        self._network = Network(definition, options)
        self.device = self._network.device
        self.description = self._network.description

    def scores(self, batch: np.ndarray, valid: np.ndarray) -> np.ndarray:
        """Logits; see :meth:`PixelModel.scores`."""
        return self._network(batch, self.outputs)

    def fitting_batch(self, size: int) -> int:
        """The largest square number not above ``size``, as the tool takes them."""
        return max(1, isqrt(size)) ** 2


class BlockModel(TileModel):
    """A pixel classifier that blends the logits of overlapping tiles within a block.

    A block is ``side`` x ``side`` tiles that overlap by twice the padding, and is given whole: its
    size is :attr:`tile_size`, the padding :attr:`margin`. For each turn and reflection the block is
    turned, cut into tiles, and the logits of these are blended with a Hann window; then the means
    over all turns become probabilities.
    """

    gives = Gives.PROBABILITIES
    pads_itself = True

    def __init__(self, definition: ModelDefinition, options: RunOptions) -> None:
        super().__init__(definition, options)
        is_augmented = Arguments(options.arguments).truth("test_time_augmentation", False)
        self._turns = turns_of(definition) if is_augmented else ((0, False),)
        self.margin = self.padding
        self.tile_size = (self._block(0), self._block(1))

    def scores(self, batch: np.ndarray, valid: np.ndarray) -> np.ndarray:
        """Probabilities of the block without its margin; see :meth:`PixelModel.scores`."""
        logits = np.stack([self._blended(block).mean(axis=0) for block in batch])
        return softmax(self._inner(logits))

    def fitting_batch(self, size: int) -> int:
        """One block: it is a batch of tiles."""
        return 1

    def _block(self, axis: int) -> int:
        return self._side * (self.tile[axis] - 2 * self.padding) + 2 * self.padding

    def _inner(self, whole: np.ndarray) -> np.ndarray:
        edge = self.padding
        inner = whole[..., edge : whole.shape[-2] - edge, edge : whole.shape[-1] - edge]
        return np.ascontiguousarray(inner, dtype=np.float32)

    def _blended(self, block: np.ndarray) -> np.ndarray:
        """Logits ``[turns, outputs, h, w]`` of one block ``[bands, h, w]``."""
        results = []
        for quarters, is_mirrored in self._turns:
            turned = np.rot90(block, quarters, (1, 2))
            turned = turned[..., ::-1] if is_mirrored else turned
            logits = self._blend(turned, self.tile if quarters % 2 == 0 else self.tile[::-1])
            logits = logits[..., ::-1] if is_mirrored else logits
            results.append(np.rot90(logits, -quarters, (1, 2)))
        return np.stack(results)

    def _blend(self, block: np.ndarray, tile: tuple[int, int]) -> np.ndarray:
        height, width = tile
        corners = [
            (row * (height - 2 * self.padding), column * (width - 2 * self.padding))
            for row in range(self._side)
            for column in range(self._side)
        ]
        tiles = np.stack([block[:, top : top + height, left : left + width] for top, left in corners])
        window = np.outer(_hann(height), _hann(width))
        total = np.zeros((self.outputs, *block.shape[1:]))
        weights = np.zeros(block.shape[1:])
        for logits, (top, left) in zip(self._network(tiles, self.outputs), corners):
            area = (slice(top, top + height), slice(left, left + width))
            total[(slice(None), *area)] += logits * window
            weights[area] += window
        return total / weights


class RoadModel(BlockModel):
    """A road extractor: blended, with a threshold of its own.

    With test time augmentation the probabilities of the turns are merged by ``merge_policy``.
    """

    def __init__(self, definition: ModelDefinition, options: RunOptions) -> None:
        super().__init__(definition, options)
        arguments = Arguments(options.arguments)
        self._threshold = arguments.number("threshold", DEFAULT_THRESHOLD, 0, 1)
        self._merge = MERGES[arguments.choice("merge_policy", tuple(MERGES))]
        self._gives_probability = arguments.truth("return_probability_raster", False)
        if self._gives_probability:
            self.gives, self.pixel_type = Gives.VALUES, "float32"
        elif self._threshold != DEFAULT_THRESHOLD:
            # The larger probability would not be the class.
            self.gives, self.pixel_type = Gives.VALUES, "int32"

    def scores(self, batch: np.ndarray, valid: np.ndarray) -> np.ndarray:
        """Probabilities of background and road, or the value to write."""
        road = np.stack([self._merge(softmax(self._blended(block))[:, 1], axis=0) for block in batch])
        road = self._inner(road[:, None])
        if self._gives_probability:
            return road
        if self.gives is Gives.VALUES:
            background, value = self.class_values
            return np.where(road > self._threshold, value, background).astype(self.pixel_type)
        return np.concatenate([1 - road, road], axis=1)


def _hann(length: int) -> np.ndarray:
    """A periodic Hann window. Its first value is 0: kept above that, lest a block's border has no weight."""
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(length) / length)
    return np.maximum(window, 1e-9)
