"""A whole training of an object detector: chips in, model folder out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from torch import nn

from ..events import Reporter
from .anchors import fit_levels
from .augmentation_settings import default_object_augmentation
from .batches import ChipBatches
from .chips import collect_chips
from .cost import NetworkCost
from .dataset import split
from .detection_metrics import ImageObjects
from .evaluation import random_samples
from .fitting import Fit
from .learning_rate import rate_without_sweep
from .network_start import start_network
from .object_augmentation import ObjectInput
from .object_data import ObjectData, load_objects, repeated
from .object_evaluation import evaluate_objects, object_samples
from .object_saving import TrainedDetector, write_detector
from .object_task import ObjectTask
from .optimisation import Optimisation
from .resume import WorkFolder
from .running import (
    READING,
    REPORT,
    begin,
    chip_memory,
    choose_augmentation,
    plain_from,
    publish,
    say_what,
    train_or_resume,
)
from .saving import Trained
from .settings import TrainingSettings
from .tasks import formats_of

#: Chips on the sheets of the report.
_SAMPLES, _WORST = 8, 4


@dataclass
class ObjectFit(Fit):
    """The training of a detector."""

    # Where few chips are validated with, all of them are soon found at an overlap of 0.5: the mean over
    # higher overlaps still tells epochs apart.
    best_measure = "valid_map"

    @property
    def costly_part(self) -> nn.Module:
        """What runs over the whole image."""
        return self.network.dense_part

    def task(self, plan: Optimisation) -> ObjectTask:
        """The Lightning task."""
        classes, seed = len(self.data.classes), self.settings.seed
        return ObjectTask(self.network, classes, self.train_input, self.valid_input, plan, seed)

    def train_batches(self, batch_size: int, epoch: Any) -> ChipBatches:
        """Training chips; with ``class_balancing`` those of rare classes several times."""
        indices = self.train
        if self.settings.loss.class_balancing:
            indices = repeated(indices, self.data.labels)
        return ChipBatches(self.data, indices, batch_size, self.settings.seed, epoch, drop_last=True)

    def find_rate(
        self, cost: NetworkCost, batch_size: int, reporter: Reporter, span: tuple[float, float]
    ) -> float:
        """One that suits the network: a sweep says little about losses that start with "nothing here"."""
        return rate_without_sweep(self.settings)


def train(settings: TrainingSettings, reporter: Reporter) -> dict[str, Any]:
    """Train a detector; see :func:`.tasks.train`."""
    # Boxes need more digits than 16-bit numbers have: those of bfloat16 are whole pixels from 128 on.
    device = replace(begin(settings, reporter), precision="32-true")
    collection = collect_chips(settings.folders, formats_of(settings.model_type))
    augmentation, validation = choose_augmentation(
        settings, collection, reporter, default_object_augmentation
    )
    with_masks = settings.model_type == "MASKRCNN"
    ignored = settings.loss.ignore_classes
    data = load_objects(collection, ignored, with_masks, chip_memory(), reporter, READING)
    chips, kept = split(len(data), settings.validation_fraction, settings.seed)
    start = start_network(settings, data, chips, _fitted(settings, data, chips), reporter)
    job = ObjectFit(
        settings=settings,
        data=data,
        train=chips,
        valid=kept,
        start=start,
        train_input=ObjectInput(start.input_range, augmentation, settings.seed, plain_from(settings)),
        valid_input=ObjectInput(start.input_range, validation, settings.seed),
        device=device,
        work=WorkFolder(settings.out_folder),
    )
    _say_what(job, reporter)
    model = _measured(job, train_or_resume(job, reporter), reporter)
    return {
        **publish(model, write_detector, job.work, reporter),
        "AVERAGE_PRECISION": model.evaluation.scores.map50,
    }


def _fitted(settings: TrainingSettings, data: ObjectData, chips: np.ndarray) -> dict[str, Any]:
    """Levels and anchors for the objects of the training chips."""
    return fit_levels(
        [data.boxes[int(index)] for index in chips],
        [data.labels[int(index)] for index in chips],
        settings.loss,
        data.shape[1:],
    )


def _say_what(job: ObjectFit, reporter: Reporter) -> None:
    counts = job.data.counts
    named = ", ".join(f"{entry.name} ({counts[entry.value]})" for entry in job.data.classes)
    say_what(job, f"objects: {named}.", reporter)
    shrink = int(job.start.parameters["shrink"])
    if shrink > 1:
        reporter.message(f"The objects are large: the network looks at the imagery {shrink} times smaller.")


def _measured(job: ObjectFit, trained: Trained, reporter: Reporter) -> TrainedDetector:
    """The network on the validation chips; the threshold that suits it becomes its own."""
    batches = job.valid_batches(trained.batch_size)
    evaluation = evaluate_objects(
        job.network, job.data, batches, job.valid_input, job.device, reporter, REPORT
    )
    places = np.arange(len(job.valid))
    together = list(zip(evaluation.truths, evaluation.found))
    missed = np.array([_mistakes(*both, evaluation.threshold) for both in together])
    worst = np.argsort(-missed, kind="stable")[:_WORST].tolist() if len(places) > _SAMPLES else []
    picked = random_samples(places, _SAMPLES, job.settings.seed)
    job.start.parameters["threshold"] = evaluation.threshold
    return TrainedDetector(
        **vars(trained),
        evaluation=evaluation,
        samples=object_samples(evaluation, job.data, job.valid, picked),
        worst=object_samples(evaluation, job.data, job.valid, worst),
    )


def _mistakes(truth: ImageObjects, found: ImageObjects, threshold: float) -> int:
    """Objects too many or too few."""
    return abs(len(truth.boxes) - int((found.scores >= threshold).sum()))
