"""What the outputs of a detector mean, found out from their shapes, names and numbers.

The layouts here are those that exporting programs write: a table with one row a candidate (YOLO and its
relatives), queries (DETR), or finished lists (torchvision, exports with suppression built in).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Optional

import numpy as np

from ...errors import ModelError
from .detection import Detections, outlines
from .detection_decoding import (
    STRIDES,
    cell_count,
    corners,
    detections_of,
    grid_boxes,
    shaped,
    sigmoid,
    softmax,
    suppressed,
    suppressed_with,
    turned_boxes,
    with_masks,
)
from .detection_limits import Limits

#: Raw value where there is no picture: the grey that YOLOs are trained to take for nothing.
GREY = 114.0

#: Most candidates of a tile that suppression looks at, the surest ones.
_MOST_CANDIDATES = 5_000

#: Candidates up to which a table of six columns may be a finished list.
_FINISHED = 1_000

_KNOWN = (
    "Known are tables of YOLO v5 to v11 ([n, candidates, 5 + classes] or [n, 4 + classes, candidates], with "
    "an angle, or 32 mask numbers and [n, 32, h, w] prototypes), YOLOX, finished lists [n, candidates, 6], "
    "DETR (logits and boxes), and torchvision (boxes, labels, scores, masks)."
)


@dataclass(frozen=True)
class RawOutput:
    """An output of the network for a batch.

    Attributes:
        name: As the network calls it.
        array: Its numbers.
    """

    name: str
    array: np.ndarray


#: From the arrays of one tile (without the batch axis), and its (height, width), to what is found in it.
Decoder = Callable[[Sequence[np.ndarray], Limits, tuple[int, int]], Detections]


@dataclass(frozen=True)
class DetectionOutput:
    """How outputs become detections.

    Attributes:
        name: What the layout is called.
        classes: Classes it counts.
        decode: What reads it.
        per_tile: Whether outputs have no batch axis: the network takes one tile at a time.
        is_yolox: Whether it is a YOLOX whose grid is not decoded: those are fed with raw values, blue first.
    """

    name: str
    classes: int
    decode: Decoder
    per_tile: bool = False
    is_yolox: bool = False


def find_detection_output(
    outputs: Sequence[RawOutput],
    tile: tuple[int, int],
    classes: int,
    kind: str,
    file: str,
    first_label: int = 1,
) -> DetectionOutput:
    """Find out what outputs mean.

    Args:
        outputs: What the network gave for tiles of noise.
        tile: (height, width) of those.
        classes: Classes the definition lists; 0 where it lists none.
        kind: The layout by name where a definition or metadata say it ("YOLO_v6", "obb"...), else "".
        file: What to call the network.
        first_label: Number that lists of labels have for the first class: torchvision's is 1, for 0 is the
            background.

    Raises:
        ModelError: If no known layout fits; it says which are known.
    """
    reader = _Reader(outputs, tile, classes, kind.lower(), file, first_label)
    for find in (reader.lists, reader.queries, reader.finished, reader.table):
        found = find()
        if found is not None:
            return found
    raise reader.refuse("is no layout that is known")


class _Reader:
    """Tries one layout after the other."""

    def __init__(
        self,
        outputs: Sequence[RawOutput],
        tile: tuple[int, int],
        classes: int,
        kind: str,
        file: str,
        first_label: int,
    ) -> None:
        self._first_label = first_label
        self._outputs, self._tile, self._classes = outputs, tile, classes
        self._kind, self._file = kind, file

    def refuse(self, why: str) -> ModelError:
        shapes = ", ".join(f"{output.name} {list(output.array.shape)}" for output in self._outputs)
        listed = f" and {self._classes} classes" if self._classes else ""
        return ModelError(
            f"What {self._file} gives for tiles of {self._tile[1]} x {self._tile[0]} pixels{listed} {why}: "
            f"{shapes}.",
            _KNOWN,
        )

    def _called(self, *words: str) -> Optional[int]:
        """Position of the first output with one of ``words`` in its name."""
        for word in words:
            for place, output in enumerate(self._outputs):
                if word in output.name.lower():
                    return place
        return None

    def lists(self) -> Optional[DetectionOutput]:
        """torchvision: boxes ``[k, 4]``, labels ``[k]``, scores ``[k]``, masks ``[k, 1, h, w]``."""
        shapes = [output.array.shape for output in self._outputs]
        boxes = next((i for i, shape in enumerate(shapes) if len(shape) == 2 and shape[1] == 4), None)
        flat = [i for i, shape in enumerate(shapes) if len(shape) == 1]
        if boxes is None or len(flat) != 2:
            return None
        is_whole = [self._outputs[i].array.dtype.kind in "iu" for i in flat]
        if is_whole[0] == is_whole[1]:
            return None
        labels, scores = flat if is_whole[0] else flat[::-1]
        masks = next((i for i, shape in enumerate(shapes) if len(shape) == 4 and shape[1] == 1), None)

        def decode(arrays: Sequence[np.ndarray], limits: Limits, tile: tuple[int, int]) -> Detections:
            numbers = arrays[labels].astype(np.int64) - self._first_label
            kept = (arrays[scores] >= limits.threshold) & (numbers >= 0)
            found = detections_of(arrays[boxes][kept], arrays[scores][kept], numbers[kept])
            if masks is None or not len(found):
                return suppressed(found, limits)
            return suppressed(shaped(found, outlines(arrays[masks][kept][:, 0] >= 0.5)), limits)

        return DetectionOutput("torchvision", self._classes, decode, per_tile=True)

    def queries(self) -> Optional[DetectionOutput]:
        """DETR: class logits ``[n, queries, c]`` and boxes ``[n, queries, 4]``, centre and size, 0 to 1."""
        boxes = self._called("box")
        logits = self._called("logit", "class", "score")
        if len(self._outputs) < 2 or boxes is None or logits is None or boxes == logits:
            return None
        shape, other = self._outputs[logits].array.shape, self._outputs[boxes].array.shape
        if len(shape) != 3 or len(other) != 3 or other[2] != 4 or shape[1] != other[1]:
            return None
        channels = shape[2]
        if self._classes and channels not in (self._classes, self._classes + 1):
            raise self.refuse(f"counts {channels} classes")
        # DETR itself has one column more, "no object", under a softmax; its successors have sigmoids.
        has_nothing = channels == self._classes + 1 if self._classes else "rt" not in self._kind

        def decode(arrays: Sequence[np.ndarray], limits: Limits, tile: tuple[int, int]) -> Detections:
            values = arrays[logits].astype(np.float64)
            sure = softmax(values)[:, :-1] if has_nothing else sigmoid(values)
            which = sure.argmax(axis=1)
            scores = sure[np.arange(len(sure)), which]
            kept = scores >= limits.threshold
            own = corners(arrays[boxes][kept] * (*tile[::-1], *tile[::-1]))
            return suppressed(detections_of(own, scores[kept], which[kept]), limits)

        return DetectionOutput("DETR", channels - has_nothing, decode)

    def finished(self) -> Optional[DetectionOutput]:
        """Exports with suppression built in: ``[n, k, 6]``: corners, confidence, class."""
        array = self._outputs[0].array
        mask_numbers = self._prototypes()
        width = 6 + (mask_numbers[1] if mask_numbers else 0)
        if array.ndim != 3 or array.shape[2] != width or array.shape[1] > _FINISHED:
            return None
        if array.shape[1] in (cell_count(self._tile), 3 * cell_count(self._tile)):
            return None

        def decode(arrays: Sequence[np.ndarray], limits: Limits, tile: tuple[int, int]) -> Detections:
            rows = arrays[0][arrays[0][:, 4] >= limits.threshold]
            found = suppressed_with(
                detections_of(rows[:, :4], rows[:, 4], np.rint(rows[:, 5]).astype(np.int64)),
                rows[:, 6:],
                limits,
            )
            return with_masks(*found, arrays, mask_numbers, tile)

        return DetectionOutput("a finished list", self._classes, decode)

    def table(self) -> Optional[DetectionOutput]:
        """YOLO: a row a candidate; see :data:`_KNOWN`."""
        array = self._outputs[0].array
        if array.ndim != 3:
            return None
        prototypes = self._prototypes()
        masks = prototypes[1] if prototypes else 0
        usual = (cell_count(self._tile), 3 * cell_count(self._tile))
        is_upright = array.shape[1] > array.shape[2]
        if (array.shape[1] in usual) != (array.shape[2] in usual):
            is_upright = array.shape[1] in usual  # small tiles have few candidates
        candidates, columns = array.shape[1:] if is_upright else array.shape[:0:-1]
        form = self._form(columns - masks, is_upright, candidates)
        if form is None:
            return None
        has_objectness, has_angle, classes = form
        upright = array if is_upright else array.transpose(0, 2, 1)
        raw = self._is_raw_grid(upright, candidates, has_objectness)
        are_shares = not raw and self._are_shares(upright)

        def decode(arrays: Sequence[np.ndarray], limits: Limits, tile: tuple[int, int]) -> Detections:
            rows = arrays[0] if is_upright else arrays[0].T
            first = 5 if has_objectness else 4
            sure = rows[:, first : first + classes]
            which = sure.argmax(axis=1)
            scores = sure[np.arange(len(rows)), which]
            if has_objectness:
                scores = scores * rows[:, 4]
            chosen = np.flatnonzero(scores >= limits.threshold)
            if len(chosen) > _MOST_CANDIDATES:
                chosen = chosen[np.argsort(-scores[chosen], kind="stable")[:_MOST_CANDIDATES]]
            scale = np.array([*tile[::-1], *tile[::-1]]) if are_shares else 1.0
            own = grid_boxes(rows[:, :4], tile)[chosen] if raw else rows[chosen, :4] * scale
            scores, which = scores[chosen], which[chosen]
            if has_angle:
                return turned_boxes(own, rows[chosen, first + classes], scores, which, limits)
            found = detections_of(corners(own), scores, which)
            more = rows[chosen, first + classes :]
            return with_masks(*suppressed_with(found, more, limits), arrays, prototypes, tile)

        name = "YOLOX" if raw else "YOLO with turned boxes" if has_angle else "YOLO"
        return DetectionOutput(name, classes, decode, is_yolox=raw)

    def _form(self, columns: int, is_upright: bool, candidates: int) -> Optional[tuple[bool, bool, int]]:
        """Whether columns hold an objectness and an angle, and how many classes."""
        says_turned = "obb" in self._kind
        known = self._classes
        # With objectness stand YOLO v5 to v7 and YOLOX, upright; later ones lie on their side without it.
        is_old = any(word in self._kind for word in ("v5", "v6", "v7", "yolox"))
        is_new = any(word in self._kind for word in ("ultralytics", "v8", "v9", "v10", "v11"))
        prefers = is_old or (is_upright and not is_new)
        forms = (
            [(True, False), (False, False), (False, True)]
            if prefers
            else [(False, False), (False, True), (True, False)]
        )
        if says_turned:
            forms = [(False, True)]
        elif is_old or is_new:
            forms = [forms[0]]
        for has_objectness, has_angle in forms:
            classes = columns - 4 - has_objectness - has_angle
            if classes >= 1 and classes == (known or classes):
                return has_objectness, has_angle, classes
        if known and candidates > 4 * columns:
            raise self.refuse(f"is a table of {columns} columns, which does not go with the classes")
        return None

    def _is_raw_grid(self, rows: np.ndarray, candidates: int, has_objectness: bool) -> bool:
        """Whether positions count from their cell, as YOLOX gives them unless it is told to decode."""
        if not has_objectness or candidates != cell_count(self._tile):
            return False
        # Decoded centres lie all over the tile, others within some cells of their own.
        return float(np.abs(rows[..., :2]).max()) < max(STRIDES)

    def _are_shares(self, rows: np.ndarray) -> bool:
        """Whether positions are shares of the tile rather than pixels."""
        positions = rows[..., :4]
        return bool(positions.min() >= -0.5 and positions.max() <= 2.0)

    def _prototypes(self) -> Optional[tuple[int, int]]:
        """Which output holds mask prototypes ``[n, m, h, w]``, and their number."""
        for place, output in enumerate(self._outputs[1:], start=1):
            if output.array.ndim == 4:
                return place, output.array.shape[1]
        return None
