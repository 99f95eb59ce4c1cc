"""What a package of arcgis.learn takes as arguments, and what its keys mean for a run."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ...errors import ParameterError
from ..arguments import BOOLEAN, CHOICE, NUMBER, ModelArgument
from ..definition import ModelDefinition

ROADS = ("MultiTaskRoadExtractor", "ConnectNet")


CHANGE = "ChangeDetector"


#: What another tool does, by class.
OTHER_TOOLS = {
    "SingleShotDetector": "Detect Objects",
    "RetinaNet": "Detect Objects",
    "FasterRCNN": "Detect Objects",
    "MaskRCNN": "Detect Objects",
    "YOLOv3": "Detect Objects",
    "FeatureClassifier": "Classify Objects",
    CHANGE: "Detect Change",
}


DETECTORS = tuple(name for name, tool in OTHER_TOOLS.items() if tool == "Detect Objects")


CLASSIFIER = "FeatureClassifier"


DEFAULT_BATCH = 4


_DEFAULT_OVERLAP = 0.1


#: Lowest score of a detector that is reported, where it is not the usual one.
THRESHOLDS = {"YOLOv3": 0.1, "MaskRCNN": 0.9}


#: Detectors that the tool runs with large batches.
_LARGE_BATCH = {"SingleShotDetector": 64, "RetinaNet": 64, "FasterRCNN": 64}


DEFAULT_THRESHOLD = 0.5


_SMALLEST_TILE = 32


MERGES = {"mean": np.mean, "max": np.max, "min": np.min}


_AUGMENTATION = ModelArgument(
    "test_time_augmentation",
    BOOLEAN,
    "False",
    "Test time augmentation",
    "Classify each tile turned and mirrored, too: slower and more exact.",
)


def model_arguments(definition: ModelDefinition, consent: bool) -> tuple[ModelArgument, ...]:
    """What the tool's own function asks for, with its defaults."""
    if definition.model_name == CLASSIFIER:
        return (_batch_argument(DEFAULT_BATCH), _AUGMENTATION)
    if definition.model_name in DETECTORS:
        return _detector_arguments(definition)
    height = definition.image_height
    arguments = [
        _padding_argument(height),
        _batch_argument(DEFAULT_BATCH),
    ]
    if definition.model_name in ROADS:
        arguments += [
            ModelArgument(
                "threshold",
                NUMBER,
                str(DEFAULT_THRESHOLD),
                "Threshold",
                "A pixel is road where its probability is above this.",
                minimum=0,
                maximum=1,
            ),
            ModelArgument(
                "return_probability_raster",
                BOOLEAN,
                "False",
                "Return probabilities",
                "Write the probability of road in place of its class.",
            ),
            ModelArgument(
                "merge_policy",
                CHOICE,
                "mean",
                "Merge policy",
                "How the results of test time augmentation become one.",
                choices=tuple(MERGES),
            ),
        ]
    elif definition.model_name != CHANGE:
        arguments.append(
            ModelArgument(
                "predict_background",
                BOOLEAN,
                str(_predicts_background(definition)),
                "Predict background",
                "Whether a pixel may be of no class at all.",
            )
        )
    if definition.model_name != CHANGE:
        arguments.append(_AUGMENTATION)
    if _takes_other_tiles(definition):
        arguments.append(_tile_argument(height))
    return tuple(arguments)


