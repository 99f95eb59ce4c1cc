"""When to stop a training that no longer improves."""

from __future__ import annotations

from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import EarlyStopping

#: Share of the epochs that early stopping does not judge. A one-cycle schedule keeps the learning
#: rate high there: measures jump up and down, and the improvement comes as the rate falls.
UNSETTLED = 0.5


class StopWhenSettled(EarlyStopping):
    """Stops after ``patience`` epochs without improvement, once the learning rate is falling."""

    def _run_early_stopping_check(self, trainer: Trainer) -> None:
        if trainer.current_epoch + 1 > UNSETTLED * (trainer.max_epochs or 0):
            super()._run_early_stopping_check(trainer)
