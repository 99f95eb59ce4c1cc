"""Names that libraries have dropped and published raster functions still use."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec
from types import ModuleType
from typing import Any, Optional

import numpy as np

#: Names numpy has removed, and what they always meant.
_NUMPY: dict[str, Any] = {
    "bool": bool,
    "int": int,
    "float": float,
    "complex": complex,
    "object": object,
    "str": str,
    "float_": np.float64,
    "complex_": np.complex128,
    "unicode_": np.str_,
    "string_": np.bytes_,
    "NaN": np.nan,
    "Inf": np.inf,
    "product": np.prod,
    "cumproduct": np.cumprod,
    "alltrue": np.all,
    "sometrue": np.any,
    "round_": np.round,
}

_STRICT_ARRAY = np.array

_TRUE, _FALSE = ("y", "yes", "t", "true", "on", "1"), ("n", "no", "f", "false", "off", "0")


@contextmanager
def old_numpy() -> Iterator[None]:
    """Give numpy its old names for a while, those that it does not have, and its old ``copy=False``."""
    absent = _absent_numpy_names()
    for name in absent:
        setattr(np, name, _NUMPY[name])
    is_strict = int(np.__version__.partition(".")[0]) >= 2
    if is_strict:
        np.array = _array
    try:
        yield
    finally:
        for name in absent:
            delattr(np, name)
        if is_strict:
            np.array = _STRICT_ARRAY


def _array(*arguments: Any, copy: Optional[bool] = True, **named: Any) -> np.ndarray:
    """``numpy.array`` where ``copy=False`` means as it did before numpy 2: only if there is need."""
    return _STRICT_ARRAY(*arguments, copy=None if copy is False else copy, **named)


@cache
def _absent_numpy_names() -> tuple[str, ...]:
    with warnings.catch_warnings():
        # Versions between warn about some of these names when asked for them.
        warnings.simplefilter("ignore")
        return tuple(name for name in _NUMPY if not hasattr(np, name))


def removed_modules() -> dict[str, ModuleType]:
    """The parts of ``distutils`` that functions use, for Pythons that have none."""
    if "distutils" in sys.modules or find_spec("distutils"):
        return {}
    return distutils_modules()


def distutils_modules() -> dict[str, ModuleType]:
    """``distutils`` with ``version.LooseVersion``, ``version.StrictVersion`` and ``util.strtobool``."""
    package, version, helpers = (
        ModuleType(name) for name in ("distutils", "distutils.version", "distutils.util")
    )
    version.LooseVersion = version.StrictVersion = LooseVersion
    helpers.strtobool = truth_of
    package.version, package.util, package.__path__ = version, helpers, []
    return {module.__name__: module for module in (package, version, helpers)}


class LooseVersion:
    """A version text that compares by its numbers."""

    def __init__(self, text: str = "") -> None:
        self.vstring = text
        self.version = [int(part) if part.isdigit() else part for part in text.replace("-", ".").split(".")]

    def __str__(self) -> str:
        return self.vstring

    def __eq__(self, other: object) -> bool:
        return self._key() == _version(other)._key()

    def __lt__(self, other: object) -> bool:
        return self._key() < _version(other)._key()

    def __le__(self, other: object) -> bool:
        return self._key() <= _version(other)._key()

    def __gt__(self, other: object) -> bool:
        return self._key() > _version(other)._key()

    def __ge__(self, other: object) -> bool:
        return self._key() >= _version(other)._key()

    def __hash__(self) -> int:
        return hash(tuple(self._key()))

    def _key(self) -> list[tuple[int, int, str]]:
        # Numbers and words in one list must not be compared with each other.
        return [(0, part, "") if isinstance(part, int) else (1, 0, part) for part in self.version]


def _version(value: Any) -> LooseVersion:
    return value if isinstance(value, LooseVersion) else LooseVersion(str(value))


def truth_of(text: str) -> int:
    """1 for "yes", "true", "on"..., 0 for their opposites."""
    word = text.lower()
    if word in _TRUE or word in _FALSE:
        return int(word in _TRUE)
    raise ValueError(f"{text!r} is neither yes nor no")
