"""Packages saved by arcgis.learn: their networks rebuilt, their weights loaded without running code.

Pixel classifiers classify each tile alone and cut its padding off. With test time augmentation, and
always for roads, tiles of a block are blended instead: see :class:`BlockModel`. Detectors and
FeatureClassifier are opened by functions of their own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import isqrt
from typing import TYPE_CHECKING, Any, Optional, Union

import numpy as np

from ...errors import ModelDefinitionError, ModelError, ParameterError, RuntimeMissingError
from ..arguments import BOOLEAN, CHOICE, NUMBER, ModelArgument
from ..definition import ModelDefinition
from ..trust import ForeignCode
from .chip_classification import ChipClassifier
from .detection import DetectionModel, Detections, outlines
from .devices import Device
from .options import RunOptions
from .protocol import Gives, ModelInput, PixelModel, Position, looks_like_out_of_memory, softmax
from .torch import torch_sees_cuda

if TYPE_CHECKING:
    from torch import nn

PACKAGES = {"torch": "torch", "torchvision": "torchvision", "safetensors": "safetensors"}

_ROADS = ("MultiTaskRoadExtractor", "ConnectNet")
_CHANGE = "ChangeDetector"

#: What another tool does, by class.
_OTHER_TOOLS = {
    "SingleShotDetector": "Detect Objects",
    "RetinaNet": "Detect Objects",
    "FasterRCNN": "Detect Objects",
    "MaskRCNN": "Detect Objects",
    "YOLOv3": "Detect Objects",
    "FeatureClassifier": "Classify Objects",
    _CHANGE: "Detect Change",
}

_DETECTORS = tuple(name for name, tool in _OTHER_TOOLS.items() if tool == "Detect Objects")
_CLASSIFIER = "FeatureClassifier"

_DEFAULT_BATCH = 4
_DEFAULT_OVERLAP = 0.1

#: Lowest score of a detector that is reported, where it is not the usual one.
_THRESHOLDS = {"YOLOv3": 0.1, "MaskRCNN": 0.9}

#: Detectors that the tool runs with large batches.
_LARGE_BATCH = {"SingleShotDetector": 64, "RetinaNet": 64, "FasterRCNN": 64}
_DEFAULT_THRESHOLD = 0.5
_SMALLEST_TILE = 32
_MERGES = {"mean": np.mean, "max": np.max, "min": np.min}


def open_model(definition: ModelDefinition, options: RunOptions) -> PixelModel:
    """Open a pixel classifier; see :mod:`.opening`.

    Raises:
        ModelDefinitionError: For a model of another tool, or one that is not rebuilt.
    """
    name = definition.model_name
    if name in _OTHER_TOOLS:
        raise ModelDefinitionError(
            f"{definition.name} is a {name}, which does not classify the pixels of one raster.",
            f"Use the tool {_OTHER_TOOLS[name]}.",
        )
    return _open(definition, options)


def open_change_model(definition: ModelDefinition, options: RunOptions) -> PixelModel:
    """Open a ChangeDetector, which is fed with the bands of both dates, before first.

    Its logits are the threshold and the distance of the dates: the larger one decides.

    Raises:
        ModelDefinitionError: For any other model.
    """
    if definition.model_name != _CHANGE:
        raise ModelDefinitionError(
            f"{definition.name} is a {_class_name(definition)}, not a {_CHANGE}.",
            "Choose a model that compares two dates.",
        )
    bands = definition.extract_bands
    one_date = _bands_of_one_date(definition)
    if one_date != bands:
        # The network and its statistics are known by the bands of one date.
        raw = {**definition.raw, "ExtractBands": list(one_date)}
        definition = replace(definition, extract_bands=one_date, raw=raw)
    model = _open(definition, options)
    model.extract_bands = bands if one_date != bands else (*bands, *bands)
    return model


def _bands_of_one_date(definition: ModelDefinition) -> tuple[Union[int, str], ...]:
    """The bands taken of each date: definitions list them once, or once for each date. The weights tell."""
    from ..architectures.weights import read_weights

    bands = definition.extract_bands
    first = read_weights(definition.model_file).get("netF.module.backbone.conv1.weight")
    return bands[: len(bands) // 2] if first is not None and 2 * first.shape[1] == len(bands) else bands


def open_detection_model(definition: ModelDefinition, options: RunOptions) -> DetectionModel:
    """Open a detector.

    Raises:
        ModelDefinitionError: For any other model, or one that is not rebuilt.
    """
    if definition.model_name not in _DETECTORS:
        raise ModelDefinitionError(
            f"{definition.name} is a {_class_name(definition)}, no detector.",
            f"Choose one of {', '.join(_DETECTORS)}.",
        )
    return Detector(definition, options)


def open_chip_classifier(definition: ModelDefinition, options: RunOptions) -> ChipClassifier:
    """Open a FeatureClassifier.

    Raises:
        ModelDefinitionError: For any other model, or one that is not rebuilt.
    """
    if definition.model_name != _CLASSIFIER:
        raise ModelDefinitionError(
            f"{definition.name} is a {_class_name(definition)}, which does not classify whole objects.",
            f"Choose a {_CLASSIFIER}.",
        )
    return FeatureClassifier(definition, options)


def model_arguments(definition: ModelDefinition, consent: bool) -> tuple[ModelArgument, ...]:
    """What the tool's own function asks for, with its defaults."""
    if definition.model_name == _CLASSIFIER:
        return (_batch_argument(_DEFAULT_BATCH), _AUGMENTATION)
    if definition.model_name in _DETECTORS:
        return _detector_arguments(definition)
    height = definition.image_height
    arguments = [
        _padding_argument(height),
        _batch_argument(_DEFAULT_BATCH),
    ]
    if definition.model_name in _ROADS:
        arguments += [
            ModelArgument(
                "threshold",
                NUMBER,
                str(_DEFAULT_THRESHOLD),
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
                choices=tuple(_MERGES),
            ),
        ]
    elif definition.model_name != _CHANGE:
        arguments.append(
            ModelArgument(
                "predict_background",
                BOOLEAN,
                str(_predicts_background(definition)),
                "Predict background",
                "Whether a pixel may be of no class at all.",
            )
        )
    if definition.model_name != _CHANGE:
        arguments.append(_AUGMENTATION)
    if _takes_other_tiles(definition):
        arguments.append(_tile_argument(height))
    return tuple(arguments)


