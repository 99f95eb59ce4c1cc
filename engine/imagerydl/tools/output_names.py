"""Names of what a tool writes: whether they may be replaced, and checks before anything is loaded."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import ParameterError
from ..tool import Kind, Param

OVERWRITE = Param(
    "OVERWRITE",
    Kind.BOOLEAN,
    "Overwrite existing output",
    "Replace files that exist under the output names, once the new ones are complete.",
    default=False,
    advanced=True,
)


def check_extensions(values: Mapping[str, Any], extensions: Mapping[str, tuple[str, ...]]) -> None:
    """Refuse a name whose extension is none of those of its parameter.

    Args:
        values: Of the job.
        extensions: Those that say a format, without the dot, by parameter.
    """
    for key, allowed in extensions.items():
        path = values[key]
        if path and not path.lower().endswith(tuple(f".{extension}" for extension in allowed)):
            raise ParameterError(f"{key} is {path}.", f"Give a name that ends in .{' or .'.join(allowed)}.")


def check_results(
    values: Mapping[str, Any],
    rasters: tuple[str, ...],
    others: tuple[str, ...],
    inputs: Sequence[str],
    suffixes: tuple[str, ...] = (".tif", ".tiff"),
) -> None:
    """Refuse rasters that are no GeoTIFF, results under the name of an input, and two of one name.

    Args:
        values: Of the job.
        rasters: Parameters that name rasters to write.
        others: Parameters that name other files to write.
        inputs: Files that are read.
        suffixes: What the name of a raster ends in.
    """
    written = [(key, values[key]) for key in (*rasters, *others) if values[key]]
    for key, path in written:
        if key in rasters and Path(path).suffix.lower() not in suffixes:
            raise ParameterError(
                f"{key} is {path}.", "The result is a GeoTIFF: give a name that ends with .tif."
            )
        check_keeps_inputs(key, path, inputs)
    for number, (key, path) in enumerate(written):
        for other, other_path in written[:number]:
            if same_file(path, other_path):
                raise ParameterError(f"{other} and {key} are the same file.", "Choose another name.")


def check_keeps_inputs(key: str, path: str, inputs: Iterable[str]) -> None:
    """Refuse an output under the name of an input."""
    for other in inputs:
        if same_file(path, other.split("|", 1)[0]):
            raise ParameterError(f"{key} would overwrite the input {other}.", "Choose another name.")


def same_file(first: str, second: str) -> bool:
    """Whether two paths lead to one file."""

    def normal(path: str) -> str:
        return os.path.normcase(os.path.realpath(path))

    return normal(first) == normal(second)
