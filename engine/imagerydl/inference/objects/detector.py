"""A detector, opened once, that finds the objects of rasters as a Detect Objects job asks for."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Optional

from ...errors import ModelDefinitionError, ParameterError
from ...events import Reporter
from ...imagery.source import RasterSource
from ...models.definition import load_definition
from ...models.runtimes.detection_opening import DETECTOR_TYPES, open_detection_model
from ..classification import View
from ..fitting import fit_bands, fit_input
from ..items import Item
from ..sources import interest_area, open_item, reader_count, report_damage, scene_of
from .arguments import DetectionArguments
from .finding import DetectionTally, TileDetector, find_objects
from .found import Objects
from .placing import Placement
from .sweep import Suppressor
from .tiling import plan_detection

if TYPE_CHECKING:
    from ...jobs import Job


class ObjectDetector:
    """A detector, opened once, that finds the objects of rasters as a job asks for.

    Args:
        job: The job.
        reporter: Hears what is to be said.

    Attributes:
        name: What to call the model.
        classes: Its classes, in its order, with colours.

    Raises:
        EngineError: If the model cannot be used.
    """

    def __init__(self, job: Job, reporter: Reporter) -> None:
        self._job, self._reporter = job, reporter
        self._definition = definition = load_definition(job["IN_MODEL_DEFINITION"])
        if definition.model_type not in ("", *DETECTOR_TYPES):
            raise ModelDefinitionError(
                f"{definition.name} is a model for {definition.model_type}, not for object detection.",
                f"Choose a model whose ModelType is {' or '.join(DETECTOR_TYPES)}.",
            )
        self._model = open_detection_model(
            definition,
            job["DEVICE"],
            arguments=job["MODEL_ARGUMENTS"],
            consent=job["TRUST_MODEL"],
            reporter=reporter,
        )
        try:
            self._arguments = DetectionArguments.parse(job["MODEL_ARGUMENTS"], self._model.arguments)
            if self._model.margin is None:
                self._arguments = self._arguments.completed(definition.padding, definition.batch_size)
            self.classes = self._model.classes.with_colors()
            self._wanted = self._positions(job["IN_OBJECTS_OF_INTEREST"])
        except BaseException:
            self._model.close()
            raise
        self.name = definition.model_file.stem
        reporter.message(f"{definition.name} runs with {self._model.description}.")

    def close(self) -> None:
        """Release the model."""
        self._model.close()

    def detect(
        self,
        item: Item,
        placed: Callable[[RasterSource], Placement],
        take: Callable[[Objects, Placement], None],
    ) -> DetectionTally:
        """Find the objects of one raster or mosaic.

        Args:
            item: What.
            placed: Gives the place of a raster in the result, before anything is detected.
            take: Receives objects, a few at a time, and that place.

        Raises:
            EngineError: Naming what is wrong.
        """
        with open_item(self._job.values, self._definition, item, self._reporter) as source:
            placement = placed(source)
            return self._detect(source, lambda objects: take(objects, placement))

    def _detect(self, source: RasterSource, take: Callable[[Objects], None]) -> DetectionTally:
        model, job, reporter = self._model, self._job, self._reporter
        model.begin(scene_of(source))
        bands = fit_bands(self._definition, model, source, reporter)
        plan = plan_detection(self._definition, model, self._arguments, source.grid.width, source.grid.height)
        # Beyond the border a mirror would show every object there a second time.
        feed = replace(fit_input(self._definition, model, source, bands, reporter), mirrored=False)
        view = View(source, bands, feed, interest_area(job.values, source, reporter))
        tally = DetectionTally()
        found = find_objects(
            view,
            plan,
            TileDetector(model, self._arguments, self._wanted, reporter.warning),
            reporter,
            readers=reader_count(),
            joins=self._arguments.exclude_pad_detections,
            suppressor=Suppressor(job["MAX_OVERLAP_RATIO"]) if job["RUN_NMS"] else None,
            tally=tally,
        )
        with closing(found):
            for objects in found:
                take(objects)
        self._report(source, tally)
        return tally

    def _positions(self, names: Optional[str]) -> Optional[frozenset[int]]:
        """Positions of the classes asked for, by name or value; None for all of them."""
        asked = [name.strip() for name in (names or "").split(";") if name.strip()]
        if not asked:
            return None
        entries = list(self._model.classes)
        found = set()
        for name in asked:
            own = [
                position
                for position, entry in enumerate(entries)
                if name.lower() == entry.name.lower() or name == str(entry.value)
            ]
            if not own:
                known = ", ".join(entry.name for entry in entries[:30]) + (
                    ", ..." if len(entries) > 30 else ""
                )
                raise ParameterError(
                    f"The model has no class {name!r} (IN_OBJECTS_OF_INTEREST).", f"It knows {known}."
                )
            found.update(own)
        return frozenset(found)

    def _report(self, source: RasterSource, tally: DetectionTally) -> None:
        skipped = ""
        if tally.skipped:
            skipped = f" {tally.skipped} of {tally.tiles} tiles hold no data and were skipped."
        self._reporter.message(f"{source.name}: {tally.objects} objects found.{skipped}")
        report_damage(source.damage, "no object is found there", self._reporter)
