"""Edit Model Package: change the properties and the files of a package."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ParameterError
from ..models.package_parameters import (
    PACKAGE_RESULTS,
    PROPERTY_PARAMS,
    UNSET,
    given_properties,
    require_extension,
)
from ..tool import Kind, Param, Tool

if TYPE_CHECKING:
    from ..events import Reporter
    from ..jobs import Job


def _removed(values: Mapping[str, Any]) -> list[str]:
    return [name.strip() for name in (values["REMOVE_FILES"] or "").split(";") if name.strip()]


def _check(values: Mapping[str, Any]) -> None:
    if values["OUT_PACKAGE"]:
        require_extension(values["OUT_PACKAGE"])
    if not (given_properties(values) or values["ADD_FILES"] or _removed(values)):
        raise ParameterError(
            "There is nothing to change.", "Give a property, files to add, or names of files to remove."
        )


def _run(job: Job, reporter: Reporter) -> dict[str, Any]:
    from ..models.packaging import edit_package

    written = edit_package(
        Path(job["IN_PACKAGE"]),
        Path(job["OUT_PACKAGE"] or job["IN_PACKAGE"]),
        reporter,
        given_properties(job.values),
        [Path(path) for path in job["ADD_FILES"]],
        _removed(job.values),
        job["OVERWRITE"],
    )
    return written.results()


_PARAMS = (
    Param("IN_PACKAGE", Kind.FILE, "Model package", "The package to change (.dlpk).", extension="dlpk"),
    *PROPERTY_PARAMS,
    Param(
        "ADD_FILES",
        Kind.FILES,
        "Files to add",
        (
            "Files to put in; one of the same name is replaced, the model's own, too. A folder keeps its "
            "name; the .emd of another model brings its files along."
        ),
        optional=True,
    ),
    Param(
        "REMOVE_FILES",
        Kind.TEXT,
        "Files to remove",
        (
            "Names of files or folders in the package, separated by semicolons. What a model in it names "
            "stays, unless its definition goes, too."
        ),
        optional=True,
    ),
    Param(
        "OUT_PACKAGE",
        Kind.OUT_FILE,
        "Changed package",
        "The package to write (.dlpk). Left out, the given one is replaced, once the new one is complete.",
        optional=True,
        extension="dlpk",
    ),
    Param(
        "OVERWRITE",
        Kind.BOOLEAN,
        "Overwrite existing output",
        "Replace another package of that name, once the new one is complete.",
        default=False,
        advanced=True,
    ),
)

TOOL = Tool(
    id="editmodelpackage",
    command="edit-model-package",
    title="Edit Model Package",
    group="Models",
    summary="Changes the properties of a model package, and adds and removes files.",
    description=(
        "Changes what a deep-learning package (.dlpk) says of itself and what lies in it. Properties that "
        f"are left out stay as they are; a hyphen ({UNSET}) lets one say again what the model definitions "
        "say.\n\n"
        "Every model in the package is checked: its definition has to load, and the files it needs have to "
        "be there. The package is replaced only when the new one is complete."
    ),
    params=_PARAMS,
    results=PACKAGE_RESULTS,
    run=_run,
    check=_check,
    tags=("dlpk", "properties", "metadata", "description", "tags", "deep learning package"),
    needs_runtime=False,
)
