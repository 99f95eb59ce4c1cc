"""Runs Lightning: from a network and chips to checkpoints, through interruptions."""

from __future__ import annotations

import logging
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger
from torch import nn

from ..errors import OutOfMemoryError
from ..events import Reporter
from .augmentation import BatchInput
from .batches import ChipBatches, ChipSource
from .cost import NetworkCost
from .devices import Device
from .history import EpochHistory, Row
from .optimisation import Optimisation
from .progress import TrainingProgress
from .resume import WorkFolder
from .settings import MONITORS, TrainingSettings
from .starting_point import StartingPoint
from .stopping import StopWhenSettled
from .training_task import TrainingTask

#: Gradients longer than this are shortened: one odd batch must not undo many good ones.
GRADIENT_CLIP = 1.0

#: Chips a validation batch has for each chip of a training batch: no gradients, less memory.
VALIDATION_FACTOR = 2


@dataclass
class Fit(ABC):
    """Everything one training needs. Subclass it for a kind of network.

    Attributes:
        settings: As asked.
        data: The chips.
        train: Indices of the chips to learn from.
        valid: Indices of the chips to validate with.
        start: The network, with its starting weights.
        train_input: Makes network input for training.
        valid_input: Makes network input for validation.
        device: Where.
        work: Where checkpoints go.
    """

    #: The measure whose best epoch is kept, by its name in the log.
    best_measure: ClassVar[str] = "valid_accuracy"

    settings: TrainingSettings
    data: ChipSource
    train: np.ndarray
    valid: np.ndarray
    start: StartingPoint
    train_input: BatchInput
    valid_input: BatchInput
    device: Device
    work: WorkFolder

    @abstractmethod
    def task(self, plan: Optimisation) -> TrainingTask:
        """The Lightning task."""

    @property
    def network(self) -> nn.Module:
        """What is trained."""
        return self.start.network

    @property
    def costly_part(self) -> nn.Module:
        """What of the network is measured to find out what a chip costs."""
        return self.network

    @abstractmethod
    def find_rate(
        self, cost: NetworkCost, batch_size: int, reporter: Reporter, span: tuple[float, float]
    ) -> float:
        """The learning rate to train with, where none was given."""

    def train_batches(self, batch_size: int, epoch: Callable[[], int]) -> ChipBatches:
        """Training chips, in an order of its own each epoch."""
        return ChipBatches(self.data, self.train, batch_size, self.settings.seed, epoch, drop_last=True)

    def valid_batches(self, batch_size: int) -> ChipBatches:
        """Validation chips, always in the same order."""
        return ChipBatches(self.data, self.valid, VALIDATION_FACTOR * batch_size)


def fit(job: Fit, reporter: Reporter, span: tuple[float, float]) -> list[Row]:
    """Train, or go on training, until the last epoch or until nothing improves.

    Where the device's memory is too small the batch is halved and training starts anew.

    Args:
        job: What to train; its work folder holds the batch size and the learning rate.
        reporter: Hears of progress.
        span: Part of the whole run this is.

    Returns:
        The record of all epochs.

    Raises:
        OutOfMemoryError: Where not even the smallest batch fits.
        TrainingError: Where the loss is not a number any more.
    """
    start = {name: tensor.detach().cpu().clone() for name, tensor in job.network.state_dict().items()}
    while True:
        batch_size = int(job.work.state["batch_size"])
        try:
            return _fit_once(job, batch_size, reporter, span)
        except (torch.OutOfMemoryError, MemoryError) as error:
            if batch_size <= 2:
                raise OutOfMemoryError(
                    f"{job.device.description} has too little memory for two chips of "
                    f"{job.data.shape[2]} x {job.data.shape[1]} pixels.",
                    "Set a smaller CHIP_SIZE, choose a smaller BACKBONE_MODEL, or train on the CPU.",
                ) from error
        # Outside the handler: the exception no longer holds on to the tensors.
        reporter.warning(
            f"Batches of {batch_size} chips do not fit in memory: going on with {batch_size // 2}."
        )
        job.work.forget_epochs()
        job.work.save(batch_size=batch_size // 2)
        job.network.load_state_dict(start)
        if not job.device.is_cpu:
            torch.cuda.empty_cache()


def _fit_once(job: Fit, batch_size: int, reporter: Reporter, span: tuple[float, float]) -> list[Row]:
    settings = job.settings
    with quiet_lightning():
        clock = _Clock()
        batches = job.train_batches(batch_size, lambda: clock.trainer.current_epoch)
        plain_epoch = job.train_input.plain_from
        plan = Optimisation(
            learning_rate=float(job.work.state["learning_rate"]),
            weight_decay=settings.loss.weight_decay,
            steps=len(batches) * settings.max_epochs,
            plain_from=None if plain_epoch is None else len(batches) * plain_epoch,
        )
        task = job.task(plan)
        history = EpochHistory(job.data.class_names, task.shown, reporter)
        trainer = clock.trainer = _trainer(job, [TrainingProgress(reporter, span), history, *_callbacks(job)])
        last = job.work.last_checkpoint
        trainer.fit(
            task,
            batches,
            job.valid_batches(batch_size),
            ckpt_path=str(last) if last else None,
            weights_only=True,
        )
    return history.rows


class _Clock:
    """Tells the epoch to batches that are made before the trainer."""

    trainer: Trainer


def _callbacks(job: Fit) -> list[Callback]:
    """Keep the best and the last state; stop when the monitored quantity no longer improves."""
    callbacks: list[Callback] = [
        ModelCheckpoint(
            dirpath=job.work.checkpoints,
            filename="best",
            monitor=job.best_measure,
            mode="max",
            save_last=True,
            enable_version_counter=False,
            save_on_train_epoch_end=True,
        )
    ]
    if job.settings.stop_early:
        name, less_is_better = MONITORS[job.settings.monitor]
        callbacks.append(
            StopWhenSettled(
                name,
                patience=job.settings.loss.patience,
                mode="min" if less_is_better else "max",
                check_on_train_epoch_end=True,
                check_finite=False,  # the progress callback says what to do about it
            )
        )
    return callbacks


def _trainer(job: Fit, callbacks: list[Callback]) -> Trainer:
    device = job.device
    if not device.is_cpu:
        torch.backends.cudnn.deterministic = True  # the same seed gives the same model
    return Trainer(
        accelerator="cpu" if device.is_cpu else "gpu",
        devices=1 if device.is_cpu else [device.torch.index],
        precision=device.precision,
        max_epochs=job.settings.max_epochs,
        callbacks=callbacks,
        logger=CSVLogger(str(job.work.path), name="log", version=""),
        default_root_dir=str(job.work.path),
        gradient_clip_val=GRADIENT_CLIP,
        benchmark=False,
        num_sanity_val_steps=0,
        enable_progress_bar=False,
        enable_model_summary=False,
        log_every_n_steps=1_000_000,  # the history writes the log, once an epoch
        use_distributed_sampler=False,
    )


@contextmanager
def quiet_lightning() -> Iterator[None]:
    """Keep Lightning's hints (number of loader workers, other loggers) from the user."""
    logger = logging.getLogger("lightning.pytorch")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
