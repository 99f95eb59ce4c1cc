"""Finding the objects of a raster of any size, each once, with bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Optional

import numpy as np
import shapely

from ...errors import ModelError
from ...events import Reporter
from ...models.runtimes.detection import DetectionModel, Detections
from ..classification import View
from ..reading import Batch, TileReader
from ..shrinking import ShrinkingBatches
from ..tiles import TilePlan
from .arguments import DetectionArguments
from .found import Objects
from .seams import SeamMerger
from .sweep import Suppressor
from .tiling import next_row_top, tile_frame
from .views import detect_in_views

#: Overlap of what several views of a tile show, where nobody says.
_VIEWS_OVERLAP = 0.5


@dataclass
class DetectionTally:
    """What a run did.

    Attributes:
        tiles: Tiles gone through.
        skipped: Tiles without a valid pixel, which were not run.
        objects: Objects found.
    """

    tiles: int = 0
    skipped: int = 0
    objects: int = 0


class TileDetector:
    """Runs a detector on batches of tiles, and checks what it gives.

    Args:
        model: The detector.
        arguments: How objects are looked for.
        wanted: Positions of the classes asked for; None for all.
        tell: Receives a sentence when the batch has to shrink.
    """

    def __init__(
        self,
        model: DetectionModel,
        arguments: DetectionArguments,
        wanted: Optional[Collection[int]],
        tell: Callable[[str], None],
    ) -> None:
        self._model = model
        self._arguments = arguments
        self._wanted = None if wanted is None else np.array(sorted(wanted), dtype=np.int64)
        self._batches = ShrinkingBatches(model.device, tell)

    def detect(self, batch: Batch) -> list[Detections]:
        """What is found in each tile of a batch, in pixels of the tile.

        Raises:
            ModelError: If the model gives something impossible.
        """
        tiles, valid, positions = batch.tiles, batch.valid, batch.positions

        def run(part: slice) -> list[Detections]:
            if self._arguments.test_time_augmentation:
                overlap = self._arguments.nms_overlap
                return detect_in_views(
                    self._model.detect,
                    tiles[part],
                    valid[part],
                    _VIEWS_OVERLAP if overlap is None else overlap,
                )
            return self._model.detect(tiles[part], valid[part], positions[part])

        pieces = self._batches.run(len(tiles), tiles.shape[2:], run)
        found = [detections for piece in pieces for detections in piece]
        if len(found) != len(tiles):
            raise ModelError(
                f"The model gives detections of {len(found)} tiles for a batch of {len(tiles)}.",
                "A detector gives one list of detections a tile.",
            )
        return [self._checked(detections, own) for detections, own in zip(found, valid)]

    def _checked(self, detections: Detections, valid: np.ndarray) -> Detections:
        """Without what is impossible, not asked for, or lies on no data alone."""
        boxes, scores, classes = detections.boxes, detections.scores, detections.classes
        if not len(detections):
            return detections
        if np.isnan(scores).any() or np.isnan(boxes).any():
            raise ModelError(
                "The model gives boxes or confidences that are not numbers.",
                "Check the normalisation in its definition, or run it in full precision.",
            )
        if classes.min() < 0 or classes.max() >= len(self._model.classes):
            raise ModelError(
                f"The model reports class number {int(classes.max()) + 1}, and its definition lists "
                f"{len(self._model.classes)} classes.",
                "Correct Classes in the definition: one for each class the network knows, in its order.",
            )
        if scores.min() < 0 or scores.max() > 1.0001:
            raise ModelError(
                f"The model gives the confidence {scores.max():g}.", "Confidences must lie between 0 and 1."
            )
        kept = ((boxes[:, 2:] > boxes[:, :2]) & np.isfinite(boxes[:, 2:] - boxes[:, :2])).all(axis=1)
        if self._wanted is not None:
            kept &= np.isin(classes, self._wanted)
        if not valid.all():
            kept &= _on_data(boxes, valid)
        shapes = None if self._arguments.return_bboxes else detections.shapes
        return Detections(boxes[kept], scores[kept], classes[kept], None if shapes is None else shapes[kept])


def _on_data(boxes: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Which boxes hold a valid pixel, bool ``[n]``."""
    height, width = valid.shape
    sums = np.zeros((height + 1, width + 1), dtype=np.int32)
    sums[1:, 1:] = valid.cumsum(axis=0, dtype=np.int32).cumsum(axis=1, dtype=np.int32)
    limits = (width, height, width, height)
    left, top = np.clip(np.floor(boxes[:, :2]), 0, limits[:2]).astype(int).T
    right, bottom = np.clip(np.ceil(boxes[:, 2:]), 0, limits[2:]).astype(int).T
    return sums[bottom, right] - sums[top, right] - sums[bottom, left] + sums[top, left] > 0


