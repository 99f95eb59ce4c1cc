"""From the spool of a run to its final files: rasters with overviews, tables, polygons."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Optional

import rasterio
from rasterio.windows import Window

from .. import outputs
from ..errors import ParameterError
from ..events import Reporter
from ..imagery.attribute_table import write_attribute_table, write_pam
from ..imagery.overviews import write_cloud_optimized
from ..imagery.styling import write_style
from ..imagery.writing import write_error
from ..labels.classes import ClassEntry, ClassSchema
from .areas import AreaTally, write_areas
from .classification import CLASSES, Tally
from .decision import CONFIDENCE
from .polygons import write_polygons
from .spool import BAND_ROWS, Spool

#: Class values lie below this; what a model gives beyond has no place in tables and palettes.
_MOST_CLASSES = 65536


@dataclass(frozen=True)
class ResultFiles:
    """Where the results of an item go.

    Attributes:
        classes: Class raster.
        layers: Rasters of :data:`~.decision.LAYERS`, by layer.
        areas: Table of class areas, where one is wanted.
        polygons: Layer of polygons, where one is wanted.
    """

    classes: Path
    layers: Mapping[str, Path] = field(default_factory=dict)
    areas: Optional[Path] = None
    polygons: Optional[Path] = None

    @property
    def rasters(self) -> dict[str, Path]:
        """All rasters by their name in the spool."""
        return {CLASSES: self.classes, **self.layers}

    @property
    def paths(self) -> list[Path]:
        """All files."""
        return [*self.rasters.values(), *(path for path in (self.areas, self.polygons) if path)]


@dataclass(frozen=True)
class PolygonSettings:
    """How polygons are made; see :func:`~.polygons.write_polygons`."""

    min_area: float = 0.0
    simplify: float = 0.0
    right_angles: bool = False


def publish(
    spool: Spool,
    files: ResultFiles,
    classes: Optional[ClassSchema],
    tally: Tally,
    polygons: PolygonSettings,
    reporter: Reporter,
    overwrite: bool,
) -> None:
    """Write the results of a finished run; they appear together, the class raster last.

    Args:
        spool: Holds every row.
        files: Where they go.
        classes: Classes with colours; None for values that are not classes.
        tally: Pixels by class.
        polygons: How polygons are made.
        reporter: Hears about progress.
        overwrite: Whether existing files are replaced.

    Raises:
        OutputError: If they cannot be written.
        ParameterError: If tables or polygons are asked for of values that are not classes.
    """
    present = _present(classes, tally) if classes is not None else None
    if present is None and (files.areas or files.polygons):
        raise ParameterError(
            "This model gives numbers, not classes: they have no areas and no polygons.",
            "Leave OUT_CLASS_AREAS and OUT_POLYGONS out.",
        )
    rasters = files.rasters
    with ExitStack() as stack:

        def staged(path: Path) -> Path:
            return stack.enter_context(outputs.staged(path, overwrite))

        # What is begun first appears last: the class raster tells that all is there.
        targets = {name: staged(path) for name, path in rasters.items()}
        if files.areas:
            _write_areas(spool, staged(files.areas), present, reporter)
        if files.polygons:
            write_polygons(
                spool.mosaic(CLASSES),
                staged(files.polygons),
                classes=present,
                reporter=reporter,
                confidence_path=spool.mosaic(CONFIDENCE) if CONFIDENCE in files.layers else None,
                **vars(polygons),
            )
        for number, (name, target) in enumerate(targets.items()):
            reporter.check_cancelled()
            reporter.progress("Writing rasters", number, len(rasters), "rasters")
            is_classes = name == CLASSES
            mosaic = spool.mosaic(name, tally.counts if is_classes else None)
            write_cloud_optimized(mosaic, target, resampling="nearest" if is_classes else "average")
            if is_classes and present is not None:
                _describe(target, present, tally)
        reporter.progress("Writing rasters", len(rasters), len(rasters), "rasters")
    if present is not None:
        write_style(files.classes, present)


def _write_areas(spool: Spool, target: Path, classes: ClassSchema, reporter: Reporter) -> None:
    with rasterio.open(spool.mosaic(CLASSES)) as file:
        tally = AreaTally(file.crs, file.transform, file.nodata)
        for row in range(0, file.height, BAND_ROWS):
            reporter.check_cancelled()
            rows = min(BAND_ROWS, file.height - row)
            tally.add(file.read(1, window=Window(0, row, file.width, rows)), row)
    write_areas(target, tally, classes)


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
