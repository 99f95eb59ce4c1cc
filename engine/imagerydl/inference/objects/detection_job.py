"""A Detect Objects job from its values to the published layer."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional

from ... import outputs
from ...errors import DataError, ModelError
from ...events import Reporter
from ...imagery.source import RasterSource
from ..items import CANDIDATES, Item, raster_items
from .detector import ObjectDetector
from .found import Objects
from .object_layer import ObjectLayer
from .placing import Placement

if TYPE_CHECKING:
    from ...jobs import Job


def run_detection(job: Job, reporter: Reporter) -> dict[str, Any]:
    """Run a job of the tool Detect Objects; returns its outputs and results."""
    target = Path(job["OUT_DETECTED_OBJECTS"])
    outputs.ensure_free(target, job["OVERWRITE"])
    with ExitStack() as stack:
        items = _items(job, stack)
        detector = ObjectDetector(job, reporter)
        stack.callback(detector.close)
        staging = stack.enter_context(outputs.staged(target, job["OVERWRITE"]))
        run = _Run(job, detector, staging, reporter)
        count = run.detect(items)
    return {"OUT_DETECTED_OBJECTS": str(target), "OBJECTS": count}


def _items(job: Job, stack: ExitStack) -> list[Item]:
    if not job["IN_IMAGE_FEATURES"]:
        return raster_items(job.values)
    from ..image_features import read_image_features

    folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="imagerydl-"))
    features = read_image_features(job["IN_IMAGE_FEATURES"], job["IMAGE_FIELD"], Path(folder))
    if job["PROCESSING_MODE"] != CANDIDATES:
        return list(features.items)
    return features.candidates()


class _Run:
    """The items of a job on their way into one layer."""

    def __init__(self, job: Job, detector: ObjectDetector, staging: Path, reporter: Reporter) -> None:
        self._job, self._detector, self._staging, self._reporter = job, detector, staging, reporter
        self._layer: Optional[ObjectLayer] = None
        self._stack = ExitStack()

    def detect(self, items: list[Item]) -> int:
        """Find the objects of every item; returns their number.

        One of several items that cannot be read is listed and left out; the run ends when every one fails.
        """
        failed: dict[str, str] = {}
        with self._stack:
            for number, item in enumerate(items):
                if len(items) > 1:
                    self._reporter.message(f"Image {number + 1} of {len(items)}: {item.name}.")
                before = self._layer.count if self._layer else 0
                try:
                    self._detector.detect(item, self._place(item), self._taking(item))
                except (DataError, ModelError) as error:
                    if len(items) == 1:
                        raise
                    failed[item.name] = error.message
                    found = self._layer.count - before if self._layer else 0
                    is_out = f"broke off after {found} objects" if found else "is left out"
                    self._reporter.warning(f"{item.name} {is_out}: {error.message}")
            if len(failed) == len(items):
                name, reason = next(iter(failed.items()))
                raise DataError(
                    f"Objects could be detected in none of the {len(items)} images; {name}: {reason}"
                )
            count = self._layer.count
        if failed:
            self._reporter.warning(f"{len(failed)} of {len(items)} images are not in the result; see above.")
        return count

    def _place(self, item: Item) -> Callable[[RasterSource], Placement]:
        def placed(source: RasterSource) -> Placement:
            crs = self._layer.crs if self._layer else None
            is_first = self._layer is None
            placement = Placement(source.grid, item, self._job["USE_PIXELSPACE"], crs, is_first)
            if is_first:
                self._open(placement)
            return placement

        return placed

    def _open(self, placement: Placement) -> None:
        layer = ObjectLayer(
            self._staging,
            self._detector.classes,
            self._detector.name,
            placement.crs,
            self._job["CLASS_VALUE_FIELD"],
            self._job["CONFIDENCE_SCORE_FIELD"],
        )
        self._layer = self._stack.enter_context(layer)

    def _taking(self, item: Item) -> Callable[[Objects, Placement], None]:
        def take(objects: Objects, placement: Placement) -> None:
            self._layer.add(objects, placement, item.name)

        return take
