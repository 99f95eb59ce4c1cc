"""How training chips are varied, as data: the default, CUSTOM lists and ``transforms.json``.

Standard library only. The numbers follow the ArcGIS documentation: brightness 0.5 means
unchanged and is where mid-grey goes; contrast and zoom are factors, 1 meaning unchanged.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Optional

from ..errors import DataError, ParameterError
from ..models.json_text import read_json_object

#: File of AUGMENTATION=FILE, in the training folder.
TRANSFORMS_FILE = "transforms.json"


@dataclass(frozen=True)
class Variation:
    """Something drawn evenly from ``low`` to ``high``, with ``probability`` per chip."""

    low: float
    high: float
    probability: float = 1.0


@dataclass(frozen=True)
class Crop:
    """A square cut out of the chips.

    Attributes:
        size: Its side in pixels.
        probability: With which a whole batch is cropped (chips of a batch have one size).
        rows: Range of its vertical position, 0 top to 1 bottom.
        columns: Range of its horizontal position, 0 left to 1 right.
    """

    size: int
    probability: float = 1.0
    rows: tuple[float, float] = (0.0, 1.0)
    columns: tuple[float, float] = (0.0, 1.0)


@dataclass(frozen=True)
class AugmentationSettings:
    """Which variations chips go through; None or 0 leaves one out.

    Attributes:
        dihedral: Probability of one of the eight flips and quarter turns.
        mirror: Probability of a left-right flip.
        rotate: Degrees.
        brightness: 0.5 unchanged.
        contrast: 1 unchanged.
        zoom: 1 unchanged, above 1 nearer.
        crop: See :class:`Crop`.
    """

    dihedral: float = 0.0
    mirror: float = 0.0
    rotate: Optional[Variation] = None
    brightness: Optional[Variation] = None
    contrast: Optional[Variation] = None
    zoom: Optional[Variation] = None
    crop: Optional[Crop] = None

    def cropped(self, size: Optional[int]) -> AugmentationSettings:
        """The same with crops of ``size`` pixels, where it is given and no crop is set."""
        return replace(self, crop=Crop(size)) if size and self.crop is None else self

    def crop_only(self) -> AugmentationSettings:
        """The same without anything that changes what a chip shows."""
        return AugmentationSettings(crop=self.crop)


def default_augmentation(image_space: str) -> AugmentationSettings:
    """What AUGMENTATION=DEFAULT does.

    Seen from above there is no up: in map space chips are flipped and turned. In pixel space
    (photographs) they are mirrored only. Brightness matters: bright scenes are where a network
    trained without it fails most.
    """
    from_above = image_space.upper() == "MAP_SPACE"
    return AugmentationSettings(
        dihedral=0.5 if from_above else 0.0,
        mirror=0.0 if from_above else 0.5,
        brightness=Variation(0.4, 0.6, 0.5),
        contrast=Variation(0.85, 1.18, 0.5),
    )


def default_object_augmentation(image_space: str) -> AugmentationSettings:
    """What AUGMENTATION=DEFAULT does to chips with objects: as to others, and nearer and farther.

    A detector has few objects to learn from, and sizes are what it goes by.
    """
    default = default_augmentation(image_space)
    return replace(default, dihedral=2 * default.dihedral, zoom=Variation(0.8, 1.25, 0.5))


def parse_custom(parameters: Mapping[str, str]) -> AugmentationSettings:
    """AUGMENTATION_PARAMETERS, in the documented syntax.

    ``rotate`` is ``30.0;0.5``, ``brightness`` is ``(0.4,0.6);1.0``, ``crop`` is
    ``224;1.0;(0,1);(0,1)``.

    Raises:
        ParameterError: Naming the variation that is unknown or malformed.
    """
    result = AugmentationSettings()
    for name, text in parameters.items():
        key = name.strip().lower()
        if key not in _EXAMPLES:
            raise ParameterError(
                f"AUGMENTATION_PARAMETERS has no {name!r}.", f"There is {', '.join(_EXAMPLES)}."
            )
        try:
            parts = [_numbers(part) for part in str(text).split(";") if part.strip()]
            result = replace(result, **{key: _build(key, parts)})
        except (IndexError, ValueError):
            raise ParameterError(
                f"The augmentation {name} cannot be {text!r}.", f"Write it as in {_EXAMPLES[key]!r}."
            ) from None
    return result


def read_transforms(path: Path) -> tuple[AugmentationSettings, AugmentationSettings]:
    """The "Training" and the "Validation" variations in a ``transforms.json``.

    Raises:
        DataError: Where the file is missing, or holds what is not known.
    """
    if not path.is_file():
        raise DataError(
            f"AUGMENTATION=FILE needs {path}, which does not exist.",
            f"Put {TRANSFORMS_FILE} into the training folder, or choose another AUGMENTATION.",
        )
    content = read_json_object(path.read_text(encoding="utf-8-sig"), str(path))
    return tuple(_from_object(content.get(part) or {}, part, path) for part in ("Training", "Validation"))


_EXAMPLES = {
    "rotate": "30.0;0.5",
    "brightness": "(0.4,0.6);1.0",
    "contrast": "(0.75,1.5);1.0",
    "zoom": "(1.0,1.2);1.0",
    "crop": "224;1.0;(0,1);(0,1)",
    "dihedral": "1.0",
    "mirror": "0.5",
}

#: What an object in transforms.json calls the value of a variation.
_VALUE_KEYS = {
    "rotate": "degrees",
    "brightness": "change",
    "contrast": "scale",
    "zoom": "scale",
    "crop": "size",
}
_ALIASES = {"rand_zoom": "zoom", "rand_crop": "crop", "dihedral_affine": "dihedral", "flip_lr": "mirror"}


def _from_object(variations: Any, part: str, path: Path) -> AugmentationSettings:
    result = AugmentationSettings()
    for name, given in dict(variations).items():
        key = _ALIASES.get(name.lower(), name.lower())
        if key not in _EXAMPLES:
            raise DataError(f"{path} asks for {part} {name!r}.", f"There is {', '.join(_EXAMPLES)}.")
        given = given if isinstance(given, Mapping) else {}
        probability = [given.get("p", 1.0)]
        parts = [given.get(_VALUE_KEYS[key])] if key in _VALUE_KEYS else []
        parts.append(probability)
        if key == "crop":
            parts += [given.get("row_pct", (0, 1)), given.get("col_pct", (0, 1))]
        try:
            result = replace(result, **{key: _build(key, [_numbers(part) for part in parts])})
        except (IndexError, TypeError, ValueError):
            raise DataError(
                f"{part} {name!r} in {path} cannot be read.",
                f"In the tool's own syntax it would be {_EXAMPLES[key]!r}.",
            ) from None
    return result


def _numbers(value: Any) -> list[float]:
    """Numbers in ``"(0.4, 0.6)"``, ``[0.4, 0.6]`` or ``0.5``."""
    if isinstance(value, str):
        return [float(part) for part in re.split(r"[\s,]+", value.strip(" ()[]")) if part]
    if isinstance(value, Sequence):
        return [float(part) for part in value]
    return [float(value)]


def _build(key: str, parts: Sequence[Sequence[float]]) -> Any:
    if key in ("dihedral", "mirror"):
        return _share(parts[0][0])
    probability = _share(parts[1][0]) if len(parts) > 1 else 1.0
    if key == "crop":
        rows, columns = (_range(parts[i]) if len(parts) > i else (0.0, 1.0) for i in (2, 3))
        return Crop(_positive(int(parts[0][0])), probability, rows, columns)
    if key == "rotate" and len(parts[0]) == 1:
        degrees = abs(parts[0][0])
        return Variation(-degrees, degrees, probability)
    low, high = parts[0][0], parts[0][-1]
    if low > high or (key != "rotate" and low <= 0) or len(parts[0]) > 2:
        raise ValueError("a range goes from a lower to a higher number above 0")
    return Variation(low, high, probability)


def _share(number: float) -> float:
    if not 0 <= number <= 1:
        raise ValueError("a probability lies between 0 and 1")
    return number


def _positive(number: int) -> int:
    if number < 1:
        raise ValueError("a size is a number of pixels")
    return number


def _range(numbers: Sequence[float]) -> tuple[float, float]:
    low, high = numbers[0], numbers[-1]
    if not 0 <= low <= high <= 1:
        raise ValueError("positions lie between 0 and 1")
    return low, high
