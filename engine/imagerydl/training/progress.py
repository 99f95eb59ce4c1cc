"""What the user sees and can stop while Lightning trains."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from ..errors import TrainingError
from ..events import Reporter

#: Steps between two looks at the loss on an accelerator: each look waits for the device.
_LOOK_EVERY = 20


class TrainingProgress(Callback):
    """Reports every batch, honours the wish to cancel, and ends a run whose loss is not a number.

    Args:
        reporter: Hears of it.
        span: Part of the whole run that training is.
    """

    def __init__(self, reporter: Reporter, span: tuple[float, float] = (0.0, 1.0)) -> None:
        self._reporter, self._span = reporter, span
        self._done = self._total = self._first_epoch = 0
        self._train_loss = self._valid_loss = math.nan

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Count what is left to do: a resumed run starts later."""
        self._first_epoch = trainer.current_epoch
        per_epoch = trainer.num_training_batches + sum(trainer.num_val_batches)
        epochs = trainer.max_epochs - self._first_epoch
        self._done, self._total = 0, epochs * per_epoch

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Stop here if the user asked to."""
        self._reporter.check_cancelled()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Report a training batch."""
        loss = outputs["loss"] if isinstance(outputs, Mapping) else outputs
        if loss.device.type == "cpu" or batch_idx % _LOOK_EVERY == 0:
            self._train_loss = self._finite(loss, trainer)
        self._step(trainer)

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Report a validation batch."""
        self._step(trainer)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Look at the epoch's losses, whatever the device."""
        for name in ("train_loss", "valid_loss"):
            self._valid_loss = self._finite(pl_module.measures[name], trainer)

    def _step(self, trainer: Trainer) -> None:
        self._done += 1
        note = f"epoch {trainer.current_epoch + 1} of {trainer.max_epochs}, loss {self._train_loss:.3f}"
        if not math.isnan(self._valid_loss):
            note += f", validation loss {self._valid_loss:.3f}"
        self._reporter.progress("Training", self._done, self._total, "batches", note, self._span)

    def _finite(self, loss: float | Tensor, trainer: Trainer) -> float:
        value = float(loss)
        if not math.isfinite(value):
            rate = trainer.optimizers[0].param_groups[0]["lr"]
            raise TrainingError(
                f"The loss is not a number any more in epoch {trainer.current_epoch + 1} (learning rate "
                f"{rate:.2g}).",
                "Give a smaller LEARNING_RATE, for example a tenth; if that does not help, look for NaN or "
                "extreme values in the chips.",
            )
        return value
