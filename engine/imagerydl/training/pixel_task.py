"""The Lightning task of pixel classification: steps and epoch measures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Optional

import torch
from torch import Tensor, nn

from .channels import IGNORED
from .losses import PixelLoss
from .metrics import PixelScores, count_confusion, mean_of
from .mixing import draw_mix, mix
from .optimisation import PLAIN_RATE, OneCycle, Optimisation
from .training_task import TrainingTask

__all__ = ["PLAIN_RATE", "OneCycle", "Optimisation", "PixelTask"]


class PixelTask(TrainingTask):
    """Trains a network that gives one logit per class and pixel.

    Args:
        network: Takes ``[n, bands, h, w]``, gives ``[n, channels, h, w]``; has ``encoder``.
        loss: Loss and soft Jaccard index of a batch.
        arguments: As :class:`.training_task.TrainingTask` takes them, after the network.
        options: Likewise.
    """

    shown = ("train_loss", "valid_loss", "valid_accuracy", "valid_jaccard", "valid_miou")

    def __init__(self, network: nn.Module, loss: PixelLoss, *arguments: Any, **options: Any) -> None:
        super().__init__(network, *arguments, **options)
        self.loss = loss
        #: Validation confusion of the epoch that ended last.
        self.scores: Optional[PixelScores] = None

    def training_step(self, batch: tuple[Tensor, Tensor], index: int) -> Tensor:
        """One batch: the loss to descend."""
        inputs, target = self.train_input(*batch)
        if self.loss.settings.mixup:
            share, partner = draw_mix(len(target), target.device)
            logits = self.network(mix(inputs, share, partner))
            loss, jaccard = self.loss(logits, target)
            loss = torch.lerp(self.loss(logits, target[partner])[0], loss, share)
        else:
            logits = self.network(inputs)
            loss, jaccard = self.loss(logits, target)
        with torch.no_grad():
            right = (logits.argmax(dim=1) == target).sum()
            counted = (target != IGNORED).sum()
        chips = len(target)
        self.train_tally.add(
            chips, loss=loss.detach() * chips, jaccard=jaccard * chips, right=right, counted=counted
        )
        return loss

    def validation_step(self, batch: tuple[Tensor, Tensor], index: int) -> None:
        """One batch, measured."""
        inputs, target = self.valid_input(*batch)
        logits = self.network(inputs)
        loss, jaccard = self.loss(logits, target)
        chips = len(target)
        self.tally.add(
            chips, loss=loss * chips, jaccard=jaccard * chips, confusion=count_confusion(logits, target)
        )

    def on_validation_epoch_end(self) -> None:
        """Hand the epoch's measures to those who decide on them: ModelCheckpoint, EarlyStopping."""
        self.scores = PixelScores(self.tally.sums["confusion"].cpu().numpy())
        self.measures = self.measure(self.scores)
        self.log_dict(self.measures, logger=False, batch_size=self.tally.chips)

    def class_measures(self, names: Sequence[str]) -> dict[str, float]:
        """The measure of each class, by its name in the log."""
        return {f"iou_{name}": float(value) for name, value in zip(names, self.scores.iou)}

    def measure(self, scores: PixelScores) -> dict[str, float]:
        """The measures of the epoch's training and validation batches, by their name in the log."""
        train, valid = self.train_tally, self.tally
        return {
            "train_loss": float(train.sums["loss"] / train.chips),
            "train_accuracy": float(train.sums["right"] / train.sums["counted"].clamp(min=1)),
            "train_jaccard": float(train.sums["jaccard"] / train.chips),
            "valid_loss": float(valid.sums["loss"] / valid.chips),
            "valid_accuracy": scores.accuracy,
            "valid_jaccard": float(valid.sums["jaccard"] / valid.chips),
            "valid_miou": scores.mean_iou,
            "valid_precision": mean_of(scores.precision),
            "valid_recall": mean_of(scores.recall),
            "valid_f1": mean_of(scores.f1),
        }
