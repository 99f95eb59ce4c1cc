r"""The inference functions that come with ArcGIS: ``[Functions]System\DeepLearning\...``.

They lie in ArcGIS itself, so what they do is done here by the runtime for the model's file. This module
knows their names, and which of their models cannot run here. Standard library only.
"""

from __future__ import annotations

from collections.abc import Mapping

from ...errors import ModelDefinitionError
from ..definition import ModelDefinition

#: What arcgis.learn names in the packages it saves, with the kind of model each function runs.
_ARCGIS_LEARN: Mapping[str, str] = {
    "arcgisimageclassifier.py": "ImageClassification",
    "arcgisobjectdetector.py": "ObjectDetection",
    "arcgisinstancedetector.py": "InstanceDetection",
    "arcgisobjectclassifier.py": "ObjectClassification",
    "arcgissuperresolution.py": "SuperResolution",
    "arcgisimagetranslation.py": "Pix2Pix",
    "arcgisimagetsclassifier.py": "TimeSeriesModel",
    "arcgispanopticsegmenter.py": "PanopticSegmenter",
    "arcgisimagecaptioner.py": "ImageCaptioner",
}

#: The functions for networks of other libraries.
_GENERAL: Mapping[str, str] = {
    "imageclassifier.py": "ImageClassification",
    "objectdetector.py": "ObjectDetection",
    "objectclassifier.py": "ObjectClassification",
}

#: Models of those functions that do not run here, by framework and configuration: why, and what would.
_MISSING: Mapping[tuple[str, str], tuple[str, str]] = {
    ("cntk", ""): (
        "CNTK, a library that is no longer made",
        "Convert the network to ONNX and name the .onnx file as ModelFile.",
    ),
    ("keras", "maskrcnn"): (
        "the Mask R-CNN package for Keras, whose network is Python code beside the model",
        "Export the network to ONNX and name the .onnx file as ModelFile.",
    ),
    ("pytorch", "fastaissd"): (
        "the fastai library of 2018, whose network is Python code that comes with ArcGIS",
        "Export the network to ONNX and name the .onnx file as ModelFile, or train it anew.",
    ),
}


def is_written_by_arcgis_learn(function: str) -> bool:
    """Whether an ``InferenceFunction`` is a file that arcgis.learn puts beside the models it saves."""
    return _file_name(function) in _ARCGIS_LEARN


def check_builtin(definition: ModelDefinition) -> None:
    """Refuse what only ArcGIS itself can run; anything else runs by its model file.

    A definition without an ``InferenceFunction`` means a built-in one, too: the one for its framework and
    configuration.

    Raises:
        ModelDefinitionError: Naming the function or library that is not here.
    """
    written = definition.raw.get("InferenceFunction", "")
    if isinstance(written, str) and written.strip():
        _check_name(written.strip(), definition)
    framework, configuration = definition.framework.lower(), definition.configuration.lower()
    missing = _MISSING.get((framework, configuration)) or _MISSING.get((framework, ""))
    if missing and definition.onnx_file is None:
        library, fix = missing
        raise ModelDefinitionError(f"{definition.name} needs {library}.", fix)


def _check_name(written: str, definition: ModelDefinition) -> None:
    name = _file_name(written)
    if name in _ARCGIS_LEARN:
        raise ModelDefinitionError(
            f"{definition.name} names {written}, which runs models of arcgis.learn, and its Framework is "
            f"{definition.framework!r}.",
            'Set Framework to "arcgis.learn.models._inferencing" if arcgis.learn saved the model; otherwise '
            "take InferenceFunction out.",
        )
    if name not in _GENERAL:
        raise ModelDefinitionError(
            f"{definition.name} names {written}, which comes with ArcGIS and has no counterpart here.",
            "Take InferenceFunction out if the model file runs by itself (.onnx, .pt, .pb, .keras), or put "
            "a function of your own beside the definition.",
        )


def _file_name(written: str) -> str:
    return written.replace("\\", "/").rpartition("/")[2].strip().lower()
