"""What a raster function wants to know from the user: ``getParameterInfo``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Optional

from ...errors import ModelDefinitionError, ParameterError
from ..arguments import BOOLEAN, CHOICE, NUMBER, TEXT, ModelArgument

#: Parameters that the host fills itself.
_OF_THE_HOST = ("raster", "rasters", "model", "device")

_NUMBERS = ("numeric", "gplong", "gpdouble", "gpbiginteger", "long", "double")
_WHOLE_NUMBERS = ("gplong", "gpbiginteger", "long")
_BOOLEANS = ("boolean", "gpboolean")
_RASTERS = ("raster", "rasters")

_TRUE, _FALSE = ("true", "1", "yes"), ("false", "0", "no")


@dataclass(frozen=True)
class FunctionParameters:
    """The parameters of one function.

    Attributes:
        name: File name of the function, for messages.
        arguments: What a user can set.
        whole: Names of those that are whole numbers.
        raster: Name of the raster parameter, by which blocks are handed over.
        is_list: Whether that parameter is a list of rasters.
    """

    name: str
    arguments: tuple[ModelArgument, ...]
    whole: frozenset[str] = frozenset()
    raster: str = "raster"
    is_list: bool = False

    @classmethod
    def read(cls, name: str, entries: Any) -> FunctionParameters:
        """Read what ``getParameterInfo`` gave; whatever is no description of a parameter is passed over.

        Raises:
            ModelDefinitionError: If the function asks for more than one raster.
        """
        described = [entry for entry in _items(entries) if isinstance(entry, Mapping) and entry.get("name")]
        rasters = [entry for entry in described if _type(entry) in _RASTERS]
        if len(rasters) > 1:
            names = ", ".join(str(entry["name"]) for entry in rasters)
            raise ModelDefinitionError(
                f"{name} asks for {len(rasters)} rasters ({names}).", "Only functions of one raster run here."
            )
        chosen: dict[str, Mapping[str, Any]] = {}
        for entry in described:
            if _type(entry) not in _RASTERS and str(entry["name"]).lower() not in _OF_THE_HOST:
                chosen.setdefault(str(entry["name"]).lower(), entry)
        first = rasters[0] if rasters else {"name": "raster"}
        return cls(
            name,
            tuple(_argument(entry) for entry in chosen.values()),
            frozenset(str(entry["name"]) for entry in chosen.values() if _type(entry) in _WHOLE_NUMBERS),
            str(first["name"]),
            _type(first) == "rasters",
        )

    def values(self, given: Mapping[str, str]) -> dict[str, str]:
        """The text of every argument: what the user gave, over the defaults.

        Args:
            given: As ``ARGUMENTS`` holds them; names in any case, an empty text means the default.

        Raises:
            ParameterError: Naming the argument that is unknown, missing or has no usable value.
        """
        known = {argument.name.lower(): argument for argument in self.arguments}
        texts = {argument.name: argument.default for argument in self.arguments}
        for name, text in given.items():
            argument = known.get(name.strip().lower())
            if argument is None:
                there = ", ".join(argument.name for argument in self.arguments)
                raise ParameterError(
                    f"{self.name} has no argument {name!r}.",
                    f"There are {there}." if there else "It takes none.",
                )
            if str(text).strip():
                texts[argument.name] = self._checked(argument, str(text).strip())
        missing = [a.name for a in self.arguments if a.required and not texts[a.name]]
        if missing:
            raise ParameterError(
                f"{self.name} needs a value for {' and '.join(missing)}.",
                f'Add it to ARGUMENTS, for example "{missing[0]} value".',
            )
        return texts

    def _checked(self, argument: ModelArgument, text: str) -> str:
        if argument.kind == NUMBER:
            return self._number(argument, text)
        if argument.kind == BOOLEAN:
            word = text.lower()
            if word not in (*_TRUE, *_FALSE):
                raise _unusable(argument, text, "Give True or False.")
            return str(word in _TRUE)
        if argument.kind == CHOICE:
            for choice in argument.choices:
                if choice.lower() == text.lower():
                    return choice
            raise _unusable(argument, text, f"Give one of {', '.join(argument.choices)}.")
        return text

    def _number(self, argument: ModelArgument, text: str) -> str:
        is_whole = argument.name in self.whole or argument.name.lower() in ("padding", "batch_size")
        number = _float(text)
        low, high = argument.minimum, argument.maximum
        if argument.name.lower() in ("padding", "batch_size"):
            # Blocks are made of these, so they have to be possible whatever the function says.
            low = max(low or 0, 1 if argument.name.lower() == "batch_size" else 0)
        bounds = " ".join(
            f"{word} {bound:g}" for word, bound in (("from", low), ("to", high)) if bound is not None
        )
        wanted = f"Give a {'whole ' if is_whole else ''}number {bounds}".strip() + "."
        if number is None or (is_whole and number != int(number)):
            raise _unusable(argument, text, wanted)
        if (low is not None and number < low) or (high is not None and number > high):
            raise _unusable(argument, text, wanted)
        # Functions read whole numbers with int(), which takes "4" and not "4.0".
        return str(int(number)) if number == int(number) else text


def _items(entries: Any) -> Iterable[Any]:
    return entries if isinstance(entries, Sequence) and not isinstance(entries, str) else ()


def _type(entry: Mapping[str, Any]) -> str:
    return str(entry.get("dataType", "")).lower()


def _argument(entry: Mapping[str, Any]) -> ModelArgument:
    default = _text(entry.get("value"))
    kind, choices, low, high = _domain(entry)
    return ModelArgument(
        name=str(entry["name"]),
        kind=kind,
        default=default,
        label=_text(entry.get("displayName")) or str(entry["name"]),
        help=_text(entry.get("description")),
        choices=choices,
        minimum=low,
        maximum=high,
        required=bool(entry.get("required")) and not default,
    )


def _domain(
    entry: Mapping[str, Any],
) -> tuple[str, tuple[str, ...], Optional[float], Optional[float]]:
    """Kind, choices, smallest and largest number of a parameter."""
    kind = _type(entry)
    domain = entry.get("domain")
    items = list(domain) if isinstance(domain, (list, tuple)) else []
    if kind in _BOOLEANS:
        return BOOLEAN, (), None, None
    if kind in _NUMBERS:
        bounds = [_float(str(item)) for item in items]
        if len(bounds) == 2 and None not in bounds and bounds[0] <= bounds[1]:
            return NUMBER, (), bounds[0], bounds[1]
        return (
            (CHOICE, tuple(_text(item) for item in items), None, None) if items else (NUMBER, (), None, None)
        )
    return (CHOICE, tuple(_text(item) for item in items), None, None) if items else (TEXT, (), None, None)


def _text(value: Any) -> str:
    return "" if value is None else str(value)


def _float(text: str) -> Optional[float]:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if abs(number) < float("inf") else None


def _unusable(argument: ModelArgument, text: str, fix: str) -> ParameterError:
    return ParameterError(f"The argument {argument.name} cannot be {text!r}.", fix)
