"""Detectors that were trained here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Optional

import numpy as np

from ...errors import ParameterError
from ..arguments import BOOLEAN, NUMBER, ModelArgument
from ..definition import ModelDefinition
from ..trust import ForeignCode
from .detection import DetectionModel, Detections
from .options import RunOptions
from .own_network import OwnNetwork
from .protocol import ModelInput, Position

PACKAGES = {"torch": "torch", "torchvision": "torchvision", "safetensors": "safetensors"}

#: Probability from which on a pixel belongs to an object.
_INSIDE = 0.5

_THRESHOLD, _OVERLAP = 0.5, 0.5


def open_detection_model(definition: ModelDefinition, options: RunOptions) -> DetectionModel:
    """Open a detector that was trained here; see :mod:`.opening`."""
    return OwnDetectionModel(definition, options)


def model_arguments(definition: ModelDefinition, consent: bool) -> tuple[ModelArgument, ...]:
    """What can be asked of it."""
    threshold = float(definition.model_parameters.get("threshold", _THRESHOLD))
    overlap = float(definition.model_parameters.get("nms_overlap", _OVERLAP))
    arguments = (
        ModelArgument(
            "threshold",
            NUMBER,
            f"{threshold:g}",
            "Threshold",
            "Score, 0 to 1, from which on an object counts.",
            minimum=0,
            maximum=1,
        ),
        ModelArgument(
            "nms_overlap",
            NUMBER,
            f"{overlap:g}",
            "Overlap",
            "Overlap (IoU) from which on the weaker one of two objects of a class goes.",
            minimum=0,
            maximum=1,
        ),
    )
    if definition.model_type != "InstanceDetection":
        return arguments
    boxes = ModelArgument("return_bboxes", BOOLEAN, "False", "Boxes only", "Give boxes in place of outlines.")
    return (*arguments, boxes)


def foreign_code(definition: ModelDefinition) -> Optional[ForeignCode]:
    """Nothing: weights are safetensors, and the network is built from code of this engine."""
    return None


class OwnDetectionModel(DetectionModel):
    """A detector trained here; see :class:`.detection.DetectionModel`.

    Args:
        definition: The model.
        options: Device, threads, arguments.

    Raises:
        ModelError: If it does not load or does not fit its definition.
        ParameterError: For an argument that is no number within its limits.
        RuntimeMissingError: If a device was named that this PyTorch does not run on.
    """

    def __init__(self, definition: ModelDefinition, options: RunOptions) -> None:
        self.arguments = model_arguments(definition, options.consent)
        values = _values(self.arguments, options.arguments)
        self.classes = definition.classes
        self.input = ModelInput(definition.normalisation)
        self._runner = OwnNetwork(definition, options, len(self.classes))
        self._runner.network.set_limits(float(values["threshold"]), float(values["nms_overlap"]))
        self.tile_size = self._runner.network.tile_size
        self._gives_boxes = values.get("return_bboxes", "true").lower() == "true"
        self.device, self.description = self._runner.device, self._runner.description

    def detect(
        self, batch: np.ndarray, valid: np.ndarray, positions: Sequence[Position] = ()
    ) -> list[Detections]:
        """Find objects; see :meth:`.detection.DetectionModel.detect`."""
        # A lone tile takes other kernels, whose last bits differ from those of a batch.
        pair = len(batch) == 1
        found = self._runner.run(np.concatenate([batch, batch]) if pair else batch)
        return [self._detections(one) for one in found[: len(batch)]]

    def close(self) -> None:
        """Release what it holds."""
        self._runner.close()

    def _detections(self, found: Mapping[str, Any]) -> Detections:
        boxes, scores, labels = (found[name].cpu().numpy() for name in ("boxes", "scores", "labels"))
        detections = Detections(boxes.astype(np.float32), scores.astype(np.float32), labels.astype(np.int64))
        if self._gives_boxes or "masks" not in found:
            return detections
        masks = found["masks"][:, 0].cpu().numpy() > _INSIDE
        kept = masks.any(axis=(1, 2))
        shapes = np.array([_outline(mask) for mask in masks[kept]], dtype=object)
        return Detections(detections.boxes[kept], detections.scores[kept], detections.classes[kept], shapes)


def _outline(mask: np.ndarray) -> Any:
    """The outline of a mask: of its largest part, as pixels lie."""
    import shapely
    from rasterio.features import shapes

    pieces = [shapely.geometry.shape(geometry) for geometry, _ in shapes(mask.astype(np.uint8), mask=mask)]
    return max(pieces, key=lambda piece: piece.area)


def _values(arguments: Sequence[ModelArgument], given: Mapping[str, str]) -> dict[str, str]:
    """The text of each argument: as given, else its default.

    Raises:
        ParameterError: For one that is not within its limits.
    """
    values = {}
    for argument in arguments:
        text = given.get(argument.name, argument.default)
        if argument.kind == NUMBER:
            try:
                usable = argument.minimum <= float(text) <= argument.maximum
            except ValueError:
                usable = False
            if not usable:
                raise ParameterError(
                    f"The argument {argument.name} cannot be {text!r}.",
                    f"Give a number from {argument.minimum} to {argument.maximum}.",
                )
        elif text.lower() not in ("true", "false"):
            raise ParameterError(f"The argument {argument.name} cannot be {text!r}.", "Give True or False.")
        values[argument.name] = text
    return values