_AUGMENTATION = ModelArgument(
    "test_time_augmentation",
    BOOLEAN,
    "False",
    "Test time augmentation",
    "Classify each tile turned and mirrored, too: slower and more exact.",
)


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
            str(_THRESHOLDS.get(name, _DEFAULT_THRESHOLD)),
            "Threshold",
            "Objects with a lower score are left out.",
            minimum=0,
            maximum=1,
        ),
        ModelArgument(
            "nms_overlap",
            NUMBER,
            str(_overlap(name)),
            "Overlap",
            "Of objects that overlap by more (intersection over union), the best stays.",
            minimum=0,
            maximum=1,
        ),
        _batch_argument(_LARGE_BATCH.get(name, _DEFAULT_BATCH)),
    ]
    if _takes_other_tiles(definition):
        arguments.append(_tile_argument(height))
    return tuple(arguments)


def _overlap(model_name: str) -> float:
    # MaskRCNN keeps what torchvision itself sorts out by.
    return 0.5 if model_name == "MaskRCNN" else _DEFAULT_OVERLAP


def foreign_code(definition: ModelDefinition) -> Optional[ForeignCode]:
    """None: only numbers are read from the weights, and Python files beside them are not used."""
    return None


def load_network(definition: ModelDefinition) -> nn.Module:
    """The network a definition describes, with its weights, on the CPU.

    Raises:
        ModelDefinitionError: If it is not rebuilt.
        ModelError: If the weights cannot be read or do not fit.
    """
    from ..architectures.arcgis_learn.building import build_network
    from ..architectures.arcgis_learn.facts import facts_of
    from ..architectures.weights import read_weights

    return build_network(facts_of(definition), read_weights(definition.model_file))


