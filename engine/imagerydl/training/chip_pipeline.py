"""A whole training of a classifier of chips: chips in, model folder out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from ..events import Reporter
from ..models.architectures.backbones import forbid_downloads
from ..models.architectures.registry import NO_BACKBONE
from ..outputs import explained, staged
from .chip_data import ChipData, load_labelled, split_by_class
from .chip_saving import ChipSample, TrainedClassifier, write_classifier
from .chip_task import LIKELY, ChipInput, ChipLoss, ChipScores, ChipTask, probabilities
from .chips import collect_chips
from .cost import NetworkCost
from .devices import choose_device
from .evaluation import random_samples
from .fitting import Fit
from .history import Row
from .losses import balancing_weights
from .memory import available_memory, keep_freed_memory
from .network_start import start_network
from .optimisation import Optimisation
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

#: Learning rates, where none is given.
_RATE, _RATE_WITH_BACKBONE = 2e-3, 5e-4

#: Chips on the sheets of the report.
_SAMPLES, _WRONG = 18, 12


@dataclass
class ChipFit(Fit):
    """The training of a classifier of chips.

    Attributes:
        loss: Of a batch.
    """

    best_measure = "valid_merit"

    loss: ChipLoss

    def task(self, plan: Optimisation) -> ChipTask:
        """The Lightning task."""
        settings = self.settings
        return ChipTask(
            self.network,
            self.loss,
            self.train_input,
            self.valid_input,
            plan,
            settings.seed,
        )

    def find_rate(
        self, cost: NetworkCost, batch_size: int, reporter: Reporter, span: tuple[float, float]
    ) -> float:
        """One that suits the network."""
        plain = self.settings.backbone_or_default.upper() == NO_BACKBONE
        return _RATE if plain and not self.settings.pretrained_model else _RATE_WITH_BACKBONE


def train(settings: TrainingSettings, reporter: Reporter) -> dict[str, Any]:
    """Train a classifier of chips; see :func:`.tasks.train`."""
    forbid_downloads()
    device = choose_device(settings.device)
    reporter.message(f"Training on {device.description}.")
    if device.is_cpu:
        keep_freed_memory()
    collection = collect_chips(settings.folders, formats_of(settings.model_type))
    augmentation, validation = choose_augmentation(settings, collection, reporter)
    budget = int(available_memory() * CHIP_MEMORY)
    data = load_labelled(collection, settings.loss.ignore_classes, budget, reporter, READING)
    chips, kept = split_by_class(data.positions, settings.validation_fraction, settings.seed)
    start = start_network(settings, data, chips, {"multi_label": data.multi_label}, reporter)
    _say_what(data, chips, kept, start, reporter)
    start.network.to(device.torch)
    job = ChipFit(
        settings=settings,
        data=data,
        train=chips,
        valid=kept,
        network=start.network,
        train_input=ChipInput(start.input_range, augmentation, settings.seed, plain_from(settings)),
        valid_input=ChipInput(start.input_range, validation, settings.seed),
        device=device,
        work=WorkFolder(settings.out_folder),
        loss=_loss(settings, data).to(device.torch),
    )
    with explained(settings.out_folder):
        rows = train_or_resume(job, reporter)
    model = _best_model(job, start, rows, reporter)
    with staged(settings.out_folder, settings.overwrite) as folder:
        write_classifier(model, folder, reporter)
    job.work.clear()
    reporter.progress("Writing the model", 1, 1, span=REPORT)
    folder, name = settings.out_folder, settings.name
    return {
        "OUT_FOLDER": str(folder),
        "OUT_MODEL_DEFINITION": str(folder / f"{name}.emd"),
        "OUT_MODEL_PACKAGE": str(folder / f"{name}.dlpk"),
        "ACCURACY": model.scores.accuracy,
    }


def _loss(settings: TrainingSettings, data: ChipData) -> ChipLoss:
    weights = None
    if settings.loss.class_balancing:
        weights = balancing_weights([data.counts[value] for value in data.classes.values])
    return ChipLoss(settings.loss, data.multi_label, weights)


def _say_what(
    data: ChipData, train: np.ndarray, valid: np.ndarray, start: StartingPoint, reporter: Reporter
) -> None:
    parameters = sum(parameter.numel() for parameter in start.network.parameters())
    counts = data.counts
    named = ", ".join(f"{entry.name} ({counts[entry.value]})" for entry in data.classes)
    several = " A chip may be of several." if data.multi_label else ""
    reporter.message(
        f"{len(train)} chips to train on, {len(valid)} to validate with; classes: {named}.{several} The "
        f"network has {parameters:,} parameters."
    )


def _best_model(job: ChipFit, start: StartingPoint, rows: list[Row], reporter: Reporter) -> TrainedClassifier:
    load_best(job)
    job.network.eval()
    batch_size = int(job.work.state["batch_size"])
    batches = job.valid_batches(batch_size)
    job.valid_input.restart(0)
    given, labels, loss = [], [], 0.0
    with torch.inference_mode():
        for done, (images, truth) in enumerate(batches, start=1):
            inputs, truth = job.valid_input(images.to(job.device.torch), truth.to(job.device.torch))
            with job.device.autocast():
                logits = job.network(inputs)
            loss += float(job.loss(logits, truth)) * len(truth)
            given.append(probabilities(logits, job.data.multi_label))
            labels.append(truth.cpu().numpy())
            reporter.progress("Evaluating", done, len(batches), "batches", "", REPORT)
    said = np.concatenate(given)
    places = np.arange(len(job.valid))
    picked = _samples(job, said, random_samples(places, _SAMPLES, job.settings.seed))
    everything = _samples(job, said, _wrong(job, said)[:_WRONG])
    return TrainedClassifier(
        settings=job.settings,
        data=job.data,
        start=start,
        rows=rows,
        best=best_epoch(job, rows),
        learning_rate=float(job.work.state["learning_rate"]),
        batch_size=batch_size,
        chips=(len(job.train), len(job.valid)),
        scores=ChipScores.of(said, np.concatenate(labels)),
        loss=loss / len(job.valid),
        samples=picked,
        wrong=everything,
    )


def _positions(said: np.ndarray, multi_label: bool) -> list[int]:
    return np.flatnonzero(said >= LIKELY).tolist() if multi_label else [int(said.argmax())]


def _wrong(job: ChipFit, said: np.ndarray) -> list[int]:
    """Places of the validation chips that the network gets wrong."""
    return [
        place
        for place, index in enumerate(job.valid)
        if set(_positions(said[place], job.data.multi_label)) != set(job.data.positions[int(index)].tolist())
    ]


def _samples(job: ChipFit, said: np.ndarray, places: list[int]) -> list[ChipSample]:
    names = job.data.class_names

    def text(positions: list[int]) -> str:
        return ", ".join(names[position] for position in sorted(positions)) or "nothing"

    return [
        ChipSample(
            job.data.take_images(job.valid[place : place + 1])[0],
            text(job.data.positions[int(job.valid[place])].tolist()),
            text(_positions(said[place], job.data.multi_label)),
        )
        for place in places
    ]
