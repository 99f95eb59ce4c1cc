"""Measures the finished network on the validation chips and picks chips to show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from ..events import Reporter
from .augmentation import BatchInput
from .batches import ChipBatches
from .channels import IGNORED
from .dataset import TrainingData
from .devices import Device
from .losses import PixelLoss
from .metrics import PixelScores, count_confusion


@dataclass(frozen=True)
class Sample:
    """A validation chip beside what the network makes of it.

    Attributes:
        name: File name of the chip.
        image: ``[bands, h, w]``, raw pixels.
        truth: Channels ``[h, w]``, :data:`IGNORED` where there is none.
        prediction: Channels ``[h, w]``.
        accuracy: Share of its pixels that are right.
    """

    name: str
    image: np.ndarray
    truth: np.ndarray
    prediction: np.ndarray
    accuracy: float


@dataclass(frozen=True)
class Evaluation:
    """What the network achieves on the validation chips.

    Attributes:
        scores: From the confusion matrix.
        loss: Mean loss of the batches.
        jaccard: The article's soft Jaccard index, mean of the batches.
        accuracies: Share of right pixels of each chip, in the order of the batches.
    """

    scores: PixelScores
    loss: float
    jaccard: float
    accuracies: np.ndarray


def evaluate(
    network: nn.Module,
    loss: PixelLoss,
    batches: ChipBatches,
    batch_input: BatchInput,
    device: Device,
    reporter: Reporter,
    span: tuple[float, float] = (0.0, 1.0),
) -> Evaluation:
    """Run the network, in evaluation mode, over ``batches``."""
    network.eval()
    batch_input.restart(0)
    confusion, total_loss, total_jaccard, chips = 0, 0.0, 0.0, 0
    accuracies: list[float] = []
    with torch.inference_mode():
        for done, (images, labels) in enumerate(batches, start=1):
            inputs, target = batch_input(images.to(device.torch), labels.to(device.torch))
            with device.autocast():
                logits = network(inputs)
            value, jaccard = loss(logits, target)
            confusion = confusion + count_confusion(logits, target).cpu().numpy()
            counted = (target != IGNORED).flatten(1).sum(dim=1).clamp(min=1)
            right = (logits.argmax(dim=1) == target).flatten(1).sum(dim=1)
            accuracies += (right / counted).tolist()
            total_loss += float(value) * len(images)
            total_jaccard += float(jaccard) * len(images)
            chips += len(images)
            reporter.progress("Evaluating", done, len(batches), "batches", "", span)
    return Evaluation(PixelScores(confusion), total_loss / chips, total_jaccard / chips, np.array(accuracies))


def take_samples(
    network: nn.Module,
    data: TrainingData,
    chosen: Sequence[int],
    batch_input: BatchInput,
    device: Device,
) -> list[Sample]:
    """Predict the chips ``chosen`` (indices into ``data``), one by one."""
    network.eval()
    samples = []
    for index in chosen:
        images, labels = next(iter(ChipBatches(data, np.array([index]), 1)))
        inputs, target = batch_input(images.to(device.torch), labels.to(device.torch))
        with torch.inference_mode(), device.autocast():
            prediction = network(inputs).argmax(dim=1)[0].cpu().numpy()
        truth = target[0].cpu().numpy()
        counted = truth != IGNORED
        samples.append(
            Sample(
                data.pairs[index].image.name,
                images[0].numpy(),
                truth,
                prediction,
                float((prediction == truth)[counted].mean()) if counted.any() else float("nan"),
            )
        )
    return samples


def random_samples(indices: np.ndarray, count: int, seed: int) -> list[int]:
    """Random validation chips: a fair sample, neither the best nor the worst."""
    picked = np.random.default_rng(seed).permutation(len(indices))[:count]
    return [int(indices[position]) for position in sorted(picked)]


def worst_samples(indices: np.ndarray, accuracies: np.ndarray, count: int) -> list[int]:
    """The validation chips with the fewest right pixels, worst first."""
    return [int(indices[position]) for position in np.argsort(accuracies, kind="stable")[:count]]
