"""Objects of several images in one layer, all in the pixels of their image: which belongs to which.

Two objects of different images have nothing to do with each other although their coordinates
overlap. They are laid apart before polygons are compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Optional

import numpy as np
import shapely

from .fields import choose_field
from .image_table import IMAGE_FIELDS


def image_field(fields: Sequence[str], wanted: Optional[str], placed: bool, layer: str, key: str) -> str:
    """The field that names the image of each object; empty where where images do not matter.

    Args:
        fields: The layer's fields.
        wanted: Field named by the user.
        placed: Whether the layer has a coordinate system. On the map, one object seen in two images is
            the same object: there only a field that the user names tells images apart.
        layer: Name of the layer, for errors.
        key: Parameter that names the field, for errors.

    Raises:
        ParameterError: If the named field does not exist.
    """
    return choose_field(fields, wanted, layer, () if placed else IMAGE_FIELDS, key)


def laid_apart(*layers: tuple[np.ndarray, np.ndarray]) -> list[np.ndarray]:
    """Copies of geometries, moved so that those of different images are nowhere near each other.

    Args:
        *layers: Geometries ``[n]`` of a layer, and the number of the image of each, from 0 ``[n]``.

    Returns:
        The geometries of each layer; the same arrays where there is one image only.
    """
    if max((int(images.max()) for _, images in layers if len(images)), default=0) == 0:
        return [geometries for geometries, _ in layers]
    bounds = np.concatenate([shapely.bounds(geometries).reshape(-1, 4) for geometries, _ in layers])
    width = np.nanmax(bounds[:, 2]) - np.nanmin(bounds[:, 0])
    # A power of two: moving by multiples of it keeps more of the coordinates' digits.
    step = 2.0 ** (np.ceil(np.log2(max(width, 1.0))) + 1)
    return [_moved(geometries, images * step) for geometries, images in layers]


def _moved(geometries: np.ndarray, by: np.ndarray) -> np.ndarray:
    """Geometries ``[n]``, each moved to the right by its own distance ``[n]``."""
    coordinates, owner = shapely.get_coordinates(geometries, return_index=True)
    coordinates[:, 0] += by[owner]
    return shapely.set_coordinates(geometries.copy(), coordinates)


def image_names(cells: np.ndarray) -> np.ndarray:
    """Names of images ``[n]`` as text, empty where a cell is."""
    return np.array([*(_text(cell) for cell in cells.tolist()), ""], dtype=object)[:-1]


def _text(cell: Any) -> str:
    return "" if cell is None or cell != cell else str(cell).strip()
