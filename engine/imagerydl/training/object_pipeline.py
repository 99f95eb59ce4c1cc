"""A whole training of an object detector: chips in, model folder out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from torch import nn

from ..events import Reporter
from ..models.architectures.backbones import forbid_downloads
from ..models.architectures.registry import NO_BACKBONE, traits
from ..outputs import explained, staged
from .anchors import fit_levels
from .augmentation_settings import default_object_augmentation
from .batches import ChipBatches
from .chips import collect_chips
from .cost import NetworkCost
from .dataset import split
from .detection_metrics import ImageObjects
from .devices import choose_device
from .evaluation import random_samples
from .fitting import Fit
from .history import Row
from .memory import available_memory, keep_freed_memory
from .network_start import start_network
from .object_augmentation import ObjectInput
from .object_data import ObjectData, load_objects, repeated
from .object_evaluation import evaluate_objects, object_samples
from .object_saving import TrainedDetector, write_detector
from .object_task import ObjectTask
from .optimisation import Optimisation
from .queries import check_tile, fit_queries
from .resume import WorkFolder
from .running import (
    CHIP_MEMORY,
    READING,
    REPORT,
    best_epoch,
    choose_augmentation,
    load_best,
    plain_from,
    train_or_resume,
)
from .settings import TrainingSettings
from .starting_point import StartingPoint
from .tasks import formats_of

#: Learning rates, where none is given: a sweep says little about losses that start with "nothing here".
_RATE, _RATE_WITH_BACKBONE = 2e-3, 5e-4

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
        return ObjectTask(
            self.network,
            len(self.data.classes),
            self.train_input,
            self.valid_input,
            plan,
            self.settings.seed,
        )

    def train_batches(self, batch_size: int, epoch: Any) -> ChipBatches:
        """Training chips; with ``class_balancing`` those of rare classes several times."""
        indices = self.train
        if self.settings.loss.class_balancing:
            indices = repeated(indices, self.data.labels)
        return ChipBatches(self.data, indices, batch_size, self.settings.seed, epoch, drop_last=True)

    def find_rate(
        self, cost: NetworkCost, batch_size: int, reporter: Reporter, span: tuple[float, float]
    ) -> float:
        """One that suits the network."""
        plain = self.settings.backbone_or_default.upper() == NO_BACKBONE
        if not plain or self.settings.pretrained_model:
            return _RATE_WITH_BACKBONE
        return self.network.learning_rate or _RATE


def train(settings: TrainingSettings, reporter: Reporter) -> dict[str, Any]:
    """Train a detector; see :func:`.tasks.train`."""
    forbid_downloads()
    # Boxes need more digits than 16-bit numbers have: those of bfloat16 are whole pixels from 128 on.
    device = replace(choose_device(settings.device), precision="32-true")
    reporter.message(f"Training on {device.description}.")
    if device.is_cpu:
        keep_freed_memory()
    collection = collect_chips(settings.folders, formats_of(settings.model_type))
    augmentation, validation = choose_augmentation(
        settings, collection, reporter, default_object_augmentation
    )
    data = load_objects(
        collection,
        settings.loss.ignore_classes,
        settings.model_type == "MASKRCNN",
        int(available_memory() * CHIP_MEMORY),
        reporter,
        READING,
    )
    chips, kept = split(len(data), settings.validation_fraction, settings.seed)
    start = start_network(settings, data, chips, _fitted(settings, data, chips), reporter)
    check_tile(start.network.tile_size, data.shape[1:])
    _say_what(data, chips, kept, start, reporter)
    start.network.to(device.torch)
    job = ObjectFit(
        settings=settings,
        data=data,
        train=chips,
        valid=kept,
        network=start.network,
        train_input=ObjectInput(start.input_range, augmentation, settings.seed, plain_from(settings)),
        valid_input=ObjectInput(start.input_range, validation, settings.seed),
        device=device,
        work=WorkFolder(settings.out_folder),
    )
    with explained(settings.out_folder):
        rows = train_or_resume(job, reporter)
    model = _best_model(job, start, rows, reporter)
    with staged(settings.out_folder, settings.overwrite) as folder:
        write_detector(model, folder, reporter)
    job.work.clear()
    reporter.progress("Writing the model", 1, 1, span=REPORT)
    folder, name, scores = settings.out_folder, settings.name, model.evaluation.scores
    return {
        "OUT_FOLDER": str(folder),
        "OUT_MODEL_DEFINITION": str(folder / f"{name}.emd"),
        "OUT_MODEL_PACKAGE": str(folder / f"{name}.dlpk"),
        "AVERAGE_PRECISION": scores.map50,
    }


def _fitted(settings: TrainingSettings, data: ObjectData, chips: np.ndarray) -> dict[str, Any]:
    """Levels, and anchors or queries, for the objects of the training chips."""
    fitted = fit_queries if traits(settings.model_type).has_queries else fit_levels
    return fitted(
        [data.boxes[int(index)] for index in chips],
        [data.labels[int(index)] for index in chips],
        settings.loss,
        data.shape[1:],
    )


def _say_what(
    data: ObjectData, train: np.ndarray, valid: np.ndarray, start: StartingPoint, reporter: Reporter
) -> None:
    parameters = sum(parameter.numel() for parameter in start.network.parameters())
    counts = data.counts
    named = ", ".join(f"{entry.name} ({counts[entry.value]})" for entry in data.classes)
    reporter.message(
        f"{len(train)} chips to train on, {len(valid)} to validate with; objects: {named}. The network has "
        f"{parameters:,} parameters."
    )
    if int(start.parameters["shrink"]) > 1:
        reporter.message(
            "The objects are large: the network looks at the imagery "
            f"{start.parameters['shrink']} times smaller."
        )


def _best_model(job: ObjectFit, start: StartingPoint, rows: list[Row], reporter: Reporter) -> TrainedDetector:
    load_best(job)
    batch_size = int(job.work.state["batch_size"])
    evaluation = evaluate_objects(
        job.network, job.data, job.valid_batches(batch_size), job.valid_input, job.device, reporter, REPORT
    )
    places = np.arange(len(job.valid))
    together = list(zip(evaluation.truths, evaluation.found))
    missed = np.array([_mistakes(*both, evaluation.threshold) for both in together])
    worst = np.argsort(-missed, kind="stable")[:_WORST].tolist() if len(places) > _SAMPLES else []
    picked = random_samples(places, _SAMPLES, job.settings.seed)
    start.parameters["threshold"] = evaluation.threshold
    return TrainedDetector(
        settings=job.settings,
        data=job.data,
        start=start,
        rows=rows,
        best=best_epoch(job, rows),
        learning_rate=float(job.work.state["learning_rate"]),
        batch_size=batch_size,
        chips=(len(job.train), len(job.valid)),
        evaluation=evaluation,
        samples=object_samples(evaluation, job.data, job.valid, picked),
        worst=object_samples(evaluation, job.data, job.valid, worst),
    )


def _mistakes(truth: ImageObjects, found: ImageObjects, threshold: float) -> int:
    """Objects too many or too few."""
    return abs(len(truth.boxes) - int((found.scores >= threshold).sum()))
