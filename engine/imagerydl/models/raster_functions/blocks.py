"""One block of pixels through a raster function: ``updatePixels``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ...errors import ModelError


def pixel_blocks(raster: str, is_list: bool, pixels: np.ndarray, valid: np.ndarray) -> dict[str, Any]:
    """A block as a function takes it.

    Args:
        raster: Name of its raster parameter.
        is_list: Whether that is a list of rasters.
        pixels: ``[bands, h, w]``; the function gets an array of its own, which it may change.
        valid: ``[h, w]``.
    """
    own = np.array(pixels, order="C")
    mask = np.repeat(valid[None].astype(np.uint8), len(own), axis=0)
    return {
        f"{raster}_pixels": (own,) if is_list else own,
        f"{raster}_mask": (mask,) if is_list else mask,
    }


def output_pixels(name: str, answer: Any, shape: tuple[int, int], bands: int) -> np.ndarray:
    """The first band of what a function gave for a block.

    Args:
        name: File name of the function, for messages.
        answer: What ``updatePixels`` gave.
        shape: (height, width) of the block without its padding.
        bands: Number of output bands it has announced.

    Returns:
        ``[h, w]``.

    Raises:
        ModelError: If the block is missing or of another shape.
    """
    pixels = np.asarray(_block(name, answer, "output_pixels"))
    if pixels.shape == shape and bands == 1:
        return pixels
    if pixels.shape == (bands, *shape):
        return pixels[0]
    height, width = shape
    raise ModelError(
        f"updatePixels of {name} gives output_pixels of {list(pixels.shape)} for a block of "
        f"{width} x {height} pixels and {bands} band{'s' if bands > 1 else ''}.",
        f"output_pixels must be {[bands, height, width]}: without the padding.",
    )


def output_mask(name: str, answer: Mapping[str, Any], shape: tuple[int, int]) -> np.ndarray:
    """Where a function has a value: ``[h, w]`` of its ``output_mask``, everywhere where it gives none."""
    mask = answer.get("output_mask")
    if mask is None:
        return np.ones(shape, dtype=bool)
    read = np.asarray(mask)
    if read.ndim == 3 and len(read):
        read = read[0]
    if read.shape != shape:
        height, width = shape
        raise ModelError(
            f"updatePixels of {name} gives an output_mask of {list(np.shape(mask))}.",
            f"It must be {[height, width]}: as large as output_pixels.",
        )
    return read != 0


def _block(name: str, answer: Any, key: str) -> Any:
    if not isinstance(answer, Mapping) or answer.get(key) is None:
        given = f"a dictionary without {key}" if isinstance(answer, Mapping) else type(answer).__name__
        raise ModelError(
            f"updatePixels of {name} gives {given}.",
            f"It must give its pixelBlocks with the classes of the block as {key}.",
        )
    return answer[key]
