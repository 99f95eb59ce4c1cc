"""Chips with objects: boxes, and outlines where they are learnt."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from ..chips.folder import ChipPair
from ..chips.label_files import ChipLabels
from ..errors import TrainingError
from ..events import Reporter
from .chips import ChipCollection
from .labelled_chips import LabelledChips, learnt_classes
from .object_augmentation import SHORTEST, ChipObjects, ObjectBatch, boxes_of_masks

#: Objects of a chip whose masks are counted on when memory is planned.
_MASKS = 8


@dataclass
class ObjectData(LabelledChips):
    """Chips with objects; see :class:`.labelled_chips.LabelledChips`.

    Attributes:
        with_masks: Whether outlines are learnt.
        boxes: Of each chip, ``[m, 4]`` float32.
        labels: Of each chip, ``[m]`` int64.
        masks: Of each chip ``[m, h, w]`` bool, packed into bits, where outlines are learnt.
    """

    with_masks: bool = False
    boxes: list[np.ndarray] = field(default_factory=list, repr=False)
    labels: list[np.ndarray] = field(default_factory=list, repr=False)
    masks: list[np.ndarray] = field(default_factory=list, repr=False)

    @property
    def counts(self) -> dict[int, int]:
        """Objects by class value."""
        labels = np.concatenate([*self.labels, np.empty(0, np.int64)])
        counted = np.bincount(labels, minlength=len(self.classes))
        return dict(zip(self.classes.values, counted.tolist()))

    def take(self, indices: np.ndarray) -> tuple[np.ndarray, ObjectBatch]:
        """Images ``[n, bands, h, w]`` (native type) and objects of some chips."""
        return self.take_images(indices), ObjectBatch(self._objects(int(index)) for index in indices)

    def add(self, pair: ChipPair, found: ChipLabels, problems: list[str]) -> bool:
        """Take the objects of a chip that can be learnt; a chip without any shows what is none."""
        masks = np.empty((0, *self.shape[1:]), bool)
        if self.with_masks:
            values = [value for value, _ in found.instances]
            if values:
                masks = np.stack([mask for _, mask in found.instances])
            boxes = boxes_of_masks(torch.from_numpy(masks)).numpy()
            bare = len(found.boxes) - len(values)
            if bare > 0:
                problems.append(f"{pair.image.name}: {bare} of its objects have no outline")
        else:
            values, boxes = found.box_classes.tolist(), found.boxes.astype(np.float32).reshape(-1, 4)
        position = {value: place for place, value in enumerate(self.classes.values)}
        known = np.array([value in position for value in values], bool)
        sides = boxes[:, 2:] - boxes[:, :2]
        wide = (sides >= SHORTEST).all(axis=1)
        for width, height in sides[known & ~wide].tolist():
            problems.append(f"{pair.image.name}: an object of {width:g} x {height:g} pixels is too thin")
        kept = known & wide
        self.boxes.append(boxes[kept])
        self.labels.append(np.array([position[v] for v, ok in zip(values, kept) if ok], np.int64))
        if self.with_masks:
            self.masks.append(np.packbits(masks[kept], axis=-1))
        return True

    def _objects(self, index: int) -> ChipObjects:
        boxes, labels = torch.from_numpy(self.boxes[index]), torch.from_numpy(self.labels[index])
        if not self.with_masks:
            return ChipObjects(boxes, labels)
        masks = np.unpackbits(self.masks[index], axis=-1, count=self.shape[2])
        return ChipObjects(boxes, labels, torch.from_numpy(masks))


def load_objects(
    collection: ChipCollection,
    ignored_classes: Sequence[int],
    with_masks: bool,
    memory_budget: int,
    reporter: Reporter,
    span: tuple[float, float] = (0.0, 1.0),
) -> ObjectData:
    """Read every chip once, with its objects.

    Args:
        collection: The chips.
        ignored_classes: Class values whose objects are not learnt.
        with_masks: Whether outlines are learnt.
        memory_budget: Bytes the chips may fill.
        reporter: Hears of progress and of what was left out.
        span: Part of the whole run this is.

    Raises:
        TrainingError: Where too few usable chips or no objects are left.
    """
    data = ObjectData(collection, learnt_classes(collection, ignored_classes, 1), with_masks=with_masks)
    label_bytes = _MASKS * data.shape[1] * data.shape[2] // 8 if with_masks else 0
    data.load(data.add, memory_budget, label_bytes, reporter, span)
    if not any(len(boxes) for boxes in data.boxes):
        reason = f" ({data.problems[0]})" if data.problems else ""
        raise TrainingError(
            f"The chips show no object that can be learnt{reason}.", "Export chips with objects."
        )
    data.warn_of_rare(data.counts, "object", reporter)
    return data


def repeated(indices: np.ndarray, labels: Sequence[np.ndarray]) -> np.ndarray:
    """``indices`` with chips of rare classes several times (repeat factors of Gupta et al. 2019)."""
    shares = Counter(int(x) for i in indices for x in set(labels[int(i)].tolist()))
    if not shares:
        return indices
    usual = float(np.median(list(shares.values())))
    times = [
        max((max(1.0, np.sqrt(usual / shares[int(x)])) for x in labels[int(i)]), default=1.0) for i in indices
    ]
    return np.repeat(indices, np.round(times).astype(int))
