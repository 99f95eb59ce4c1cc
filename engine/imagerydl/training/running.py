"""What a whole training is made of, whatever kind of network it trains."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Optional, TypeVar

import torch

from ..errors import TrainingError
from ..events import Reporter
from ..models.architectures.backbones import forbid_downloads
from ..outputs import explained, staged
from .augmentation_settings import (
    TRANSFORMS_FILE,
    AugmentationSettings,
    default_augmentation,
    read_transforms,
)
from .chips import ChipCollection
from .cost import choose_batch_size, measure_cost
from .devices import Device, choose_device
from .fitting import Fit, fit
from .history import Row
from .memory import available_memory, keep_freed_memory
from .resume import WorkFolder, fingerprint
from .saving import Trained
from .settings import TrainingSettings

#: Share of the free memory that chips may fill.
_CHIP_MEMORY = 0.4

#: Parts of the run, as shares of the progress bar.
READING, SWEEP, TRAINING, REPORT = (0.0, 0.03), (0.03, 0.06), (0.06, 0.97), (0.97, 1.0)

#: Share of the epochs, the last ones, in which chips come as they are by default: the network settles
#: on what imagery really looks like.
PLAIN_SHARE = 0.15


Model = TypeVar("Model", bound=Trained)


def begin(settings: TrainingSettings, reporter: Reporter) -> Device:
    """The device to train on, ready for it."""
    forbid_downloads()
    device = choose_device(settings.device)
    reporter.message(f"Training on {device.description}.")
    if device.is_cpu:
        keep_freed_memory()
    return device


def chip_memory() -> int:
    """Bytes that chips may fill."""
    return int(available_memory() * _CHIP_MEMORY)


def choose_augmentation(
    settings: TrainingSettings,
    collection: ChipCollection,
    reporter: Reporter,
    default: Callable[[str], AugmentationSettings] = default_augmentation,
) -> tuple[AugmentationSettings, AugmentationSettings]:
    """How training and validation chips are varied.

    Args:
        settings: As asked.
        collection: The chips.
        reporter: Hears what cannot be done.
        default: What AUGMENTATION=DEFAULT does, by the reference system of the chips.
    """
    training, validation = AugmentationSettings(), AugmentationSettings()
    if settings.augmentation == "DEFAULT":
        training = default(collection.image_space)
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


def plain_from(settings: TrainingSettings) -> Optional[int]:
    """The epoch from which on the default no longer varies chips; None in a short training."""
    if settings.augmentation != "DEFAULT":
        return None
    plain = round(PLAIN_SHARE * settings.max_epochs)
    return settings.max_epochs - plain if plain else None


def say_what(job: Fit, shown: str, reporter: Reporter) -> None:
    """Tell what is trained.

    Args:
        job: What to train.
        shown: What the chips show, as an end of a sentence.
        reporter: Hears it.
    """
    parameters = sum(parameter.numel() for parameter in job.network.parameters())
    reporter.message(
        f"{len(job.train)} chips to train on, {len(job.valid)} to validate with; {shown} The network has "
        f"{parameters:,} parameters."
    )


def train_or_resume(job: Fit, reporter: Reporter) -> Trained:
    """Train, or go on where an interrupted run of the same training stopped.

    Returns:
        What came out; the network has the weights of its best epoch.
    """
    job.network.to(job.device.torch)
    with explained(job.settings.out_folder):
        rows = _rows(job, reporter)
    _load_best(job)
    return Trained(
        settings=job.settings,
        data=job.data,
        start=job.start,
        rows=rows,
        best=int(max(rows, key=lambda row: row[job.best_measure])["epoch"]),
        learning_rate=float(job.work.state["learning_rate"]),
        batch_size=int(job.work.state["batch_size"]),
        chips=(len(job.train), len(job.valid)),
    )


def _rows(job: Fit, reporter: Reporter) -> list[Row]:
    """The record of the epochs."""
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
        rows = fit(job, reporter, TRAINING)
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
    cost = measure_cost(job.costly_part, (bands, min(height, side), min(width, side)))
    batch_size = min(settings.batch_size or choose_batch_size(cost, len(job.train), device), len(job.train))
    if not settings.batch_size:
        reporter.message(f"Batches of {batch_size} chips.")
    rate = settings.learning_rate
    if rate is None:
        rate = job.find_rate(cost, batch_size, reporter, SWEEP)
    job.work.save(batch_size=batch_size, learning_rate=rate)


def _load_best(job: Fit) -> None:
    """Give the network the weights of its best epoch."""
    best = job.work.best_checkpoint
    state = torch.load(best, map_location=job.device.torch, weights_only=True)["state_dict"]
    prefix = "network."
    job.network.load_state_dict(
        {name[len(prefix) :]: value for name, value in state.items() if name.startswith(prefix)}
    )


def publish(
    model: Model, write: Callable[[Model, Path, Reporter], None], work: WorkFolder, reporter: Reporter
) -> dict[str, Any]:
    """Write the model folder, which appears when it is complete; nothing is left to go on from.

    Args:
        model: What was trained.
        write: Writes it into a folder that it makes.
        work: Where the checkpoints are.
        reporter: Hears of progress.

    Returns:
        What was written, by the keys of the tool's results.
    """
    folder, name = model.settings.out_folder, model.settings.name
    with staged(folder, model.settings.overwrite) as staging:
        write(model, staging, reporter)
    work.clear()
    reporter.progress("Writing the model", 1, 1, span=REPORT)
    return {
        "OUT_FOLDER": str(folder),
        "OUT_MODEL_DEFINITION": str(folder / f"{name}.emd"),
        "OUT_MODEL_PACKAGE": str(folder / f"{name}.dlpk"),
    }
