"""What the pipeline asks of an object detector, whatever library computes it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Optional, Union

import numpy as np

from ...labels.classes import ClassSchema
from ..arguments import ModelArgument
from .protocol import ModelInput, Position, Scene


@dataclass(frozen=True)
class Detections:
    """What a detector finds in one tile.

    Attributes:
        boxes: ``[n, 4]`` float32: left, top, right, bottom in pixels of the tile; not clipped to it.
        scores: ``[n]`` float32, 0 to 1.
        classes: ``[n]`` int64, positions in the model's list of classes, from 0.
        shapes: ``[n]`` of shapely polygons in pixels of the tile, where the model gives outlines (masks,
            turned boxes); None where boxes are all there is.
    """

    boxes: np.ndarray
    scores: np.ndarray
    classes: np.ndarray
    shapes: Optional[np.ndarray] = None

    def __len__(self) -> int:
        return len(self.scores)

    @property
    def outlines(self) -> np.ndarray:
        """Polygons ``[n]``: the shapes, or the boxes as such."""
        if self.shapes is not None:
            return self.shapes
        import shapely

        return shapely.box(*self.boxes.astype(np.float64).T) if len(self) else np.empty(0, dtype=object)

    @classmethod
    def none(cls) -> Detections:
        """Nothing found."""
        return cls(np.empty((0, 4), np.float32), np.empty(0, np.float32), np.empty(0, np.int64))


class DetectionModel:
    """A network that finds objects in tiles. Subclass it.

    Thresholds are the model's to apply: what it decodes depends on them. It takes ``threshold`` and
    ``nms_overlap`` from the arguments it is opened with.

    Attributes:
        device: Where it runs: "CPU", "CUDA:0"...
        description: Runtime, device and threads, as a phrase for messages.
        input: What it is fed with.
        tile_size: (height, width) it is bound to; None where it takes any.
        margin: Pixels along each border of a tile that it takes for context only; None where any padding
            will do.
        classes: Its classes, in the order that :attr:`Detections.classes` counts in.
        extract_bands: What it takes, in order (0-based indices or band names), where it knows better than
            the definition.
        data_range: Range that pixel values are brought to before they reach the model, linearly from the
            smallest and largest value of the raster; None where they stay as they are.
        arguments: What the model itself declares.
        wants_positions: Whether :meth:`detect` is to be called with the positions of the tiles.
    """

    device: str
    description: str
    input: ModelInput = ModelInput()
    tile_size: Optional[tuple[int, int]] = None
    margin: Optional[int] = None
    classes: ClassSchema
    extract_bands: Optional[tuple[Union[int, str], ...]] = None
    data_range: Optional[tuple[float, float]] = None
    arguments: tuple[ModelArgument, ...] = ()
    wants_positions: bool = False

    def begin(self, scene: Scene) -> None:
        """Be told of the raster the next tiles come from; called before each raster's first tile."""

    def detect(
        self, batch: np.ndarray, valid: np.ndarray, positions: Sequence[Position] = ()
    ) -> list[Detections]:
        """Find objects.

        Args:
            batch: Input as :attr:`input` says, ``[n, bands, h, w]``.
            valid: ``[n, h, w]``, True where the raster has a value.
            positions: Where the tiles lie, for a model that wants to know.

        Returns:
            One for each tile.

        Raises:
            MemoryError: If the device has no room for the batch; a smaller one may fit.
            ModelError: If the network cannot run on it or gives something else.
        """
        raise NotImplementedError

    def fitting_batch(self, size: int) -> int:
        """The number of tiles, at most ``size``, that the model can take together."""
        return size

    def close(self) -> None:
        """Release what it holds."""


def outlines(masks: np.ndarray) -> np.ndarray:
    """Masks over a tile as polygons in its pixels.

    Args:
        masks: ``[n, h, w]``, True where the object is.

    Returns:
        ``[n]`` of shapely polygons, of several parts where the mask has them; empty for an empty mask.
    """
    import shapely
    from rasterio.features import shapes

    found = np.empty(len(masks), dtype=object)
    for number, mask in enumerate(masks):
        parts = [part for part, _ in shapes(mask.astype(np.uint8), mask=mask)] if mask.any() else []
        polygons = [shapely.geometry.shape(part) for part in parts]
        found[number] = shapely.union_all(polygons) if polygons else shapely.Polygon()
    return found
