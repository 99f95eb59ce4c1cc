"""Optimiser, schedule and sums that the tasks of all kinds of networks share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Optional

import torch
from torch import Tensor, nn

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
        optimiser: Whose rates follow it, each up to the one it is given with.
        plan: Rate and steps.
    """

    def __init__(self, optimiser: torch.optim.Optimizer, plan: Optimisation) -> None:
        self._plan = plan
        peaks = [group["lr"] for group in optimiser.param_groups]
        # One step more than there are: the scheduler moves on after the last one, too.
        super().__init__(optimiser, max_lr=peaks, total_steps=plan.steps + 1, pct_start=WARM_UP)

    def get_lr(self) -> list[float]:
        """The rate of each parameter group at the step to come."""
        plan, step = self._plan, self.last_epoch
        if plan.plain_from is None or step < plan.plain_from:
            return super().get_lr()
        left = (plan.steps - step) / (plan.steps - plan.plain_from)
        return [PLAIN_RATE * group["max_lr"] * max(left, 0.0) for group in self.optimizer.param_groups]

    def state_dict(self) -> dict[str, Any]:
        """Where it stands; the plan is made anew."""
        return {name: value for name, value in super().state_dict().items() if name != "_plan"}


@dataclass
class Tally:
    """Sums over an epoch, kept on the device: reading them costs a wait, once an epoch.

    Attributes:
        chips: Number of chips.
        sums: By name.
    """

    chips: int = 0
    sums: dict[str, Tensor] = field(default_factory=dict)

    def add(self, chips: int, **values: Tensor) -> None:
        """Add a batch."""
        self.chips += chips
        for name, value in values.items():
            self.sums[name] = self.sums[name] + value if name in self.sums else value.clone()


def optimisers(
    network: nn.Module, plan: Optimisation, slow: Optional[Mapping[nn.Parameter, float]] = None
) -> dict[str, Any]:
    """AdamW with the learning rate of :class:`OneCycle`, step by step, as Lightning wants them.

    Args:
        network: What is trained.
        plan: Rate and steps.
        slow: Parameters that learn at a share of the rate, and that share.
    """
    by_share: dict[float, list[nn.Parameter]] = {}
    for parameter in network.parameters():
        if parameter.requires_grad:
            by_share.setdefault((slow or {}).get(parameter, 1.0), []).append(parameter)
    groups = [
        {"params": parameters, "lr": share * plan.learning_rate} for share, parameters in by_share.items()
    ]
    optimiser = torch.optim.AdamW(groups, lr=plan.learning_rate, weight_decay=plan.weight_decay)
    schedule = {"scheduler": OneCycle(optimiser, plan), "interval": "step"}
    return {"optimizer": optimiser, "lr_scheduler": schedule}
