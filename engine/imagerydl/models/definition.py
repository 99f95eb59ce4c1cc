"""The Esri model definition (``.emd``): what a model is, what it takes, what its outputs mean.

Standard library only: QGIS reads definitions too, to check a model when it is chosen.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PureWindowsPath
from typing import Any, Optional, Union

from ..errors import ModelDefinitionError
from ..labels.classes import ClassSchema
from .definition_checking import CheckedKeys, Problem
from .definition_keys import BY_NAME
from .definition_meaning import (
    ARCGIS_LEARN,
    OWN_CONFIGURATION,
    TELLING_SUFFIXES,
    check_framework,
    inference_file,
    model_file,
    normalisation,
    output_values,
)
from .definition_paths import is_file, is_folder, resolve_file
from .definition_values import is_builtin
from .json_text import decode_json_text, read_json_object
from .normalisation import Normalisation
from .package import is_package, split_model, unpack_package

#: Configurations of the published framework list, by their lower-case spelling.
PREDEFINED_CONFIGURATIONS = {name.lower(): name for name in ("ObjectDetectionAPI", "DeepLab", "MaskRCNN")}

#: Bytes of a definition: a page of text. What is larger is something else.
_LARGEST = 64 * 1024**2


class InvalidDefinitionError(ModelDefinitionError):
    """A definition that can be read, and cannot be used as it is.

    Args:
        name: What to call the definition.
        problems: Everything that is wrong with it, at least one thing.
    """

    def __init__(self, name: str, problems: tuple[Problem, ...]) -> None:
        if len(problems) == 1:
            super().__init__(problems[0].named(name), problems[0].fix)
        else:
            listed = "\n".join(f"- {problem}" for problem in problems)
            super().__init__(f"{name} has {len(problems)} problems:\n{listed}")
        self.problems = problems


@dataclass(frozen=True)
class ModelDefinition:
    """A parsed model definition.

    Attributes:
        raw: The definition as written.
        name: What to call it in messages (file name, or "the model definition text").
        folder: Where relative paths lead; None for a definition given as text.
        model_file: The weights, an existing file or the folder of a SavedModel; None where a raster function
            is all there is.
        model_type: "ImageClassification", "ObjectDetection"...
        image_size: Tile (height, width) in pixels the model was trained on.
        extract_bands: What the network takes, in order: 0-based indices or band names.
        classes: Classes as listed.
        output_values: Class value of each output channel.
        normalisation: From raw values to network input, per extracted band; None where the
            definition does not say.
        model_parameters: ``ModelParameters``.
        values: Typed value of each key of :data:`~.definition_keys.KEYS` that is there.
        inference_file: The raster function of its own, an existing file.
    """

    raw: dict[str, Any]
    name: str
    folder: Optional[Path]
    model_file: Optional[Path]
    model_type: str
    image_size: tuple[int, int]
    extract_bands: tuple[Union[int, str], ...]
    classes: ClassSchema
    output_values: tuple[int, ...]
    normalisation: Optional[Normalisation]
    model_parameters: dict[str, Any] = field(default_factory=dict)
    values: Mapping[str, Any] = field(default_factory=dict)
    inference_file: Optional[Path] = None

    def value(self, key: str) -> Any:
        """The typed value of a key, its default where the definition leaves it out; KeyError for no key."""
        return self.values.get(key, BY_NAME[key].default)

    @property
    def image_height(self) -> int:
        """Tile height in pixels."""
        return self.image_size[0]

    @property
    def image_width(self) -> int:
        """Tile width in pixels."""
        return self.image_size[1]

    @property
    def framework(self) -> str:
        """``Framework``; "" where it is not said."""
        return self.value("Framework")

    @property
    def configuration(self) -> str:
        """Name in ``ModelConfiguration``; a predefined one in its usual spelling."""
        name = self.value("ModelConfiguration")
        return PREDEFINED_CONFIGURATIONS.get(name.lower(), name)

    @property
    def inference_function(self) -> str:
        """``InferenceFunction`` as written, where it is a file of its own; "" for Esri's built-in ones."""
        written = self.value("InferenceFunction")
        return "" if is_builtin(written) else written

    @property
    def builtin_function(self) -> str:
        """Name of the ``[Functions]...`` function of Esri's installation, without folder and ``.py``."""
        written = self.value("InferenceFunction")
        return PureWindowsPath(written.partition("]")[2]).stem if is_builtin(written) else ""

    @property
    def model_name(self) -> str:
        """``ModelName``: the network ("UNET") or the arcgis.learn class ("UnetClassifier")."""
        return self.value("ModelName")

    @property
    def is_own(self) -> bool:
        """Whether this engine trained the model."""
        return self.configuration == OWN_CONFIGURATION

    @property
    def is_arcgis_learn(self) -> bool:
        """Whether arcgis.learn saved the model."""
        return self.framework == ARCGIS_LEARN

    @property
    def description(self) -> str:
        """``Description``."""
        return self.value("Description")

    @property
    def band_names(self) -> tuple[str, ...]:
        """Names of all bands of the training imagery; empty texts where unknown."""
        names = self.value("InputRastersProps").get("BandNames")
        if isinstance(names, list) and names:
            return tuple("" if name is None else str(name) for name in names)
        return self.value("BandList") or self.value("WellKnownBandNames")

    @property
    def sensor_name(self) -> str:
        """Sensor of the training imagery; "" where unknown."""
        return str(self.value("SensorName") or self.value("InputRastersProps").get("SensorName") or "")

    @property
    def raster_count(self) -> int:
        """Number of rasters the training samples came from; 0 where unknown."""
        count = self.value("RasterCount") or self.value("InputRastersProps").get("RasterCount")
        return count if isinstance(count, int) else 0

    @property
    def band_stats(self) -> tuple[Mapping[str, Any], ...]:
        """``AllTilesStats``: Min, Max, Mean, StdDev of each band of the training imagery."""
        return self.value("AllTilesStats")

    @property
    def well_known_band_names(self) -> tuple[str, ...]:
        """``WellKnownBandNames``, by band position."""
        return self.value("WellKnownBandNames")

    @property
    def data_range(self) -> Optional[tuple[float, float]]:
        """``DataRange``: the range raw values are scaled to."""
        return self.value("DataRange")

    @property
    def model_padding(self) -> int:
        """Pixels at each side of a tile that the network gives no result for."""
        return self.value("ModelPadding")

    @property
    def padding(self) -> Optional[int]:
        """Pixels at each side of a tile that are context only; None where the run decides."""
        return self.value("Padding")

    @property
    def threshold(self) -> Optional[float]:
        """Least confidence of what counts, 0 to 1; None where the run decides."""
        return self.value("Threshold")

    @property
    def batch_size(self) -> Optional[int]:
        """Tiles predicted together, where the definition says."""
        return self.value("BatchSize")

    @property
    def gpu_memory_fraction(self) -> float:
        """Share of a graphics card's memory, above 0 to 1."""
        return self.value("PerProcessGPUMemoryFraction")

    @property
    def metadata_mode(self) -> str:
        """Format of the training chips."""
        return self.value("MetaDataMode")

    @property
    def image_space_used(self) -> str:
        """``MAP_SPACE``, ``PIXEL_SPACE`` or ``IMAGE_SPACE``."""
        return self.value("ImageSpaceUsed")

    @property
    def crop_size_fixed(self) -> bool:
        """Object classification: whether chips are of the tile's size, whatever the feature's."""
        if "CropSizeFixed" not in self.values and self.value("CropTileMode"):
            return self.value("CropTileMode") == "Fixed_Size"
        return self.value("CropSizeFixed")

    @property
    def blacken_around_feature(self) -> bool:
        """Object classification: whether pixels outside the feature are masked."""
        return self.value("BlackenAroundFeature")

    @property
    def supports_variable_tile_size(self) -> bool:
        """Whether tiles of other sizes may be fed."""
        return self.value("SupportsVariableTileSize")

    @property
    def onnx_file(self) -> Optional[Path]:
        """The ONNX form of the model, where the definition names one and it is there."""
        name = self.value("ONNX").get("INFER")
        if not name and self.model_file is not None and self.model_file.suffix.lower() == ".onnx":
            return self.model_file
        path = resolve_file(name, self.folder) if name else None
        return path if path and is_file(path) else None

    @property
    def cell_size(self) -> Optional[tuple[float, float]]:
        """Smallest cell size (x, y) of the training imagery, in its CRS's units."""
        return self.value("MinCellSize")


