"""Objects as rasters of instance numbers."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

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
    near = _near_pairs(geometries, shape)
    numbered = _burn(geometries, range(1, len(geometries) + 1), shape)
    complete = np.bincount(numbered.ravel(), minlength=len(geometries) + 1)[1:].all()
    if complete and (not near or _burn(geometries, [1] * len(geometries), shape, MergeAlg.add).max() <= 1):
        return _typed([numbered])
    return _typed(_separated(geometries, shape, near, numbered))


def one_layer(geometries: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Number the instances in one band ``[height, width]``; smaller ones lie on top of larger ones.

    What is covered altogether is left out, so that the numbers have no gap.
    """
    layer = np.zeros(shape, np.int32)
    areas = shapely.area(geometries)
    for number, index in enumerate(np.argsort(-areas, kind="stable"), start=1):
        mask = _mask(geometries[index], shape)
        layer[mask.window][mask.pixels] = number
    return _dense(layer)


@dataclass(frozen=True)
class _Mask:
    """The pixels of an instance.

    Attributes:
        top: First row.
        left: First column.
        pixels: From there on, bool ``[h, w]``.
    """

    top: int
    left: int
    pixels: np.ndarray

    @property
    def window(self) -> tuple[slice, slice]:
        height, width = self.pixels.shape
        return slice(self.top, self.top + height), slice(self.left, self.left + width)

    def covers(self, other: _Mask) -> bool:
        """Whether both share a pixel."""
        (rows, columns), (other_rows, other_columns) = self.window, other.window
        top, bottom = max(rows.start, other_rows.start), min(rows.stop, other_rows.stop)
        left, right = max(columns.start, other_columns.start), min(columns.stop, other_columns.stop)
        if top >= bottom or left >= right:
            return False
        own, others = (
            mask.pixels[top - mask.top : bottom - mask.top, left - mask.left : right - mask.left]
            for mask in (self, other)
        )
        return bool((own & others).any())


def _separated(
    geometries: np.ndarray, shape: tuple[int, int], near: Mapping[int, Sequence[int]], numbered: np.ndarray
) -> list[np.ndarray]:
    """Each instance in the first band where it covers nothing."""
    boxes = _pixel_boxes(geometries, shape).tolist()
    not_alone = {*near, *(other for others in near.values() for other in others)}
    masks = []
    for number, (geometry, (left, top, right, bottom)) in enumerate(zip(geometries, boxes)):
        pixels = numbered[top:bottom, left:right] == number + 1
        alone = number not in not_alone and pixels.any()
        masks.append(_Mask(top, left, pixels) if alone else _mask(geometry, shape))
    bands: list[int] = []
    layers: list[np.ndarray] = []
    counts: list[int] = []
    for number, mask in enumerate(masks):
        taken = {bands[other] for other in near.get(number, ()) if mask.covers(masks[other])}
        band = next(band for band in range(len(taken) + 1) if band not in taken)
        if band == len(layers):
            layers.append(np.zeros(shape, np.int32))
            counts.append(0)
        counts[band] += 1
        layers[band][mask.window][mask.pixels] = counts[band]
        bands.append(band)
    return layers


def _near_pairs(geometries: np.ndarray, shape: tuple[int, int]) -> dict[int, list[int]]:
    """For each instance the earlier ones whose boxes of pixels touch its own; none where there are none."""
    boxes = _pixel_boxes(geometries, shape)
    tree = shapely.STRtree(shapely.box(*boxes.T))
    near: dict[int, list[int]] = {}
    for number, other in tree.query(tree.geometries).T.tolist():
        if other < number:
            near.setdefault(number, []).append(other)
    return near


def _pixel_boxes(geometries: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Whole pixels around each geometry, int ``[n, 4]``: left, top, right, bottom, within the chip."""
    bounds = shapely.bounds(geometries).reshape(-1, 4)
    low, high = np.floor(bounds[:, :2]), np.ceil(bounds[:, 2:])
    size = (shape[1], shape[0])
    low = np.clip(low, 0, np.subtract(size, 1))
    return np.hstack([low, np.clip(high, low + 1, size)]).astype(int)


def _mask(geometry: shapely.Geometry, shape: tuple[int, int]) -> _Mask:
    """Burnt within its own box: that costs by the size of the instance, not of the chip."""
    left, top, right, bottom = _pixel_boxes(np.array([geometry]), shape)[0].tolist()
    options = {"out_shape": (bottom - top, right - left), "dtype": "uint8"}
    options["transform"] = Affine.translation(left, top)
    outline = json.loads(shapely.to_geojson(geometry))
    pixels = rasterize([outline], **options)
    if not pixels.any():
        pixels = rasterize([outline], all_touched=True, **options)
    return _Mask(top, left, pixels > 0)


def _burn(
    geometries: np.ndarray,
    values: Iterable[int],
    shape: tuple[int, int],
    merge: MergeAlg = MergeAlg.replace,
) -> np.ndarray:
    # As text and back: one conversion for all is many times faster than one by one.
    outlines = [json.loads(text) for text in shapely.to_geojson(geometries)]
    return rasterize(
        zip(outlines, values), shape, transform=Affine.identity(), merge_alg=merge, dtype="int32"
    )


def _dense(layer: np.ndarray) -> np.ndarray:
    present = np.bincount(layer.ravel()) > 0
    present[0] = False
    numbers = np.cumsum(present) * present
    return numbers[layer].astype(np.uint8 if numbers.max() <= 255 else np.uint16)


def _typed(layers: list[np.ndarray]) -> np.ndarray:
    stacked = np.stack(layers)
    return stacked.astype(np.uint8 if stacked.max() <= 255 else np.uint16)