class TileModel(PixelModel):
    """A pixel classifier whose tiles are classified alone.

    Args:
        definition: The model.
        options: Device, threads and arguments.
    """

    gives = Gives.LOGITS
    blends = False

    def __init__(self, definition: ModelDefinition, options: RunOptions) -> None:
        from ..architectures.arcgis_learn.facts import facts_of
        from ..architectures.arcgis_learn.normalisation import input_normalisation

        arguments = _Arguments(options.arguments)
        self.tile = _tile(definition, arguments)
        self.padding = _padding(self.tile, arguments)
        self.tile_size = self.tile
        self._side = isqrt(int(arguments.number("batch_size", _DEFAULT_BATCH, 1)))
        # The tool puts 0 where its host has no pixel, before anything else.
        self.input = ModelInput(input_normalisation(facts_of(definition)), blank=0.0)
        self.class_values = _class_values(definition)
        self.outputs = len(self.class_values)
        self.never = _never(definition, arguments)
        self._name = definition.name
        self._network = Network(definition, options)
        self.device = self._network.device
        self.description = self._network.description

    def scores(self, batch: np.ndarray, valid: np.ndarray) -> np.ndarray:
        """Logits; see :meth:`PixelModel.scores`."""
        return self._network(batch, self.outputs)

    def fitting_batch(self, size: int) -> int:
        """The largest square number not above ``size``, as the tool takes them."""
        return max(1, isqrt(size)) ** 2


class BlockModel(TileModel):
    """A pixel classifier that blends the logits of overlapping tiles within a block.

    A block is ``side`` x ``side`` tiles that overlap by twice the padding, and is given whole: its
    size is :attr:`tile_size`, the padding :attr:`margin`. For each turn and reflection the block is
    turned, cut into tiles, and the logits of these are blended with a Hann window; then the means
    over all turns become probabilities.
    """

    gives = Gives.PROBABILITIES
    pads_itself = True

    def __init__(self, definition: ModelDefinition, options: RunOptions) -> None:
        super().__init__(definition, options)
        is_augmented = _Arguments(options.arguments).truth("test_time_augmentation", False)
        self._turns = _turns(definition) if is_augmented else ((0, False),)
        self.margin = self.padding
        self.tile_size = (self._block(0), self._block(1))

    def scores(self, batch: np.ndarray, valid: np.ndarray) -> np.ndarray:
        """Probabilities of the block without its margin; see :meth:`PixelModel.scores`."""
        logits = np.stack([self._blended(block).mean(axis=0) for block in batch])
        return softmax(self._inner(logits))

    def fitting_batch(self, size: int) -> int:
        """One block: it is a batch of tiles."""
        return 1

    def _block(self, axis: int) -> int:
        return self._side * (self.tile[axis] - 2 * self.padding) + 2 * self.padding

    def _inner(self, whole: np.ndarray) -> np.ndarray:
        edge = self.padding
        inner = whole[..., edge : whole.shape[-2] - edge, edge : whole.shape[-1] - edge]
        return np.ascontiguousarray(inner, dtype=np.float32)

    def _blended(self, block: np.ndarray) -> np.ndarray:
        """Logits ``[turns, outputs, h, w]`` of one block ``[bands, h, w]``."""
        results = []
        for quarters, is_mirrored in self._turns:
            turned = np.rot90(block, quarters, (1, 2))
            turned = turned[..., ::-1] if is_mirrored else turned
            logits = self._blend(turned, self.tile if quarters % 2 == 0 else self.tile[::-1])
            logits = logits[..., ::-1] if is_mirrored else logits
            results.append(np.rot90(logits, -quarters, (1, 2)))
        return np.stack(results)

    def _blend(self, block: np.ndarray, tile: tuple[int, int]) -> np.ndarray:
        height, width = tile
        corners = [
            (row * (height - 2 * self.padding), column * (width - 2 * self.padding))
            for row in range(self._side)
            for column in range(self._side)
        ]
        tiles = np.stack([block[:, top : top + height, left : left + width] for top, left in corners])
        window = np.outer(_hann(height), _hann(width))
        total = np.zeros((self.outputs, *block.shape[1:]))
        weights = np.zeros(block.shape[1:])
        for logits, (top, left) in zip(self._network(tiles, self.outputs), corners):
            area = (slice(top, top + height), slice(left, left + width))
            total[(slice(None), *area)] += logits * window
            weights[area] += window
        return total / weights


