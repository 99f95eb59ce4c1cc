"""The Esri model definition (``.emd``): what a model is, what it takes, what its outputs mean.

Standard library only: QGIS reads definitions too, to check a model when it is chosen.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Optional, Union

from ..errors import EngineError, ModelDefinitionError
from ..labels.classes import ClassSchema, schema_from_items
from .json_text import read_json_object
from .normalisation import Normalisation
from .onnx_metadata import definition_from_onnx
from .package import is_package, unpack_package

#: The configuration name of the models this engine trains.
OWN_CONFIGURATION = "ImageryDL"

_ARCGIS_LEARN = "arcgis.learn.models._inferencing"

# What a single backslash in a Windows path turns into when it is read as JSON (".\frozen.pb").
_PATH_CONTROLS = {"\b": "b", "\f": "f", "\n": "n", "\r": "r", "\t": "t"}


@dataclass(frozen=True)
class ModelDefinition:
    """A parsed model definition.

    Attributes:
        raw: The definition as written.
        name: What to call it in messages (file name, or "the model definition text").
        folder: Where relative paths lead; None for a definition given as text.
        model_file: The weights, an existing file.
        model_type: "ImageClassification", "ObjectDetection"...
        image_size: Tile (height, width) in pixels the model was trained on.
        extract_bands: What the network takes, in order: 0-based indices or band names.
        classes: Classes as listed.
        output_values: Class value of each output channel.
        normalisation: From raw values to network input, per extracted band; None where the
            definition does not say.
    """

    raw: dict[str, Any]
    name: str
    folder: Optional[Path]
    model_file: Path
    model_type: str
    image_size: tuple[int, int]
    extract_bands: tuple[Union[int, str], ...]
    classes: ClassSchema
    output_values: tuple[int, ...]
    normalisation: Optional[Normalisation]
    model_parameters: dict[str, Any] = field(default_factory=dict)

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
        """``Framework`` as written."""
        return str(self.raw.get("Framework", ""))

    @property
    def configuration(self) -> str:
        """Name in ``ModelConfiguration``, which is a text or an object with a name."""
        value = self.raw.get("ModelConfiguration", "")
        return str(value.get("Name", "")) if isinstance(value, Mapping) else str(value)

    @property
    def inference_function(self) -> str:
        """``InferenceFunction`` as written, where it is a file of its own; "" for Esri's built-in ones."""
        value = self.raw.get("InferenceFunction", "")
        is_builtin = not isinstance(value, str) or value.strip().lower().startswith("[functions]")
        return "" if is_builtin else value.strip()

    @property
    def model_name(self) -> str:
        """``ModelName``: the network ("UNET") or the arcgis.learn class ("UnetClassifier")."""
        return str(self.raw.get("ModelName", ""))

    @property
    def is_own(self) -> bool:
        """Whether this engine trained the model."""
        return self.configuration == OWN_CONFIGURATION

    @property
    def is_arcgis_learn(self) -> bool:
        """Whether arcgis.learn saved the model."""
        return self.framework == _ARCGIS_LEARN

    @property
    def band_names(self) -> tuple[str, ...]:
        """Names of all bands of the training imagery; empty texts where unknown."""
        properties = self.raw.get("InputRastersProps")
        names = properties.get("BandNames") if isinstance(properties, Mapping) else None
        return tuple(str(name) for name in names or ())

    @property
    def band_stats(self) -> tuple[Mapping[str, Any], ...]:
        """``AllTilesStats``: Min, Max, Mean, StdDev of each band of the training imagery."""
        stats = self.raw.get("AllTilesStats") or self.raw.get("AllTileStats")
        return tuple(stats) if isinstance(stats, list) else ()

    @property
    def onnx_file(self) -> Optional[Path]:
        """The ONNX form of the model, where the definition names one and it is there."""
        named = self.raw.get("ONNX")
        name = named.get("INFER") if isinstance(named, Mapping) else None
        if not name and self.model_file.suffix.lower() == ".onnx":
            return self.model_file
        path = resolve_file(str(name), self.folder) if name else None
        return path if path and path.is_file() else None

    @property
    def cell_size(self) -> Optional[tuple[float, float]]:
        """Smallest cell size (x, y) of the training imagery, in its CRS's units."""
        size = self.raw.get("MinCellSize")
        if not isinstance(size, Mapping):
            return None
        try:
            return float(size["x"]), float(size["y"])
        except (KeyError, TypeError, ValueError):
            return None


