"""The chips in memory, or read as needed, with labels turned into the network's channels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from typing import Optional

import numpy as np

from ..chips.folder import ChipPair
from ..errors import DataError, TrainingError
from ..events import Reporter
from ..labels.classes import ClassSchema
from .channels import Channels, choose_channels
from .chips import ChipCollection
from .reading import Chip, UnusableChipError, read_chip

#: Threads that read chips; decoding is quick, the wait for the disk is not.
READERS = 4

#: Skipped chips named one by one in the warning.
_NAMED_SKIPS = 20


@dataclass
class TrainingData:
    """Readable chips of a collection.

    Attributes:
        collection: Where they come from.
        pairs: The readable ones, in the order of the collection.
        channels: What the network's output channels stand for.
        dtype: Pixel type of the images.
        pixel_counts: Label pixels by class value.
        skipped: Why each unusable chip was left out.
        images: ``[chips, bands, height, width]``, or None where they do not fit in memory.
        labels: Output channel of each pixel ``[chips, height, width]``, uint8,
            :data:`.channels.IGNORED` where there is none; or None.
    """

    collection: ChipCollection
    pairs: tuple[ChipPair, ...]
    channels: Channels
    dtype: np.dtype
    pixel_counts: dict[int, int]
    skipped: tuple[str, ...] = ()
    images: Optional[np.ndarray] = field(default=None, repr=False)
    labels: Optional[np.ndarray] = field(default=None, repr=False)

    def __len__(self) -> int:
        return len(self.pairs)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(bands, height, width) of a chip."""
        return chip_shape(self.collection)

    @property
    def classes(self) -> ClassSchema:
        """One class per channel."""
        return self.channels.classes

    @property
    def class_names(self) -> tuple[str, ...]:
        """Name of each channel."""
        return self.channels.names

    def take(self, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Images ``[n, bands, h, w]`` (native type) and labels ``[n, h, w]`` of some chips."""
        if self.images is not None and self.labels is not None:
            return self.images[indices], self.labels[indices]
        images = np.empty((len(indices), *self.shape), self.dtype)
        labels = np.empty((len(indices), *self.shape[1:]), np.uint8)
        for row, index in enumerate(indices):
            try:
                chip = read_chip(
                    self.pairs[index], self.shape, self.collection.classes.values, self.collection.fill
                )
            except UnusableChipError as error:
                raise DataError(f"A chip changed during training: {error}.", "Start again.") from error
            images[row], labels[row] = chip.image, self.channels.of_values(chip.label, chip.valid)
        return images, labels


def chip_shape(collection: ChipCollection) -> tuple[int, int, int]:
    """(bands, height, width) of the chips of a collection."""
    return collection.band_count, collection.tile_size[1], collection.tile_size[0]


def load_chips(
    collection: ChipCollection,
    ignored_classes: Sequence[int],
    memory_budget: int,
    reporter: Reporter,
    span: tuple[float, float] = (0.0, 1.0),
) -> TrainingData:
    """Read every chip once: check it, count its classes, keep it where the budget allows.

    Args:
        collection: The chips.
        ignored_classes: Class values that are not learnt.
        memory_budget: Bytes the chips may fill.
        reporter: Hears of progress and skipped chips.
        span: Part of the whole run this is.

    Raises:
        TrainingError: Where too few usable chips or classes are left.
        DataError: Where labels hold values that are no class.
    """
    scan = _Scan(collection, memory_budget)
    total = len(collection.pairs)
    for done, (pair, chip) in enumerate(_read_all(collection), start=1):
        reporter.progress("Reading chips", done, total, "chips", scan.note, span)
        scan.add(pair, chip)
    scan.report(reporter)
    scan.check()
    channels = choose_channels(collection.classes, scan.counts, scan.examples, ignored_classes)
    data = TrainingData(
        collection, tuple(scan.pairs), channels, scan.dtype, dict(scan.counts), tuple(scan.skipped)
    )
    if scan.images is not None:
        data.images, values = scan.images[: len(scan.pairs)], scan.values[: len(scan.pairs)]
        data.labels = np.empty(values.shape, np.uint8)
        for index in range(len(values)):
            data.labels[index] = channels.of_values(values[index], scan.valid[index])
    else:
        reporter.message("The chips do not fit in memory: they are read from disk as they are needed.")
    return data


def split(count: int, validation_fraction: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Indices of training and validation chips, the same for the same count, share and seed."""
    order = np.random.default_rng(seed).permutation(count)
    kept = min(count - 1, max(1, round(count * validation_fraction)))
    return order[kept:], order[:kept]


def _read_all(collection: ChipCollection) -> Iterator[tuple[ChipPair, object]]:
    """Every pair with its chip, or with the error that makes it unusable, in order."""
    shape, values, fill = chip_shape(collection), collection.classes.values, collection.fill

    def read(pair: ChipPair) -> object:
        try:
            return read_chip(pair, shape, values, fill)
        except UnusableChipError as error:
            return error

    with ThreadPoolExecutor(READERS) as pool:
        # A window of reads ahead: memory stays bounded and cancelling need not wait for the rest.
        pairs = iter(collection.pairs)
        ahead = [(pair, pool.submit(read, pair)) for pair in islice(pairs, 4 * READERS)]
        while ahead:
            pair, future = ahead.pop(0)
            following = next(pairs, None)
            if following is not None:
                ahead.append((following, pool.submit(read, following)))
            yield pair, future.result()


class _Scan:
    """What one pass over the chips gathers."""

    def __init__(self, collection: ChipCollection, memory_budget: int) -> None:
        self.collection, self.budget = collection, memory_budget
        self.pairs: list[ChipPair] = []
        self.skipped = [
            *(f"{path.name}: it has no label" for path in collection.unlabelled),
            *(f"{path.name}: it has no second date" for path in collection.incomplete),
        ]
        self.counts: Counter[int] = Counter()
        self.examples: dict[int, str] = {}
        self.dtype = np.dtype(np.uint8)
        self.images: Optional[np.ndarray] = None
        self.values: Optional[np.ndarray] = None
        self.valid: Optional[np.ndarray] = None

    @property
    def note(self) -> str:
        return f"skipped {len(self.skipped)}" if self.skipped else ""

    def add(self, pair: ChipPair, chip: object) -> None:
        if isinstance(chip, Chip) and self.pairs and chip.image.dtype != self.dtype:
            chip = UnusableChipError(
                f"{pair.image.name}: its pixels are {chip.image.dtype}, those before it {self.dtype}"
            )
        if not isinstance(chip, Chip):
            self.skipped.append(str(chip))
            return
        if not self.pairs:
            self._begin(chip)
        if self.images is not None:
            row = len(self.pairs)
            self.images[row], self.values[row], self.valid[row] = chip.image, chip.label, chip.valid
        counts = np.bincount(chip.label[chip.valid])
        for value in np.flatnonzero(counts):
            self.counts[int(value)] += int(counts[value])
            self.examples.setdefault(int(value), pair.label.name)
        self.pairs.append(pair)

    def _begin(self, chip: Chip) -> None:
        self.dtype = chip.image.dtype
        count = len(self.collection.pairs)
        # uint16 values, their mask and the uint8 channels exist together for a moment.
        if count * (chip.image.nbytes + 4 * chip.label.size) <= self.budget:
            self.images = np.empty((count, *chip.image.shape), self.dtype)
            self.values = np.empty((count, *chip.label.shape), np.uint16)
            self.valid = np.empty((count, *chip.label.shape), bool)

    def report(self, reporter: Reporter) -> None:
        if self.skipped:
            shown = "; ".join(self.skipped[:_NAMED_SKIPS])
            more = len(self.skipped) - _NAMED_SKIPS
            reporter.warning(
                f"{len(self.skipped)} chips were skipped: {shown}"
                + (f"; and {more} more." if more > 0 else ".")
            )

    def check(self) -> None:
        if len(self.pairs) < 2:
            reason = f" ({self.skipped[0]})" if self.skipped else ""
            raise TrainingError(
                f"{len(self.pairs)} of {len(self.collection.pairs)} chips can be used{reason}; at least two "
                "are needed, one to train on and one to validate with.",
                "Export more chips, or mend the damaged ones.",
            )
