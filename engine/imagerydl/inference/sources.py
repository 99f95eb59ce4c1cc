"""The rasters of a job as a run opens them: extent, cell size, polygons of interest, what to say of them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Optional

from ..events import Reporter
from ..imagery.pairs import AnySource
from ..imagery.source import RasterSource, open_source
from ..models.definition import ModelDefinition
from ..models.runtimes.protocol import Scene
from .bands import cell_size_to_match, cell_size_warnings
from .interest import InterestArea
from .items import Item

#: Threads that read; the rest of the processor belongs to the model.
_MOST_READERS = 4


def open_item(
    values: Mapping[str, Any], definition: ModelDefinition, item: Item, reporter: Reporter
) -> RasterSource:
    """Open an item in the extent and cell size that a job asks for, or the one its model wants.

    Raises:
        DataError: Naming the raster and what is wrong with it.
    """

    def opened(cell_size: Optional[float]) -> RasterSource:
        return open_source(item.images, extent=values["EXTENT"], cell_size=cell_size, skip_damaged=True)

    source = opened(values["CELL_SIZE"] or None)
    wanted = cell_size_to_match(definition, source)
    if wanted is None or values["CELL_SIZE"] or not values["MATCH_CELL_SIZE"]:
        for warning in cell_size_warnings(definition, source):
            reporter.warning(warning)
        return source
    reporter.message(
        f"{source.name} has cells of {max(source.grid.cell_size):.4g} map units and is brought to "
        f"{wanted:.4g}, which the model was trained on. Set MATCH_CELL_SIZE to false to keep its own."
    )
    source.close()
    return opened(wanted)


def interest_area(values: Mapping[str, Any], source: AnySource, reporter: Reporter) -> Optional[InterestArea]:
    """What of a raster is asked for; None for all of it."""
    path = values["IN_POLYGONS_OF_INTEREST"]
    return InterestArea(path, source.grid, reporter.message) if path else None


def scene_of(source: AnySource) -> Scene:
    """A raster as models are told of it."""
    grid = source.grid
    t = grid.transform
    reference = (grid.crs.to_epsg() or grid.crs.to_wkt()) if grid.crs else None
    return Scene(
        grid.width, grid.height, (t.a, t.b, t.c, t.d, t.e, t.f), reference, source.dtype.name, source.nodata
    )


def reader_count() -> int:
    """Threads that read tiles."""
    return max(1, min(_MOST_READERS, (os.cpu_count() or 1) // 2))


def report_damage(damage: Mapping[str, int], consequence: str, reporter: Reporter) -> None:
    """Say which blocks of which files could not be read.

    Args:
        damage: Blocks by file.
        consequence: What becomes of them ("they have no data in the result").
        reporter: Hears it.
    """
    for path, blocks in damage.items():
        reporter.warning(f"{path} is damaged: {blocks} of its blocks could not be read; {consequence}.")
