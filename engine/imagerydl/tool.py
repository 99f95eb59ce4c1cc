"""The single declaration of a tool: what it is called, what it takes, what it gives.

From a :class:`Tool` come the QGIS dialog and its help, ``qgis_process help``, the command line,
the documentation page and the contract tests. Standard library only: QGIS imports this.

Titles, summaries, labels and help are English text. They are translated where they are shown, so
a translation file is filled from the declarations themselves rather than from marks in the source.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Optional, Union

from .errors import ParameterError


class Kind(str, Enum):
    """What a parameter holds. The comment is its value inside a job (plain JSON)."""

    RASTER = "raster"  # str: path or GDAL name
    RASTERS = "rasters"  # list[str]
    FEATURES = "features"  # str: path, or path|layername=NAME
    LAYER = "layer"  # str: path of a vector layer, a table or a raster
    FIELD = "field"  # str: field name
    FOLDER = "folder"  # str: folder, or a pattern with wildcards where `pattern` is set
    FOLDERS = "folders"  # list[str]
    FILE = "file"  # str
    FILES = "files"  # list[str]
    TEXT = "text"  # str: also "a path, or the text itself"
    CHOICE = "choice"  # str: one of `choices`
    INTEGER = "integer"  # int
    NUMBER = "number"  # float
    BOOLEAN = "boolean"  # bool
    ARGUMENTS = "arguments"  # dict[str, str]
    EXTENT = "extent"  # {"bounds": [xmin, ymin, xmax, ymax], "crs": "EPSG:n", WKT or ""}
    OUT_FOLDER = "out_folder"  # str
    OUT_RASTER = "out_raster"  # str
    OUT_FILE = "out_file"  # str
    OUT_FEATURES = "out_features"  # str: a vector file, one of VECTOR_EXTENSIONS
    OUT_TABLE = "out_table"  # str: a table; its extension, one of TABLE_EXTENSIONS, says the format


OUTPUT_KINDS = frozenset({
    Kind.OUT_FOLDER, Kind.OUT_RASTER, Kind.OUT_FILE, Kind.OUT_FEATURES, Kind.OUT_TABLE,
})  # fmt: skip
#: Vector formats that are one file, so that an output appears with one rename; the usual one first.
VECTOR_EXTENSIONS = ("gpkg", "geojson", "fgb")
#: Formats of tables; the usual one first.
TABLE_EXTENSIONS = ("csv", "gpkg", "dbf")
#: Kinds whose value is a list.
LIST_KINDS = frozenset({Kind.RASTERS, Kind.FOLDERS, Kind.FILES})


@dataclass(frozen=True)
class Param:
    """One parameter of a tool.

    Attributes:
        key: The documented ArcGIS Python name in upper case.
        kind: What it holds.
        label: Short name shown in the dialog.
        help: What it does, its unit, its limits; plain text, full sentences.
        default: Value used when left out, in the form a job holds.
        optional: Whether it may be left out (a parameter with a default always may).
        choices: Keywords of a ``CHOICE``.
        minimum: Smallest number allowed.
        maximum: Largest number allowed.
        advanced: Shown under "Advanced parameters".
        parent: For a ``FIELD``, the key of the layer it belongs to.
        geometry: For ``FEATURES``, any of "point", "line", "polygon"; empty means all.
        pattern: For a ``FOLDER``, whether a wildcard pattern is accepted too.
        multiline: For a ``TEXT``, whether it spans lines.
        extension: File name extension of a ``FILE`` or ``OUT_FILE``, without the dot; several
            separated by blanks. For an ``OUT_TABLE``, where not all of TABLE_EXTENSIONS are written.
        words: For a ``BOOLEAN``, the ArcGIS keywords of true and false, accepted as values.
        offered: For an optional output, whether QGIS makes it unless it is told not to.
        only_with: Pairs of the key of a ``CHOICE`` or ``BOOLEAN`` and the values with which this parameter
            means anything; all of them must hold.
    """

    key: str
    kind: Kind
    label: str
    help: str
    default: Any = None
    optional: bool = False
    choices: tuple[str, ...] = ()
    minimum: Optional[float] = None
    maximum: Optional[float] = None
    advanced: bool = False
    parent: str = ""
    geometry: tuple[str, ...] = ()
    pattern: bool = False
    multiline: bool = False
    extension: str = ""
    words: tuple[str, ...] = ()
    offered: bool = False
    only_with: tuple[tuple[str, tuple[Union[str, bool], ...]], ...] = ()

    def applies(self, values: Mapping[str, Any]) -> bool:
        """Whether it means anything beside the choices in ``values``."""
        return all(values.get(key) in keywords for key, keywords in self.only_with)

    @property
    def is_output(self) -> bool:
        """Whether the tool creates what this parameter names."""
        return self.kind in OUTPUT_KINDS

    @property
    def is_required(self) -> bool:
        """Whether a job without it is refused."""
        return not self.optional and self.default is None

    @property
    def option(self) -> str:
        """Its command-line spelling, ``--in-raster``."""
        return "--" + self.key.lower().replace("_", "-")

    def coerce(self, value: Any) -> Any:
        """Turn what a person, a model or a script gave into the form a job holds.

        Raises:
            ParameterError: Naming this parameter and what it accepts.
        """
        if value is None or (isinstance(value, str) and not value.strip()):
            return list(self.default or ()) if self.kind in LIST_KINDS else self.default
        return _COERCERS.get(self.kind, _coerce_text)(self, value)


@dataclass(frozen=True)
class Result:
    """A result a tool declares beside its output parameters, so that models can chain.

    Attributes:
        key: Name in the result dict, upper case.
        kind: "number", "text", "file", "folder" or "raster".
        label: Short name.
    """

    key: str
    kind: str
    label: str


@dataclass(frozen=True)
class Tool:
    """A tool, declared once.

    Attributes:
        id: Algorithm id within the provider; a literal that never changes.
        command: Name on the command line.
        title: Name shown to people.
        group: Toolbox group.
        summary: One sentence.
        description: Help text; paragraphs separated by an empty line, no markup.
        params: In the order shown, required ones first.
        results: Declared results beside the output parameters.
        run: ``run(job, reporter) -> dict`` of output parameters and results. Imports what it
            needs inside.
        check: Cross-parameter check on coerced values, cheap and free of heavy imports; raises
            :class:`ParameterError`.
        tags: Search words.
        needs_runtime: Whether it runs in the engine's own environment (False: standard library
            only, may run inside QGIS).
    """

    id: str
    command: str
    title: str
    group: str
    summary: str
    description: str
    params: tuple[Param, ...]
    results: tuple[Result, ...]
    run: Callable[..., dict[str, Any]]
    check: Callable[[Mapping[str, Any]], None] = lambda values: None
    tags: tuple[str, ...] = ()
    needs_runtime: bool = True

    def param(self, key: str) -> Param:
        """The parameter called ``key``; KeyError where there is none."""
        for param in self.params:
            if param.key == key:
                return param
        raise KeyError(key)

    def conditions(self, param: Param) -> list[tuple[str, bool, tuple[str, ...]]]:
        """What ``param.only_with`` says, in the shorter way.

        Returns:
            For each deciding choice its key, whether the parameter applies with (True) or without
            (False) the keywords, and those.
        """
        told = []
        for key, keywords in param.only_with:
            others = tuple(word for word in self.param(key).choices if word not in keywords)
            shorter = not others or len(keywords) <= len(others)
            told.append((key, shorter, tuple(map(_word, keywords if shorter else others))))
        return told

    def coerce(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Check and complete ``values``: known names, required ones present, defaults filled in.

        Raises:
            ParameterError: For an unknown, missing or malformed parameter, one that does not apply to
                the choices made, or a combination that :attr:`check` refuses.
        """
        known = {param.key for param in self.params}
        unknown = sorted(set(values) - known)
        if unknown:
            raise ParameterError(
                f"{self.title} has no parameter {', '.join(unknown)}.",
                f"It takes {', '.join(param.key for param in self.params)}.",
            )
        complete = {param.key: param.coerce(values.get(param.key)) for param in self.params}
        for param in self.params:
            if param.is_required and complete[param.key] in (None, []):
                raise ParameterError(f"{param.key} ({param.label}) is missing.", param.help)
        for param in self.params:
            if not param.applies(complete) and complete[param.key] != param.coerce(None):
                raise _does_not_apply(param, complete)
        self.check(complete)
        return complete


