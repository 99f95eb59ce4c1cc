"""What several keys of a definition, and the files they name, mean together.

Each function reports what is wrong with them to the keys. Standard library only.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Optional, Union

from ..labels.classes import ClassSchema
from .definition_checking import CheckedKeys
from .definition_paths import SAVED_MODEL, is_file, is_folder, is_model, resolve_file, resolve_model
from .normalisation import Normalisation

#: The configuration name of the models this engine trains.
OWN_CONFIGURATION = "ImageryDL"

ARCGIS_LEARN = "arcgis.learn.models._inferencing"

#: Frameworks that need no inference function; others do, unless their file says what it is.
_FRAMEWORKS = ("tensorflow", "keras", "pytorch", "onnx", ARCGIS_LEARN, OWN_CONFIGURATION.lower())

#: Suffixes of files that say themselves what they are.
TELLING_SUFFIXES = (".onnx", ".safetensors", ".pt", ".pt2", ".pth", ".keras", ".h5", ".hdf5", ".pb")


def inference_file(keys: CheckedKeys, folder: Optional[Path]) -> Optional[Path]:
    """The raster function that the definition names."""
    # What arcgis.learn names is not needed: its models are rebuilt here.
    if not keys.has_function or keys.value("Framework") == ARCGIS_LEARN:
        return None
    written = keys.value("InferenceFunction")
    path = resolve_file(written, folder)
    if is_file(path):
        return path
    keys.report(
        "InferenceFunction",
        f"is {written}, which does not exist (looked for {path})",
        "Put the Python file beside the definition, or give its full path in InferenceFunction.",
    )
    return None


def model_file(keys: CheckedKeys, folder: Optional[Path]) -> Optional[Path]:
    """The weights that the definition names: a file, or the folder of a SavedModel."""
    written = keys.value("ModelFile")
    if not written:
        return None
    path = resolve_model(written, folder)
    if is_model(path):
        return path
    where = "beside the definition" if folder else "at an absolute path, as the definition is text"
    if is_folder(path):
        what = f"is {written}, a folder without {SAVED_MODEL} ({path})"
        keys.report("ModelFile", what, "Name a file, or the folder of a TensorFlow SavedModel.")
    else:
        what = f"is {written}, which does not exist (looked for {path})"
        keys.report("ModelFile", what, f"Put the model file {where}.")
    return None


def check_framework(keys: CheckedKeys) -> None:
    """Report a framework that nothing here runs."""
    framework, written = keys.value("Framework"), keys.value("ModelFile")
    if not framework or not written or keys.has_function or framework.lower() in _FRAMEWORKS:
        return
    if not written.lower().endswith(TELLING_SUFFIXES):
        keys.report(
            "Framework",
            f"is {framework}, which does not run here",
            "Name a Python raster function in InferenceFunction, or convert the model to ONNX.",
        )


def output_values(keys: CheckedKeys, classes: ClassSchema) -> tuple[int, ...]:
    """The class value of each output channel."""
    stated = keys.value("ModelParameters").get("class_values")
    if isinstance(stated, list):
        try:
            return tuple(int(value) for value in stated)
        except (TypeError, ValueError, OverflowError):
            keys.report(
                "ModelParameters",
                "is no list of whole numbers",
                "List the class value of each output channel.",
                ("class_values",),
            )
    if keys.value("Framework") == ARCGIS_LEARN and keys.value("ModelType") == "ImageClassification":
        # arcgis.learn's pixel classifiers put an unlisted background channel first.
        return (0, *(value for value in classes.values if value != 0))
    return classes.values


def normalisation(keys: CheckedKeys, bands: tuple[Union[int, str], ...]) -> Optional[Normalisation]:
    """From raw values of the extracted bands to network input."""
    own, stats = keys.value("Normalization"), keys.value("NormalizationStats")
    try:
        if own is not None:
            result = Normalisation(_finite(own["Subtract"]), _finite(own["Divide"]))
            if result.bands != len(bands):
                raise ValueError(f"{len(bands)} bands are extracted, and it has numbers for {result.bands}")
            return result
        if stats is not None:
            return Normalisation.from_arcgis_stats(stats, _positions(keys, bands))
    except (KeyError, IndexError, TypeError, ValueError, OverflowError) as error:
        reason = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        key = "NormalizationStats" if own is None else "Normalization"
        keys.report(key, f"cannot be used as a normalisation ({reason})")
        return None
    if keys.value("Framework") == ARCGIS_LEARN and len(bands) == 3:
        return Normalisation.from_imagenet()
    return None


def _positions(keys: CheckedKeys, bands: tuple[Union[int, str], ...]) -> list[int]:
    """Where the bands' statistics stand: bands by name are looked up, else taken in their order."""
    names = keys.value("InputRastersProps").get("BandNames")
    known = [str(name).lower() for name in names] if isinstance(names, list) else []
    return [
        band if isinstance(band, int) else known.index(band.lower()) if band.lower() in known else order
        for order, band in enumerate(bands)
    ]


def _finite(items: Any) -> tuple[float, ...]:
    numbers = tuple(float(item) for item in items)
    if not all(map(math.isfinite, numbers)):
        raise ValueError("it holds what is no finite number")
    return numbers
