"""Objects as rasters of instance numbers."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import shapely
from affine import Affine
from rasterio.features import MergeAlg, rasterize


def instance_layers(geometries: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Number the instances, in as few bands as they need not to cover one another.

    A pixel belongs to an instance that covers its centre; an instance so small that it covers no
    centre gets the pixels it touches.

    Args:
        geometries: Polygons in pixels of the chip ``[n]``, n > 0.
        shape: (height, width) of the chip.

    Returns:
        ``[bands, height, width]``, uint8 or uint16; in each band 0 and the numbers 1, 2, ... without
        a gap.
    """
    covered = _burn(geometries, [1] * len(geometries), shape, MergeAlg.add)
    numbered = _burn(geometries, range(1, len(geometries) + 1), shape)
    present = np.unique(numbered)
    if covered.max() <= 1 and len(present) - (present[0] == 0) == len(geometries):
        return _typed([numbered])
    return _typed(_separated(geometries, shape))


def one_layer(geometries: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Number the instances in one band ``[height, width]``; smaller ones lie on top of larger ones.

    What is covered altogether is left out, so that the numbers have no gap.
    """
    layer = np.zeros(shape, np.int32)
    areas = shapely.area(geometries)
    for number, index in enumerate(np.argsort(-areas, kind="stable"), start=1):
        layer[_mask(geometries[index], shape)] = number
    return _dense(layer)


def _separated(geometries: np.ndarray, shape: tuple[int, int]) -> list[np.ndarray]:
    """Each instance in the first band where it covers nothing."""
    layers: list[np.ndarray] = []
    counts: list[int] = []
    for geometry in geometries:
        mask = _mask(geometry, shape)
        band = next((i for i, layer in enumerate(layers) if not layer[mask].any()), len(layers))
        if band == len(layers):
            layers.append(np.zeros(shape, np.int32))
            counts.append(0)
        counts[band] += 1
        layers[band][mask] = counts[band]
    return layers


def _mask(geometry: shapely.Geometry, shape: tuple[int, int]) -> np.ndarray:
    mask = _burn([geometry], [1], shape) > 0
    if not mask.any():
        mask = rasterize([geometry], shape, all_touched=True, transform=Affine.identity(), dtype="uint8") > 0
    return mask


def _burn(
    geometries: Iterable[shapely.Geometry],
    values: Iterable[int],
    shape: tuple[int, int],
    merge: MergeAlg = MergeAlg.replace,
) -> np.ndarray:
    return rasterize(
        zip(geometries, values), shape, transform=Affine.identity(), merge_alg=merge, dtype="int32"
    )


def _dense(layer: np.ndarray) -> np.ndarray:
    present = np.unique(layer)
    numbers = np.zeros(int(present[-1]) + 1, np.int32)
    others = present[present > 0]
    numbers[others] = np.arange(1, len(others) + 1)
    return numbers[layer].astype(np.uint8 if len(others) <= 255 else np.uint16)


def _typed(layers: list[np.ndarray]) -> np.ndarray:
    stacked = np.stack(layers)
    return stacked.astype(np.uint8 if stacked.max() <= 255 else np.uint16)
