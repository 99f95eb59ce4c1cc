"""The Esri model definition (``.emd``): what a model is, what it takes, what its outputs mean.

Standard library only: QGIS reads definitions too, to check a model when it is chosen.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PureWindowsPath
from typing import Any, NoReturn, Optional, Union

from ..errors import EngineError, ModelDefinitionError
from ..labels.classes import ClassSchema, schema_from_items
from .definition_keys import BY_NAME, KEYS, Key, is_placeholder
from .json_text import decode_json_text, line_of_key, read_json_object
from .normalisation import Normalisation
from .package import is_package, split_model, unpack_package

#: The configuration name of the models this engine trains.
OWN_CONFIGURATION = "ImageryDL"

_ARCGIS_LEARN = "arcgis.learn.models._inferencing"

#: Configurations of the published framework list, by their lower-case spelling.
PREDEFINED_CONFIGURATIONS = {name.lower(): name for name in ("ObjectDetectionAPI", "DeepLab", "MaskRCNN")}

#: Frameworks that need no inference function; others do, unless their file says what it is.
_FRAMEWORKS = ("", "tensorflow", "keras", "pytorch", "onnx", _ARCGIS_LEARN)
_TELLING_SUFFIXES = (".onnx", ".safetensors", ".pt", ".pt2", ".pth", ".keras", ".h5", ".hdf5", ".pb")

_BUILTIN = "[functions]"

# What a single backslash in a Windows path turns into when it is read as JSON (".\frozen.pb").
_PATH_CONTROLS = {"\b": "b", "\f": "f", "\n": "n", "\r": "r", "\t": "t"}


@dataclass(frozen=True)
class ModelDefinition:
    """A parsed model definition.

    Attributes:
        raw: The definition as written.
        name: What to call it in messages (file name, or "the model definition text").
        folder: Where relative paths lead; None for a definition given as text.
        model_file: The weights, an existing file or folder; None where a raster function is all there is.
        model_type: "ImageClassification", "ObjectDetection"...
        image_size: Tile (height, width) in pixels the model was trained on.
        extract_bands: What the network takes, in order: 0-based indices or band names.
        classes: Classes as listed.
        output_values: Class value of each output channel.
        normalisation: From raw values to network input, per extracted band; None where the
            definition does not say.
        model_parameters: ``ModelParameters``.
        values: Typed value of each key of :data:`~.definition_keys.KEYS`, defaults filled in.
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
        """The typed value of a key, its default where the definition leaves it out."""
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
        return "" if written.lower().startswith(_BUILTIN) else written

    @property
    def builtin_function(self) -> str:
        """Name of the ``[Functions]...`` function of Esri's installation, without folder and ``.py``."""
        written = self.value("InferenceFunction")
        if not written.lower().startswith(_BUILTIN):
            return ""
        return PureWindowsPath(written[len(_BUILTIN) :]).stem

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
        return self.framework == _ARCGIS_LEARN

    @property
    def description(self) -> str:
        """``Description``."""
        return self.value("Description")

    @property
    def band_names(self) -> tuple[str, ...]:
        """Names of all bands of the training imagery; empty texts where unknown."""
        names = self.value("InputRastersProps").get("BandNames")
        if isinstance(names, list) and names:
            return tuple(str(name) for name in names)
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
        path = resolve_file(str(name), self.folder) if name else None
        return path if path and path.is_file() else None

    @property
    def cell_size(self) -> Optional[tuple[float, float]]:
        """Smallest cell size (x, y) of the training imagery, in its CRS's units."""
        size = self.value("MinCellSize") or {}
        try:
            return float(size["x"]), float(size["y"])
        except (KeyError, TypeError, ValueError):
            return None


@dataclass(frozen=True)
class _Source:
    """Where a definition comes from, to name faults in it by."""

    raw: Mapping[str, Any]
    folder: Optional[Path]
    name: str
    text: str

    def refuse(self, key: str, takes: str) -> NoReturn:
        line = line_of_key(self.text, key)
        if key not in self.raw:
            raise ModelDefinitionError(f"{self.name} has no {key}.", f"Add {key}: {takes}.")
        where = f"at line {line} of {self.name}" if line else f"in {self.name}"
        raise ModelDefinitionError(
            f"{key} {where} is {json.dumps(self.raw[key], default=str)[:80]}.", f"{key} must be {takes}."
        )

    def read(self, key: Key) -> Any:
        found = key.find(self.raw)
        if not found:
            return key.default
        try:
            return key.read(self.raw[found])
        except (KeyError, OverflowError, TypeError, ValueError):
            self.refuse(found, key.takes)


