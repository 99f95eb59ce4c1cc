"""From the class field of a vector layer to class values and names."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Optional

import numpy as np

from ..errors import DataError, ParameterError
from .classes import MAX_CLASS_VALUE, ClassEntry, ClassSchema, color_or_none, lenient_schema

#: Fields taken for the class where none is named, in any letter case.
DEFAULT_FIELDS = ("value", "classvalue")

#: The same for detected objects and what they are compared with; the last is what Detect Objects writes.
OBJECT_CLASS_FIELDS = ("classvalue", "value", "class_value", "class")

#: Text fields that may name the classes of a numeric one, in any letter case.
NAME_FIELDS = ("classname", "class_name", "name")

_COLOR_FIELDS = ("red", "green", "blue")

#: Value and name of the one class of a layer without a class field.
ONLY_CLASS = ClassEntry(1, "1")


@dataclass(frozen=True)
class ClassColumn:
    """The class of each feature.

    Attributes:
        values: Class value per feature, int32 ``[features]``; -1 where the field is empty.
        classes: The classes, ordered by value, or as the schema lists them.
        field: The field they came from; empty where all features are one class.
    """

    values: np.ndarray
    classes: ClassSchema
    field: str


def choose_field(
    fields: Sequence[str],
    wanted: Optional[str],
    layer: str,
    defaults: Sequence[str] = DEFAULT_FIELDS,
    key: str = "CLASS_VALUE_FIELD",
) -> str:
    """The field that holds classes: the one named, else the first default there is, else none ("").

    Args:
        fields: Fields of the layer.
        wanted: The field named by the user.
        layer: The layer, for errors.
        defaults: Names taken where none is given, in lower case; they match in any letter case.
        key: Parameter that names the field, for errors.

    Raises:
        ParameterError: If the named field does not exist; it lists the fields there are.
    """
    by_lower = {field.lower(): field for field in reversed(fields)}
    if wanted:
        if wanted in fields:
            return wanted
        if wanted.lower() in by_lower:
            return by_lower[wanted.lower()]
        there = f"Its fields are {', '.join(fields)}." if fields else "It has no fields at all."
        raise ParameterError(f"{layer} has no field {wanted!r} ({key}).", there)
    return next((by_lower[name] for name in defaults if name in by_lower), "")


def class_column(
    column: Optional[np.ndarray], field: str, count: int, schema: Optional[ClassSchema], layer: str
) -> ClassColumn:
    """Class values of ``count`` features.

    Numbers and numeric texts are class values. Other texts are names: with a schema they take its
    values, without one they are numbered from 1 in alphabetical order.

    Args:
        column: The field's cells ``[count]``; None where all features are one class.
        field: Name of the field, for errors.
        count: Number of features.
        schema: Classes given by the user.
        layer: Name of the layer, for errors.

    Raises:
        DataError: For a cell that cannot be a class value, or a class the schema lacks.
    """
    if column is None:
        classes = schema if schema and ONLY_CLASS.value in schema else ClassSchema([ONLY_CLASS])
        return ClassColumn(np.ones(count, dtype=np.int32), classes, "")
    where = f"field {field!r} of {layer}"
    # A layer has many features and few classes: everything is decided once for each distinct cell.
    cells, positions = distinct_cells(column, where)
    numbers = _as_numbers(cells)
    if numbers is not None and (
        schema is None or _all_known(numbers, schema) or not _are_names(cells, schema)
    ):
        values, classes = _numbered(numbers, schema, where)
    else:
        names = [None if cell is None else str(cell) for cell in cells]
        values, classes = _named(names, schema, where)
    return ClassColumn(np.array(values, dtype=np.int32)[positions], classes, field)


def distinct_cells(column: np.ndarray, where: str) -> tuple[list[Any], np.ndarray]:
    """The distinct cells of a column, cleaned, and the position among them of each row's cell.

    Text loses its padding; null, NaN and blank are None.

    Raises:
        DataError: For cells that are neither text nor numbers.
    """
    if column.dtype.kind not in "OUbiuf":
        raise DataError(f"The {where} holds dates or times.", "Classes are numbers or names.")
    if column.dtype.kind in "biuf":
        raw, rows = np.unique(column, return_inverse=True)
    else:
        raw, rows = _distinct_objects(column.tolist(), where)
    cleaned = [_clean(cell) for cell in (raw.tolist() if isinstance(raw, np.ndarray) else raw)]
    cells = list(dict.fromkeys(cleaned))
    place = {cell: number for number, cell in enumerate(cells)}
    return cells, np.array([place[cell] for cell in cleaned], dtype=np.intp)[rows]


def _distinct_objects(cells: Sequence[Any], where: str) -> tuple[list[Any], np.ndarray]:
    try:
        places = {cell: number for number, cell in enumerate(dict.fromkeys(cells))}
    except TypeError:
        places = {}
    if any(isinstance(cell, (bytes, bytearray)) for cell in places) or (cells and not places):
        raise DataError(f"The {where} holds lists or binary data.", "Classes are numbers or names.")
    return list(places), np.fromiter(map(places.__getitem__, cells), np.intp, len(cells))


def described_classes(
    classes: ClassSchema,
    values: np.ndarray,
    fields: Sequence[str],
    read: Callable[[str], np.ndarray],
    say: Callable[[str], None] = lambda text: None,
) -> ClassSchema:
    """Names and colours that other fields of the layer give to its classes.

    Training samples as ArcGIS writes them have Classname beside Classvalue, and RED, GREEN, BLUE.
    They count where they are the same for all features of a class.

    Args:
        classes: The classes of the class field.
        values: Class value of each feature ``[n]``.
        fields: Fields of the layer.
        read: Gives the cells ``[n]`` of a field.
        say: Receives what the user should know.
    """
    by_lower = {field.lower(): field for field in reversed(fields)}
    names, colors = {}, {}
    if all(entry.name == str(entry.value) for entry in classes):
        candidates = (_texts(values, read(by_lower[name])) for name in NAME_FIELDS if name in by_lower)
        names = next((found for found in candidates if found), {})
    if all(part in by_lower for part in _COLOR_FIELDS):
        parts = [_one_each(values, read(by_lower[part])) for part in _COLOR_FIELDS]
        colors = {value: [part[value] for part in parts] for value in parts[0]} if all(parts) else {}
    described = [
        ClassEntry(
            entry.value,
            names.get(entry.value, entry.name),
            color_or_none(colors.get(entry.value, entry.color)),
        )
        for entry in classes
    ]
    result = lenient_schema(described)
    for given, kept in zip(described, result):
        if given.name != kept.name:
            say(f"Several classes are called {given.name!r}; one of them becomes {kept.name!r}.")
    return result


def _texts(values: np.ndarray, cells: np.ndarray) -> dict[int, str]:
    """The one text of each class; empty where the cells are no texts, or a class has several or none."""
    found = _one_each(values, cells) if cells.dtype.kind in "OU" else {}
    return found if all(isinstance(text, str) for text in found.values()) else {}


def _one_each(values: np.ndarray, cells: np.ndarray) -> dict[int, Any]:
    """The one cell of each class; empty where a class has several or an empty one."""
    try:
        distinct, positions = distinct_cells(cells, "")
    except DataError:
        return {}
    pairs = np.unique(np.column_stack((values, positions)), axis=0).tolist()
    found = {value: distinct[position] for value, position in pairs}
    return {} if len(found) < len(pairs) or None in found.values() else found


def _clean(cell: Any) -> Any:
    """A cell without padding; None for null, NaN and blank."""
    if isinstance(cell, str):
        return cell.strip() or None
    return None if cell is None or cell != cell else cell


def _as_numbers(cells: Sequence[Any]) -> Optional[list[Optional[float]]]:
    """The cells as numbers, or None where at least one is not a number."""
    try:
        return [None if cell is None else float(cell) for cell in cells]
    except (TypeError, ValueError):
        return None


def _all_known(numbers: Sequence[Optional[float]], schema: ClassSchema) -> bool:
    return all(number is None or number in schema for number in numbers)


def _are_names(cells: Sequence[Any], schema: ClassSchema) -> bool:
    names = _by_name(schema)
    return all(cell is None or str(cell).lower() in names for cell in cells)


def _by_name(schema: ClassSchema) -> Mapping[str, int]:
    return {entry.name.lower(): entry.value for entry in schema}


def _numbered(
    numbers: Sequence[Optional[float]], schema: Optional[ClassSchema], where: str
) -> tuple[list[int], ClassSchema]:
    """The value of each distinct cell, and the classes."""
    for number in numbers:
        if number is not None and not (0 <= number <= MAX_CLASS_VALUE and number == int(number)):
            raise DataError(
                f"{number:g} in {where} cannot be a class value.",
                f"Class values are whole numbers from 0 to {MAX_CLASS_VALUE}.",
            )
    values = [-1 if number is None else int(number) for number in numbers]
    present = sorted({value for value in values if value >= 0})
    if schema is None:
        return values, ClassSchema(ClassEntry(value, str(value)) for value in present)
    _refuse_unknown([str(value) for value in present if value not in schema], where)
    return values, schema


def _named(
    names: Sequence[Optional[str]], schema: Optional[ClassSchema], where: str
) -> tuple[list[int], ClassSchema]:
    """The value of each distinct cell, and the classes."""
    if schema is None:
        distinct = sorted({name for name in names if name is not None})
        if len(distinct) > MAX_CLASS_VALUE:
            raise DataError(
                f"The {where} holds {len(distinct)} different names, more than there can be classes.",
                "Name the field that holds the class (CLASS_VALUE_FIELD).",
            )
        schema = ClassSchema(ClassEntry(i, name) for i, name in enumerate(distinct, start=1))
        value_of: Mapping[str, int] = {entry.name: entry.value for entry in schema}
    else:
        known = _by_name(schema)
        value_of = {name: known[name.lower()] for name in names if name and name.lower() in known}
        _refuse_unknown(sorted({name for name in names if name and name not in value_of}), where)
    return [-1 if name is None else value_of[name] for name in names], schema


def _refuse_unknown(missing: Sequence[str], where: str) -> None:
    if missing:
        shown = ", ".join(missing[:10]) + (" and more" if len(missing) > 10 else "")
        raise DataError(
            f"The class schema has no class {shown}, which occurs in {where}.",
            "Add a line for it to CLASS_SCHEMA: value, name, #RRGGBB.",
        )
