"""What a training run is asked to do, typed and checked. Standard library only."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Optional

from ..errors import ParameterError
from ..models.architectures.registry import CHIPS, NO_BACKBONE, OBJECTS, PIXELS, traits
from .augmentation_settings import AugmentationSettings, parse_custom

#: Monitored quantity -> its name in the log, and whether less of it is better.
MONITORS = {
    "VALID_LOSS": ("valid_loss", True),
    "ACCURACY": ("valid_accuracy", False),
    "MIOU": ("valid_miou", False),
    "JACCARD": ("valid_jaccard", False),
    "F1_SCORE": ("valid_f1", False),
    "DICE": ("valid_f1", False),  # over whole classes Dice and F1 are one formula
    "PRECISION": ("valid_precision", False),
    "RECALL": ("valid_recall", False),
    "AVERAGE_PRECISION": ("valid_map50", False),
}

#: What can be monitored for each task.
_MONITORED = {
    PIXELS: tuple(name for name in MONITORS if name != "AVERAGE_PRECISION"),
    OBJECTS: ("VALID_LOSS", "AVERAGE_PRECISION"),
    CHIPS: ("VALID_LOSS", "ACCURACY", "F1_SCORE", "PRECISION", "RECALL"),
}

#: The model type is chosen by the format of the chips.
AUTO = "AUTO"

AUGMENTATIONS = ("DEFAULT", "NONE", "CUSTOM", "FILE")
WEIGHT_SCHEMES = ("RANDOM", "RED_BAND", "ALL_RANDOM")


@dataclass(frozen=True)
class LossSettings:
    """The loss, and the optimiser's regularisation; the fields are names in ``ARGUMENTS``.

    Attributes:
        class_balancing: Whether rare classes weigh more, by the inverse of their share of pixels; for
            objects, whether chips that show them are seen more often.
        focal_loss: Whether pixels (or chips) that are already right weigh less (Lin et al. 2017, gamma 2).
        dice_loss_fraction: Share of the Dice loss in place of cross entropy, 0 to 1.
        dice_loss_average: "micro" (over all pixels) or "macro" (mean over classes).
        jaccard_loss_weight: Weight of 1 - soft Jaccard, added to the rest.
        ignore_classes: Class values whose pixels, objects or chips are neither learnt nor counted.
        mixup: Whether chips are mixed with others, two by two (Zhang et al. 2018).
        dropout: Share of the article's dropout in the plain U-Net, 0 to 3.
        weight_decay: Of the AdamW optimiser.
        patience: Epochs without improvement, in the second half, before training stops.
        grids: Cells along a chip's side at each level of an SSD.
        zooms: Sizes of an SSD's anchors, in cells.
        ratios: Anchors' height by width.
        scales: Sizes of anchors, in those found in the training boxes.
        given: Names of the arguments that were given.
    """

    class_balancing: bool = False
    focal_loss: bool = False
    dice_loss_fraction: float = 0.0
    dice_loss_average: str = "micro"
    jaccard_loss_weight: float = 0.5
    ignore_classes: tuple[int, ...] = ()
    mixup: bool = False
    dropout: float = 0.1
    weight_decay: float = 1e-4
    patience: int = 5
    grids: tuple[int, ...] = ()
    zooms: tuple[float, ...] = ()
    ratios: tuple[float, ...] = ()
    scales: tuple[float, ...] = ()
    given: tuple[str, ...] = field(default=(), compare=False)


@dataclass(frozen=True)
class TrainingSettings:
    """One training run.

    Attributes:
        folders: Folders of exported chips.
        out_folder: Model folder to write; the files in it carry its name.
        max_epochs: Passes over the chips at most.
        model_type: Keyword of the network, or :data:`AUTO`.
        batch_size: Chips a step; None: chosen from memory.
        learning_rate: Highest learning rate; None: found by a sweep.
        backbone: "NONE" or the name of a backbone; None: as the pretrained model, else the model type's.
        backbone_weights: Local file with weights of the backbone.
        validation_fraction: Share of chips kept for validation.
        pretrained_model: Definition of the model to go on from.
        stop_early: Whether to stop when ``monitor`` no longer improves.
        monitor: A key of :data:`MONITORS`.
        freeze: Whether the encoder keeps its weights.
        augmentation: One of :data:`AUGMENTATIONS`.
        custom_augmentation: What CUSTOM asks for.
        chip_size: Side of the random crops trained on, pixels; None: whole chips.
        weight_init_scheme: One of :data:`WEIGHT_SCHEMES`.
        device: AUTO, CPU, CUDA, CUDA:0...
        seed: Of everything random.
        overwrite: Whether an existing ``out_folder`` may be replaced.
        loss: See :class:`LossSettings`.
    """

    folders: tuple[Path, ...]
    out_folder: Path
    max_epochs: int = 20
    model_type: str = AUTO
    batch_size: Optional[int] = None
    learning_rate: Optional[float] = None
    backbone: Optional[str] = None
    backbone_weights: Optional[Path] = None
    validation_fraction: float = 0.1
    pretrained_model: Optional[str] = None
    stop_early: bool = True
    monitor: str = "VALID_LOSS"
    freeze: bool = False
    augmentation: str = "DEFAULT"
    custom_augmentation: AugmentationSettings = field(default_factory=AugmentationSettings)
    chip_size: Optional[int] = None
    weight_init_scheme: str = "RANDOM"
    device: str = "AUTO"
    seed: int = 42
    overwrite: bool = False
    loss: LossSettings = field(default_factory=LossSettings)

    @property
    def name(self) -> str:
        """Name of the model: that of its folder."""
        return self.out_folder.name

    @classmethod
    def from_values(cls, values: Mapping[str, Any]) -> TrainingSettings:
        """From the values of the tool's parameters.

        Raises:
            ParameterError: For values that do not go together, or an unknown argument.
        """
        custom = values["AUGMENTATION_PARAMETERS"] or {}
        if custom and values["AUGMENTATION"] != "CUSTOM":
            raise ParameterError(
                "AUGMENTATION_PARAMETERS are only used with AUGMENTATION=CUSTOM.",
                "Set AUGMENTATION to CUSTOM, or leave AUGMENTATION_PARAMETERS empty.",
            )
        if values["AUGMENTATION"] == "CUSTOM" and not custom:
            raise ParameterError(
                "AUGMENTATION=CUSTOM needs AUGMENTATION_PARAMETERS.",
                "Give for example 'rotate 30.0;0.5', or set AUGMENTATION to NONE.",
            )
        backbone_weights, pretrained = values["BACKBONE_WEIGHTS"], values["PRETRAINED_MODEL"]
        settings = cls(
            folders=tuple(Path(folder) for folder in values["IN_FOLDER"]),
            out_folder=Path(values["OUT_FOLDER"]).absolute(),
            max_epochs=values["MAX_EPOCHS"],
            model_type=values["MODEL_TYPE"],
            batch_size=values["BATCH_SIZE"],
            learning_rate=values["LEARNING_RATE"] or None,  # 0 asks for the finder, as in ArcGIS
            backbone=values["BACKBONE_MODEL"],
            backbone_weights=Path(backbone_weights) if backbone_weights else None,
            validation_fraction=values["VALIDATION_PERCENTAGE"] / 100,
            pretrained_model=pretrained,
            stop_early=values["STOP_TRAINING"],
            monitor=values["MONITOR"],
            freeze=values["FREEZE"],
            augmentation=values["AUGMENTATION"],
            custom_augmentation=parse_custom(custom),
            chip_size=values["CHIP_SIZE"],
            weight_init_scheme=values["WEIGHT_INIT_SCHEME"],
            device=values["DEVICE"],
            seed=values["SEED"],
            overwrite=values["OVERWRITE"],
            loss=parse_arguments(values["ARGUMENTS"] or {}),
        )
        settings._check()
        return settings if settings.model_type == AUTO else settings.of_type(settings.model_type)

    def of_type(self, model_type: str) -> TrainingSettings:
        """These settings for a model type.

        Raises:
            ParameterError: Where something was asked for that means nothing to it.
        """
        task = traits(model_type).task
        strange = [name for name in self.loss.given if not _means(name, model_type)]
        if strange:
            known = sorted(name for name in _ARGUMENTS if _means(name, model_type))
            raise ParameterError(
                f"The argument {strange[0]} means nothing to {model_type}.",
                f"Its arguments are {', '.join(known)}.",
            )
        if self.chip_size and traits(model_type).has_queries:
            raise ParameterError(
                f"CHIP_SIZE is {self.chip_size}, and {model_type} is made for images of one size.",
                "Leave CHIP_SIZE empty, and export chips of the size that is wanted.",
            )
        if self.monitor not in _MONITORED[task]:
            raise ParameterError(
                f"MONITOR is {self.monitor}, which is not measured for {model_type}.",
                f"Use {' or '.join(_MONITORED[task])}.",
            )
        return replace(self, model_type=model_type)

    @property
    def backbone_or_default(self) -> str:
        """The backbone asked for, else that of the model type."""
        return self.backbone or traits(self.model_type).backbone

    def _check(self) -> None:
        if not self.name:
            raise ParameterError(f"{self.out_folder} cannot be OUT_FOLDER.", "Give a folder with a name.")
        if self.backbone_weights and self.pretrained_model:
            raise ParameterError(
                "BACKBONE_WEIGHTS and PRETRAINED_MODEL exclude each other.",
                "Start from the weights of a backbone, or go on from a whole model.",
            )
        if self.backbone_weights and (self.backbone or NO_BACKBONE).upper() == NO_BACKBONE:
            raise ParameterError(
                "BACKBONE_WEIGHTS needs a BACKBONE_MODEL.", "Name the backbone the weights belong to."
            )


def parse_arguments(arguments: Mapping[str, str]) -> LossSettings:
    """``ARGUMENTS`` as settings.

    Raises:
        ParameterError: Naming the argument that is unknown or malformed, and what there is.
    """
    given = {}
    for name, text in arguments.items():
        key = name.strip().lower()
        if key not in _ARGUMENTS:
            raise ParameterError(
                f"ARGUMENTS has no {name!r}.", f"The arguments are {', '.join(sorted(_ARGUMENTS))}."
            )
        parse, wanted = _ARGUMENTS[key]
        try:
            given[key] = parse(str(text).strip())
        except ValueError:
            raise ParameterError(f"The argument {name} cannot be {text!r}.", f"Give {wanted}.") from None
    return LossSettings(**given, given=tuple(given))


def _means(argument: str, model_type: str) -> bool:
    """Whether an argument means something to a model type."""
    if argument in _ANCHORS:
        return model_type in _ANCHORS[argument]
    if argument == "dropout":
        return model_type in ("UNET", "CHANGEDETECTOR")
    return traits(model_type).task in _TASKS.get(argument, (PIXELS, OBJECTS, CHIPS))


def _truth(text: str) -> bool:
    if text.lower() not in ("true", "false", "1", "0", "yes", "no"):
        raise ValueError(text)
    return text.lower() in ("true", "1", "yes")


def _between(low: float, high: float) -> Callable[[str], float]:
    def parse(text: str) -> float:
        number = float(text)
        if not low <= number <= high:
            raise ValueError(text)
        return number

    return parse


def _values(text: str) -> tuple[int, ...]:
    return tuple(sorted({int(part) for part in text.strip("[]() ").replace(",", " ").split()}))


def _numbers(parse: Callable[[str], Any]) -> Callable[[str], tuple[Any, ...]]:
    def parse_all(text: str) -> tuple[Any, ...]:
        found = tuple(parse(part) for part in text.strip("[]() ").replace(",", " ").split())
        if not found or min(found) <= 0:
            raise ValueError(text)
        return found

    return parse_all


def _ratios(text: str) -> tuple[float, ...]:
    """Ratios as numbers, or as the pairs [width, height] that ArcGIS writes."""
    if "[" not in text.strip()[1:]:
        return _numbers(float)(text)
    pairs = [_numbers(float)(pair) for pair in re.findall(r"\[([^\[\]]*)\]", text)]
    if any(len(pair) != 2 for pair in pairs):
        raise ValueError(text)
    return tuple(height / width for width, height in pairs)


def _average(text: str) -> str:
    if text.lower() not in ("micro", "macro"):
        raise ValueError(text)
    return text.lower()


def _patience(text: str) -> int:
    if int(text) < 1:
        raise ValueError(text)
    return int(text)


_ANCHORED = ("RETINANET", "FASTERRCNN", "MASKRCNN")

#: Model types that an argument about anchors means something to.
_ANCHORS = {"grids": ("SSD",), "zooms": ("SSD",), "ratios": ("SSD", *_ANCHORED), "scales": _ANCHORED}

#: Tasks that an argument means something to, where that is not all of them.
_TASKS = {
    "focal_loss": (PIXELS, CHIPS),
    "mixup": (PIXELS, CHIPS),
    "dice_loss_fraction": (PIXELS,),
    "dice_loss_average": (PIXELS,),
    "jaccard_loss_weight": (PIXELS,),
}

_ARGUMENTS: dict[str, tuple[Callable[[str], Any], str]] = {
    "class_balancing": (_truth, "True or False"),
    "focal_loss": (_truth, "True or False"),
    "dice_loss_fraction": (_between(0, 1), "a number from 0 to 1"),
    "dice_loss_average": (_average, "micro or macro"),
    "jaccard_loss_weight": (_between(0, 10), "a number from 0 to 10"),
    "ignore_classes": (_values, "class values, as in '0' or '3,4'"),
    "dropout": (_between(0, 3), "a number from 0 to 3"),
    "weight_decay": (_between(0, 1), "a number from 0 to 1"),
    "patience": (_patience, "a whole number above 0"),
    "mixup": (_truth, "True or False"),
    "grids": (_numbers(int), "whole numbers, as in '[32, 16, 8]'"),
    "zooms": (_numbers(float), "numbers, as in '[0.7, 1.0, 1.3]'"),
    "ratios": (_ratios, "numbers or pairs, as in '[0.5, 1, 2]' or '[[1, 1], [1, 2]]'"),
    "scales": (_numbers(float), "numbers, as in '[1, 1.26, 1.59]'"),
}