def load_definition(path_or_json: str) -> ModelDefinition:
    """Read a model definition from an ``.emd``, a ``.dlpk``, the JSON text itself, or a bare ``.onnx``.

    Raises:
        ModelDefinitionError: Naming the file, key and fix.
    """
    text = path_or_json.strip()
    if text.startswith("{"):
        return parse_definition(read_json_object(text, "The model definition text"), None)
    path = Path(text)
    if not path.is_file():
        raise ModelDefinitionError(
            f"The model definition {text} does not exist.",
            "Give an .emd file, a .dlpk package, or the definition's JSON text.",
        )
    if path.suffix.lower() == ".onnx":
        return parse_definition(definition_from_onnx(path), path.parent, path.name)
    if is_package(path):
        path = unpack_package(path)
    try:
        content = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ModelDefinitionError(
            f"{path} cannot be read as text ({error}).", "Give an .emd file or a .dlpk package."
        ) from error
    return parse_definition(read_json_object(content, path.name), path.parent, path.name)


def parse_definition(
    raw: dict[str, Any], folder: Optional[Path], name: str = "The model definition text"
) -> ModelDefinition:
    """Type, complete and check what a definition says.

    Args:
        raw: The JSON object.
        folder: Where relative paths lead.
        name: What to call it in errors.
    """
    classes = _classes(raw, name)
    parameters = raw.get("ModelParameters")
    parameters = dict(parameters) if isinstance(parameters, Mapping) else {}
    bands = _extract_bands(raw, name)
    return ModelDefinition(
        raw=raw,
        name=name,
        folder=folder,
        model_file=_model_file(raw, folder, name),
        # Esri's own samples write "ObjectionDetection".
        model_type=str(raw.get("ModelType", "")).replace("ObjectionDetection", "ObjectDetection"),
        image_size=(_positive(raw, "ImageHeight", name), _positive(raw, "ImageWidth", name)),
        extract_bands=bands,
        classes=classes,
        output_values=_output_values(raw, parameters, classes, name),
        normalisation=_normalisation(raw, bands, name),
        model_parameters=parameters,
    )


def resolve_file(written: str, folder: Optional[Path]) -> Path:
    r"""Where a path in a definition leads: as written, from the folder, or its name in the folder.

    Definitions carry Windows separators, leading ``.\`` and absolute paths of other machines.
    """
    for control, letter in _PATH_CONTROLS.items():
        written = written.replace(control, "/" + letter)
    path = Path(written.replace("\\", "/"))
    candidates = [path] if path.is_absolute() or folder is None else []
    if folder is not None:
        candidates += [folder / str(path).lstrip("/"), folder / path.name]
    return next((candidate for candidate in candidates if candidate.is_file()), candidates[0])


def write_definition(raw: Mapping[str, Any], path: Path) -> None:
    """Write a definition as strict JSON, in the key order given."""
    path.write_text(json.dumps(raw, indent=2, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")


def _missing(key: str, name: str, what: str) -> ModelDefinitionError:
    return ModelDefinitionError(f"{name} has no usable {key}.", f"{key} must be {what}.")


def _model_file(raw: Mapping[str, Any], folder: Optional[Path], name: str) -> Path:
    written = raw.get("ModelFile")
    if not isinstance(written, str) or not written.strip() or written.startswith("e.g."):
        raise _missing("ModelFile", name, "the path of the trained model, relative to the definition")
    path = resolve_file(written, folder)
    if not path.is_file():
        where = f"beside {name}" if folder else "at an absolute path, as the definition was given as text"
        raise ModelDefinitionError(
            f"The model file {written} that {name} names does not exist (looked for {path}).",
            f"Put it {where}.",
        )
    return path


def _positive(raw: Mapping[str, Any], key: str, name: str) -> int:
    try:
        value = int(raw[key])
    except (KeyError, TypeError, ValueError):
        value = 0
    if value < 1:
        raise _missing(key, name, "a whole number of pixels above 0")
    return value


def _extract_bands(raw: Mapping[str, Any], name: str) -> tuple[Union[int, str], ...]:
    bands = raw.get("ExtractBands", [0, 1, 2])
    usable = (
        isinstance(bands, list)
        and bands
        and all(isinstance(band, str) or (isinstance(band, int) and band >= 0) for band in bands)
    )
    if not usable or isinstance(bands[0], bool):
        raise _missing("ExtractBands", name, "a list of band numbers counted from 0, or of band names")
    return tuple(bands)


def _classes(raw: Mapping[str, Any], name: str) -> ClassSchema:
    try:
        return schema_from_items(raw.get("Classes") or ())
    except EngineError as error:
        raise ModelDefinitionError(f"Classes of {name}: {error.message}", error.fix) from error


def _output_values(
    raw: Mapping[str, Any], parameters: Mapping[str, Any], classes: ClassSchema, name: str
) -> tuple[int, ...]:
    values = parameters.get("class_values")
    if isinstance(values, list):
        try:
            return tuple(int(value) for value in values)
        except (TypeError, ValueError) as error:
            raise _missing("ModelParameters.class_values", name, "a list of whole numbers") from error
    if raw.get("Framework") == _ARCGIS_LEARN:
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
