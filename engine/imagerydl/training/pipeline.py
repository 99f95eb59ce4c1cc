"""A whole training of a pixel classifier: chips in, model folder out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any

from torch import Tensor

from ..events import Reporter
from ..models.architectures.registry import traits
from .augmentation import BatchInput
from .batches import ChipBatches
from .chips import collect_chips
from .cost import NetworkCost
from .dataset import TrainingData, load_chips, split
from .evaluation import evaluate, random_samples, take_samples, worst_samples
from .fitting import Fit
from .learning_rate import find_learning_rate, plan_sweep
from .losses import PixelLoss, balancing_weights
from .optimisation import Optimisation
from .pixel_saving import TrainedModel, write_model
from .pixel_task import PixelTask
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
from .starting_point import prepare_network

#: Chips on the sheets of the report: ten as in the article, four of the least successful.
_SAMPLES, _WORST = 10, 4


@dataclass
class PixelFit(Fit):
    """The training of a pixel classifier.

    Attributes:
        loss: Loss and Jaccard index.
    """

    loss: PixelLoss

    def task(self, plan: Optimisation) -> PixelTask:
        """The Lightning task."""
        seed = self.settings.seed
        return PixelTask(self.network, self.loss, self.train_input, self.valid_input, plan, seed)

    def find_rate(
        self, cost: NetworkCost, batch_size: int, reporter: Reporter, span: tuple[float, float]
    ) -> float:
        """By a short sweep from far too small to too large."""
        steps, chips = plan_sweep(cost, batch_size, self.device)
        batches = self._sweep_batches(chips)
        rate = find_learning_rate(
            self.network, self.loss, batches, self.train_input, self.device, steps, reporter, span
        )
        reporter.message(f"Learning rate {rate:g}, found by a sweep of {steps} steps.")
        return rate

    def _sweep_batches(self, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Training batches without end, for the learning-rate finder."""
        for epoch in count():
            yield from ChipBatches(
                self.data, self.train, batch_size, self.settings.seed + 1, lambda e=epoch: e, True
            )


def train(settings: TrainingSettings, reporter: Reporter) -> dict[str, Any]:
    """Train as asked; what is written appears under its final name only when it is complete.

    An interrupted run leaves its checkpoints beside the output; the next run with the same settings
    goes on from them, another one starts anew.

    Returns:
        The tool's results by key.
    """
    device = begin(settings, reporter)
    collection = collect_chips(settings.folders, two_dates=traits(settings.model_type).takes_two_dates)
    augmentation, validation = choose_augmentation(settings, collection, reporter)
    data = load_chips(collection, settings.loss.ignore_classes, chip_memory(), reporter, READING)
    chips, kept = split(len(data), settings.validation_fraction, settings.seed)
    start = prepare_network(settings, data, chips, reporter)
    job = PixelFit(
        settings=settings,
        data=data,
        train=chips,
        valid=kept,
        start=start,
        train_input=BatchInput(start.input_range, augmentation, settings.seed, plain_from(settings)),
        valid_input=BatchInput(start.input_range, validation, settings.seed),
        device=device,
        work=WorkFolder(settings.out_folder),
        loss=_loss(settings, data).to(device.torch),
    )
    _say_what(job, reporter)
    model = _measured(job, train_or_resume(job, reporter), reporter)
    return {
        **publish(model, write_model, job.work, reporter),
        "ACCURACY": model.evaluation.scores.accuracy,
        "JACCARD": model.evaluation.jaccard,
        "MEAN_IOU": model.evaluation.scores.mean_iou,
    }


def _loss(settings: TrainingSettings, data: TrainingData) -> PixelLoss:
    weights = None
    if settings.loss.class_balancing:
        weights = balancing_weights([data.pixel_counts.get(value, 0) for value in data.channels.values])
    return PixelLoss(settings.loss, weights)


def _say_what(job: PixelFit, reporter: Reporter) -> None:
    channels = job.data.channels
    say_what(job, f"{len(channels)} classes: {', '.join(channels.names)}.", reporter)
    missing = [entry.name for entry in channels.classes if not job.data.pixel_counts.get(entry.value)]
    if missing:
        reporter.warning(f"No label shows {', '.join(missing)}: the model cannot learn it.")


def _measured(job: PixelFit, trained: Trained, reporter: Reporter) -> TrainedModel:
    """The network on the validation chips."""
    network, data, given, device = job.network, job.data, job.valid_input, job.device
    batches = job.valid_batches(trained.batch_size)
    evaluation = evaluate(network, job.loss, batches, given, device, reporter, REPORT)
    picked = random_samples(job.valid, _SAMPLES, job.settings.seed)
    worst = worst_samples(job.valid, evaluation.accuracies, _WORST) if len(job.valid) > _SAMPLES else []
    return TrainedModel(
        **vars(trained),
        evaluation=evaluation,
        samples=take_samples(network, data, picked, given, device),
        worst=take_samples(network, data, worst, given, device),
    )
