"""Chips with objects in memory, or read as needed; what cannot be learnt from is left out and listed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import chain
from typing import Optional

import numpy as np
import torch

from ..chips.folder import ChipPair, ExportedFolder
from ..chips.label_files import ChipLabels, LabelReader
from ..errors import DataError, TrainingError
from ..events import Reporter
from ..labels.classes import ClassSchema
from .chips import ChipCollection
from .dataset import READERS, chip_shape
from .object_augmentation import SHORTEST, ChipObjects, ObjectBatch, boxes_of_masks
from .reading import UnusableChipError, read_image

#: Problems named one by one in the warning.
_NAMED = 20

#: Chips read together.
_LOT = 64


@dataclass
class ObjectData:
    """Readable chips of a collection, with their objects.

    Attributes:
        collection: Where they come from.
        pairs: The readable ones, in the order of the collection.
        classes: What is told apart; a class's position is its label.
        dtype: Pixel type of the images.
        boxes: Of each chip, ``[m, 4]`` float32.
        labels: Of each chip, ``[m]`` int64.
        problems: Why chips and objects were left out.
        images: ``[chips, bands, height, width]``, or None where they do not fit in memory.
        masks: Of each chip ``[m, h, w]`` bool, where outlines are learnt and images are in memory.
        readers: By folder, what reads labels again where masks are not kept.
    """

    collection: ChipCollection
    pairs: tuple[ChipPair, ...]
    classes: ClassSchema
    dtype: np.dtype
    boxes: list[np.ndarray]
    labels: list[np.ndarray]
    problems: tuple[str, ...] = ()
    images: Optional[np.ndarray] = field(default=None, repr=False)
    masks: Optional[list[np.ndarray]] = field(default=None, repr=False)
    with_masks: bool = False
    readers: tuple[LabelReader, ...] = ()
    owners: tuple[int, ...] = ()

    def __len__(self) -> int:
        return len(self.pairs)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(bands, height, width) of a chip."""
        return chip_shape(self.collection)

    @property
    def class_names(self) -> tuple[str, ...]:
        """Name of each class."""
        return tuple(entry.name for entry in self.classes)

    @property
    def counts(self) -> dict[int, int]:
        """Objects by class value."""
        labels = np.concatenate([*self.labels, np.empty(0, np.int64)])
        counted = np.bincount(labels, minlength=len(self.classes))
        return dict(zip(self.classes.values, counted.tolist()))

    def take(self, indices: np.ndarray) -> tuple[np.ndarray, ObjectBatch]:
        """Images ``[n, bands, h, w]`` (native type) and objects of some chips."""
        objects = ObjectBatch(self._objects(int(index)) for index in indices)
        if self.images is not None:
            return self.images[indices], objects
        images = np.empty((len(indices), *self.shape), self.dtype)
        for row, index in enumerate(indices):
            try:
                images[row] = read_image(self.pairs[index].image, self.shape, self.collection.fill)[0]
            except UnusableChipError as error:
                raise DataError(f"A chip changed during training: {error}.", "Start again.") from error
        return images, objects

    def _objects(self, index: int) -> ChipObjects:
        boxes = torch.from_numpy(self.boxes[index])
        labels = torch.from_numpy(self.labels[index])
        if not self.with_masks:
            return ChipObjects(boxes, labels)
        if self.masks is not None:
            masks = self.masks[index]
        else:
            reader = self.readers[self.owners[index]]
            found = reader.read_tolerantly(self.pairs[index], [])
            masks = _usable(found, self.classes, True, self.shape, "", [])[2]
        return ChipObjects(boxes, labels, torch.from_numpy(masks.astype(np.uint8)))