class RoadModel(BlockModel):
    """A road extractor: blended, with a threshold of its own.

    With test time augmentation the probabilities of the turns are merged by ``merge_policy``.
    """

    def __init__(self, definition: ModelDefinition, options: RunOptions) -> None:
        super().__init__(definition, options)
        arguments = _Arguments(options.arguments)
        self._threshold = arguments.number("threshold", _DEFAULT_THRESHOLD, 0, 1)
        self._merge = _MERGES[arguments.choice("merge_policy", tuple(_MERGES))]
        self._gives_probability = arguments.truth("return_probability_raster", False)
        if self._gives_probability:
            self.gives, self.pixel_type = Gives.VALUES, "float32"
        elif self._threshold != _DEFAULT_THRESHOLD:
            # The larger probability would not be the class.
            self.gives, self.pixel_type = Gives.VALUES, "int32"

    def scores(self, batch: np.ndarray, valid: np.ndarray) -> np.ndarray:
        """Probabilities of background and road, or the value to write."""
        road = np.stack([self._merge(softmax(self._blended(block))[:, 1], axis=0) for block in batch])
        road = self._inner(road[:, None])
        if self._gives_probability:
            return road
        if self.gives is Gives.VALUES:
            background, value = self.class_values
            return np.where(road > self._threshold, value, background).astype(self.pixel_type)
        return np.concatenate([1 - road, road], axis=1)


class Detector(DetectionModel):
    """A detector of arcgis.learn; see :class:`DetectionModel`.

    Args:
        definition: The model.
        options: Device, threads and arguments.
    """

    def __init__(self, definition: ModelDefinition, options: RunOptions) -> None:
        from ..architectures.arcgis_learn.facts import facts_of
        from ..architectures.arcgis_learn.normalisation import input_normalisation

        arguments, name = _Arguments(options.arguments), definition.model_name
        self.tile_size = _tile(definition, arguments)
        self.padding = _padding(self.tile_size, arguments)
        self.threshold = arguments.number("threshold", _THRESHOLDS.get(name, _DEFAULT_THRESHOLD), 0, 1)
        self.nms_overlap = arguments.number("nms_overlap", _overlap(name), 0, 1)
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
            for boxes in self._decoded(_on_cpu(self._network.run(batch)))
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

        arguments = _Arguments(options.arguments)
        is_augmented = arguments.truth("test_time_augmentation", False)
        self._turns = _turns(definition) if is_augmented else ((0, False),)
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


class Network:
    """A network of arcgis.learn on a device: float32 arrays in, float32 arrays out.

    Args:
        definition: The model.
        options: Device and threads.
    """

    def __init__(self, definition: ModelDefinition, options: RunOptions) -> None:
        import torch

        if options.precision not in ("FLOAT32", "AUTO"):
            raise ParameterError(
                f"{definition.name} runs in FLOAT32 only, not in {options.precision}.",
                "Set PRECISION to FLOAT32 or AUTO.",
            )
        device = _usable(options.device)
        if options.threads:
            torch.set_num_threads(options.threads)
        self.device = device.name
        self._name = definition.name
        self.torch_device = torch.device(device.kind, device.index if device.kind == "cuda" else None)
        self.module = load_network(definition).to(self.torch_device)
        threads = f"{torch.get_num_threads()} threads"
        where = torch.cuda.get_device_name(self.torch_device) if device.kind == "cuda" else threads
        self.description = f"PyTorch {torch.__version__} on {self.device} ({where})"

    def __call__(self, batch: np.ndarray, outputs: int) -> np.ndarray:
        """Run it on ``[n, bands, h, w]``; returns ``[n, outputs, h, w]``.

        Raises:
            MemoryError: If the device has no room for the batch.
            ModelError: If it cannot run on it, or gives something else.
        """
        result = self.run(batch).float().cpu().numpy()
        if result.shape != (len(batch), outputs, *batch.shape[2:]):
            raise ModelError(
                f"{self._name} gives {list(result.shape)} for a batch of {list(batch.shape)}.",
                "Check that the weights belong to the definition.",
            )
        return result

    def run(self, batch: np.ndarray) -> Any:
        """What the network itself gives for ``[n, bands, h, w]``: a tensor, or several.

        Raises:
            As :meth:`__call__`.
        """
        import torch

        try:
            with torch.inference_mode():
                tensor = torch.from_numpy(np.ascontiguousarray(batch, dtype=np.float32))
                return self.module(tensor.to(self.torch_device))
        except RuntimeError as error:
            if looks_like_out_of_memory(error):
                torch.cuda.empty_cache()
                raise MemoryError(str(error)) from error
            raise ModelError(
                f"{self._name} cannot run on tiles of {batch.shape[3]} x {batch.shape[2]} pixels ({error}).",
                "Check that the weights belong to the definition.",
            ) from error


