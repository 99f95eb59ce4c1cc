"""A whole training run: chips in, model folder out."""

from __future__ import annotations

from typing import Any, Optional

import torch

from ..errors import TrainingError
from ..events import Reporter
from ..models.architectures.backbones import forbid_downloads
from ..outputs import ensure_free, explained, staged
from .augmentation import BatchInput
from .augmentation_settings import (
    TRANSFORMS_FILE,
    AugmentationSettings,
    default_augmentation,
    read_transforms,
)
from .chips import ChipCollection, collect_chips
from .cost import choose_batch_size, measure_cost
from .dataset import TrainingData, load_chips, split
from .devices import choose_device
from .evaluation import evaluate, random_samples, take_samples, worst_samples
from .fitting import Fit, fit
from .history import Row
from .learning_rate import find_learning_rate, plan_sweep
from .losses import PixelLoss, balancing_weights
from .memory import available_memory, keep_freed_memory
from .resume import WorkFolder, fingerprint
from .saving import TrainedModel, write_model
from .settings import TrainingSettings
from .starting_point import StartingPoint, prepare_network

#: Share of the free memory that chips may fill.
_CHIP_MEMORY = 0.4

#: Parts of the run, as shares of the progress bar.
_READING, _SWEEP, _TRAINING, _REPORT = (0.0, 0.03), (0.03, 0.06), (0.06, 0.97), (0.97, 1.0)

#: Share of the epochs, the last ones, in which chips come as they are by default: the network settles
#: on what imagery really looks like.
_PLAIN_SHARE = 0.15

#: Chips on the sheets of the report: ten as in the article, four of the least successful.
_SAMPLES, _WORST = 10, 4


def train(settings: TrainingSettings, reporter: Reporter) -> dict[str, Any]:
    """Train as asked; what is written appears under its final name only when it is complete.

    An interrupted run leaves its checkpoints beside the output; the next run with the same settings
    goes on from them, another one starts anew.

    Returns:
        The tool's results by key.
    """
    ensure_free(settings.out_folder, settings.overwrite)
    forbid_downloads()
    device = choose_device(settings.device)
    reporter.message(f"Training on {device.description}.")
    if device.is_cpu:
        keep_freed_memory()
    collection = collect_chips(settings.folders)
    augmentation, validation = _augmentation(settings, collection, reporter)
    budget = int(available_memory() * _CHIP_MEMORY)
    data = load_chips(collection, settings.loss.ignore_classes, budget, reporter, _READING)
    chips, kept = split(len(data), settings.validation_fraction, settings.seed)
    start = prepare_network(settings, data, chips, reporter)
    _say_what(data, len(chips), len(kept), start, reporter)

    start.network.to(device.torch)
    job = Fit(
        settings=settings,
        data=data,
        train=chips,
        valid=kept,
        network=start.network,
        loss=_loss(settings, data).to(device.torch),
        train_input=BatchInput(start.input_range, augmentation, settings.seed, _plain_from(settings)),
        valid_input=BatchInput(start.input_range, validation, settings.seed),
        device=device,
        work=WorkFolder(settings.out_folder),
    )
    with explained(settings.out_folder):
        rows = _train_or_resume(job, reporter)
    model = _best_model(job, start, rows, reporter)
    with staged(settings.out_folder, settings.overwrite) as folder:
        write_model(model, folder, reporter)
    job.work.clear()
    reporter.progress("Writing the model", 1, 1, span=_REPORT)
    return _results(model)


def _augmentation(
    settings: TrainingSettings, collection: ChipCollection, reporter: Reporter
) -> tuple[AugmentationSettings, AugmentationSettings]:
    """How training and validation chips are varied."""
    training, validation = AugmentationSettings(), AugmentationSettings()
    if settings.augmentation == "DEFAULT":
        training = default_augmentation(collection.image_space)
    elif settings.augmentation == "CUSTOM":
        training = settings.custom_augmentation
    elif settings.augmentation == "FILE":
        training, validation = read_transforms(collection.roots[0] / TRANSFORMS_FILE)
    if settings.chip_size and settings.chip_size > min(collection.tile_size):
        width, height = collection.tile_size
        reporter.warning(
            f"CHIP_SIZE {settings.chip_size} is larger than the chips of {width} x {height} pixels, "
            "which are used whole along that side."
        )
    return training.cropped(settings.chip_size), validation


def _plain_from(settings: TrainingSettings) -> Optional[int]:
    """The epoch from which on the default no longer varies chips; None in a short training."""
    if settings.augmentation != "DEFAULT":
        return None
    plain = round(_PLAIN_SHARE * settings.max_epochs)
    return settings.max_epochs - plain if plain else None


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


def _train_or_resume(job: Fit, reporter: Reporter) -> list[Row]:
    work = job.work
    if work.open(fingerprint(job.settings, job.data.pairs)):
        reporter.message(
            "An earlier run of the same training was interrupted: going on after its last finished epoch. "
            f"To start anew, delete {work.path}."
        )
    if "rows" in work.state:  # trained to the end; only the model folder was not written
        return work.state["rows"]
    if "learning_rate" not in work.state:
        _choose_rates(job, reporter)
    try:
        rows = fit(job, reporter, _TRAINING)
    except TrainingError:
        work.clear()  # going on from there would end in the same way
        raise
    work.save(rows=rows)
    return rows


def _choose_rates(job: Fit, reporter: Reporter) -> None:
    """Batch size and learning rate, as asked or chosen; kept for the next run."""
    settings, device = job.settings, job.device
    bands, height, width = job.data.shape
    side = settings.chip_size or max(height, width)
    cost = measure_cost(job.network, (bands, min(height, side), min(width, side)))
    batch_size = min(settings.batch_size or choose_batch_size(cost, len(job.train), device), len(job.train))
    if not settings.batch_size:
        reporter.message(f"Batches of {batch_size} chips.")
    rate = settings.learning_rate
    if rate is None:
        steps, chips = plan_sweep(cost, batch_size, device)
        rate = find_learning_rate(
            job.network, job.loss, job.sweep_batches(chips), job.train_input, device, steps, reporter, _SWEEP
        )
        reporter.message(f"Learning rate {rate:g}, found by a sweep of {steps} steps.")
    job.work.save(batch_size=batch_size, learning_rate=rate)


def _best_model(job: Fit, start: StartingPoint, rows: list[Row], reporter: Reporter) -> TrainedModel:
    """The weights of the epoch with the best validation accuracy, measured once more."""
    best = job.work.best_checkpoint
    state = torch.load(best, map_location=job.device.torch, weights_only=True)["state_dict"]
    prefix = "network."
    job.network.load_state_dict(
        {name[len(prefix) :]: value for name, value in state.items() if name.startswith(prefix)}
    )
    batch_size = int(job.work.state["batch_size"])
    evaluation = evaluate(
        job.network, job.loss, job.valid_batches(batch_size), job.valid_input, job.device, reporter, _REPORT
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
        best=int(max(rows, key=lambda row: row["valid_accuracy"])["epoch"]),
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
