"""Checks a model definition, and names all that is wrong: key, line, fix. Standard library only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from typing import Any, Optional

from . import definition_values as values
from .definition_keys import ALWAYS, BY_NAME, CLASSES_NEEDED, CLASSIFYING, KEYS, Key
from .json_text import Place, line_numbers


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with a definition.

    Attributes:
        key: The key at fault, with the way into its value.
        what: The rest of the sentence that begins with the key; empty where the key is not there.
        fix: What to do about it.
        line: Its line, counted from 1; None where it has none.
    """

    key: str
    what: str
    fix: str
    line: Optional[int] = None

    def named(self, name: str) -> str:
        """The sentence, with the name of the definition."""
        if not self.what:
            return f"{name} has no {self.key}."
        place = f"at line {self.line} of {name}" if self.line else f"in {name}"
        return f"{self.key} {place} {self.what}."

    def __str__(self) -> str:
        if not self.what:
            return f"{self.key} is missing. {self.fix}"
        place = f" at line {self.line}" if self.line else ""
        return f"{self.key}{place} {self.what}. {self.fix}"


class CheckedKeys:
    """The typed values of a definition's keys, and what is wrong with them.

    Args:
        raw: The definition.
        text: What it was read from, for lines; may be empty.
    """

    def __init__(self, raw: Mapping[str, Any], text: str) -> None:
        self.raw = raw
        self._text = text
        self._problems: list[Problem] = []
        self.values: dict[str, Any] = {}
        for key in KEYS:
            self._read(key)
        faulty = {problem.key.partition("[")[0].partition(".")[0] for problem in self._problems}
        for key in KEYS:
            if key.name not in self.values and not faulty & {key.name, *key.aliases} and self._needs(key):
                self._report_missing(key)

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Everything found so far, in the order of the lines; what is missing comes first."""
        return tuple(sorted(self._problems, key=lambda problem: problem.line or 0))

    @property
    def has_function(self) -> bool:
        """Whether a function that is none of ArcGIS's own is named."""
        function = self.value("InferenceFunction")
        return bool(function) and not values.is_builtin(function)

    def value(self, key: str) -> Any:
        """The typed value of a key, or what holds where it is left out or unusable."""
        return self.values.get(key, BY_NAME[key].default)

    def report(self, key: str, what: str, fix: str = "", inside: Place = ()) -> None:
        """Note that something is wrong with a key, or inside of its value.

        Args:
            key: Its name.
            what: The rest of the sentence that begins with the key.
            fix: What to do; by default, what the key takes.
            inside: Keys and positions that lead to the fault.
        """
        way = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in inside)
        fix = fix or f"{key} must be {BY_NAME[key].takes}."
        self._problems.append(Problem(key + way, what, fix, self._line((key, *inside))))

    def _read(self, key: Key) -> None:
        name = key.find(self.raw)
        if not name:
            return
        fix = f"{name} must be {key.takes}."
        try:
            self.values[key.name] = key.read(self.raw[name])
        except values.FaultInsideError as fault:
            self.report(name, fault.reason, fix, fault.path)
        except ValueError:
            self.report(name, f"is {values.shown(self.raw[name])}", fix)

    def _needs(self, key: Key) -> bool:
        if key.needed == CLASSES_NEEDED:
            return not self.has_function and self.value("ModelType") in CLASSIFYING
        return key.needed == ALWAYS or (bool(key.needed) and not self.has_function)

    def _report_missing(self, key: Key) -> None:
        written = self.raw.get(key.name)
        if isinstance(written, str) and written.strip():
            shown = values.shown(written)
            self.report(
                key.name,
                f"is {shown}, which a template that an export wrote leaves to be filled in",
                f"Give the definition of a trained model: {key.name} must be {key.takes}.",
            )
            return
        others = [name for name in self.raw if name not in BY_NAME]
        alike = get_close_matches(key.name, others, 1, 0.8)
        fix = f"Add {key.name}: {key.takes}."
        if alike:
            line = self._line((alike[0],))
            fix = f"{alike[0]}{f' at line {line}' if line else ''} may be meant for it. {fix}"
        self._problems.append(Problem(key.name, "", fix, self._line((key.name,))))

    def _line(self, place: Place) -> Optional[int]:
        while place:
            if place in self._lines:
                return self._lines[place]
            place = place[:-1]
        return None

    @cached_property
    def _lines(self) -> dict[Place, int]:
        return line_numbers(self._text) if self._text else {}