class _Arguments:
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


def _open(definition: ModelDefinition, options: RunOptions) -> PixelModel:
    if definition.model_name in _ROADS:
        return RoadModel(definition, options)
    is_change = definition.model_name == _CHANGE
    if not is_change and _Arguments(options.arguments).truth("test_time_augmentation", False):
        return BlockModel(definition, options)
    return TileModel(definition, options)


def _takes_other_tiles(definition: ModelDefinition) -> bool:
    bound = (_CHANGE, "SingleShotDetector", "RetinaNet", "FasterRCNN", "YOLOv3")
    return definition.model_name not in bound and bool(definition.raw.get("SupportsVariableTileSize"))


def _tile(definition: ModelDefinition, arguments: _Arguments) -> tuple[int, int]:
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


def _padding(tile: tuple[int, int], arguments: _Arguments) -> int:
    return int(arguments.number("padding", tile[0] // 4, 0, (min(tile) - 1) // 2))


def _class_name(definition: ModelDefinition) -> str:
    return definition.model_name or "model of an unnamed class"


def _listed_values(definition: ModelDefinition) -> tuple[int, ...]:
    return tuple(item.value for item in definition.classes)


def _class_values(definition: ModelDefinition) -> tuple[int, ...]:
    listed = _listed_values(definition)
    if definition.model_name in (*_ROADS, _CHANGE):
        # One class beside the background, whether or not that is listed.
        fallback = 255 if definition.model_name == _CHANGE else 1
        return 0, next((value for value in listed if value), fallback)
    return (0, *listed)


def _predicts_background(definition: ModelDefinition) -> bool:
    """Unless asked: not where there are several classes and background is none of them."""
    values = _listed_values(definition)
    return 0 in values or len(values) < 2


def _never(definition: ModelDefinition, arguments: _Arguments) -> frozenset[int]:
    if definition.model_name in (*_ROADS, _CHANGE):
        return frozenset()
    never = {int(index) for index in definition.raw.get("ignore_mapped_class") or ()}
    if not arguments.truth("predict_background", _predicts_background(definition)):
        never.add(0)
    return frozenset(never)


def _turns(definition: ModelDefinition) -> tuple[tuple[int, bool], ...]:
    """(Quarter turns, whether mirrored then): all eight where up is north, else left and right only."""
    if str(definition.raw.get("ImageSpaceUsed", "")).upper() == "MAP_SPACE":
        return tuple((quarters, is_mirrored) for is_mirrored in (False, True) for quarters in range(4))
    return (0, False), (0, True)


def _hann(length: int) -> np.ndarray:
    """A periodic Hann window. Its first value is 0: kept above that, lest a block's border has no weight."""
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(length) / length)
    return np.maximum(window, 1e-9)


def _on_cpu(outputs: Any) -> Any:
    if isinstance(outputs, Mapping):
        return {name: value.cpu() for name, value in outputs.items()}
    if isinstance(outputs, (list, tuple)):
        return type(outputs)(_on_cpu(output) for output in outputs)
    return outputs.cpu()


def _usable(device: Device) -> Device:
    if device.kind != "cuda" or torch_sees_cuda():
        return device
    if device.is_demanded:
        raise RuntimeMissingError(
            f"DEVICE is {device.name}, but the installed PyTorch does not run on it.",
            "Set up the runtime with CUDA, or use AUTO or CPU.",
        )
    return Device("cpu", is_demanded=False)
