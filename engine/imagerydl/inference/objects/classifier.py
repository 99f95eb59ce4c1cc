"""A classifier of chips, opened once, that classifies objects as a Classify Objects job asks for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import shapely

from ...errors import ModelDefinitionError, ModelError
from ...events import Reporter
from ...imagery.source import RasterSource
from ...models.definition import load_definition
from ...models.runtimes.chip_opening import CLASSIFIER_TYPE, open_chip_classifier
from ..classification import View
from ..fitting import fit_bands, fit_input
from ..shrinking import ShrinkingBatches
from .chips import ChipForm, ChipReader, grouped
from .classification_arguments import ClassificationArguments
from .views import VIEWS, VIEWS_OF_RECTANGLES

if TYPE_CHECKING:
    from ...jobs import Job


@dataclass(frozen=True)
class Labels:
    """What objects are.

    Attributes:
        places: Positions of the objects ``[k]``.
        names: Class names; those of an object with several joined by ``;`` ``[k]``.
        confidences: Percent ``[k]`` float64; texts joined by ``;`` where an object may have several classes.
    """

    places: np.ndarray
    names: np.ndarray
    confidences: np.ndarray


class ObjectClassifier:
    """A classifier of chips, opened once, that classifies objects as a job asks for.

    Args:
        job: The job.
        reporter: Hears what is to be said.

    Attributes:
        classes: Classes of the model, with colours.
        is_multi_label: Whether objects may be of several classes.
        wants_map_space: Whether chips show the north above.
        form: How chips are cut.

    Raises:
        EngineError: If the model cannot be used.
    """

    def __init__(self, job: Job, reporter: Reporter) -> None:
        self._reporter = reporter
        self.definition = definition = load_definition(job["IN_MODEL_DEFINITION"])
        if definition.model_type not in ("", CLASSIFIER_TYPE):
            raise ModelDefinitionError(
                f"{definition.name} is a model for {definition.model_type}, not for object classification.",
                f"Choose a model whose ModelType is {CLASSIFIER_TYPE}.",
            )
        self._model = open_chip_classifier(
            definition,
            job["DEVICE"],
            arguments=job["MODEL_ARGUMENTS"],
            consent=job["TRUST_MODEL"],
            reporter=reporter,
        )
        try:
            self._arguments = ClassificationArguments.parse(job["MODEL_ARGUMENTS"], self._model.arguments)
            self.classes = self._model.classes.with_colors()
        except BaseException:
            self._model.close()
            raise
        self.is_multi_label = self._model.is_multi_label
        self.wants_map_space = str(definition.raw.get("ImageSpaceUsed", "")).upper() == "MAP_SPACE"
        size = self._model.chip_size or definition.image_size
        self.form = ChipForm.of(definition, size, self._arguments.padding)
        self._names = np.array([*(entry.name for entry in self.classes), ""], dtype=object)[:-1]
        self._batches = ShrinkingBatches(self._model.device, reporter.warning, "object")
        reporter.message(f"{definition.name} runs with {self._model.description}.")

    def close(self) -> None:
        """Release the model."""
        self._model.close()

    def classify(self, source: RasterSource, shapes: np.ndarray, windows: np.ndarray) -> Iterator[Labels]:
        """Classify objects of a raster in the order in which they lie on it; each part of it is read once.

        Args:
            source: The raster.
            shapes: Objects ``[n]`` in its pixels.
            windows: Their chips ``[n, 4]``; those that are -1 wide are passed over.

        Yields:
            Labels of some; objects that show no valid pixel get none.

        Raises:
            EngineError: Naming what is wrong.
        """
        bands = fit_bands(self.definition, self._model, source, self._reporter)
        view = View(source, bands, fit_input(self.definition, self._model, source, bands, self._reporter))
        reader = ChipReader(view, self.form)
        for group in grouped(windows, np.flatnonzero(windows[:, 2] > 0)):
            for places, chips, valid in reader.read(
                windows[group], shapes[group], self._arguments.batch_size
            ):
                self._reporter.check_cancelled()
                yield self._labels(group[places], self._probabilities(chips, valid))

    def _probabilities(self, chips: np.ndarray, valid: np.ndarray) -> np.ndarray:
        pieces = self._batches.run(
            len(chips), chips.shape[2:], lambda part: self._in_views(chips[part], valid[part])
        )
        return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)

    def _in_views(self, chips: np.ndarray, valid: np.ndarray) -> np.ndarray:
        if not self._arguments.test_time_augmentation:
            return self._checked(self._model.probabilities(chips, valid), len(chips))
        views = VIEWS if chips.shape[2] == chips.shape[3] else VIEWS_OF_RECTANGLES
        total = np.zeros((len(chips), len(self.classes)), np.float64)
        for turns, flipped in views:
            turned, turned_valid = np.rot90(chips, turns, axes=(2, 3)), np.rot90(valid, turns, axes=(1, 2))
            if flipped:
                turned, turned_valid = turned[..., ::-1], turned_valid[..., ::-1]
            given = self._model.probabilities(
                np.ascontiguousarray(turned), np.ascontiguousarray(turned_valid)
            )
            total += self._checked(given, len(chips))
        return (total / len(views)).astype(np.float32)

    def _checked(self, given: np.ndarray, count: int) -> np.ndarray:
        if given.shape != (count, len(self.classes)):
            raise ModelError(
                f"The model gives {list(given.shape)} for {count} objects and {len(self.classes)} classes.",
                "Correct Classes in the definition: one for each output channel, in its order.",
            )
        if np.isnan(given).any():
            raise ModelError(
                "The model gives probabilities that are not numbers.",
                "Check the normalisation in its definition, or run it in full precision.",
            )
        return given

    def _labels(self, places: np.ndarray, probabilities: np.ndarray) -> Labels:
        percent = np.round(probabilities.astype(np.float64) * 100, 4)
        if not self.is_multi_label:
            best = probabilities.argmax(axis=1)
            return Labels(places, self._names[best], percent[np.arange(len(best)), best])
        chosen = probabilities >= self._arguments.threshold
        names = np.empty(len(places), dtype=object)
        names[:] = [";".join(self._names[row]) for row in chosen]
        texts = np.empty(len(places), dtype=object)
        texts[:] = [";".join(f"{value:g}" for value in row[own]) for row, own in zip(percent, chosen)]
        return Labels(places, names, texts)


def surrounding(windows: np.ndarray) -> np.ndarray:
    """Chips ``[n, 4]`` as polygons in pixels."""
    left, top, width, height = windows.T.astype(np.float64)
    return shapely.box(left, top, left + width, top + height)