def find_objects(
    view: View,
    plan: TilePlan,
    detector: TileDetector,
    reporter: Reporter,
    *,
    readers: int,
    joins: bool = True,
    suppressor: Optional[Suppressor] = None,
    tally: Optional[DetectionTally] = None,
) -> Iterator[Objects]:
    """The objects of a raster, a few at a time, in pixels of the raster.

    What comes, and in which order, depends on tile size and padding and on nothing else: not on batch
    size or readers.

    Args:
        view: The raster.
        plan: Its tiles.
        detector: Runs the model.
        reporter: Hears about progress; stops the run.
        readers: Reading threads.
        joins: Whether objects of several tiles are joined.
        suppressor: Removes duplicates of the whole raster; None for none.
        tally: Counts what is done.

    Raises:
        DataError: If the raster cannot be read.
        ModelError: If the model gives what it should not.
    """
    tally = tally if tally is not None else DetectionTally()
    merger = SeamMerger(joins)
    layout = plan.layout
    with TileReader(view.source, view.bands, view.feed, plan.context, readers, view.area) as reader:
        for batch in reader.batches(layout, layout.runs(plan.batch_size)):
            reporter.check_cancelled()
            tally.tiles += len(batch.run.columns)
            tally.skipped += batch.skipped
            if batch.columns:
                for column, position, detections in zip(
                    batch.columns, batch.positions, detector.detect(batch)
                ):
                    merger.add(
                        tile_frame(plan, batch.run.row, column),
                        _placed(detections, position, (batch.run.row, column)),
                    )
            note = f"{tally.objects} found"
            reporter.progress("Detecting objects", tally.tiles, layout.tile_count, "tiles", note)
            if not batch.run.ends_row:
                continue
            objects = _asked_for(merger.finish_row(next_row_top(plan, batch.run.row)), view)
            if suppressor is not None:
                objects = suppressor.add(objects, merger.watermark)
            if len(objects):
                tally.objects += len(objects)
                yield objects


def _placed(detections: Detections, position: tuple[int, int], tile: tuple[int, int]) -> Objects:
    """What was found in a tile, in pixels of the raster."""
    count = len(detections)
    # In double precision, so that equal boxes stay equal wherever they lie.
    if detections.shapes is None:
        corners = detections.boxes.astype(np.float64) + np.tile(position, 2)
        shapes = shapely.box(*corners.T)
    else:
        shapes = shapely.transform(detections.shapes, lambda points: points + position)
    origins = np.column_stack([np.full(count, tile[0]), np.full(count, tile[1]), np.arange(count)])
    return Objects(shapes, detections.scores.astype(np.float32), detections.classes.astype(np.int64), origins)


def _asked_for(objects: Objects, view: View) -> Objects:
    """The objects with their centre in the polygons of interest."""
    if view.area is None or not len(objects):
        return objects
    boxes = objects.boxes
    return objects.take(view.area.holds(view.source.grid, (boxes[:, :2] + boxes[:, 2:]) / 2))
