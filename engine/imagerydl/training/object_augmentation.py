"""Turns a batch of chips with objects into network input, varied on the way: boxes go along."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Optional

import torch
from torch import Tensor
from torch.nn import functional

from .augmentation import BatchInput, turned
from .augmentation_settings import Crop

#: Share of an object that must be left in a chip for it to be learnt.
VISIBLE = 0.4

#: Shortest side, in pixels, of a box that is learnt.
SHORTEST = 2.0


@dataclass
class ChipObjects:
    """The objects of one chip.

    Attributes:
        boxes: ``[m, 4]`` float32: left, top, right, bottom in pixels.
        labels: ``[m]`` int64, positions of classes.
        masks: ``[m, h, w]`` uint8 where there are outlines.
    """

    boxes: Tensor
    labels: Tensor
    masks: Optional[Tensor] = None

    def select(self, kept: Tensor) -> ChipObjects:
        """Some of them."""
        return ChipObjects(
            self.boxes[kept], self.labels[kept], None if self.masks is None else self.masks[kept]
        )

    def to(self, device: torch.device) -> ChipObjects:
        """The same on a device."""
        masks = None if self.masks is None else self.masks.to(device)
        return ChipObjects(self.boxes.to(device), self.labels.to(device), masks)

    def target(self) -> dict[str, Tensor]:
        """As a detector of torchvision takes it."""
        target = {"boxes": self.boxes, "labels": self.labels}
        return target if self.masks is None else {**target, "masks": self.masks}


class ObjectBatch(list):
    """The objects of a batch, one :class:`ChipObjects` a chip; moves to a device like a tensor."""

    def to(self, device: torch.device, *arguments: object, **options: object) -> ObjectBatch:
        """The same on a device."""
        return ObjectBatch(objects.to(device) for objects in self)


class ObjectInput(BatchInput):
    """Raw batches in, network input and objects out; see :class:`.augmentation.BatchInput`."""

    def __call__(self, images: Tensor, objects: Sequence[ChipObjects]) -> tuple[Tensor, ObjectBatch]:
        """Make network input.

        Args:
            images: ``[n, bands, h, w]``, raw pixels.
            objects: One a chip.

        Returns:
            Input ``[n, bands, h', w']``, float32, and the objects as they lie in it.
        """
        settings = self.settings
        if settings.crop:
            images, objects = self._crop_all(images, objects, settings.crop)
        if settings.dihedral:
            images, objects = self._turn(images, objects, settings.dihedral)
        if settings.mirror:
            images, objects = self._flip(images, objects, settings.mirror)
        batch = self._scale(images)
        if settings.rotate or settings.zoom:
            batch, objects = self._warp(batch, objects)
        if settings.brightness or settings.contrast:
            batch = self._relight(batch)
        return batch, ObjectBatch(objects)

    def _crop_all(
        self, images: Tensor, objects: Sequence[ChipObjects], crop: Crop
    ) -> tuple[Tensor, list[ChipObjects]]:
        count, (height, width) = len(images), images.shape[-2:]
        rows, columns = self._uniform(count, *crop.rows), self._uniform(count, *crop.columns)
        if self._uniform(1).item() >= crop.probability:
            return images, list(objects)
        high, wide = min(crop.size, height), min(crop.size, width)
        tops = (rows * (height - high)).round().int().tolist()
        lefts = (columns * (width - wide)).round().int().tolist()
        pieces, left_over = [], []
        for image, own, top, left in zip(images, objects, tops, lefts):
            pieces.append(image[:, top : top + high, left : left + wide])
            masks = None if own.masks is None else own.masks[:, top : top + high, left : left + wide]
            moved = own.boxes - own.boxes.new_tensor([left, top, left, top])
            left_over.append(visible(ChipObjects(moved, own.labels, masks), (high, wide)))
        return torch.stack(pieces), left_over

    def _turn(
        self, images: Tensor, objects: Sequence[ChipObjects], probability: float
    ) -> tuple[Tensor, list[ChipObjects]]:
        """One of the eight symmetries of a square per chip; of four where chips are not square."""
        height, width = images.shape[-2:]
        choices = torch.randint(8, (len(images),), generator=self._random)
        if height != width:
            choices = choices // 2 * 2  # half turns only
        choices[self._uniform(len(images)) >= probability] = 0
        new, moved = torch.empty_like(images), []
        for row, (choice, own) in enumerate(zip(choices.tolist(), objects)):
            new[row] = turned(images[row], choice)
            masks = None if own.masks is None else turned(own.masks, choice)
            moved.append(ChipObjects(turned_boxes(own.boxes, choice, height, width), own.labels, masks))
        return new, moved

    def _flip(
        self, images: Tensor, objects: Sequence[ChipObjects], probability: float
    ) -> tuple[Tensor, list[ChipObjects]]:
        chosen = self._uniform(len(images)) < probability
        height, width = images.shape[-2:]
        new = torch.where(chosen.to(images.device)[:, None, None, None], images.flip(-1), images)
        moved = [
            ChipObjects(
                turned_boxes(own.boxes, 4, height, width),
                own.labels,
                None if own.masks is None else own.masks.flip(-1),
            )
            if flip
            else own
            for own, flip in zip(objects, chosen.tolist())
        ]
        return new, moved

    def _warp(self, batch: Tensor, objects: Sequence[ChipObjects]) -> tuple[Tensor, list[ChipObjects]]:
        """Turn by any angle and zoom about the middle; what comes in is the mean of each band."""
        count, _, height, width = batch.shape
        angles = self._draw(self.settings.rotate, count, 0.0) * (math.pi / 180)
        zooms = self._draw(self.settings.zoom, count, 1.0)
        moved: list[ChipObjects] = []
        matrices = []
        for angle, zoom, own in zip(angles.tolist(), zooms.tolist(), objects):
            cosine, sine = math.cos(angle), math.sin(angle)
            # Where an output pixel comes from, in coordinates from -1 to 1 on both axes.
            matrices.append(
                [
                    [cosine / zoom, -sine / zoom * height / width, 0.0],
                    [sine / zoom * width / height, cosine / zoom, 0.0],
                ]
            )
            forward = own.boxes.new_tensor([[cosine, sine], [-sine, cosine]]) * zoom
            moved.append(ChipObjects(_mapped(own.boxes, forward, height, width), own.labels, own.masks))
        theta = batch.new_tensor(matrices)
        grid = functional.affine_grid(theta, [count, 1, height, width], align_corners=False)
        warped = functional.grid_sample(batch, grid, mode="bilinear", align_corners=False)
        for row, own in enumerate(moved):
            if own.masks is not None and len(own.masks):
                sampled = functional.grid_sample(
                    own.masks[None].float(), grid[row : row + 1], mode="nearest", align_corners=False
                )
                own.masks = sampled[0].to(own.masks.dtype)
        warped = warped.contiguous(memory_format=torch.channels_last)
        return warped, [visible(own, (height, width)) for own in moved]


def visible(objects: ChipObjects, size: tuple[int, int]) -> ChipObjects:
    """The objects that are still there, their boxes cut to a chip of ``size`` (height, width)."""
    height, width = size
    boxes = objects.boxes
    if objects.masks is not None:
        tight = boxes_of_masks(objects.masks)
    else:
        limits = boxes.new_tensor([width, height, width, height])
        tight = torch.minimum(boxes.clamp(min=0), limits)
    sides, before = tight[:, 2:] - tight[:, :2], (boxes[:, 2:] - boxes[:, :2]).prod(dim=1)
    kept = (sides >= SHORTEST).all(dim=1) & (sides.clamp(min=0).prod(dim=1) >= VISIBLE * before)
    return ChipObjects(tight, objects.labels, objects.masks).select(kept)


def boxes_of_masks(masks: Tensor) -> Tensor:
    """The box around each mask ``[m, h, w]``; all zeros where a mask is empty."""
    boxes = masks.new_zeros((len(masks), 4), dtype=torch.float32)
    for row, mask in enumerate(masks):
        ys, xs = mask.any(dim=1).nonzero()[:, 0], mask.any(dim=0).nonzero()[:, 0]
        if len(ys):
            boxes[row] = boxes.new_tensor([int(xs[0]), int(ys[0]), int(xs[-1]) + 1, int(ys[-1]) + 1])
    return boxes


def turned_boxes(boxes: Tensor, choice: int, height: int, width: int) -> Tensor:
    """Boxes of an image of ``height`` and ``width`` after :func:`.augmentation.turned`."""
    left, top, right, bottom = boxes.unbind(dim=1)
    if choice & 4:
        left, right = width - right, width - left
    for _ in range(choice & 3):  # a quarter turn to the left: (x, y) -> (y, width - x)
        left, top, right, bottom = top, width - right, bottom, width - left
        height, width = width, height
    return torch.stack((left, top, right, bottom), dim=1)


def _mapped(boxes: Tensor, matrix: Tensor, height: int, width: int) -> Tensor:
    """The boxes around what ``matrix`` makes of ``boxes`` about the middle of the image."""
    left, top, right, bottom = boxes.unbind(dim=1)
    corners = torch.stack(
        [torch.stack((x, y), dim=1) for x, y in ((left, top), (right, top), (right, bottom), (left, bottom))],
        dim=1,
    )
    middle = boxes.new_tensor([width / 2, height / 2])
    mapped = (corners - middle) @ matrix.T + middle
    return torch.cat((mapped.amin(dim=1), mapped.amax(dim=1)), dim=1)