def _padding_argument(height: int) -> ModelArgument:
    return ModelArgument(
        "padding",
        NUMBER,
        str(height // 4),
        "Padding",
        "Pixels along each border of a tile that are not used.",
        minimum=0,
        maximum=(height - 1) // 2,
    )


def _batch_argument(size: int) -> ModelArgument:
    return ModelArgument(
        "batch_size",
        NUMBER,
        str(size),
        "Batch size",
        "Tiles at a time: the largest square number not above it.",
        minimum=1,
    )


def _tile_argument(height: int) -> ModelArgument:
    return ModelArgument(
        "tile_size", NUMBER, str(height), "Tile size", "Side of a tile in pixels.", minimum=_SMALLEST_TILE
    )


def _detector_arguments(definition: ModelDefinition) -> tuple[ModelArgument, ...]:
    name, height = definition.model_name, definition.image_height
    arguments = [
        _padding_argument(height),
        ModelArgument(
            "threshold",
            NUMBER,
            str(THRESHOLDS.get(name, DEFAULT_THRESHOLD)),
            "Threshold",
            "Objects with a lower score are left out.",
            minimum=0,
            maximum=1,
        ),
        ModelArgument(
            "nms_overlap",
            NUMBER,
            str(overlap_of(name)),
            "Overlap",
            "Of objects that overlap by more (intersection over union), the best stays.",
            minimum=0,
            maximum=1,
        ),
        _batch_argument(_LARGE_BATCH.get(name, DEFAULT_BATCH)),
    ]
    if _takes_other_tiles(definition):
        arguments.append(_tile_argument(height))
    return tuple(arguments)


def overlap_of(model_name: str) -> float:
    """Largest intersection over union of two objects, where none is given."""
    # MaskRCNN keeps what torchvision itself sorts out by.
    return 0.5 if model_name == "MaskRCNN" else _DEFAULT_OVERLAP


class Arguments:
    """Arguments as given, read one at a time."""

    def __init__(self, given: Mapping[str, str]) -> None:
        self._given = given

    def number(self, name: str, default: float, low: float, high: float = float("inf")) -> float:
        text = str(self._given.get(name, default)).strip()
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if not low <= value <= high:
            within = f"from {low:g} to {high:g}" if high != float("inf") else f"of at least {low:g}"
            raise ParameterError(f"The argument {name} cannot be {text!r}.", f"Give a number {within}.")
        return value

    def truth(self, name: str, default: bool) -> bool:
        text = str(self._given.get(name, default)).strip().lower()
        if text not in ("true", "false", "1", "0", "yes", "no"):
            raise ParameterError(f"The argument {name} cannot be {text!r}.", "Give True or False.")
        return text in ("true", "1", "yes")

    def choice(self, name: str, choices: tuple[str, ...]) -> str:
        text = str(self._given.get(name, choices[0])).strip().lower()
        if text not in choices:
            raise ParameterError(
                f"The argument {name} cannot be {text!r}.", f"Give one of {', '.join(choices)}."
            )
        return text


def _takes_other_tiles(definition: ModelDefinition) -> bool:
    bound = (CHANGE, "SingleShotDetector", "RetinaNet", "FasterRCNN", "YOLOv3")
    return definition.model_name not in bound and bool(definition.raw.get("SupportsVariableTileSize"))


def tile_of(definition: ModelDefinition, arguments: Arguments) -> tuple[int, int]:
    """(Height, width) of the tiles of a run, as trained or asked for."""
    trained = definition.image_size
    size = int(arguments.number("tile_size", trained[0], _SMALLEST_TILE))
    if size == trained[0]:
        return trained
    if not _takes_other_tiles(definition):
        raise ParameterError(
            f"{definition.name} takes tiles of {trained[1]} x {trained[0]} pixels only, not of {size}.",
            "Leave the argument tile_size out.",
        )
    return size, size


def padding_of(tile: tuple[int, int], arguments: Arguments) -> int:
    """Pixels cut off a tile on every side, as asked for or a quarter of it."""
    return int(arguments.number("padding", tile[0] // 4, 0, (min(tile) - 1) // 2))


def _listed_values(definition: ModelDefinition) -> tuple[int, ...]:
    return tuple(item.value for item in definition.classes)


def class_values_of(definition: ModelDefinition) -> tuple[int, ...]:
    """Class value of each output channel, background first."""
    listed = _listed_values(definition)
    if definition.model_name in (*ROADS, CHANGE):
        # One class beside the background, whether or not that is listed.
        fallback = 255 if definition.model_name == CHANGE else 1
        return 0, next((value for value in listed if value), fallback)
    return (0, *listed)


def _predicts_background(definition: ModelDefinition) -> bool:
    """Unless asked: not where there are several classes and background is none of them."""
    values = _listed_values(definition)
    return 0 in values or len(values) < 2


def never_winning(definition: ModelDefinition, arguments: Arguments) -> frozenset[int]:
    """Output channels that must not win."""
    if definition.model_name in (*ROADS, CHANGE):
        return frozenset()
    never = {int(index) for index in definition.raw.get("ignore_mapped_class") or ()}
    if not arguments.truth("predict_background", _predicts_background(definition)):
        never.add(0)
    return frozenset(never)


def turns_of(definition: ModelDefinition) -> tuple[tuple[int, bool], ...]:
    """(Quarter turns, whether mirrored then): all eight where up is north, else left and right only."""
    if str(definition.raw.get("ImageSpaceUsed", "")).upper() == "MAP_SPACE":
        return tuple((quarters, is_mirrored) for is_mirrored in (False, True) for quarters in range(4))
    return (0, False), (0, True)
