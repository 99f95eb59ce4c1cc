"""Reads one chip and its label, and refuses what cannot be learnt from."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
from rasterio.enums import MaskFlags, Resampling
from rasterio.errors import NotGeoreferencedWarning, RasterioError

from ..chips.folder import ChipPair
from ..labels.classes import MAX_CLASS_VALUE


class UnusableChipError(Exception):
    """A chip that is skipped; its text says why."""


@dataclass(frozen=True)
class Chip:
    """A chip as it lies on disk.

    Attributes:
        image: ``[bands, height, width]``, native type (float64 becomes float32).
        label: Class values ``[height, width]``, uint16.
        valid: Where both image and label have data, bool ``[height, width]``.
    """

    image: np.ndarray
    label: np.ndarray
    valid: np.ndarray


def read_chip(
    pair: ChipPair, shape: tuple[int, int, int], classes: Sequence[int], fill: Sequence[float] = ()
) -> Chip:
    """Read a chip and its label.

    Args:
        pair: Their paths. With a chip of a second date, its bands stand behind those of the first.
        shape: (bands, height, width) it must have; the bands of both dates count.
        classes: Known class values: a label's no-data value counts as one if it is among them.
        fill: What pixels without data become, one number per band; empty: 0. The mean of a band tells
            a network least, and is what Classify Pixels puts there.

    Raises:
        UnusableChipError: Where a file is damaged or differs from the others.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            image, valid = _open_dates(pair, shape)
            label, labelled = _read_label(pair, shape, classes)
    except (RasterioError, OSError, ValueError) as error:
        raise UnusableChipError(f"{pair.image.name}: {error}") from error
    for band, plane in enumerate(image):
        plane[~valid] = fill[band] if fill else 0
    return Chip(image, label, valid & labelled)


def read_image(
    path: Path, shape: tuple[int, int, int], fill: Sequence[float] = (), resize: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Read a chip without a label.

    Args:
        path: The chip.
        shape: (bands, height, width) it must have.
        fill: As :func:`read_chip` takes it.
        resize: Whether a chip of another size is brought to ``shape`` (chips cropped to their objects).

    Returns:
        The image, and where it has data.

    Raises:
        UnusableChipError: Where the file is damaged or differs from the others.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            image, valid = _open_image(path, shape, resize)
    except (RasterioError, OSError, ValueError) as error:
        raise UnusableChipError(f"{path.name}: {error}") from error
    for band, plane in enumerate(image):
        plane[~valid] = fill[band] if fill else 0
    return image, valid


def _open_dates(pair: ChipPair, shape: tuple[int, int, int]) -> tuple[np.ndarray, np.ndarray]:
    if pair.second is None:
        return _open_image(pair.image, shape)
    one_date = (shape[0] // 2, *shape[1:])
    before, valid = _open_image(pair.image, one_date)
    try:
        after, valid_after = _open_image(pair.second, one_date)
    except (RasterioError, OSError, ValueError) as error:
        raise ValueError(f"its second date: {error}") from error
    return np.concatenate([before, after]), valid & valid_after


def _open_image(
    path: Path, shape: tuple[int, int, int], resize: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    with rasterio.open(path) as dataset:
        if resize and dataset.count == shape[0]:
            image = dataset.read(out_shape=shape, resampling=Resampling.bilinear)
            return _checked(image), dataset.dataset_mask(out_shape=shape[1:]) > 0
        if (dataset.count, dataset.height, dataset.width) != shape:
            raise ValueError(
                f"it is {dataset.width} x {dataset.height} pixels with {dataset.count} bands, "
                f"not {shape[2]} x {shape[1]} with {shape[0]}"
            )
        image = dataset.read()
        masked = any(MaskFlags.all_valid not in flags for flags in dataset.mask_flag_enums)
        valid = dataset.dataset_mask() > 0 if masked else np.ones(shape[1:], bool)
    image = _checked(image)
    return image, valid & np.isfinite(image).all(axis=0) if image.dtype.kind == "f" else valid


def _checked(image: np.ndarray) -> np.ndarray:
    if image.dtype.kind == "f":
        return image.astype(np.float32, copy=False)
    if image.dtype.kind not in "iu":
        raise ValueError(f"pixels of type {image.dtype} cannot be trained on")
    return image


def _read_label(
    pair: ChipPair, shape: tuple[int, int, int], classes: Sequence[int]
) -> tuple[np.ndarray, np.ndarray]:
    with rasterio.open(pair.label) as dataset:
        if (dataset.height, dataset.width) != shape[1:]:
            raise ValueError(
                f"its label is {dataset.width} x {dataset.height} pixels, not {shape[2]} x {shape[1]}"
            )
        label, nodata = dataset.read(1), dataset.nodata
    labelled = np.ones(shape[1:], bool)
    # 0 means background whether or not the file calls it no-data.
    if nodata is not None and nodata != 0 and nodata not in classes:
        labelled = ~np.isnan(label) if np.isnan(nodata) else label != nodata
    values = label[labelled]
    if values.size and (values.min() < 0 or values.max() > MAX_CLASS_VALUE or (values % 1).any()):
        raise ValueError("its label holds values that are no class values")
    return np.where(labelled, label, 0).astype(np.uint16), labelled
