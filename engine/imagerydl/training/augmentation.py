"""Turns a batch of chips into network input, varied on the way, all chips at once.

Flips and crops work on the raw integers, which is a quarter of the memory traffic; the rest works
on the normalised batch, on the device.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Optional

import torch
from torch import Tensor
from torch.nn import functional

from ..models.normalisation import Normalisation
from .augmentation_settings import AugmentationSettings, Crop, Variation


@dataclass(frozen=True)
class InputRange:
    """From raw pixels to network input, and what brightness means there.

    Attributes:
        normalisation: Per band.
        full_scale: Width of the range from black to white in network input: 1 for 8-bit imagery,
            4 (mean plus and minus two deviations) for standardised imagery.
        limits: Lowest and highest input, where the imagery has any.
    """

    normalisation: Normalisation
    full_scale: float = 1.0
    limits: Optional[tuple[float, float]] = None

    @classmethod
    def of_bytes(cls, bands: int) -> InputRange:
        """8-bit imagery: 0 to 255 becomes 0 to 1."""
        return cls(Normalisation.from_byte_range(bands), 1.0, (0.0, 1.0))

    @classmethod
    def of_definition(cls, normalisation: Normalisation) -> InputRange:
        """As a model definition states it."""
        as_bytes = cls.of_bytes(normalisation.bands)
        return as_bytes if normalisation == as_bytes.normalisation else cls.of_statistics(normalisation)

    @classmethod
    def of_statistics(cls, normalisation: Normalisation) -> InputRange:
        """Imagery brought to zero mean and unit deviation."""
        return cls(normalisation, 4.0, None)


class BatchInput:
    """Raw batches in, network input and targets out.

    Args:
        input_range: How pixels are scaled.
        settings: How chips are varied.
        seed: Seed of the variations; :meth:`restart` combines it with the epoch.
        plain_from: Epoch, counted from 0, from which on chips are only cropped; None: never.
    """

    def __init__(
        self,
        input_range: InputRange,
        settings: AugmentationSettings,
        seed: int,
        plain_from: Optional[int] = None,
    ) -> None:
        self.input_range, self.settings = input_range, settings
        self._varied, self.plain_from = settings, plain_from
        self._seed = seed
        self._random = torch.Generator()
        self._constants: dict[torch.device, tuple[Tensor, Tensor]] = {}
        self.restart(0)

    def restart(self, epoch: int) -> None:
        """Begin the variations of an epoch: the same ones whenever it is run."""
        self._random.manual_seed(self._seed * 1_000_003 + epoch)
        plain = self.plain_from is not None and epoch >= self.plain_from
        self.settings = self._varied.crop_only() if plain else self._varied

    def __call__(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Make network input.

        Args:
            images: ``[n, bands, h, w]``, raw pixels.
            labels: Channels ``[n, h, w]``, uint8.

        Returns:
            Input ``[n, bands, h', w']``, float32, channels last, and targets ``[n, h', w']``, int64.
        """
        settings = self.settings
        if settings.crop:
            images, labels = self._crop(images, labels, settings.crop)
        if settings.dihedral:
            images, labels = self._dihedral(images, labels, settings.dihedral)
        if settings.mirror:
            images, labels = self._mirror(images, labels, settings.mirror)
        batch = self._scale(images)
        if settings.rotate or settings.zoom:
            batch, labels = self._rotate_and_zoom(batch, labels)
        if settings.brightness or settings.contrast:
            batch = self._relight(batch)
        return batch, labels.long()

    def _uniform(self, count: int, low: float = 0.0, high: float = 1.0) -> Tensor:
        return torch.rand(count, generator=self._random) * (high - low) + low

    def _draw(self, variation: Optional[Variation], count: int, unchanged: float) -> Tensor:
        if variation is None:
            return torch.full((count,), unchanged)
        values = self._uniform(count, variation.low, variation.high)
        return torch.where(self._uniform(count) < variation.probability, values, torch.tensor(unchanged))

    def _crop(self, images: Tensor, labels: Tensor, crop: Crop) -> tuple[Tensor, Tensor]:
        count, height, width = labels.shape
        rows, columns = self._uniform(count, *crop.rows), self._uniform(count, *crop.columns)
        if self._uniform(1).item() >= crop.probability:
            return images, labels
        size_y, size_x = min(crop.size, height), min(crop.size, width)
        tops = (rows * (height - size_y)).round().int().tolist()
        lefts = (columns * (width - size_x)).round().int().tolist()
        cut = [(i, slice(t, t + size_y), slice(x, x + size_x)) for i, (t, x) in enumerate(zip(tops, lefts))]
        return (
            torch.stack([images[i, :, ys, xs] for i, ys, xs in cut]),
            torch.stack([labels[i, ys, xs] for i, ys, xs in cut]),
        )

    def _dihedral(self, images: Tensor, labels: Tensor, probability: float) -> tuple[Tensor, Tensor]:
        """One of the eight symmetries of a square per chip; of four where chips are not square."""
        count = len(images)
        choices = torch.randint(8, (count,), generator=self._random)
        if labels.shape[-1] != labels.shape[-2]:
            choices = choices // 2 * 2  # half turns only
        choices[self._uniform(count) >= probability] = 0
        new_images, new_labels = torch.empty_like(images), torch.empty_like(labels)
        for choice in choices.unique().tolist():
            chosen = (choices == choice).nonzero()[:, 0].to(images.device)
            new_images[chosen] = turned(images[chosen], choice)
            new_labels[chosen] = turned(labels[chosen], choice)
        return new_images, new_labels

    def _mirror(self, images: Tensor, labels: Tensor, probability: float) -> tuple[Tensor, Tensor]:
        chosen = (self._uniform(len(images)) < probability).to(images.device)
        return (
            torch.where(chosen[:, None, None, None], images.flip(-1), images),
            torch.where(chosen[:, None, None], labels.flip(-1), labels),
        )

    def _scale(self, images: Tensor) -> Tensor:
        # Tensors of unsigned 16 bits know few operations; conversion is one of them.
        batch = images.to(torch.float32, memory_format=torch.channels_last)
        if batch.device not in self._constants:
            scale = self.input_range.normalisation
            self._constants[batch.device] = tuple(
                torch.tensor(numbers, dtype=torch.float32, device=batch.device)[:, None, None]
                for numbers in (scale.subtract, scale.divide)
            )
        subtract, divide = self._constants[batch.device]
        return (batch - subtract) / divide

    def _rotate_and_zoom(self, batch: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        count, height, width = labels.shape
        angles = self._draw(self.settings.rotate, count, 0.0) * (math.pi / 180)
        nearer = 1 / self._draw(self.settings.zoom, count, 1.0)
        cosine, sine, zero = angles.cos() * nearer, angles.sin() * nearer, torch.zeros(count)
        # Grid coordinates run from -1 to 1 on both axes: turning needs the sides' ratio.
        matrix = torch.stack(
            [
                torch.stack([cosine, -sine * height / width, zero], dim=1),
                torch.stack([sine * width / height, cosine, zero], dim=1),
            ],
            dim=1,
        ).to(batch.device)
        grid = functional.affine_grid(matrix, [count, 1, height, width], align_corners=False)
        options = {"padding_mode": "reflection", "align_corners": False}
        warped = functional.grid_sample(batch, grid, mode="bilinear", **options)
        moved = functional.grid_sample(labels[:, None].float(), grid, mode="nearest", **options)
        return warped.contiguous(memory_format=torch.channels_last), moved[:, 0].round().to(labels.dtype)

    def _relight(self, batch: Tensor) -> Tensor:
        count = len(batch)
        shift = (self._draw(self.settings.brightness, count, 0.5) - 0.5) * self.input_range.full_scale
        factor = self._draw(self.settings.contrast, count, 1.0)
        factor, shift = (v.to(batch.device)[:, None, None, None] for v in (factor, shift))
        middle = batch.mean(dim=(1, 2, 3), keepdim=True)
        # (x - middle) * factor + middle + shift, with the constants gathered first.
        batch = torch.addcmul(middle * (1 - factor) + shift, batch, factor)
        return batch.clamp_(*self.input_range.limits) if self.input_range.limits else batch


def turned(batch: Tensor, choice: int) -> Tensor:
    """Quarter turns (bits 1 and 0) and a flip (bit 2) of the last two axes."""
    flipped = batch.flip(-1) if choice & 4 else batch
    return torch.rot90(flipped, choice & 3, (-2, -1))
