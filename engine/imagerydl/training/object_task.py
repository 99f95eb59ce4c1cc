"""The Lightning task of object detection: steps and epoch measures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Optional

import torch
from torch import Tensor, nn

from .detection_metrics import DetectionScores, ImageObjects, score_detections
from .object_augmentation import ObjectBatch
from .training_task import TrainingTask

#: Score from which on a box counts towards average precision.
LOWEST = 0.03

#: Score from which on a box counts in the confusion matrix of an epoch, which nobody sees.
_EPOCH_THRESHOLD = 0.5


class ObjectTask(TrainingTask):
    """Trains an :class:`~imagerydl.models.architectures.object_detector.ObjectDetector`.

    Args:
        network: The detector.
        classes: Number of classes.
        arguments: As :class:`.training_task.TrainingTask` takes them, after the network.
        options: Likewise.
    """

    shown = ("train_loss", "valid_loss", "valid_map50", "valid_map")

    def __init__(self, network: nn.Module, classes: int, *arguments: Any, **options: Any) -> None:
        super().__init__(network, *arguments, **options)
        self.classes = classes
        #: Of the epoch that ended last.
        self.scores: Optional[DetectionScores] = None
        self._truths: list[ImageObjects] = []
        self._found: list[ImageObjects] = []

    def transfer_batch_to_device(
        self, batch: tuple[Tensor, ObjectBatch], device: torch.device, dataloader_idx: int
    ) -> tuple[Tensor, ObjectBatch]:
        """Objects are lists, which know themselves how to move."""
        images, objects = batch
        return images.to(device), objects.to(device)

    def training_step(self, batch: tuple[Tensor, ObjectBatch], index: int) -> Tensor:
        """One batch: the loss to descend."""
        inputs, objects = self.train_input(*batch)
        losses = self.network.losses(inputs, [own.target() for own in objects])
        loss = sum(losses.values())
        chips = len(objects)
        parts = {name: value.detach() * chips for name, value in losses.items()}
        self.train_tally.add(chips, loss=loss.detach() * chips, **parts)
        return loss

    def on_validation_epoch_start(self) -> None:
        """Every box counts towards average precision, however unsure."""
        super().on_validation_epoch_start()
        self._truths, self._found = [], []
        self.network.set_limits(threshold=LOWEST)

    def validation_step(self, batch: tuple[Tensor, ObjectBatch], index: int) -> None:
        """One batch, measured."""
        inputs, objects = self.valid_input(*batch)
        losses = self.network.losses(inputs, [own.target() for own in objects])
        self.tally.add(len(objects), loss=sum(losses.values()).detach() * len(objects))
        self._truths += true_objects(objects)
        self._found += found_objects(self.network(inputs))

    def on_validation_epoch_end(self) -> None:
        """Hand the epoch's measures to those who decide on them: ModelCheckpoint, EarlyStopping."""
        self.scores = score_detections(self._truths, self._found, self.classes, _EPOCH_THRESHOLD)
        train = self.train_tally
        parts = {name: float(value / train.chips) for name, value in train.sums.items() if name != "loss"}
        self.measures = {
            "train_loss": float(train.sums["loss"] / train.chips),
            **{f"train_{name}": value for name, value in parts.items()},
            "valid_loss": float(self.tally.sums["loss"] / self.tally.chips),
            "valid_map50": self.scores.map50,
            "valid_map": self.scores.map,
        }
        self.log_dict(self.measures, logger=False, batch_size=self.tally.chips)

    def slow_parameters(self) -> Mapping[nn.Parameter, float]:
        """Those the detector names."""
        return self.network.slow_parameters()

    def class_measures(self, names: Sequence[str]) -> dict[str, float]:
        """Average precision of each class, by its name in the log."""
        return {f"ap50_{name}": float(value) for name, value in zip(names, self.scores.ap50)}


def true_objects(objects: ObjectBatch) -> list[ImageObjects]:
    """The objects of chips as they are compared."""
    return [
        ImageObjects(
            own.boxes.cpu().numpy(),
            own.labels.cpu().numpy(),
            own.boxes.new_ones(len(own.boxes)).cpu().numpy(),
        )
        for own in objects
    ]


def found_objects(detections: Sequence[dict[str, Tensor]]) -> list[ImageObjects]:
    """What a detector gives as it is compared."""
    return [
        ImageObjects(*(found[name].float().cpu().numpy() for name in ("boxes", "labels", "scores")))
        for found in detections
    ]
