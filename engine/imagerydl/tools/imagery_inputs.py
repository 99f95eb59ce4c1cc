"""What tools that run a model over imagery have in common: parameters, and checks of them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from ..errors import ParameterError
from ..tool import Kind, Param

#: Imagery comes in one of these.
INPUT_KEYS = ("IN_RASTER", "IN_FOLDER", "IN_IMAGE_FEATURES")

IN_IMAGE_FEATURES = Param(
    "IN_IMAGE_FEATURES",
    Kind.LAYER,
    "Features with images",
    (
        "In place of input rasters: a layer or table whose features carry images, as a path in a field "
        "or as attachments."
    ),
    optional=True,
)

IMAGE_FIELD = Param(
    "IMAGE_FIELD",
    Kind.FIELD,
    "Image field",
    (
        "The field with the paths of the images, absolute or relative to the layer's file. Left out: a "
        "field called image, raster, path or the like, else attachments."
    ),
    optional=True,
    parent="IN_IMAGE_FEATURES",
    advanced=True,
)

DEVICE = Param(
    "DEVICE",
    Kind.TEXT,
    "Device",
    (
        "AUTO (a CUDA graphics card where there is one, else the processor), CPU, CUDA, or CUDA:0, "
        "CUDA:1 and so on."
    ),
    default="AUTO",
    advanced=True,
)

TRUST_MODEL = Param(
    "TRUST_MODEL",
    Kind.BOOLEAN,
    "Trust the model's code",
    (
        "Agree to run code that comes with the model (a Python raster function, a pickle), which can do "
        "anything that you can. The choice is remembered for these very files."
    ),
    default=False,
    advanced=True,
)

OVERWRITE = Param(
    "OVERWRITE",
    Kind.BOOLEAN,
    "Overwrite existing output",
    "Replace files that exist under the output names, once the new ones are complete.",
    default=False,
    advanced=True,
)


def check_one_input(values: Mapping[str, Any], what: str) -> str:
    """The one input that is given.

    Args:
        values: Of the job.
        what: What cannot be done without ("to classify").

    Raises:
        ParameterError: If none is, or several are.
    """
    given = [key for key in INPUT_KEYS if values[key]]
    if len(given) != 1:
        told = f"{' and '.join(given)} are all given" if given else f"There is nothing {what}"
        raise ParameterError(f"{told}.", f"Give one of {', '.join(INPUT_KEYS)}.")
    return given[0]


def check_keeps_inputs(key: str, path: str, inputs: list[str]) -> None:
    """Refuse an output under the name of an input."""
    for other in inputs:
        if same_file(path, other.split("|", 1)[0]):
            raise ParameterError(f"{key} would overwrite the input {other}.", "Choose another name.")


def same_file(first: str, second: str) -> bool:
    """Whether two paths lead to one file."""

    def normal(path: str) -> str:
        return os.path.normcase(os.path.realpath(path))

    return normal(first) == normal(second)
