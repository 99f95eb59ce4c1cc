"""Which class each output channel of the network stands for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import DataError, TrainingError
from ..labels.classes import MAX_CLASS_VALUE, ClassEntry, ClassSchema

#: Channel of pixels that are neither learnt nor counted.
IGNORED = 255

_BACKGROUND = "Background"


@dataclass(frozen=True)
class Channels:
    """The output channels, in order.

    Attributes:
        classes: One class per channel, by ascending value; each has a colour.
    """

    classes: ClassSchema

    def __len__(self) -> int:
        return len(self.classes)

    @property
    def values(self) -> tuple[int, ...]:
        """Class value of each channel."""
        return self.classes.values

    @property
    def names(self) -> tuple[str, ...]:
        """Class name of each channel."""
        return tuple(entry.name for entry in self.classes)

    def of_values(self, values: np.ndarray, valid: np.ndarray) -> np.ndarray:
        """The channel of each class value, uint8; :data:`IGNORED` for others and where not valid."""
        table = np.full(MAX_CLASS_VALUE + 1, IGNORED, np.uint8)
        table[list(self.values)] = np.arange(len(self), dtype=np.uint8)
        return np.where(valid, table[values], np.uint8(IGNORED))


def choose_channels(
    schema: ClassSchema,
    counts: Mapping[int, int],
    examples: Mapping[int, str],
    ignored: Sequence[int] = (),
) -> Channels:
    """The channels for a schema and the values that labels really hold.

    Every class of the schema gets a channel. 0 gets one, the first, only where it occurs.

    Args:
        schema: Classes as the folders state them; empty: the values that occur.
        counts: Label pixels by value.
        examples: A label file that holds each value.
        ignored: Class values without a channel.

    Raises:
        DataError: For values that are no class.
        TrainingError: Where fewer than two classes occur, or there are too many.
    """
    known = schema if len(schema) else ClassSchema(ClassEntry(v, str(v)) for v in sorted(counts) if v)
    strange = sorted(value for value in counts if value and value not in known)
    if strange:
        listed = ", ".join(f"{v} ({counts[v]} pixels, first in {examples[v]})" for v in strange[:10])
        raise DataError(
            f"Labels hold values that are no class: {listed}.",
            "Add them to the class schema and export again.",
        )
    entries = {entry.value: entry for entry in known if entry.value or counts.get(0)}
    if counts.get(0) and 0 not in entries:
        taken = {entry.name for entry in known}
        entries[0] = ClassEntry(0, _BACKGROUND if _BACKGROUND not in taken else f"{_BACKGROUND} (0)")
    kept = [entries[value] for value in sorted(entries) if value not in ignored]
    occurring = [entry.name for entry in kept if counts.get(entry.value)]
    if len(occurring) < 2:
        raise TrainingError(
            f"The labels hold one class only ({occurring[0]!r})."
            if occurring
            else "The labels hold no class.",
            "Training needs at least two classes: export chips that also show something else.",
        )
    if len(kept) > IGNORED - 1:
        raise TrainingError(f"There are {len(kept)} classes.", f"At most {IGNORED - 1} can be told apart.")
    return Channels(ClassSchema(kept).with_colors())
