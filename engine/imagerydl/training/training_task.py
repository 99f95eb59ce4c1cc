"""What the Lightning tasks of all kinds of networks share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from lightning.pytorch import LightningModule
from torch import nn

from .augmentation import BatchInput
from .optimisation import Optimisation, Tally, optimisers


class TrainingTask(LightningModule):
    """Trains a network epoch by epoch; what an epoch draws depends on the seed and the epoch alone.

    Args:
        network: Has ``encoder``; where that keeps its weights, it keeps its statistics too.
        train_input: Makes network input of raw training batches.
        valid_input: The same for validation.
        optimisation: Optimiser and schedule.
        seed: Of dropout, with the epoch, so that a resumed run draws what an unbroken one draws.
    """

    #: Names of the measures that the user sees after each epoch.
    shown: ClassVar[tuple[str, ...]] = ("train_loss", "valid_loss")

    def __init__(
        self,
        network: nn.Module,
        train_input: BatchInput,
        valid_input: BatchInput,
        optimisation: Optimisation,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.network = network
        self.train_input, self.valid_input = train_input, valid_input
        self.optimisation, self.seed = optimisation, seed
        self._is_frozen = not any(parameter.requires_grad for parameter in network.encoder.parameters())
        #: Measures of the epoch that ended last, by their name in the log.
        self.measures: dict[str, float] = {}
        #: Sums over the epoch's training and validation batches.
        self.train_tally, self.tally = Tally(), Tally()

    def train(self, mode: bool = True) -> TrainingTask:
        """Lightning's switch to training; a frozen encoder keeps its statistics too."""
        super().train(mode)
        if self._is_frozen and mode:
            self.network.encoder.eval()
        return self

    def on_train_epoch_start(self) -> None:
        """Draw this epoch's randomness from the seed and the epoch alone."""
        self.train()  # Lightning leaves the modes as it finds them
        torch.manual_seed(self.seed * 1_000_003 + self.current_epoch)
        self.train_input.restart(self.current_epoch)
        self.train_tally, self.measures = Tally(), {}

    def on_validation_epoch_start(self) -> None:
        """Validation varies its chips, if at all, the same way every time."""
        self.valid_input.restart(0)
        self.tally = Tally()

    def class_measures(self, names: Sequence[str]) -> dict[str, float]:
        """The measure of each class, by its name in the log."""
        raise NotImplementedError

    def configure_optimizers(self) -> dict[str, Any]:
        """AdamW with the learning rate of one cycle, step by step."""
        return optimisers(self, self.optimisation, self.slow_parameters())

    def slow_parameters(self) -> Mapping[nn.Parameter, float]:
        """Parameters that learn at a share of the learning rate, and that share."""
        return {}
