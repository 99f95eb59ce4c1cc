"""Chips that each have one class, or several."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from ..chips.folder import ChipPair
from ..chips.label_files import ChipLabels
from ..errors import TrainingError
from ..events import Reporter
from .chips import ChipCollection
from .labelled_chips import LabelledChips, learnt_classes

#: Formats whose chips may have several classes, or none.
MULTI_LABEL_FORMATS = ("MultiLabeled_Tiles",)


@dataclass
class ChipData(LabelledChips):
    """Chips with their classes; see :class:`.labelled_chips.LabelledChips`.

    Attributes:
        multi_label: Whether a chip may be of several classes.
        positions: Positions of the classes of each chip.
    """

    multi_label: bool = False
    positions: list[np.ndarray] = field(default_factory=list, repr=False)

    @property
    def counts(self) -> dict[int, int]:
        """Chips by class value."""
        counted = np.bincount(np.concatenate(self.positions), minlength=len(self.classes))
        return dict(zip(self.classes.values, counted.tolist()))

    def take(self, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Images ``[n, bands, h, w]`` (native type) and labels of some chips.

        Labels are positions of classes, int64 ``[n]``; with several classes float32 ``[n, classes]``, 1
        where the chip is of the class.
        """
        images = self.take_images(indices)
        if not self.multi_label:
            return images, np.array([self.positions[int(i)][0] for i in indices], np.int64)
        labels = np.zeros((len(indices), len(self.classes)), np.float32)
        for row, index in enumerate(indices):
            labels[row, self.positions[int(index)]] = 1
        return images, labels

    def add(self, pair: ChipPair, found: ChipLabels, problems: list[str]) -> bool:
        """Take the classes of a chip; a chip without any is used only where that is an answer."""
        place = {value: number for number, value in enumerate(self.classes.values)}
        known = [place[value] for value in found.classes if value in place]
        if found.classes and not known:
            return False  # of classes that are not learnt
        if not known and not self.multi_label:
            problems.append(f"{pair.image.name}: it has no class")
            return False
        self.positions.append(np.array(known if self.multi_label else known[:1], np.int64))
        return True


def load_labelled(
    collection: ChipCollection,
    ignored_classes: Sequence[int],
    memory_budget: int,
    reporter: Reporter,
    span: tuple[float, float] = (0.0, 1.0),
) -> ChipData:
    """Read every chip once, with its classes.

    Args:
        collection: The chips.
        ignored_classes: Class values whose chips are left out.
        memory_budget: Bytes the chips may fill.
        reporter: Hears of progress and of what was left out.
        span: Part of the whole run this is.

    Raises:
        TrainingError: Where too few usable chips or classes are left.
    """
    multi_label = collection.metadata_format in MULTI_LABEL_FORMATS
    classes = learnt_classes(collection, ignored_classes, 1 if multi_label else 2)
    resize = any(folder.has_variable_size for folder in collection.exported)
    data = ChipData(collection, classes, resize, multi_label=multi_label)
    data.load(data.add, memory_budget, 8, reporter, span)
    occurring = [entry.name for entry in classes if data.counts[entry.value]]
    if len(occurring) < (1 if multi_label else 2):
        raise TrainingError(
            f"The chips are all of the class {occurring[0]!r}." if occurring else "No chip has a class.",
            "Training needs at least two classes: export chips that also show something else.",
        )
    data.warn_of_rare(data.counts, "chip", reporter)
    return data


def split_by_class(
    positions: Sequence[np.ndarray], fraction: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Indices of training and validation chips, with a share of each class in both where there is one.

    Args:
        positions: Of the classes of each chip.
        fraction: Share of the chips to validate with.
        seed: Of the drawing.
    """
    count = len(positions)
    order = np.random.default_rng(seed).permutation(count)
    wanted = min(count - 1, max(1, round(count * fraction)))
    frequency = Counter(int(label) for own in positions for label in own)
    # A chip of several classes counts for the rarest of them.
    rarest = [
        min(((frequency[int(label)], int(label)) for label in own), default=(count, -1)) for own in positions
    ]
    groups: dict[tuple[int, int], list[int]] = {}
    for index in order.tolist():
        groups.setdefault(rarest[index], []).append(index)
    chosen = [index for key in sorted(groups) for index in groups[key][: round(len(groups[key]) * fraction)]]
    chosen += [index for index in order.tolist() if index not in set(chosen)][: max(0, wanted - len(chosen))]
    kept = set(chosen[:wanted])
    return (
        np.array([index for index in order.tolist() if index not in kept]),
        np.array([index for index in order.tolist() if index in kept]),
    )