def load_definition(path_or_json: str) -> ModelDefinition:
    """Read a model definition from an ``.emd``, a ``.dlpk``, a bare ``.onnx``, or the JSON text itself.

    Of a package with several models, ``package.dlpk|model=NAME`` names one.

    Raises:
        ModelDefinitionError: Naming the file, key, line and fix.
    """
    text = path_or_json.lstrip("\ufeff").strip()
    if text.startswith("{"):
        return parse_definition(read_json_object(text, "The model definition text"), None, text=text)
    if "://" in text:
        raise ModelDefinitionError(
            f"The model definition {text} is not on this computer.", "Download it first, and give its path."
        )
    path, model = split_model(text)
    try:
        exists = path.is_file()
    except (OSError, ValueError):  # too long for a path, or no path at all
        exists = False
    if not exists:
        raise ModelDefinitionError(
            f"The model definition {text[:300]} does not exist.",
            "Give an .emd file, a .dlpk package, an .onnx file, or the definition's JSON text.",
        )
    if path.suffix.lower() == ".onnx":
        from .onnx_metadata import definition_from_onnx

        return parse_definition(definition_from_onnx(path), path.parent, path.name)
    if is_package(path):
        path = unpack_package(path, model=model)
    return read_definition(path)


def read_definition(path: Path) -> ModelDefinition:
    """Read an ``.emd`` file.

    Raises:
        ModelDefinitionError: Naming the file, key, line and fix.
    """
    try:
        text = decode_json_text(path.read_bytes(), path.name)
    except OSError as error:
        raise ModelDefinitionError(f"{path} cannot be read ({error}).", "Give an .emd file.") from error
    return parse_definition(read_json_object(text, path.name), path.parent, path.name, text)


def parse_definition(
    raw: dict[str, Any], folder: Optional[Path], name: str = "The model definition text", text: str = ""
) -> ModelDefinition:
    """Type, complete and check what a definition says.

    Args:
        raw: The JSON object.
        folder: Where relative paths lead.
        name: What to call it in errors.
        text: What it was read from, to name lines by.
    """
    source = _Source(raw, folder, name, text)
    values = {key.name: source.read(key) for key in KEYS}
    # Esri's own samples write "ObjectionDetection".
    values["ModelType"] = values["ModelType"].replace("ObjectionDetection", "ObjectDetection")
    function = values["InferenceFunction"]
    inference_file = None
    if function and not function.lower().startswith(_BUILTIN) and values["Framework"] != _ARCGIS_LEARN:
        inference_file = _inference_file(source, function)
    model_file = _model_file(source, needed=inference_file is None)
    if inference_file is None:
        for key in ("ImageHeight", "ImageWidth"):
            if not BY_NAME[key].find(raw):
                source.refuse(key, BY_NAME[key].takes)
    if inference_file is None and model_file is not None:
        _check_framework(source, values["Framework"], model_file)
    classes = _classes(source)
    bands = values["ExtractBands"]
    return ModelDefinition(
        raw=raw,
        name=name,
        folder=folder,
        model_file=model_file,
        model_type=values["ModelType"],
        image_size=(values["ImageHeight"], values["ImageWidth"]),
        extract_bands=bands,
        classes=classes,
        output_values=_output_values(source, values, classes),
        normalisation=_normalisation(raw, bands, name),
        model_parameters=dict(values["ModelParameters"]),
        values=values,
        inference_file=inference_file,
    )


def resolve_file(written: str, folder: Optional[Path]) -> Path:
    r"""Where a path in a definition leads: as written, from the folder, or its name in the folder.

    Definitions carry Windows separators, leading ``.\`` and absolute paths of other machines. A network
    path (``\\server\...``) is tried last: merely looking at one contacts the server it names.
    """
    for control, letter in _PATH_CONTROLS.items():
        written = written.replace(control, "/" + letter)
    written = written.replace("\\", "/")
    path = Path(written)
    as_written = [path] if path.is_absolute() or folder is None else []
    beside = [folder / written.lstrip("/"), folder / path.name] if folder is not None else []
    candidates = beside + as_written if written.startswith("//") else as_written + beside
    return next((candidate for candidate in candidates if _exists(candidate)), candidates[0])


