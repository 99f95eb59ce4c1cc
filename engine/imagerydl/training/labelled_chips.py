"""Chips with labels of any format, in memory or read as needed; what is unusable is left out and listed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Optional, Union

import numpy as np

from ..chips.folder import ChipPair
from ..chips.label_files import ChipLabels, LabelReader
from ..errors import DataError, TrainingError
from ..events import Reporter
from ..labels.classes import ClassSchema
from .chips import ChipCollection
from .dataset import READERS, chip_shape
from .reading import UnusableChipError, read_image

#: Problems named one by one in the warning.
_NAMED = 20

#: Chips read together.
_LOT = 64


@dataclass
class LabelledChips:
    """Readable chips of a collection. Subclasses hold their labels.

    Attributes:
        collection: Where they come from.
        classes: What is told apart; a class's position is its label.
        resize: Whether chips of other sizes are brought to that of the collection.
        pairs: The readable ones, in the order of the collection.
        dtype: Pixel type of the images.
        problems: Why chips and labels were left out.
        images: ``[chips, bands, height, width]``, or None where they do not fit in memory.
    """

    collection: ChipCollection
    classes: ClassSchema
    resize: bool = False
    pairs: tuple[ChipPair, ...] = ()
    dtype: np.dtype = field(default_factory=lambda: np.dtype(np.uint8))
    problems: tuple[str, ...] = ()
    images: Optional[np.ndarray] = field(default=None, repr=False)

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

    def take_images(self, indices: np.ndarray) -> np.ndarray:
        """Images ``[n, bands, h, w]`` (native type) of some chips."""
        if self.images is not None:
            return self.images[indices]
        images = np.empty((len(indices), *self.shape), self.dtype)
        for row, index in enumerate(indices):
            try:
                images[row] = self._read(self.pairs[index])
            except UnusableChipError as error:
                raise DataError(f"A chip changed during training: {error}.", "Start again.") from error
        return images

    def load(
        self,
        add: Callable[[ChipPair, ChipLabels, list[str]], bool],
        budget: int,
        label_bytes: int,
        reporter: Reporter,
        span: tuple[float, float],
    ) -> None:
        """Read every chip once: check it, keep it where the budget allows.

        Args:
            add: Takes the labels of a chip, and adds to the problems; False where the chip is not used.
            budget: Bytes the chips may fill.
            label_bytes: Bytes that the labels of a chip fill.
            reporter: Hears of progress.
            span: Part of the whole run this is.

        Raises:
            TrainingError: Where fewer than two chips can be used.
        """
        problems = [f"{path.name}: it has no label" for path in self.collection.unlabelled]
        readers = {
            chip.image: reader
            for folder, reader in ((folder, LabelReader(folder)) for folder in self.collection.exported)
            for chip in folder.chips
        }
        pairs: list[ChipPair] = []
        total = len(self.collection.pairs)
        for done, (pair, image) in enumerate(self._read_all(), start=1):
            reporter.progress("Reading chips", done, total, "chips", "", span)
            if isinstance(image, np.ndarray) and pairs and image.dtype != self.dtype:
                image = f"{pair.image.name}: its pixels are {image.dtype}, those before it {self.dtype}"
            if not isinstance(image, np.ndarray):
                problems.append(image)
                continue
            found = readers[pair.image].read_tolerantly(pair, problems)
            if found is None or not add(pair, found, problems):
                continue
            if not pairs:
                self.dtype = image.dtype
                if total * (image.nbytes + label_bytes) <= budget:
                    self.images = np.empty((total, *self.shape), image.dtype)
            if self.images is not None:
                self.images[len(pairs)] = image
            pairs.append(pair)
        self.pairs, self.problems = tuple(pairs), tuple(problems)
        if self.images is not None:
            self.images = self.images[: len(pairs)]
        elif pairs:
            reporter.message("The chips do not fit in memory: they are read from disk as they are needed.")
        self._report(reporter)
        if len(pairs) < 2:
            reason = f" ({problems[0]})" if problems else ""
            raise TrainingError(
                f"{len(pairs)} of {total} chips can be used{reason}; at least two are needed, one to train "
                "on and one to validate with.",
                "Export more chips, or mend the damaged ones.",
            )

    def warn_of_rare(self, counts: dict[int, int], what: str, reporter: Reporter) -> None:
        """Name classes with too little to learn from.

        Args:
            counts: How many there are, by class value.
            what: Of what.
            reporter: Hears it.
        """
        missing = [entry.name for entry in self.classes if not counts.get(entry.value)]
        single = [entry.name for entry in self.classes if counts.get(entry.value) == 1]
        if missing:
            reporter.warning(f"No {what} shows {', '.join(missing)}: the model cannot learn it.")
        if single:
            reporter.warning(
                f"There is one {what} only of {', '.join(single)}: it is either learnt or measured, not both."
            )

    def _read(self, pair: ChipPair) -> np.ndarray:
        return read_image(pair.image, self.shape, self.collection.fill, self.resize)[0]

    def _read_all(self) -> Iterator[tuple[ChipPair, Union[np.ndarray, str]]]:
        """Each chip with its image, or with what is wrong with it."""

        def read(pair: ChipPair) -> Union[np.ndarray, str]:
            try:
                return self._read(pair)
            except UnusableChipError as error:
                return str(error)

        pairs = self.collection.pairs
        with ThreadPoolExecutor(READERS) as pool:
            for start in range(0, len(pairs), _LOT):  # lots: memory stays bounded
                lot = pairs[start : start + _LOT]
                yield from zip(lot, pool.map(read, lot))

    def _report(self, reporter: Reporter) -> None:
        if self.problems:
            more = len(self.problems) - _NAMED
            reporter.warning(
                f"{len(self.problems)} chips or labels were skipped: {'; '.join(self.problems[:_NAMED])}"
                + (f"; and {more} more." if more > 0 else "")
            )


def learnt_classes(collection: ChipCollection, ignored: Sequence[int], fewest: int) -> ClassSchema:
    """The classes without those that are not learnt, each with a colour.

    Raises:
        TrainingError: Where fewer than ``fewest`` are left.
    """
    kept = [entry for entry in collection.classes if entry.value not in ignored]
    if len(kept) < fewest:
        raise TrainingError(
            f"The training folders name {len(kept)} classes to learn; at least {fewest} are needed.",
            "Export the chips again, or leave ignore_classes empty.",
        )
    return ClassSchema(kept).with_colors()
