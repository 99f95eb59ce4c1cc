"""Detectors and classifiers of chips of arcgis.learn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..definition import ModelDefinition
from .arcgis_learn_arguments import (
    DEFAULT_THRESHOLD,
    THRESHOLDS,
    Arguments,
    overlap_of,
    padding_of,
    tile_of,
    turns_of,
)
from .arcgis_learn_network import Network, on_cpu
from .chip_classification import ChipClassifier
from .detection import DetectionModel, Detections, outlines
from .options import RunOptions
from .protocol import ModelInput, Position


class Detector(DetectionModel):
    """A detector of arcgis.learn; see :class:`DetectionModel`.

    Args:
        definition: The model.
        options: Device, threads and arguments.
    """

    def __init__(self, definition: ModelDefinition, options: RunOptions) -> None:
        from ..architectures.arcgis_learn.facts import facts_of
        from ..architectures.arcgis_learn.normalisation import input_normalisation

        arguments, name = Arguments(options.arguments), definition.model_name
        self.tile_size = tile_of(definition, arguments)
        self.padding = padding_of(self.tile_size, arguments)
        self.threshold = arguments.number("threshold", THRESHOLDS.get(name, DEFAULT_THRESHOLD), 0, 1)
        self.nms_overlap = arguments.number("nms_overlap", overlap_of(name), 0, 1)
        self.classes = definition.classes
        self._facts = replace(facts_of(definition), tile=self.tile_size[0])
        self.input = ModelInput(input_normalisation(self._facts), blank=0.0)
        self._network = Network(definition, options)
        self.device, self.description = self._network.device, self._network.description
        if name in ("FasterRCNN", "MaskRCNN"):
            from ..architectures.arcgis_learn.rcnn import resize_for, set_thresholds

            set_thresholds(self._network.module, self.threshold, self.nms_overlap)
            resize_for(self._network.module, self.tile_size[0])

    def detect(
        self, batch: np.ndarray, valid: np.ndarray, positions: Sequence[Position] = ()
    ) -> list[Detections]:
        """Objects of each tile; see :meth:`DetectionModel.detect`."""
        return [
            Detections(
                boxes.corners.numpy().astype(np.float32),
                boxes.scores.numpy().astype(np.float32),
                boxes.positions.numpy().astype(np.int64),
                None if boxes.masks is None else outlines(boxes.masks.numpy()),
            )
            for boxes in self._decoded(on_cpu(self._network.run(batch)))
        ]

    def _decoded(self, outputs: Any) -> list[Any]:
        from ..architectures.arcgis_learn import rcnn, retina, single_shot, yolo

        if self._facts.model_name in ("FasterRCNN", "MaskRCNN"):
            return rcnn.decode(outputs)
        families = {"SingleShotDetector": single_shot, "RetinaNet": retina, "YOLOv3": yolo}
        decode = families[self._facts.model_name].decode
        return decode(outputs, self._facts, self.threshold, self.nms_overlap)


class FeatureClassifier(ChipClassifier):
    """A FeatureClassifier of arcgis.learn; see :class:`ChipClassifier`.

    Args:
        definition: The model.
        options: Device, threads and arguments.
    """

    def __init__(self, definition: ModelDefinition, options: RunOptions) -> None:
        from ..architectures.arcgis_learn.facts import facts_of
        from ..architectures.arcgis_learn.feature_classifier import MULTI_LABEL
        from ..architectures.arcgis_learn.normalisation import input_normalisation

        arguments = Arguments(options.arguments)
        is_augmented = arguments.truth("test_time_augmentation", False)
        self._turns = turns_of(definition) if is_augmented else ((0, False),)
        self.chip_size = definition.image_size
        self.input = ModelInput(input_normalisation(facts_of(definition)), blank=0.0)
        self.classes = definition.classes
        self.is_multi_label = definition.raw.get("MetaDataMode") == MULTI_LABEL
        self._network = Network(definition, options)
        self.device, self.description = self._network.device, self._network.description

    def probabilities(self, batch: np.ndarray, valid: np.ndarray) -> np.ndarray:
        """Scores of each class; see :meth:`ChipClassifier.probabilities`."""
        from ..architectures.arcgis_learn.feature_classifier import decode

        scores = []
        for quarters, is_mirrored in self._turns:
            turned = np.rot90(batch, quarters, (2, 3))
            logits = self._network.run(turned[..., ::-1] if is_mirrored else turned).cpu()
            scores.append(decode(logits, is_multi_label=self.is_multi_label).numpy())
        return np.mean(scores, axis=0, dtype=np.float32)
