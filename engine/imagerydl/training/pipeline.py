"""A whole training of a pixel classifier: chips in, model folder out."""

from __future__ import annotations

from typing import Any

from ..events import Reporter
from ..models.architectures.backbones import forbid_downloads
from ..models.architectures.registry import traits
from ..outputs import explained, staged
from .augmentation import BatchInput
from .chips import collect_chips
from .dataset import TrainingData, load_chips, split
from .devices import choose_device
from .evaluation import evaluate, random_samples, take_samples, worst_samples
from .fitting import PixelFit
from .history import Row
from .losses import PixelLoss, balancing_weights
from .memory import available_memory, keep_freed_memory
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
from .saving import TrainedModel, write_model
from .settings import TrainingSettings
from .starting_point import StartingPoint, prepare_network

#: Chips on the sheets of the report: ten as in the article, four of the least successful.
_SAMPLES, _WORST = 10, 4


def train(settings: TrainingSettings, reporter: Reporter) -> dict[str, Any]:
    """Train as asked; what is written appears under its final name only when it is complete.

    An interrupted run leaves its checkpoints beside the output; the next run with the same settings
    goes on from them, another one starts anew.

    Returns:
        The tool's results by key.
    """
    forbid_downloads()
    device = choose_device(settings.device)
    reporter.message(f"Training on {device.description}.")
    if device.is_cpu:
        keep_freed_memory()
    collection = collect_chips(settings.folders, two_dates=traits(settings.model_type).takes_two_dates)
    augmentation, validation = choose_augmentation(settings, collection, reporter)
    budget = int(available_memory() * CHIP_MEMORY)
    data = load_chips(collection, settings.loss.ignore_classes, budget, reporter, READING)
    chips, kept = split(len(data), settings.validation_fraction, settings.seed)
    start = prepare_network(settings, data, chips, reporter)
    _say_what(data, len(chips), len(kept), start, reporter)

    start.network.to(device.torch)
    job = PixelFit(
        settings=settings,
        data=data,
        train=chips,
        valid=kept,
        network=start.network,
        loss=_loss(settings, data).to(device.torch),
        train_input=BatchInput(start.input_range, augmentation, settings.seed, plain_from(settings)),
        valid_input=BatchInput(start.input_range, validation, settings.seed),
        device=device,
        work=WorkFolder(settings.out_folder),
    )
    with explained(settings.out_folder):
        rows = train_or_resume(job, reporter)
    model = _best_model(job, start, rows, reporter)
    with staged(settings.out_folder, settings.overwrite) as folder:
        write_model(model, folder, reporter)
    job.work.clear()
    reporter.progress("Writing the model", 1, 1, span=REPORT)
    return _results(model)


def _loss(settings: TrainingSettings, data: TrainingData) -> PixelLoss:
    weights = None
    if settings.loss.class_balancing:
        weights = balancing_weights([data.pixel_counts.get(value, 0) for value in data.channels.values])
    return PixelLoss(settings.loss, weights)


def _say_what(data: TrainingData, train: int, valid: int, start: StartingPoint, reporter: Reporter) -> None:
    parameters = sum(parameter.numel() for parameter in start.network.parameters())
    reporter.message(
        f"{train} chips to train on, {valid} to validate with; {len(data.channels)} classes: "
        f"{', '.join(data.channels.names)}. The network has {parameters:,} parameters."
    )
    missing = [entry.name for entry in data.channels.classes if not data.pixel_counts.get(entry.value)]
    if missing:
        reporter.warning(f"No label shows {', '.join(missing)}: the model cannot learn it.")


def _best_model(job: PixelFit, start: StartingPoint, rows: list[Row], reporter: Reporter) -> TrainedModel:
    """The weights of the epoch with the best validation accuracy, measured once more."""
    load_best(job)
    batch_size = int(job.work.state["batch_size"])
    evaluation = evaluate(
        job.network, job.loss, job.valid_batches(batch_size), job.valid_input, job.device, reporter, REPORT
    )
    picked = random_samples(job.valid, _SAMPLES, job.settings.seed)
    worst = worst_samples(job.valid, evaluation.accuracies, _WORST) if len(job.valid) > _SAMPLES else []
    samples, worst_ones = (
        take_samples(job.network, job.data, chosen, job.valid_input, job.device) for chosen in (picked, worst)
    )
    return TrainedModel(
        settings=job.settings,
        data=job.data,
        start=start,
        evaluation=evaluation,
        rows=rows,
        best=best_epoch(job, rows),
        learning_rate=float(job.work.state["learning_rate"]),
        batch_size=batch_size,
        chips=(len(job.train), len(job.valid)),
        samples=samples,
        worst=worst_ones,
    )


def _results(model: TrainedModel) -> dict[str, Any]:
    folder, name = model.settings.out_folder, model.settings.name
    scores = model.evaluation.scores
    return {
        "OUT_FOLDER": str(folder),
        "OUT_MODEL_DEFINITION": str(folder / f"{name}.emd"),
        "OUT_MODEL_PACKAGE": str(folder / f"{name}.dlpk"),
        "ACCURACY": scores.accuracy,
        "JACCARD": model.evaluation.jaccard,
        "MEAN_IOU": scores.mean_iou,
    }
