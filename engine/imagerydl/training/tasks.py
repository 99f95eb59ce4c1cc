"""Which networks fit which chips, and the training that goes with them."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from ..chips.folder import read_exported_folder
from ..errors import ParameterError
from ..events import Reporter
from ..models.architectures.registry import CHIPS, MODEL_TYPES, OBJECTS, PIXELS, traits
from ..models.definition import load_definition
from ..models.runtimes.opener import missing_packages
from ..outputs import ensure_free
from .settings import AUTO, TrainingSettings

#: Metadata formats that say something about each task.
TASK_FORMATS: Mapping[str, tuple[str, ...]] = {
    PIXELS: ("Classified_Tiles",),
    OBJECTS: ("PASCAL_VOC_rectangles", "KITTI_rectangles", "COCO", "YOLO", "RCNN_Masks"),
    CHIPS: ("Labeled_Tiles", "MultiLabeled_Tiles", "Imagenet"),
}

#: Formats with outlines of objects.
MASK_FORMATS = ("RCNN_Masks", "COCO")

#: Module of each task; its ``train(settings, reporter)`` is the whole way.
_PIPELINES = {PIXELS: "pipeline", OBJECTS: "object_pipeline", CHIPS: "chip_pipeline"}

_CHOICES = {PIXELS: "UNET", OBJECTS: "FCOS", CHIPS: "FEATURE_CLASSIFIER"}


def train(settings: TrainingSettings, reporter: Reporter) -> dict[str, Any]:
    """Train the network asked for, or the one that fits the chips.

    Raises:
        ParameterError: Where the network asked for does not fit the chips, with those that do.
    """
    ensure_free(settings.out_folder, settings.overwrite)
    if settings.model_type != AUTO:
        check_packages(settings.model_type)
    exported = read_exported_folder(settings.folders[0])
    metadata_format = exported.metadata_format
    if settings.model_type == AUTO:
        has_two_dates = any(pair.second for pair in exported.chips)
        settings = settings.of_type(_chosen(settings, metadata_format, has_two_dates))
        dates = " of two dates" if traits(settings.model_type).takes_two_dates else ""
        reporter.message(f"The chips are {metadata_format}{dates}: training a {settings.model_type}.")
    check_fit(settings.model_type, metadata_format)
    check_packages(settings.model_type)
    module = _PIPELINES[traits(settings.model_type).task]
    return import_module(f".{module}", __package__).train(settings, reporter)


def check_packages(model_type: str) -> None:
    """Refuse a model type whose libraries are not installed, before a chip is read.

    Raises:
        RuntimeMissingError: Naming them, and what installs them.
    """
    missing = traits(model_type).missing_packages
    if missing:
        raise missing_packages(model_type, missing)


def _chosen(settings: TrainingSettings, metadata_format: str, has_two_dates: bool) -> str:
    """The type of the model to go on from, else the one that fits the chips."""
    if settings.pretrained_model:
        name = load_definition(settings.pretrained_model).model_name.upper()
        if name in MODEL_TYPES:
            return name
    return choose_model_type(metadata_format, has_two_dates)


def formats_of(model_type: str) -> tuple[str, ...]:
    """Metadata formats that a model type learns from."""
    known = traits(model_type)
    return MASK_FORMATS if known.gives_masks else TASK_FORMATS[known.task]


def choose_model_type(metadata_format: str, has_two_dates: bool = False) -> str:
    """The model type for chips of a format.

    Args:
        metadata_format: The format.
        has_two_dates: Whether there are chips of a second date.

    Raises:
        ParameterError: Where there is none.
    """
    if metadata_format == "RCNN_Masks":
        return "MASKRCNN"
    for task, formats in TASK_FORMATS.items():
        if metadata_format in formats:
            return "CHANGEDETECTOR" if task == PIXELS and has_two_dates else _CHOICES[task]
    known = ", ".join(name for formats in TASK_FORMATS.values() for name in formats)
    raise ParameterError(
        f"No network here learns from chips exported as {metadata_format}.", f"Export them as one of {known}."
    )


def check_fit(model_type: str, metadata_format: str) -> None:
    """Refuse a model type that cannot learn from chips of a format.

    Raises:
        ParameterError: Naming what does fit.
    """
    if metadata_format in formats_of(model_type):
        return
    fitting = [name for name in MODEL_TYPES if metadata_format in formats_of(name)]
    learns = f"{model_type} learns from {' or '.join(formats_of(model_type))}"
    raise ParameterError(
        f"MODEL_TYPE is {model_type}, which does not fit chips exported as {metadata_format}.",
        f"{learns}; these chips fit {', '.join(fitting)}." if fitting else f"{learns}.",
    )
