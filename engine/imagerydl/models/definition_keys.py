"""The keys of a model definition: what each takes, what it means, what holds where it is left out.

The definition is read by this table, its errors name keys in these words, and the documentation page
lists it. Standard library only.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

#: What an export writes in place of values that somebody has to fill in ("e.g. 256").
_PLACEHOLDER = "e.g."


@dataclass(frozen=True)
class Key:
    """A key of a model definition.

    Attributes:
        name: As it is written.
        takes: What its value is, as a phrase that follows "must be".
        read: From the JSON value to the typed one; raises TypeError, ValueError or KeyError.
        default: The typed value where the key is left out.
        meaning: What it says about the model.
        aliases: Other spellings found in published definitions.
    """

    name: str
    takes: str
    read: Callable[[Any], Any]
    default: Any
    meaning: str
    aliases: tuple[str, ...] = ()

    def find(self, raw: Mapping[str, Any]) -> str:
        """The spelling under which a definition holds a value; "" where it holds none."""
        for name in (self.name, *self.aliases):
            if raw.get(name) is not None and not is_placeholder(raw[name]):
                return name
        return ""


def is_placeholder(value: Any) -> bool:
    """Whether a value is a text that an export left to be filled in, or an empty one."""
    return isinstance(value, str) and (not value.strip() or value.strip().startswith(_PLACEHOLDER))


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value.strip()


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise TypeError
    number = float(value)
    if not math.isfinite(number):
        raise ValueError
    return number


def _whole(value: Any, lowest: int) -> int:
    number = _number(value)
    if number != int(number) or number < lowest:
        raise ValueError
    return int(number)


def _count(value: Any) -> int:
    return _whole(value, 1)


def _size(value: Any) -> int:
    return _whole(value, 0)


def _fraction(value: Any) -> float:
    number = _number(value)
    if not 0 < number <= 1:
        raise ValueError
    return number


def _range(value: Any) -> tuple[float, float]:
    low, high = (_number(part) for part in _list(value))
    if low >= high:
        raise ValueError
    return low, high


def _flag(value: Any) -> bool:
    text = str(value).strip().lower()
    if text not in ("0", "1", "true", "false"):
        raise ValueError
    return text in ("1", "true")


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError
    return value


def _names(value: Any) -> tuple[str, ...]:
    return tuple(_text(name) for name in _list(value))


def _bands(value: Any) -> tuple[Any, ...]:
    bands = _list(value)
    if not bands:
        raise ValueError
    return tuple(band.strip() if isinstance(band, str) else _size(band) for band in bands)


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise TypeError
    return dict(value)


def _objects(value: Any) -> tuple[dict[str, Any], ...]:
    return tuple(_object(item) for item in _list(value))


def _named(value: Any) -> str:
    """A text, or an object with a ``Name``."""
    return _text(value["Name"]) if isinstance(value, Mapping) else _text(value)


def _image_space(value: Any) -> str:
    text = _text(value).upper()
    if text not in ("MAP_SPACE", "PIXEL_SPACE", "IMAGE_SPACE"):
        raise ValueError
    return text


_PIXELS = "a whole number of pixels above 0"

#: Every key this engine reads, but ``Normalization``, ``NormalizationStats`` and ``Classes``, which
#: have forms of their own.
KEYS = (
    Key(
        "Framework",
        "a text",
        _text,
        "",
        "Library the model was trained with.",
    ),
    Key(
        "ModelConfiguration",
        "a text, or an object with Name",
        _named,
        "",
        "What the inputs and outputs are, as ObjectDetectionAPI, DeepLab, MaskRCNN.",
    ),
    Key(
        "ModelType",
        "a text",
        _text,
        "",
        "ImageClassification, ObjectDetection, ObjectClassification, InstanceDetection and others.",
    ),
    Key(
        "ModelFile",
        "the path of the trained model, relative to the definition",
        _text,
        "",
        "The weights, a file or a folder. Needed, unless InferenceFunction stands alone.",
    ),
    Key("Description", "a text", _text, "", "Anything about the model."),
    Key(
        "InferenceFunction",
        "the path of a Python raster function",
        _text,
        "",
        "Python module that runs the model; [Functions]... names a built-in one. Needed for a framework "
        "that is not known here.",
    ),
    Key("ModelName", "a text", _text, "", "The network, or the class that saved it."),
    Key("Version", "a text or number", str, "", "Version of the definition."),
    Key("SensorName", "a text", _text, "", "Sensor of the training imagery."),
    Key("RasterCount", "a whole number of rasters", _size, 0, "Rasters the training samples came from."),
    Key("BandList", "a list of band names", _names, (), "Bands of the training imagery."),
    Key("InputRastersProps", "an object", _object, {}, "RasterCount, SensorName and BandNames."),
    Key(
        "ImageHeight",
        _PIXELS,
        _count,
        256,
        "Rows of a tile. Needed, unless a raster function runs it.",
    ),
    Key("ImageWidth", _PIXELS, _count, 256, "Columns of a tile. Needed, unless a raster function runs it."),
    Key(
        "ExtractBands",
        "a list of band numbers counted from 0, or of band names",
        _bands,
        (0, 1, 2),
        "Bands the network takes, in its order.",
    ),
    Key("DataRange", "two numbers, the lower one first", _range, None, "Range the values are scaled to."),
    Key(
        "ModelPadding",
        "a whole number of pixels, at least 0",
        _size,
        0,
        "Rim of a tile that the network gives no result for.",
        ("Padding",),
    ),
    Key("BatchSize", "a whole number above 0", _count, None, "Tiles predicted together."),
    Key(
        "PerProcessGPUMemoryFraction",
        "a number above 0, at most 1",
        _fraction,
        0.95,
        "Share of the graphics card's memory the model may take.",
    ),
    Key("MetaDataMode", "a text", _text, "", "Format of the training chips."),
    Key(
        "ImageSpaceUsed",
        "MAP_SPACE, PIXEL_SPACE or IMAGE_SPACE",
        _image_space,
        "MAP_SPACE",
        "Whether the chips lay in map or image coordinates.",
    ),
    Key("WellKnownBandNames", "a list of band names", _names, (), "Names of the bands, by position."),
    Key(
        "AllTilesStats",
        "a list of objects",
        _objects,
        (),
        "Min, Max, Mean and StdDev of each band of the training imagery.",
        ("AllTileStats",),
    ),
    Key("MinCellSize", "an object with x and y", _object, None, "Smallest cell size it was trained on."),
    Key("MaxCellSize", "an object with x and y", _object, None, "Largest cell size it was trained on."),
    Key("CropSizeFixed", "0 or 1", _flag, True, "Object classification: whether chips have one size."),
    Key(
        "BlackenAroundFeature",
        "0 or 1",
        _flag,
        False,
        "Object classification: whether the rest is masked.",
    ),
    Key("SupportsVariableTileSize", "true or false", _flag, False, "Whether other tile sizes may be fed."),
    Key("ModelParameters", "an object", _object, {}, "What is needed to build the network again."),
    Key("ONNX", "an object", _object, {}, "INFER names the same network as an ONNX file."),
)

BY_NAME = {key.name: key for key in KEYS}
