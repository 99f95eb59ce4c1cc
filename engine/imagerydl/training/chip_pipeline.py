"""A whole training of a classifier of chips: chips in, model folder out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from ..events import Reporter
from .chip_data import ChipData, load_labelled, split_by_class
from .chip_saving import ChipSample, TrainedClassifier, write_classifier
from .chip_task import LIKELY, ChipInput, ChipLoss, ChipScores, ChipTask, probabilities
from .chips import collect_chips
from .cost import NetworkCost
from .evaluation import random_samples
from .fitting import Fit
from .learning_rate import rate_without_sweep
from .losses import balancing_weights
from .network_start import start_network
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
        seed = self.settings.seed
        return ChipTask(self.network, self.loss, self.train_input, self.valid_input, plan, seed)

    def find_rate(
        self, cost: NetworkCost, batch_size: int, reporter: Reporter, span: tuple[float, float]
    ) -> float:
        """One that suits the network."""
        return rate_without_sweep(self.settings)


def train(settings: TrainingSettings, reporter: Reporter) -> dict[str, Any]:
    """Train a classifier of chips; see :func:`.tasks.train`."""
    device = begin(settings, reporter)
    collection = collect_chips(settings.folders, formats_of(settings.model_type))
    augmentation, validation = choose_augmentation(settings, collection, reporter)
    data = load_labelled(collection, settings.loss.ignore_classes, chip_memory(), reporter, READING)
    chips, kept = split_by_class(data.positions, settings.validation_fraction, settings.seed)
    start = start_network(settings, data, chips, {"multi_label": data.multi_label}, reporter)
    job = ChipFit(
        settings=settings,
        data=data,
        train=chips,
        valid=kept,
        start=start,
        train_input=ChipInput(start.input_range, augmentation, settings.seed, plain_from(settings)),
        valid_input=ChipInput(start.input_range, validation, settings.seed),
        device=device,
        work=WorkFolder(settings.out_folder),
        loss=_loss(settings, data).to(device.torch),
    )
    _say_what(job, reporter)
    model = _measured(job, train_or_resume(job, reporter), reporter)
    return {**publish(model, write_classifier, job.work, reporter), "ACCURACY": model.scores.accuracy}


def _loss(settings: TrainingSettings, data: ChipData) -> ChipLoss:
    weights = None
    if settings.loss.class_balancing:
        weights = balancing_weights([data.counts[value] for value in data.classes.values])
    return ChipLoss(settings.loss, data.multi_label, weights)


def _say_what(job: ChipFit, reporter: Reporter) -> None:
    counts = job.data.counts
    named = ", ".join(f"{entry.name} ({counts[entry.value]})" for entry in job.data.classes)
    several = " A chip may be of several." if job.data.multi_label else ""
    say_what(job, f"classes: {named}.{several}", reporter)


def _measured(job: ChipFit, trained: Trained, reporter: Reporter) -> TrainedClassifier:
    """The network on the validation chips."""
    job.network.eval()
    batches = job.valid_batches(trained.batch_size)
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
        **vars(trained),
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