def load_objects(
    collection: ChipCollection,
    ignored_classes: Sequence[int],
    with_masks: bool,
    memory_budget: int,
    reporter: Reporter,
    span: tuple[float, float] = (0.0, 1.0),
) -> ObjectData:
    """Read every chip once: check it and its objects, keep it where the budget allows.

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
    classes = _schema(collection, ignored_classes)
    shape = chip_shape(collection)
    readers = tuple(LabelReader(folder) for folder in collection.exported)
    owners = list(chain.from_iterable(_owner(n, f, collection) for n, f in enumerate(collection.exported)))
    data = ObjectData(collection, (), classes, np.dtype(np.uint8), [], [], with_masks=with_masks)
    data.readers = readers
    problems = [f"{path.name}: it has no label" for path in collection.unlabelled]
    pairs: list[ChipPair] = []
    kept_owners: list[int] = []
    total = len(collection.pairs)
    with ThreadPoolExecutor(READERS) as pool:
        for start in range(0, total, _LOT):
            lot = range(start, min(start + _LOT, total))
            images = pool.map(lambda i: _image(collection.pairs[i], shape, collection.fill), lot)
            for index, image in zip(lot, images):
                pair = collection.pairs[index]
                reporter.progress("Reading chips", index + 1, total, "chips", "", span)
                if isinstance(image, np.ndarray) and pairs and image.dtype != data.dtype:
                    image = f"{pair.image.name}: its pixels are {image.dtype}, those before it {data.dtype}"
                if not isinstance(image, np.ndarray):
                    problems.append(image)
                    continue
                found = readers[owners[index]].read_tolerantly(pair, problems)
                if found is None:
                    continue
                if not pairs:
                    data.dtype = image.dtype
                    if (
                        total * (image.nbytes + (shape[1] * shape[2] * 8 if with_masks else 0))
                        <= memory_budget
                    ):
                        data.images = np.empty((total, *shape), image.dtype)
                        data.masks = [] if with_masks else None
                boxes, labels, masks = _usable(found, classes, with_masks, shape, pair.image.name, problems)
                if data.images is not None:
                    data.images[len(pairs)] = image
                if data.masks is not None:
                    data.masks.append(masks)
                data.boxes.append(boxes)
                data.labels.append(labels)
                pairs.append(pair)
                kept_owners.append(owners[index])
    data.pairs, data.owners, data.problems = tuple(pairs), tuple(kept_owners), tuple(problems)
    if data.images is not None:
        data.images = data.images[: len(pairs)]
    elif pairs:
        reporter.message("The chips do not fit in memory: they are read from disk as they are needed.")
    report_problems(problems, "chips and objects", reporter)
    _check(data)
    return data


def report_problems(problems: Sequence[str], what: str, reporter: Reporter) -> None:
    """Say what was left out, the first ones by name."""
    if problems:
        more = len(problems) - _NAMED
        reporter.warning(
            f"{len(problems)} {what} were skipped: {'; '.join(problems[:_NAMED])}"
            + (f"; and {more} more." if more > 0 else "")
        )


def warn_of_rare_classes(classes: ClassSchema, counts: dict[int, int], what: str, reporter: Reporter) -> None:
    """Name classes with too little to learn from."""
    missing = [entry.name for entry in classes if not counts.get(entry.value)]
    single = [entry.name for entry in classes if counts.get(entry.value) == 1]
    if missing:
        reporter.warning(f"No {what} shows {', '.join(missing)}: the model cannot learn it.")
    if single:
        reporter.warning(
            f"There is one {what} only of {', '.join(single)}: it is either learnt or measured, not both."
        )


def split_by_class(labels: Sequence[np.ndarray], fraction: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Indices of training and validation chips, each class in both where it can be.

    Args:
        labels: Positions of the classes of each chip.
        fraction: Share of the chips to validate with.
        seed: Of the drawing.
    """
    count = len(labels)
    order = np.random.default_rng(seed).permutation(count)
    wanted = min(count - 1, max(1, round(count * fraction)))
    frequency = Counter(int(label) for own in labels for label in set(own.tolist()))
    # Rare classes choose first; a chip counts for its rarest class.
    rarest = [min((frequency[int(x)], int(x)) for x in own) if len(own) else (count, -1) for own in labels]
    valid: list[int] = []
    for _, members in sorted(_grouped(order, rarest).items()):
        share = len(members) * wanted / count
        valid += members[: round(share)]
    if len(valid) < wanted:
        taken = set(valid)
        valid += [int(i) for i in order if int(i) not in taken][: wanted - len(valid)]
    kept = set(valid[:wanted])
    train = np.array([i for i in order.tolist() if i not in kept])
    return train, np.array(sorted(kept, key=order.tolist().index))


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


