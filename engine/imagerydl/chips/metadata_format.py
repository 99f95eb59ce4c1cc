"""What a metadata format has to do, and the formats there are.

A format is one module of this package with a subclass of :class:`MetadataFormat`; a new one is a
new file and a new name in ``_MODULES``. Standard library only at import: the tool's declaration
lists the keywords.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Optional

if TYPE_CHECKING:
    import numpy as np
    from rasterio.windows import Window

    from ..imagery.grid import Grid
    from ..labels.classes import ClassEntry
    from ..labels.source import LabelSource
    from .encoding import ImageFormat

#: Keyword to module, in the order shown.
_MODULES = {"Classified_Tiles": "classified_tiles", "Export_Tiles": "export_tiles"}

METADATA_FORMATS = tuple(_MODULES)


@dataclass(frozen=True)
class Finding:
    """What the labels say about one chip.

    Attributes:
        is_empty: Whether there is nothing: such chips are left out unless all are wanted.
        content: What the format writes; only the format knows its type.
    """

    is_empty: bool
    content: Any = None


class MetadataFormat(ABC):
    """Writes what stands beside the image of a chip, and counts it.

    Args:
        root: Folder of the export, to write in.
        images: Format of the image chips.
        label_max: Largest class value the labels can hold.
    """

    keyword: ClassVar[str]
    #: Whether an export without class data is refused.
    needs_labels: ClassVar[bool]
    #: Whether only labels with an area can be written.
    needs_area: ClassVar[bool] = False
    #: Esri's OutputFeatures: whether labels are counted as features rather than as pixels.
    output_features: ClassVar[bool]

    def __init__(self, root: Path, images: ImageFormat, label_max: int = 0) -> None:
        self.root = root
        self.images = images
        self.label_max = label_max

    @abstractmethod
    def find(self, labels: Optional[LabelSource], grid: Grid, window: Window) -> Finding:
        """What lies in ``window`` of ``grid``; ``labels`` is None for an export without labels."""

    def restrict(self, finding: Finding, valid: np.ndarray) -> Finding:
        """``finding`` without what lies where the image has no data (``valid`` is False)."""
        return finding

    @abstractmethod
    def write(self, chip_id: str, finding: Finding, grid: Grid) -> list[str]:
        """Write the label files of a chip and count it.

        Args:
            chip_id: Name of the chip without extension.
            finding: What :meth:`find` gave.
            grid: The chip's own lattice.

        Returns:
            The files, relative to :attr:`root`, with ``/`` between the parts.
        """

    @property
    @abstractmethod
    def class_values(self) -> Sequence[int]:
        """Values that occur in what was written, background included."""

    @abstractmethod
    def statistics(self, classes: Sequence[int]) -> dict[str, Any]:
        """The statistics object of this format by its key, in the order of the class values."""

    @abstractmethod
    def summary(self, classes: Sequence[ClassEntry]) -> list[str]:
        """The lines about classes in ``stats.txt``."""


def metadata_format(keyword: str) -> type[MetadataFormat]:
    """The format with that keyword; KeyError where there is none."""
    return import_module(f".{_MODULES[keyword]}", __package__).FORMAT