def _does_not_apply(param: Param, values: Mapping[str, Any]) -> ParameterError:
    key, keywords = next(pair for pair in param.only_with if values.get(pair[0]) not in pair[1])
    return ParameterError(
        f"{param.key} ({param.label}) does not apply to {key}={_word(values.get(key))}.",
        f"It applies to {', '.join(map(_word, keywords))}: leave it out, or change {key}.",
    )


def _word(value: Any) -> str:
    """A deciding value as people write it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _refuse(param: Param, value: Any, wanted: str) -> ParameterError:
    return ParameterError(f"{param.key} ({param.label}) cannot be {value!r}.", f"Give {wanted}.")


def _coerce_text(param: Param, value: Any) -> str:
    return str(value)


def _coerce_features_file(param: Param, value: Any) -> str:
    return _coerce_file_name(param, value, VECTOR_EXTENSIONS)


def _coerce_table_file(param: Param, value: Any) -> str:
    return _coerce_file_name(param, value, tuple(param.extension.split()) or TABLE_EXTENSIONS)


def _coerce_file_name(param: Param, value: Any, extensions: tuple[str, ...]) -> str:
    path = str(value)
    if not path.lower().endswith(tuple(f".{extension}" for extension in extensions)):
        raise _refuse(param, value, f"a file name that ends in .{', .'.join(extensions)}")
    return path


def _coerce_list(param: Param, value: Any) -> list[str]:
    # QGIS joins several files with ";", as ArcGIS does.
    parts = value.split(";") if isinstance(value, str) else list(value)
    return [str(part).strip().strip('"') for part in parts if str(part).strip()]


def _coerce_number(param: Param, value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise _refuse(param, value, "a number") from None
    low, high = param.minimum, param.maximum
    if number != number or (low is not None and number < low) or (high is not None and number > high):
        limits = [f"at least {low:g}"] if low is not None else []
        limits += [f"at most {high:g}"] if high is not None else []
        raise _refuse(param, value, "a number " + " and ".join(limits))
    return number


def _coerce_integer(param: Param, value: Any) -> int:
    number = _coerce_number(param, value)
    if number != int(number):
        raise _refuse(param, value, "a whole number")
    return int(number)


def _coerce_boolean(param: Param, value: Any) -> bool:
    if isinstance(value, (bool, int, float)):
        return bool(value)
    word = str(value).strip().lower()
    yes, no = ({w.lower()} for w in param.words) if param.words else (set(), set())
    if word in {"true", "1", "yes", "on"} | yes:
        return True
    if word in {"false", "0", "no", "off"} | no:
        return False
    raise _refuse(param, value, " or ".join(("true", "false", *param.words)))


def _coerce_choice(param: Param, value: Any) -> str:
    for choice in param.choices:
        if str(value).strip().lower() == choice.lower():
            return choice
    raise _refuse(param, value, "one of " + ", ".join(param.choices))


def _is_named_value(cell: Any) -> bool:
    """Whether a cell holds a name and its value: a name alone has no blank in it."""
    return isinstance(cell, str) and re.match(r"\s*[A-Za-z_]\w*\s+\S", cell) is not None


def _coerce_arguments(param: Param, value: Any) -> dict[str, str]:
    """Accept ``{"padding": 8}``, ``["padding", 8, ...]``, ``"padding 8;batch_size 4"``, texts of these."""
    if isinstance(value, (list, tuple)) and value and all(map(_is_named_value, value)):
        value = ";".join(value)
    if isinstance(value, Mapping):
        pairs = list(value.items())
    elif isinstance(value, str):
        # maxsplit: an argument's own value may hold blanks. It may hold semicolons, too
        # ("rotate 30.0;0.5"): a name starts with a letter, so what does not goes on.
        parts = re.split(r";(?=\s*(?:[A-Za-z_]|$))", value)
        pairs = [tuple(part.split(None, 1)) for part in parts if part.strip("; \t\n")]
    else:
        cells = list(value)
        if cells and all(isinstance(cell, (list, tuple)) for cell in cells):
            pairs = [tuple(cell) for cell in cells]
        else:
            pairs = [tuple(cells[i : i + 2]) for i in range(0, len(cells), 2)]
    arguments = {}
    for pair in pairs:
        if len(pair) != 2:
            raise _refuse(param, value, "a value for each argument, as in 'padding 32;batch_size 4'")
        name, text = str(pair[0]).strip(), pair[1]
        # Table cells come back from qgis_process as floats: "9" becomes 9.0.
        if isinstance(text, float) and text == int(text):
            text = int(text)
        if name:
            arguments[name] = str(text).strip()
    return arguments


_EXTENT = re.compile(r"^\s*([^\[\]]+?)\s*(?:\[(.*)\])?\s*$", re.DOTALL)


def _coerce_extent(param: Param, value: Any) -> dict[str, Any]:
    """Accept ``"xmin,xmax,ymin,ymax [EPSG:n]"`` (the order QGIS uses) or the job's own form."""
    wanted = "xmin,xmax,ymin,ymax [EPSG:code]"
    if isinstance(value, Mapping):
        bounds, crs = list(value.get("bounds", ())), str(value.get("crs") or "")
    else:
        match = _EXTENT.match(str(value))
        try:
            xmin, xmax, ymin, ymax = (float(part) for part in match.group(1).split(","))
        except (AttributeError, ValueError):
            raise _refuse(param, value, wanted) from None
        bounds, crs = [xmin, ymin, xmax, ymax], (match.group(2) or "").strip()
    if len(bounds) != 4 or not (bounds[0] < bounds[2] and bounds[1] < bounds[3]):
        raise _refuse(param, value, wanted + " with xmin < xmax and ymin < ymax")
    return {"bounds": [float(b) for b in bounds], "crs": crs}


_COERCERS: dict[Kind, Callable[[Param, Any], Any]] = {
    Kind.RASTERS: _coerce_list,
    Kind.FOLDERS: _coerce_list,
    Kind.FILES: _coerce_list,
    Kind.INTEGER: _coerce_integer,
    Kind.NUMBER: _coerce_number,
    Kind.BOOLEAN: _coerce_boolean,
    Kind.CHOICE: _coerce_choice,
    Kind.ARGUMENTS: _coerce_arguments,
    Kind.EXTENT: _coerce_extent,
    Kind.OUT_FEATURES: _coerce_features_file,
    Kind.OUT_TABLE: _coerce_table_file,
}