@dataclass(frozen=True)
class DefinitionText:
    """A model definition as it is written, not yet looked into.

    Attributes:
        raw: The JSON object.
        name: What to call it in messages.
        folder: Where relative paths lead; None for a definition given as text.
        text: What was read, to name lines by; empty where the definition was made of a network's metadata.
    """

    raw: dict[str, Any]
    name: str
    folder: Optional[Path]
    text: str = ""


@dataclass(frozen=True)
class CheckedDefinition:
    """A definition as far as it can be understood.

    Attributes:
        written: What was read.
        values: Typed values of the keys that are there and usable.
        problems: Everything that is wrong.
        definition: The whole; None where something is wrong.
    """

    written: DefinitionText
    values: Mapping[str, Any]
    problems: tuple[Problem, ...]
    definition: Optional[ModelDefinition]


def load_definition(path_or_json: str) -> ModelDefinition:
    """Read a model definition from an ``.emd``, a ``.dlpk``, a bare ``.onnx``, or the JSON text itself.

    Of a package with several models, ``package.dlpk|model=NAME`` names one.

    Raises:
        ModelDefinitionError: Naming the file, and of everything that is wrong key, line and fix.
    """
    return _usable(check_definition(find_definition(path_or_json)))


def parse_definition(
    raw: dict[str, Any], folder: Optional[Path], name: str = "The model definition text", text: str = ""
) -> ModelDefinition:
    """Type, complete and check what a definition says.

    Args:
        raw: The JSON object.
        folder: Where relative paths lead.
        name: What to call it in errors.
        text: What it was read from, to name lines by.

    Raises:
        InvalidDefinitionError: With everything that is wrong.
    """
    return _usable(check_definition(DefinitionText(raw, name, folder, text)))