def _grouped(order: np.ndarray, keys: Sequence[tuple[int, int]]) -> dict[tuple[int, int], list[int]]:
    groups: dict[tuple[int, int], list[int]] = {}
    for index in order.tolist():
        groups.setdefault(keys[index], []).append(index)
    return groups


def _schema(collection: ChipCollection, ignored: Sequence[int]) -> ClassSchema:
    kept = [entry for entry in collection.classes if entry.value not in ignored]
    if not kept:
        raise TrainingError(
            "The training folders name no class that is learnt.",
            "Export the chips again, or leave ignore_classes empty.",
        )
    return ClassSchema(kept).with_colors()


def _owner(number: int, folder: ExportedFolder, collection: ChipCollection) -> list[int]:
    """The folder's number, for each of its pairs in the collection."""
    whole = not any(pair.label for pair in folder.chips)
    return [number for pair in folder.chips if pair.label or whole]


def _image(pair: ChipPair, shape: tuple[int, int, int], fill: Sequence[float]) -> object:
    try:
        return read_image(pair.image, shape, fill)[0]
    except UnusableChipError as error:
        return str(error)


def _usable(
    found: Optional[ChipLabels],
    classes: ClassSchema,
    with_masks: bool,
    shape: tuple[int, int, int],
    name: str,
    problems: list[str],
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Boxes, labels and masks that can be learnt; objects thinner than two pixels are problems."""
    position = {value: place for place, value in enumerate(classes.values)}
    masks = np.empty((0, *shape[1:]), bool)
    if found is None:
        return np.empty((0, 4), np.float32), np.empty(0, np.int64), masks
    if found.instances:
        values = [value for value, _ in found.instances]
        masks = np.stack([mask for _, mask in found.instances])
        boxes = boxes_of_masks(torch.from_numpy(masks)).numpy()
    else:
        values, boxes = found.box_classes.tolist(), found.boxes.astype(np.float32).reshape(-1, 4)
        if with_masks and len(boxes):
            problems.append(f"{name}: its {len(boxes)} objects have no outline")
            values, boxes = [], boxes[:0]
    known = np.array([value in position for value in values], bool)
    wide = ((boxes[:, 2:] - boxes[:, :2]) >= SHORTEST).all(axis=1)
    problems += [
        f"{name}: an object of {b[2] - b[0]:g} x {b[3] - b[1]:g} pixels is too thin"
        for b in boxes[known & ~wide].tolist()
        for b in [b]
    ]
    kept = known & wide
    labels = np.array([position[v] for v, ok in zip(values, kept.tolist()) if ok], np.int64)
    return boxes[kept], labels, masks[kept] if with_masks and len(masks) else masks[:0]


def _check(data: ObjectData) -> None:
    reason = f" ({data.problems[0]})" if data.problems else ""
    if len(data.pairs) < 2:
        raise TrainingError(
            f"{len(data.pairs)} of {len(data.collection.pairs)} chips can be used{reason}; at least two are "
            "needed, one to train on and one to validate with.",
            "Export more chips, or mend the damaged ones.",
        )
    if not any(len(boxes) for boxes in data.boxes):
        raise TrainingError(
            f"The chips show no object that can be learnt{reason}.", "Export chips with objects."
        )
