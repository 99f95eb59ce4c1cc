"""Create Model Package: a model definition and its files become one file to pass on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..models.package_parameters import (
    PACKAGE_RESULTS,
    PROPERTY_PARAMS,
    given_properties,
    require_extension,
)
from ..tool import Kind, Param, Tool

if TYPE_CHECKING:
    from ..events import Reporter
    from ..jobs import Job


def _check(values: Mapping[str, Any]) -> None:
    require_extension(values["OUT_PACKAGE"])


def _run(job: Job, reporter: Reporter) -> dict[str, Any]:
    from ..models.packaging import create_package

    written = create_package(
        Path(job["IN_MODEL_DEFINITION"]),
        Path(job["OUT_PACKAGE"]),
        reporter,
        given_properties(job.values),
        [Path(path) for path in job["ADD_FILES"]],
        job["OVERWRITE"],
    )
    return written.results()


_PARAMS = (
    Param(
        "IN_MODEL_DEFINITION",
        Kind.FILE,
        "Model definition",
        (
            "The .emd file, which brings along what it names; or a folder with one or several of them, of "
            "which everything is taken but hidden files and other packages."
        ),
        extension="emd",
    ),
    Param("OUT_PACKAGE", Kind.OUT_FILE, "Model package", "The package to make (.dlpk).", extension="dlpk"),
    *PROPERTY_PARAMS,
    Param(
        "ADD_FILES",
        Kind.FILES,
        "Further files",
        (
            "Files to put beside the model, such as a report or a licence. A folder keeps its name; the .emd "
            "of another model brings its files along."
        ),
        optional=True,
    ),
    Param(
        "OVERWRITE",
        Kind.BOOLEAN,
        "Overwrite existing output",
        "Replace a package of that name, once the new one is complete.",
        default=False,
        advanced=True,
    ),
)

TOOL = Tool(
    id="createmodelpackage",
    command="create-model-package",
    title="Create Model Package",
    group="Models",
    summary="Puts a model definition and its files into one package to pass on.",
    description=(
        "Makes a deep-learning package (.dlpk) that ArcGIS and this plugin read: a zip of the model "
        "definition, the model and whatever else the definition names, such as a Python raster function "
        "with the modules it imports. The definition is checked, and the paths in it become relative. A file "
        "that the model needs and that is not there is an error; another one is a warning.\n\n"
        "One package may hold several models. Which of them to run is then chosen after the package's path, "
        "as in town.dlpk|model=roads.\n\n"
        "The same files give the same package, byte for byte (where zlib is the same version)."
    ),
    params=_PARAMS,
    results=PACKAGE_RESULTS,
    run=_run,
    check=_check,
    tags=("dlpk", "emd", "share", "deep learning package", "zip", "publish"),
    needs_runtime=False,
)