def find_definition(path_or_json: str) -> DefinitionText:
    """The definition that a path, a package or the JSON text itself leads to, not yet looked into.

    Raises:
        ModelDefinitionError: If there is nothing that could be one, naming the file and the line.
    """
    text = path_or_json.lstrip("\ufeff").strip()
    if text.startswith("{"):
        name = "The model definition text"
        return DefinitionText(read_json_object(path_or_json, name), name, None, path_or_json)
    if "://" in text:
        raise ModelDefinitionError(
            f"The model definition {text} is not on this computer.", "Download it first, and give its path."
        )
    path, model = split_model(text)
    if is_folder(path):
        raise ModelDefinitionError(f"{text} is a folder.", "Give the .emd file or the .dlpk package in it.")
    if not is_file(path):
        raise ModelDefinitionError(
            f"The model definition {text[:300]} does not exist.",
            "Give an .emd file, a .dlpk package, an .onnx file, or the definition's JSON text.",
        )
    suffix = path.suffix.lower()
    if suffix == ".onnx":
        from .onnx_metadata import definition_from_onnx

        return DefinitionText(definition_from_onnx(path), path.name, path.parent)
    if suffix in TELLING_SUFFIXES:
        raise ModelDefinitionError(
            f"{path.name} is a network alone, which does not say what it takes and gives.",
            "Give the .emd file that names it, or the .dlpk package that holds both.",
        )
    if is_package(path):
        path = unpack_package(path, model=model)
    content = decode_json_text(_content(path), path.name)
    return DefinitionText(read_json_object(content, path.name), path.name, path.parent, content)


def check_definition(written: DefinitionText) -> CheckedDefinition:
    """Type and complete what a definition says, and find everything that is wrong with it."""
    keys = CheckedKeys(written.raw, written.text)
    function, weights = inference_file(keys, written.folder), model_file(keys, written.folder)
    check_framework(keys)
    classes = keys.value("Classes") or ClassSchema()
    bands = keys.value("ExtractBands")
    channels, scale = output_values(keys, classes), normalisation(keys, bands)
    if keys.problems:
        return CheckedDefinition(written, keys.values, keys.problems, None)
    definition = ModelDefinition(
        raw=written.raw,
        name=written.name,
        folder=written.folder,
        model_file=weights,
        model_type=keys.value("ModelType"),
        image_size=(keys.value("ImageHeight"), keys.value("ImageWidth")),
        extract_bands=bands,
        classes=classes,
        output_values=channels,
        normalisation=scale,
        model_parameters=dict(keys.value("ModelParameters")),
        values=keys.values,
        inference_file=function,
    )
    return CheckedDefinition(written, keys.values, (), definition)


def write_definition(raw: Mapping[str, Any], path: Path) -> None:
    """Write a definition as strict JSON, in the key order given.

    Raises:
        ModelDefinitionError: Naming the key whose value JSON has no form for, as infinity or NaN.
    """
    for key, value in raw.items():
        try:
            json.dumps(value, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise ModelDefinitionError(
                f"{key} cannot be written into {path.name} ({error}).",
                f"Give {key} texts, finite numbers, lists and objects only.",
            ) from error
    path.write_text(json.dumps(raw, indent=2, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")


def _usable(checked: CheckedDefinition) -> ModelDefinition:
    if checked.definition is None:
        raise InvalidDefinitionError(checked.written.name, checked.problems)
    return checked.definition


def _content(path: Path) -> bytes:
    try:
        size = path.stat().st_size
        content = path.read_bytes() if size <= _LARGEST else b""
    except OSError as error:
        raise ModelDefinitionError(
            f"{path} cannot be read ({error.strerror or error}).", "Check the file and its permissions."
        ) from error
    if size > _LARGEST:
        raise ModelDefinitionError(
            f"{path.name} has {size / 1024**2:.0f} MB: it is no model definition.",
            "Give an .emd file or a .dlpk package.",
        )
    return content
