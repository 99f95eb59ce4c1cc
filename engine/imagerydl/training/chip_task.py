"""The Lightning task of a classifier of chips: loss, steps and epoch measures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Optional

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from .augmentation import BatchInput
from .losses import FOCAL_GAMMA
from .metrics import mean_of
from .mixing import draw_mix, mix
from .settings import LossSettings
from .training_task import TrainingTask

#: Probability from which on a chip is of a class, where it may be of several.
LIKELY = 0.5

#: Weight of the loss beside the accuracy where epochs are compared: few validation chips are soon all
#: right, and the network goes on to become surer.
_TIE = 1e-3


class ChipInput(BatchInput):
    """Raw batches in, network input and labels out; labels stay as they are."""

    def __call__(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Make network input ``[n, bands, h', w']`` of raw pixels ``[n, bands, h, w]``."""
        blank = torch.zeros((len(images), *images.shape[2:]), dtype=torch.uint8, device=images.device)
        return super().__call__(images, blank)[0], labels


class ChipLoss(nn.Module):
    """Cross entropy of one class a chip, or of each class by itself.

    Args:
        settings: Which terms.
        multi_label: Whether a chip may be of several classes.
        class_weights: Weight of each class.
    """

    def __init__(
        self, settings: LossSettings, multi_label: bool, class_weights: Optional[Tensor] = None
    ) -> None:
        super().__init__()
        self.settings, self.multi_label = settings, multi_label
        self.register_buffer("class_weights", class_weights)

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Compare logits ``[n, classes]`` with labels; see :meth:`.chip_data.ChipData.take`."""
        logits = logits.float()
        if self.multi_label:
            surprise = functional.binary_cross_entropy_with_logits(logits, labels, reduction="none")
            weights = torch.ones_like(surprise)
            if self.class_weights is not None:
                weights = torch.where(labels > 0, self.class_weights.expand_as(labels), weights)
        else:
            surprise = functional.cross_entropy(logits, labels, reduction="none")
            weights = torch.ones_like(surprise)
            if self.class_weights is not None:
                weights = self.class_weights[labels]
        if self.settings.focal_loss:
            surprise = (1 - torch.exp(-surprise)) ** FOCAL_GAMMA * surprise
        return (surprise * weights).sum() / weights.sum().clamp(min=1e-6)


@dataclass(frozen=True)
class ChipScores:
    """What a classifier achieves.

    Attributes:
        confusion: Chips ``[classes, classes]``, rows truth, columns predicted; None for several labels.
        right: Chips of each class that are found to be of it.
        true: Chips of each class.
        predicted: Chips that are said to be of each class.
        accuracy: Share of the chips (with several labels: of all answers yes or no) that are right.
    """

    confusion: Optional[np.ndarray]
    right: np.ndarray
    true: np.ndarray
    predicted: np.ndarray
    accuracy: float

    @classmethod
    def of(cls, probabilities: np.ndarray, labels: np.ndarray) -> ChipScores:
        """Compare probabilities ``[n, classes]`` with labels."""
        classes = probabilities.shape[1]
        if labels.ndim == 2:
            said, true = probabilities >= LIKELY, labels > 0
            right = (said & true).sum(axis=0)
            return cls(None, right, true.sum(axis=0), said.sum(axis=0), float((said == true).mean()))
        said = probabilities.argmax(axis=1)
        confusion = np.bincount(labels * classes + said, minlength=classes**2).reshape(classes, classes)
        accuracy = float((said == labels).mean())
        return cls(confusion, np.diag(confusion), confusion.sum(axis=1), confusion.sum(axis=0), accuracy)

    @property
    def precision(self) -> np.ndarray:
        """Of each class; NaN where no chip is said to be of it."""
        return _ratio(self.right, self.predicted)

    @property
    def recall(self) -> np.ndarray:
        """Of each class; NaN where there is none."""
        return _ratio(self.right, self.true)

    @property
    def f1(self) -> np.ndarray:
        """Of each class."""
        return _ratio(2 * self.right, self.true + self.predicted)


class ChipTask(TrainingTask):
    """Trains a network that gives one logit per class and chip.

    Args:
        network: Takes ``[n, bands, h, w]``, gives ``[n, classes]``.
        loss: Of a batch.
        arguments: As :class:`.training_task.TrainingTask` takes them, after the network.
        options: Likewise.
    """

    shown = ("train_loss", "valid_loss", "valid_accuracy", "valid_f1")

    def __init__(self, network: nn.Module, loss: ChipLoss, *arguments: Any, **options: Any) -> None:
        super().__init__(network, *arguments, **options)
        self.loss = loss
        #: Of the epoch that ended last.
        self.scores: Optional[ChipScores] = None
        self._given: list[tuple[np.ndarray, np.ndarray]] = []

    def training_step(self, batch: tuple[Tensor, Tensor], index: int) -> Tensor:
        """One batch: the loss to descend."""
        inputs, labels = self.train_input(*batch)
        if self.loss.settings.mixup:
            share, partner = draw_mix(len(labels), labels.device)
            logits = self.network(mix(inputs, share, partner))
            loss = torch.lerp(self.loss(logits, labels[partner]), self.loss(logits, labels), share)
        else:
            loss = self.loss(self.network(inputs), labels)
        self.train_tally.add(len(labels), loss=loss.detach() * len(labels))
        return loss

    def on_validation_epoch_start(self) -> None:
        """Begin to count."""
        super().on_validation_epoch_start()
        self._given = []

    def validation_step(self, batch: tuple[Tensor, Tensor], index: int) -> None:
        """One batch, measured."""
        inputs, labels = self.valid_input(*batch)
        logits = self.network(inputs)
        self.tally.add(len(labels), loss=self.loss(logits, labels) * len(labels))
        self._given.append((probabilities(logits, self.loss.multi_label), labels.cpu().numpy()))

    def on_validation_epoch_end(self) -> None:
        """Hand the epoch's measures to those who decide on them: ModelCheckpoint, EarlyStopping."""
        given, labels = (np.concatenate(parts) for parts in zip(*self._given))
        self.scores = scores = ChipScores.of(given, labels)
        loss = float(self.tally.sums["loss"] / self.tally.chips)
        self.measures = {
            "train_loss": float(self.train_tally.sums["loss"] / self.train_tally.chips),
            "valid_loss": loss,
            "valid_accuracy": scores.accuracy,
            "valid_merit": scores.accuracy - _TIE * min(loss, 10.0),
            "valid_precision": mean_of(scores.precision),
            "valid_recall": mean_of(scores.recall),
            "valid_f1": mean_of(scores.f1),
        }
        self.log_dict(self.measures, logger=False, batch_size=self.tally.chips)

    def class_measures(self, names: Sequence[str]) -> dict[str, float]:
        """F1 of each class, by its name in the log."""
        return {f"f1_{name}": float(value) for name, value in zip(names, self.scores.f1)}


def probabilities(logits: Tensor, multi_label: bool) -> np.ndarray:
    """Of each class, ``[n, classes]``."""
    logits = logits.float()
    return (logits.sigmoid() if multi_label else logits.softmax(dim=1)).cpu().numpy()


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    part, whole = np.asarray(part, np.float64), np.asarray(whole, np.float64)
    return np.divide(part, whole, out=np.full(whole.shape, np.nan), where=whole > 0)