def write_definition(raw: Mapping[str, Any], path: Path) -> None:
    """Write a definition as strict JSON, in the key order given."""
    path.write_text(json.dumps(raw, indent=2, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def _inference_file(source: _Source, written: str) -> Path:
    path = resolve_file(written, source.folder)
    if not (_exists(path) and path.is_file()):
        raise ModelDefinitionError(
            f"The inference function {written} that {source.name} names does not exist (looked for {path}).",
            "Put the Python file beside the definition, or give its full path in InferenceFunction.",
        )
    return path


def _model_file(source: _Source, needed: bool) -> Optional[Path]:
    key, written = BY_NAME["ModelFile"], source.raw.get("ModelFile")
    if written is None and not needed:
        return None
    if is_placeholder(written) and written.strip():
        raise ModelDefinitionError(
            f"{source.name} is a template that an export wrote: its ModelFile is {written!r}.",
            "Give the definition of a trained model.",
        )
    if not isinstance(written, str) or not written.strip():
        source.refuse("ModelFile", key.takes)
    path = resolve_file(written.strip(), source.folder)
    if not _exists(path):
        where = f"beside {source.name}" if source.folder else "at an absolute path, as the definition is text"
        raise ModelDefinitionError(
            f"The model file {written} that {source.name} names does not exist (looked for {path}).",
            f"Put it {where}.",
        )
    return path


def _check_framework(source: _Source, framework: str, model_file: Path) -> None:
    known = framework.lower() in _FRAMEWORKS or framework == OWN_CONFIGURATION
    if not known and model_file.suffix.lower() not in _TELLING_SUFFIXES:
        raise ModelDefinitionError(
            f"The Framework {framework} of {source.name} does not run here.",
            "Name a Python raster function in InferenceFunction, or convert the model to ONNX.",
        )


def _classes(source: _Source) -> ClassSchema:
    items = source.raw.get("Classes")
    if items is None or is_placeholder(items):
        return ClassSchema()
    takes = "a list of objects with Value, Name and Color"
    if not isinstance(items, list) or not all(isinstance(item, Mapping) for item in items):
        source.refuse("Classes", takes)
    try:
        return schema_from_items(items)
    except EngineError as error:
        line = line_of_key(source.text, "Classes")
        where = f" (line {line})" if line else ""
        raise ModelDefinitionError(f"Classes of {source.name}{where}: {error.message}", error.fix) from error


def _output_values(source: _Source, values: Mapping[str, Any], classes: ClassSchema) -> tuple[int, ...]:
    stated = values["ModelParameters"].get("class_values")
    if isinstance(stated, list):
        try:
            return tuple(int(value) for value in stated)
        except (TypeError, ValueError):
            source.refuse("ModelParameters", "an object whose class_values is a list of whole numbers")
    if values["Framework"] == _ARCGIS_LEARN:
        # arcgis.learn's pixel classifiers put an unlisted background channel first.
        return (0, *(value for value in classes.values if value != 0))
    return classes.values


def _normalisation(
    raw: Mapping[str, Any], bands: tuple[Union[int, str], ...], name: str
) -> Optional[Normalisation]:
    try:
        if isinstance(raw.get("Normalization"), Mapping):
            own = raw["Normalization"]
            result = Normalisation(
                tuple(float(v) for v in own["Subtract"]), tuple(float(v) for v in own["Divide"])
            )
            if result.bands != len(bands):
                raise ValueError("one number per extracted band is needed")
            return result
        if isinstance(raw.get("NormalizationStats"), Mapping):
            indices = [band if isinstance(band, int) else i for i, band in enumerate(bands)]
            return Normalisation.from_arcgis_stats(raw["NormalizationStats"], indices)
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise ModelDefinitionError(f"The normalisation in {name} cannot be used ({error}).") from error
    if raw.get("Framework") == _ARCGIS_LEARN and len(bands) == 3:
        return Normalisation.from_imagenet()
    return None
