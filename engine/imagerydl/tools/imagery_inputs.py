"""Imagery in one of three forms, for tools that run a model over it."""

from __future__ import annotations

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
