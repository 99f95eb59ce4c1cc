"""What the outputs of TensorFlow's Object Detection API mean.

Lists filled up to one length: ``detection_boxes`` ``[n, k, 4]`` (top, left, bottom, right as shares of the
tile), ``detection_scores`` ``[n, k]``, ``detection_classes`` ``[n, k]`` (numbers from 1, whole or not),
``num_detections`` ``[n]`` (how many of each list count) and, from networks with outlines, ``detection_masks``
``[n, k, h, w]``: probabilities in the frame of each box.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ...errors import ModelDefinitionError, ModelError
from ...labels.classes import ClassSchema
from ..definition import ModelDefinition
from .detection import Detections
from .detection_decoding import detections_of, shaped, suppressed
from .detection_limits import Limits
from .mask_outlines import boxed_outlines

BOXES, SCORES, NUMBERS = "detection_boxes", "detection_scores", "detection_classes"
COUNT, MASKS = "num_detections", "detection_masks"

#: Outputs that have to be there, and all that count.
NEEDED = (BOXES, SCORES, NUMBERS)
KNOWN = (*NEEDED, COUNT, MASKS)


class LabelNumbers:
    """Which class a number in ``detection_classes`` is.

    It counts the listed classes from 1, as ArcGIS reads it. Label maps with gaps (COCO has 80 classes
    numbered up to 90) may be listed with these numbers as the values of the classes: where the network counts
    more classes than are listed, and no value is beyond them, numbers are values. ``ModelParameters.labels``
    settles it, "POSITION" or "VALUE".

    Args:
        definition: The model.
        classes: Its classes.
        counted: Classes the network counts; 0 where it does not tell.
        name: What to call the network.

    Attributes:
        by_value: Whether numbers are values of classes.
        is_guess: Whether they might be, and are not taken for it.

    Raises:
        ModelDefinitionError: For another ``ModelParameters.labels``.
    """

    def __init__(self, definition: ModelDefinition, classes: ClassSchema, counted: int, name: str) -> None:
        self._name, self._definition = name, definition.name
        stated = str(definition.model_parameters.get("labels") or "").upper()
        if stated not in ("", "POSITION", "VALUE"):
            raise ModelDefinitionError(
                f"ModelParameters.labels of {definition.name} is {stated}.", "Write POSITION or VALUE."
            )
        values = classes.values
        count, largest = len(values), max(values, default=0)
        self.by_value = stated == "VALUE" or (not stated and largest <= counted and count < counted)
        self.is_guess = not stated and not self.by_value and largest > count
        order = values if self.by_value else range(1, count + 1)
        self._position = {number: place for place, number in enumerate(order)}

    def positions(self, numbers: np.ndarray) -> np.ndarray:
        """Positions in the list of classes, from 0.

        Raises:
            ModelError: For a number without a class.
        """
        try:
            found = [self._position[number] for number in np.rint(numbers).astype(np.int64).tolist()]
        except KeyError as error:
            how = "has no class of that value" if self.by_value else f"lists {len(self._position)} classes"
            raise ModelError(
                f"{self._name} finds class number {error}, and {self._definition} {how}.",
                "List Classes in the order of the label map; where its numbers have gaps, give them as the "
                'Values and set "ModelParameters": {"labels": "VALUE"}.',
            ) from error
        return np.array(found, np.int64)


def api_detections(
    outputs: Mapping[str, np.ndarray], tile: tuple[int, int], numbers: LabelNumbers, limits: Limits
) -> Detections:
    """The objects of one tile.

    Args:
        outputs: Of :data:`KNOWN` those that are there, without the batch axis.
        tile: (height, width).
        numbers: Which class a number is.
        limits: What is reported.

    Raises:
        ModelError: For a class number that stands for no class.
    """
    scores = outputs[SCORES]
    counts = np.arange(len(scores)) < (int(outputs[COUNT]) if COUNT in outputs else len(scores))
    kept = counts & (scores >= limits.threshold)
    top, left, bottom, right = outputs[BOXES][kept].astype(np.float64).T
    height, width = tile
    boxes = np.column_stack([left * width, top * height, right * width, bottom * height])
    found = detections_of(boxes, scores[kept], numbers.positions(outputs[NUMBERS][kept]))
    if MASKS in outputs and len(found):
        found = shaped(found, boxed_outlines(outputs[MASKS][kept], boxes, tile))
    return suppressed(found, limits)
