"""Finds a learning rate: a short sweep from far too small to too large (Smith 2015)."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from ..events import Reporter
from ..models.architectures.registry import NO_BACKBONE
from .augmentation import BatchInput
from .cost import NetworkCost
from .devices import Device
from .settings import TrainingSettings

#: Ends of the sweep.
SMALLEST, LARGEST = 1e-5, 1e-1

#: What the finder may answer. Below, 20 epochs end before the network has learnt; above, small
#: batches spend the middle of the cycle on noise, although the sweep looked well.
BOUNDS = (1e-4, 1e-3)

#: A one-cycle schedule peaks below the rate at which training becomes unstable, and well below the
#: one with the lowest loss where it never does.
_BELOW_UNSTABLE, _BELOW_LOWEST = 2.5, 5.0

#: The smoothed loss has turned for good when it is so many times its minimum, once it had fallen to
#: this share of its start: before that it only trembles.
_TURNED, _FALLEN = 1.15, 0.9

_STEPS, _FEWEST_STEPS = 40, 15

#: Multiplications of the whole sweep on a CPU: about 40 seconds on two cores. A limit in work and
#: not in time, so that the same seed gives the same rate.
_OPERATIONS = 6.0e11

_SMOOTHING = 0.8

#: Without a sweep, for an encoder that begins from nothing and for any other.
_FRESH, _WITH_BACKBONE = 2e-3, 5e-4


def rate_without_sweep(settings: TrainingSettings) -> float:
    """A learning rate that suits the network, for losses a sweep says little about."""
    plain = settings.backbone_or_default.upper() == NO_BACKBONE
    return _FRESH if plain and not settings.pretrained_model else _WITH_BACKBONE


def plan_sweep(cost: NetworkCost, batch_size: int, device: Device) -> tuple[int, int]:
    """(steps, chips a step) of a sweep within the allowed work."""
    if not device.is_cpu:
        return _STEPS, batch_size
    chips = _OPERATIONS / max(1, cost.operations)
    size = int(max(min(2, batch_size), min(batch_size, chips / _STEPS)))
    return int(max(_FEWEST_STEPS, min(_STEPS, chips / size))), size


def find_learning_rate(
    network: nn.Module,
    loss: nn.Module,
    batches: Iterable[tuple[Tensor, Tensor]],
    batch_input: BatchInput,
    device: Device,
    steps: int,
    reporter: Reporter,
    span: tuple[float, float] = (0.0, 1.0),
) -> float:
    """The learning rate to train with; the network is left as it was.

    Args:
        network: On the device.
        loss: On the device.
        batches: Endless training batches.
        batch_input: Makes network input of them.
        device: Where to compute.
        steps: Steps from the smallest to the largest rate.
        reporter: Hears of progress.
        span: Part of the whole run this is.
    """
    before = copy.deepcopy(network.state_dict())
    rates = [SMALLEST * (LARGEST / SMALLEST) ** (i / max(1, steps - 1)) for i in range(steps)]
    optimiser = torch.optim.AdamW((p for p in network.parameters() if p.requires_grad), lr=SMALLEST)
    losses: list[float] = []
    network.train()
    for rate, (images, labels) in zip(rates, batches):
        reporter.progress("Finding a learning rate", len(losses), steps, "steps", f"{rate:.1e}", span)
        for group in optimiser.param_groups:
            group["lr"] = rate
        inputs, target = batch_input(images.to(device.torch), labels.to(device.torch))
        with device.autocast():
            logits = network(inputs)
        value, _ = loss(logits, target)
        losses.append(value.item())
        if _turned(losses):
            break
        optimiser.zero_grad()
        value.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
    reporter.progress("Finding a learning rate", steps, steps, "steps", "", span)
    network.load_state_dict(before)
    return suggest(rates, losses)


def suggest(rates: Sequence[float], losses: Sequence[float]) -> float:
    """The rate to train with, within :data:`BOUNDS`, two digits.

    Args:
        rates: Of the whole sweep, rising.
        losses: One per step that was made; fewer than rates where the loss turned.
    """
    if len(losses) < len(rates):
        rate = rates[len(losses) - 1] / _BELOW_UNSTABLE
    else:
        smooth = _smoothed(losses)
        rate = rates[smooth.index(min(smooth))] / _BELOW_LOWEST
    return float(f"{min(BOUNDS[1], max(BOUNDS[0], rate)):.1e}")


def _turned(losses: Sequence[float]) -> bool:
    """Whether the loss rises for good, or is no number any more."""
    if not math.isfinite(losses[-1]):
        return True
    smooth = _smoothed(losses)
    lowest = min(smooth)
    return smooth[-1] > 2 * lowest or (lowest < _FALLEN * smooth[0] and smooth[-1] > _TURNED * lowest)


def _smoothed(losses: Sequence[float]) -> list[float]:
    """Exponential mean, corrected for its start at 0."""
    mean, result = 0.0, []
    for count, value in enumerate(losses, start=1):
        mean = _SMOOTHING * mean + (1 - _SMOOTHING) * value
        result.append(mean / (1 - _SMOOTHING**count))
    return result
