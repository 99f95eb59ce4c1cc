"""Which bands of a raster a model takes: by name, then by position; and whether they look right."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Optional

import numpy as np
from rasterio.windows import Window

from ..errors import DataError
from ..imagery.source import RasterSource
from ..models.definition import ModelDefinition

#: Names that only count bands.
_NUMBERED = re.compile(r"^(band[ _-]?)?\d+$", re.IGNORECASE)

#: Standard deviations by which a band's mean may lie off the training imagery's before it is
#: worth a warning, and the same for its spread as a factor.
_FAR_MEAN = 3.0
_FAR_SPREAD = 5.0

#: Factor by which a cell size may differ before it is worth a warning; training cell sizes below
#: the other number are degrees, which say nothing about metres.
_FAR_CELL_SIZE, _SMALLEST_METRES = 1.5, 0.005

#: Windows sampled to know a raster's values: a grid of this many a side, of this many pixels.
_SAMPLES_A_SIDE, _SAMPLE_SIZE = 3, 96


def match_bands(definition: ModelDefinition, source: RasterSource) -> tuple[tuple[int, ...], list[str]]:
    """Find the bands the model takes.

    Args:
        definition: Its ``ExtractBands`` are names, or positions in the training imagery whose
            names it may know too.
        source: The raster.

    Returns:
        0-based bands in the network's order, and warnings.

    Raises:
        DataError: If the raster cannot have them.
    """
    known = _lookup(definition.band_names)
    available = _lookup(source.band_names)
    wanted = [_wanted(band, definition.band_names) for band in definition.extract_bands]
    if all(name and name.lower() in available for name, _ in wanted):
        return tuple(available[name.lower()] for name, _ in wanted), []
    positions = []
    for name, position in wanted:
        if position is None:
            position = known.get(name.lower())
        if position is None and len(wanted) == source.count and not available:
            position = len(positions)  # bands without names, as many as are wanted: in their order
        if position is None or position >= source.count:
            raise _no_such_band(name, position, definition, source)
        positions.append(position)
    return tuple(positions), _position_warnings(definition, source, available)


def _wanted(band: object, training_names: Sequence[str]) -> tuple[str, Optional[int]]:
    """Name ("" where unknown or a mere number) and position (None where only the name is given)."""
    if isinstance(band, str):
        return band.strip(), None
    name = training_names[band] if band < len(training_names) else ""
    return ("" if _NUMBERED.match(name) else name.strip()), band


def _lookup(names: Sequence[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for position, name in enumerate(names):
        if name and not _NUMBERED.match(name):
            found.setdefault(name.strip().lower(), position)
    return found


def _no_such_band(
    name: str, position: Optional[int], definition: ModelDefinition, source: RasterSource
) -> DataError:
    asked = f"the band {name}" if name else f"band {position + 1}"
    count = f"{source.count} band" + ("s" if source.count != 1 else "")
    return DataError(
        f"{definition.name} takes {asked}, and {source.name} has {count}: {', '.join(source.band_names)}.",
        f"Classify a raster with the bands the model was trained on ({_bands_text(definition)}).",
    )


def _bands_text(definition: ModelDefinition) -> str:
    names = definition.band_names
    return ", ".join(
        names[band] if isinstance(band, int) and band < len(names) and names[band] else str(band)
        for band in definition.extract_bands
    )


def _position_warnings(
    definition: ModelDefinition, source: RasterSource, available: dict[str, int]
) -> list[str]:
    trained = len(definition.band_names)
    if trained and trained != source.count:
        return [
            f"{source.name} has {source.count} bands and the model was trained on imagery with {trained}: "
            "its bands are taken by position."
        ]
    if available and _lookup(definition.band_names):
        return [
            f"The bands of {source.name} ({', '.join(source.band_names)}) have other names than the model's "
            f"({', '.join(definition.band_names)}): they are taken by position."
        ]
    return []


def value_warnings(definition: ModelDefinition, source: RasterSource, bands: Sequence[int]) -> Iterator[str]:
    """Say where the raster's values look unlike those the model was trained on.

    Looks at a few small windows, so it costs next to nothing on a raster of any size.
    """
    values = _sample(source, bands)
    if values.shape[1] == 0:
        return
    for index, (band, extracted) in enumerate(zip(bands, definition.extract_bands)):
        statistics = _training_statistics(definition, extracted, index)
        if not statistics:
            continue
        mean, spread = statistics
        found_mean, found_spread = float(values[index].mean()), float(values[index].std())
        too_far = abs(found_mean - mean) > _FAR_MEAN * max(spread, found_spread / _FAR_SPREAD)
        if too_far or found_spread > _FAR_SPREAD * spread:
            yield (
                f"{source.band_names[band]} of {source.name} has values around {found_mean:.4g} "
                f"(+- {found_spread:.3g}); the model was trained on values around {mean:.4g} "
                f"(+- {spread:.3g}). The result may be poor."
            )


def _training_statistics(
    definition: ModelDefinition, band: object, index: int
) -> Optional[tuple[float, float]]:
    position = band if isinstance(band, int) else _lookup(definition.band_names).get(str(band).lower(), index)
    try:
        entry = definition.band_stats[position]
        mean, spread = float(entry["Mean"]), float(entry["StdDev"])
    except (IndexError, KeyError, TypeError, ValueError):
        return None
    return (mean, spread) if spread > 0 else None


def _sample(source: RasterSource, bands: Sequence[int]) -> np.ndarray:
    """Valid values of a few windows, ``[bands, n]``, float64."""
    found = []
    grid = source.grid
    width, height = min(_SAMPLE_SIZE, grid.width), min(_SAMPLE_SIZE, grid.height)
    for row in range(_SAMPLES_A_SIDE):
        for column in range(_SAMPLES_A_SIDE):
            left = (grid.width - width) * (2 * column + 1) // (2 * _SAMPLES_A_SIDE)
            top = (grid.height - height) * (2 * row + 1) // (2 * _SAMPLES_A_SIDE)
            data, valid = source.read(Window(left, top, width, height), bands)
            found.append(data[:, valid].astype(np.float64))
    values = np.concatenate(found, axis=1)
    return values[:, np.isfinite(values).all(axis=0)]


def cell_size_to_match(definition: ModelDefinition, source: RasterSource) -> Optional[float]:
    """The model's cell size, where objects of ``source`` would look much larger than the model knows them.

    None where cells are alike, or sizes cannot be compared (degrees, no coordinate system).
    """
    ratio = _cell_size_ratio(definition, source)
    return max(definition.cell_size) if ratio and ratio < 1 / _FAR_CELL_SIZE else None


def cell_size_warnings(definition: ModelDefinition, source: RasterSource) -> Iterator[str]:
    """Say where objects look much larger or smaller than in the training imagery."""
    ratio = _cell_size_ratio(definition, source)
    if ratio and not 1 / _FAR_CELL_SIZE <= ratio <= _FAR_CELL_SIZE:
        trained = max(definition.cell_size)
        yield (
            f"{source.name} has cells of {max(source.grid.cell_size):.4g} map units; the model was trained "
            f"on cells of {trained:.4g}."
        )


def _cell_size_ratio(definition: ModelDefinition, source: RasterSource) -> Optional[float]:
    trained, grid = definition.cell_size, source.grid
    if trained is None or grid.crs is None or not grid.crs.is_projected or min(trained) < _SMALLEST_METRES:
        return None
    return max(grid.cell_size) / max(trained)
