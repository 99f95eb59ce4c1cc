"""Measures the finished detector on the validation chips, and keeps what the report shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from ..events import Reporter
from .batches import ChipBatches
from .detection_metrics import DetectionScores, ImageObjects, score_detections
from .devices import Device
from .object_augmentation import ObjectInput
from .object_data import ObjectData
from .object_task import LOWEST, found_objects, true_objects

#: Scores tried as the threshold of the finished model.
_THRESHOLDS = np.round(np.arange(0.1, 0.91, 0.05), 2)


@dataclass(frozen=True)
class ObjectSample:
    """A validation chip beside what the detector finds in it.

    Attributes:
        name: File name of the chip.
        image: ``[bands, h, w]``, raw pixels.
        truth: What is there.
        found: What is found, from the threshold on.
    """

    name: str
    image: np.ndarray
    truth: ImageObjects
    found: ImageObjects


@dataclass(frozen=True)
class ObjectEvaluation:
    """What a detector achieves on the validation chips.

    Attributes:
        scores: Average precision, curves, confusion.
        loss: Mean loss of the batches.
        threshold: The score at which the mean F1 of the classes is best.
        truths: Objects of each validation chip.
        found: What is found in each.
    """

    scores: DetectionScores
    loss: float
    threshold: float
    truths: list[ImageObjects]
    found: list[ImageObjects]


def evaluate_objects(
    network: nn.Module,
    data: ObjectData,
    batches: ChipBatches,
    batch_input: ObjectInput,
    device: Device,
    reporter: Reporter,
    span: tuple[float, float],
) -> ObjectEvaluation:
    """Run the detector, in evaluation mode, over ``batches``."""
    network.eval()
    network.set_limits(threshold=LOWEST)
    batch_input.restart(0)
    truths: list[ImageObjects] = []
    found: list[ImageObjects] = []
    total, chips = 0.0, 0
    with torch.inference_mode():
        for done, (images, objects) in enumerate(batches, start=1):
            inputs, moved = batch_input(images.to(device.torch), objects.to(device.torch))
            with device.autocast():
                total += float(sum(network.losses(inputs, [own.target() for own in moved]).values())) * len(
                    moved
                )
                found += found_objects(network(inputs))
            truths += true_objects(moved)
            chips += len(moved)
            reporter.progress("Evaluating", done, len(batches), "batches", "", span)
    count = len(data.classes)
    threshold = best_threshold(score_detections(truths, found, count, LOWEST))
    network.set_limits(threshold=threshold)
    scores = score_detections(truths, found, count, threshold)
    return ObjectEvaluation(scores, total / chips, threshold, truths, found)


def best_threshold(scores: DetectionScores) -> float:
    """The score from which on detections are right and complete most of all, by the mean F1.

    Where several are equally good, the middle one: it is the farthest from what goes wrong on either side.
    """
    occurring = [result for result in scores.classes if result.truths]
    means = np.array(
        [np.mean([np.nan_to_num(r.at(float(score))[2]) for r in occurring] or [0.0]) for score in _THRESHOLDS]
    )
    best = np.flatnonzero(means >= means.max() - 1e-9)
    return float(_THRESHOLDS[best[len(best) // 2]])


def object_samples(
    evaluation: ObjectEvaluation, data: ObjectData, valid: np.ndarray, chosen: Sequence[int]
) -> list[ObjectSample]:
    """The chips ``chosen``, positions among the validation chips."""
    samples = []
    for place in chosen:
        index = int(valid[place])
        image = data.take(np.array([index]))[0][0]
        seen = evaluation.found[place]
        kept = seen.scores >= evaluation.threshold
        seen = ImageObjects(seen.boxes[kept], seen.labels[kept], seen.scores[kept])
        samples.append(ObjectSample(data.pairs[index].image.name, image, evaluation.truths[place], seen))
    return samples
