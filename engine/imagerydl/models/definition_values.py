"""What the values of a model definition may look like: each reader takes JSON and gives its own type.

Definitions are filled in by hand and by many programs, so numbers come as text and truth as 0 and 1.
What can be meant in one way only is read; anything else is a ``ValueError``. Standard library only.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from typing import Any, Optional, Union

from ..errors import EngineError
from ..labels.classes import ClassSchema, schema_from_items

Reader = Callable[[Any], Any]

#: Kinds of model, as Esri's tools and arcgis.learn name them.
MODEL_TYPES = (
    "ImageClassification",
    "ObjectDetection",
    "ObjectClassification",
    "InstanceDetection",
    "PanopticSegmenter",
    "ObjectTracking",
    "SuperResolution",
    "Pix2Pix",
    "CycleGAN",
    "ImageCaptioner",
    "TimeSeriesModel",
)

#: How alike a misspelt kind is to the one that is meant: a letter apart, no more.
_MISSPELT = 0.95


class FaultInsideError(ValueError):
    """Something is wrong inside a list or an object.

    Args:
        path: Keys and positions that lead to it from the value read.
        reason: What is wrong, as the rest of a sentence that begins with the place.
    """

    def __init__(self, path: tuple[Union[str, int], ...], reason: str) -> None:
        super().__init__(reason)
        self.path = path
        self.reason = reason


def is_placeholder(value: Any) -> bool:
    """Whether it is a hint of an exported template, to be filled in ("e.g. 256"), or nothing."""
    if not isinstance(value, str):
        return False
    written = value.strip().lower()
    return not written or written.startswith("e.g.") or written.endswith("(optional)")


def is_builtin(inference_function: str) -> bool:
    """Whether an ``InferenceFunction`` is one that comes with ArcGIS: ``[Functions]System...``."""
    return inference_function.strip().lower().startswith("[functions]")


def as_written(value: Any) -> Any:
    """Anything."""
    return value


def text(value: Any) -> str:
    """A text."""
    if not isinstance(value, str):
        raise ValueError("no text")
    return value.strip()


def text_or_number(value: Any) -> str:
    """A text; a number as it would be written."""
    return text(value) if isinstance(value, str) else f"{_number(value):.15g}"


def number(low: float = -math.inf, high: float = math.inf, above: bool = False) -> Reader:
    """A finite number from ``low`` (or above it) to ``high``, or its text."""

    def read(value: Any) -> float:
        result = _number(value)
        if not low <= result <= high or (above and result == low):
            raise ValueError("out of range")
        return result

    return read


def whole(low: int) -> Reader:
    """A whole number from ``low`` on, or its text."""

    def read(value: Any) -> int:
        result = _number(value)
        if result != int(result) or result < low:
            raise ValueError("not a whole number in range")
        return int(result)

    return read


def flag(value: Any) -> bool:
    """True or false; 1 or 0; their text."""
    word = str(value).strip().lower()
    if word in ("true", "1", "1.0", "yes"):
        return True
    if word in ("false", "0", "0.0", "no"):
        return False
    raise ValueError("neither true nor false")


def keyword(words: Iterable[str], spelled: Optional[Mapping[str, str]] = None) -> Reader:
    """One of ``words``, in any case; ``spelled`` holds wrong spellings that are in use."""
    known = {word.lower(): word for word in words}
    known.update({wrong.lower(): word for wrong, word in (spelled or {}).items()})

    def read(value: Any) -> str:
        try:
            return known[text(value).lower()]
        except KeyError:
            raise ValueError("not one of them") from None

    return read


def kind_of_model(value: Any) -> str:
    """A kind of model, in any case. Kinds that are not listed pass; a misspelt one does not."""
    try:
        return _model_type(value)
    except ValueError:
        word = text(value)
        if get_close_matches(word, MODEL_TYPES, 1, _MISSPELT):
            raise
        return word


def mapping(value: Any) -> dict[str, Any]:
    """An object."""
    if not isinstance(value, Mapping):
        raise ValueError("no object")
    return dict(value)


def configuration(value: Any) -> str:
    """A name, or an object with a ``Name``."""
    if isinstance(value, Mapping):
        if "Name" not in value:
            raise FaultInsideError((), "has no Name")
        return text(value["Name"])
    return text(value)


def exported_forms(value: Any) -> dict[str, str]:
    """Files by their use; a file alone is for inference."""
    if isinstance(value, str):
        return {"INFER": value}
    return {str(key): text(item) for key, item in mapping(value).items() if item is not None}


def bands(value: Any) -> tuple[Union[int, str], ...]:
    """Band numbers counted from 0 and band names, or their list as text."""
    result = []
    for position, item in enumerate(_listed(value)):
        try:
            result.append(_band(item))
        except ValueError:
            raise FaultInsideError((position,), f"is {shown(item)}") from None
    if not result:
        raise ValueError("empty")
    return tuple(result)


def names(value: Any) -> tuple[str, ...]:
    """Texts; an unknown one is empty."""
    return tuple("" if item is None else text_or_number(item) for item in _listed(value))


def value_range(value: Any) -> tuple[float, float]:
    """The smallest and the largest value."""
    numbers = [_number(item) for item in _listed(value)]
    if len(numbers) != 2 or numbers[0] >= numbers[1]:
        raise ValueError("not a range")
    return numbers[0], numbers[1]


def cell_size(value: Any) -> Optional[tuple[float, float]]:
    """Width and height of a cell; None for an empty object."""
    size = mapping(value)
    if not size:
        return None
    try:
        pair = abs(_number(size["x"])), abs(_number(size["y"]))
    except KeyError as error:
        raise ValueError(f"has no {error}") from None
    if not all(pair):
        raise ValueError("zero")
    return pair


def whole_numbers(value: Any) -> tuple[int, ...]:
    """A list of whole numbers from 0 on."""
    read = whole(0)
    return tuple(read(item) for item in _listed(value))


def classes(value: Any) -> ClassSchema:
    """Classes with value, name and colour; a colour of -1 is unknown."""
    if not isinstance(value, (list, tuple)):
        raise ValueError("no list")
    items = [_class_item(position, item) for position, item in enumerate(value)]
    try:
        return schema_from_items(items)
    except EngineError as error:
        raise FaultInsideError(
            (), f"cannot be used: {error.message[:1].lower()}{error.message[1:]}"
        ) from error


def band_statistics(value: Any) -> tuple[dict[str, Any], ...]:
    """Min, Max, Mean and StdDev of each band, as numbers; what is null is left out."""
    if not isinstance(value, (list, tuple)):
        raise ValueError("no list")
    result = []
    for position, item in enumerate(value):
        if not isinstance(item, Mapping):
            raise FaultInsideError((position,), f"is {shown(item)}")
        entry = {key: part for key, part in item.items() if part is not None}
        for key in ("Min", "Max", "Mean", "StdDev"):
            if key in entry:
                try:
                    entry[key] = _number(entry[key])
                except ValueError:
                    raise FaultInsideError((position, key), f"is {shown(entry[key])}") from None
        result.append(entry)
    return tuple(result)


_model_type = keyword(MODEL_TYPES, {"ObjectionDetection": "ObjectDetection"})


def shown(value: Any) -> str:
    """A value in an error: as JSON, shortened."""
    written = json.dumps(value, ensure_ascii=False, default=str)
    return written if len(written) <= 60 else written[:57] + "..."


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise ValueError("no number")
    try:
        result = float(value)
    except OverflowError:
        raise ValueError("too large") from None
    if not math.isfinite(result):
        raise ValueError("not finite")
    return result


def _listed(value: Any) -> list[Any]:
    if isinstance(value, str) and value.strip().startswith("["):
        value = json.loads(value)  # "[0, 1, 2]"; its ValueError is ours
    if isinstance(value, (list, tuple)):
        return list(value)
    if isinstance(value, str) and "," in value:
        return [part.strip() for part in value.split(",")]
    if isinstance(value, (int, str)) and value != "":
        return [value]
    raise ValueError("no list")


def _band(item: Any) -> Union[int, str]:
    if isinstance(item, str) and item.strip():
        try:
            return whole(0)(item)
        except ValueError:
            if item.strip().lstrip("+-").replace(".", "", 1).isdigit():
                raise  # a number, and no band's
            return item.strip()
    return whole(0)(item)


def _class_item(position: int, item: Any) -> Mapping[str, Any]:
    if not isinstance(item, Mapping):
        raise FaultInsideError((position,), f"is {shown(item)}")
    value_key = "Value" if "Value" in item else "ClassValue"
    name_key = "Name" if "Name" in item else "ClassName"
    for key in (value_key, name_key):
        if item.get(key) is None:
            raise FaultInsideError((position,), f"has no {key.replace('Class', '')}")
    try:
        value = whole(0)(item[value_key])
    except ValueError:
        raise FaultInsideError((position, value_key), f"is {shown(item[value_key])}") from None
    try:
        name = text_or_number(item[name_key])
    except ValueError:
        raise FaultInsideError((position, name_key), f"is {shown(item[name_key])}") from None
    return {"Value": value, "Name": name, "Color": item.get("Color")}
