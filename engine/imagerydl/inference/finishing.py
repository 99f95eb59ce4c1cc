"""From the spool of a run to its final files: rasters with overviews, tables, polygons."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Optional

from .. import outputs
from ..events import Reporter
from ..imagery.attribute_table import write_attribute_table, write_pam
from ..imagery.overviews import write_cloud_optimized
from ..imagery.styling import write_style
from ..imagery.writing import write_error
from ..labels.classes import ClassEntry, ClassSchema
from .classification import CLASSES, Tally
from .spool import Spool

#: Class values lie below this; what a model gives beyond has no place in tables and palettes.
_MOST_CLASSES = 65536


@dataclass(frozen=True)
class ResultFiles:
    """Where the results of an item go.

    Attributes:
        classes: Class raster.
        layers: Rasters of :data:`~.decision.LAYERS`, by layer.
    """

    classes: Path
    layers: Mapping[str, Path] = field(default_factory=dict)

    @property
    def rasters(self) -> dict[str, Path]:
        """All rasters by their name in the spool."""
        return {**self.layers, CLASSES: self.classes}


def publish_rasters(
    spool: Spool,
    files: ResultFiles,
    classes: Optional[ClassSchema],
    tally: Tally,
    reporter: Reporter,
    overwrite: bool,
) -> None:
    """Write the rasters of a finished run; they appear together, the class raster last.

    Args:
        spool: Holds every row.
        files: Where they go.
        classes: Classes with colours; None for values that are not classes.
        tally: Pixels by class.
        reporter: Hears about progress.
        overwrite: Whether existing files are replaced.

    Raises:
        OutputError: If they cannot be written.
    """
    rasters = files.rasters
    with ExitStack() as stack:
        for number, (name, path) in enumerate(rasters.items()):
            reporter.check_cancelled()
            reporter.progress("Writing rasters", number, len(rasters), "rasters")
            staged = stack.enter_context(outputs.staged(path, overwrite))
            write_cloud_optimized(
                spool.mosaic(name), staged, resampling="nearest" if name == CLASSES else "average"
            )
            if name == CLASSES and classes is not None:
                _describe(staged, _present(classes, tally), tally)
        reporter.progress("Writing rasters", len(rasters), len(rasters), "rasters")
    if classes is not None:
        write_style(files.classes, _present(classes, tally))


def _describe(raster: Path, classes: ClassSchema, tally: Tally) -> None:
    write_pam(raster, classes, tally.counts)
    try:
        write_attribute_table(raster, classes, tally.counts)
    except RuntimeError as error:  # what pyogrio's errors have in common
        raise write_error(raster, error) from error


def _present(classes: ClassSchema, tally: Tally) -> ClassSchema:
    """The classes, and the values that came out without being listed."""
    unlisted = [
        value for value in sorted(tally.counts) if value not in classes and 0 <= value < _MOST_CLASSES
    ]
    return ClassSchema([*classes, *(ClassEntry(value, str(value)) for value in unlisted)]).with_colors()
