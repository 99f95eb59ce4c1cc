"""The Lightning task of pixel classification: steps, epoch measures, optimiser and schedule."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Optional

import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn

from .augmentation import BatchInput
from .channels import IGNORED
from .losses import PixelLoss
from .metrics import PixelScores, count_confusion, mean_of

#: Share of the steps in which the learning rate rises; it falls in the rest.
WARM_UP = 0.15

#: Part of the peak at which the learning rate starts anew when chips are no longer varied.
PLAIN_RATE = 0.2


@dataclass(frozen=True)
class Optimisation:
    """AdamW under a one-cycle schedule.

    Attributes:
        learning_rate: Peak.
        weight_decay: Of AdamW.
        steps: Of the whole training.
        plain_from: Step from which on chips are no longer varied; None: they are to the end.
    """

    learning_rate: float
    weight_decay: float
    steps: int
    plain_from: Optional[int] = None


class OneCycle(torch.optim.lr_scheduler.OneCycleLR):
    """A learning rate that rises, then falls along a cosine; where chips are no longer varied, anew.

    There the cosine has come down so far that the network could not follow the change: the rate
    goes from a part of the peak in a straight line to 0.

    Args:
        optimiser: Whose rate follows it.
        plan: Rate and steps.
    """

    def __init__(self, optimiser: torch.optim.Optimizer, plan: Optimisation) -> None:
        self._plan = plan
        # One step more than there are: the scheduler moves on after the last one, too.
        super().__init__(optimiser, max_lr=plan.learning_rate, total_steps=plan.steps + 1, pct_start=WARM_UP)

    def get_lr(self) -> list[float]:
        """The rate of each parameter group at the step to come."""
        plan, step = self._plan, self.last_epoch
        if plan.plain_from is None or step < plan.plain_from:
            return super().get_lr()
        left = (plan.steps - step) / (plan.steps - plan.plain_from)
        return [PLAIN_RATE * plan.learning_rate * max(left, 0.0)] * len(self.optimizer.param_groups)

    def state_dict(self) -> dict[str, Any]:
        """Where it stands; the plan is made anew."""
        return {name: value for name, value in super().state_dict().items() if name != "_plan"}


@dataclass
class _Tally:
    """Sums over an epoch, kept on the device: reading them costs a wait, once an epoch."""

    chips: int = 0
    sums: dict[str, Tensor] = field(default_factory=dict)

    def add(self, chips: int, **values: Tensor) -> None:
        self.chips += chips
        for name, value in values.items():
            self.sums[name] = self.sums[name] + value if name in self.sums else value.clone()


class PixelTask(LightningModule):
    """Trains a network that gives one logit per class and pixel.

    Args:
        network: Takes ``[n, bands, h, w]``, gives ``[n, channels, h, w]``; has ``encoder``.
        loss: Loss and soft Jaccard index of a batch.
        train_input: Makes network input of raw training batches.
        valid_input: The same for validation.
        optimisation: Optimiser and schedule.
        seed: Of dropout, with the epoch, so that a resumed run draws what an unbroken one draws.
        freeze: Whether the encoder keeps its weights.
    """

    def __init__(
        self,
        network: nn.Module,
        loss: PixelLoss,
        train_input: BatchInput,
        valid_input: BatchInput,
        optimisation: Optimisation,
        seed: int = 0,
        freeze: bool = False,
    ) -> None:
        super().__init__()
        self.network, self.loss = network, loss
        self.train_input, self.valid_input = train_input, valid_input
        self.optimisation, self.seed, self.freeze_encoder = optimisation, seed, freeze
        #: Measures of the epoch that ended last, by their name in the log.
        self.measures: dict[str, float] = {}
        #: Validation confusion of the epoch that ended last.
        self.scores: Optional[PixelScores] = None
        self._train_tally, self._tally = _Tally(), _Tally()

    def train(self, mode: bool = True) -> PixelTask:
        """Lightning's switch to training; a frozen encoder keeps its statistics too."""
        super().train(mode)
        if self.freeze_encoder:
            self.network.encoder.eval()
        return self

    def on_train_epoch_start(self) -> None:
        """Draw this epoch's randomness from the seed and the epoch alone."""
        torch.manual_seed(self.seed * 1_000_003 + self.current_epoch)
        self.train_input.restart(self.current_epoch)
        self._train_tally, self.measures = _Tally(), {}

    def training_step(self, batch: tuple[Tensor, Tensor], index: int) -> Tensor:
        """One batch: the loss to descend."""
        inputs, target = self.train_input(*batch)
        logits = self.network(inputs)
        loss, jaccard = self.loss(logits, target)
        with torch.no_grad():
            right = (logits.argmax(dim=1) == target).sum()
            counted = (target != IGNORED).sum()
        chips = len(target)
        self._train_tally.add(
            chips, loss=loss.detach() * chips, jaccard=jaccard * chips, right=right, counted=counted
        )
        return loss

    def on_validation_epoch_start(self) -> None:
        """Validation varies its chips, if at all, the same way every time."""
        self.valid_input.restart(0)
        self._tally = _Tally()

    def validation_step(self, batch: tuple[Tensor, Tensor], index: int) -> None:
        """One batch, measured."""
        inputs, target = self.valid_input(*batch)
        logits = self.network(inputs)
        loss, jaccard = self.loss(logits, target)
        chips = len(target)
        self._tally.add(
            chips, loss=loss * chips, jaccard=jaccard * chips, confusion=count_confusion(logits, target)
        )

    def on_validation_epoch_end(self) -> None:
        """Hand the epoch's measures to those who decide on them: ModelCheckpoint, EarlyStopping."""
        self.scores = PixelScores(self._tally.sums["confusion"].cpu().numpy())
        self.measures = self.measure(self.scores)
        self.log_dict(self.measures, logger=False, batch_size=self._tally.chips)

    def measure(self, scores: PixelScores) -> dict[str, float]:
        """The measures of the epoch's training and validation batches, by their name in the log."""
        train, valid = self._train_tally, self._tally
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

    def configure_optimizers(self) -> dict[str, Any]:
        """AdamW with the learning rate of :class:`OneCycle`, step by step."""
        plan = self.optimisation
        trained = [parameter for parameter in self.network.parameters() if parameter.requires_grad]
        optimiser = torch.optim.AdamW(trained, lr=plan.learning_rate, weight_decay=plan.weight_decay)
        schedule = {"scheduler": OneCycle(optimiser, plan), "interval": "step"}
        return {"optimizer": optimiser, "lr_scheduler": schedule}
