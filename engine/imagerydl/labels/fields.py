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


def choose_field(fields: Sequence[str], wanted: Optional[str], layer: str) -> str:
    """The field that holds classes: the one named, else ``value`` or ``classvalue``, else none ("").

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
        raise ParameterError(f"{layer} has no field {wanted!r} (CLASS_VALUE_FIELD).", there)
    return next((by_lower[name] for name in DEFAULT_FIELDS if name in by_lower), "")


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
    cells = [_clean(cell) for cell in column]
    where = f"field {field!r} of {layer}"
    numbers = _as_numbers(cells)
    if numbers is not None and (
        schema is None or _all_known(numbers, schema) or not _are_names(cells, schema)
    ):
        return _numbered(numbers, field, schema, where)
    return _named([None if cell is None else str(cell) for cell in cells], field, schema, where)


def described_classes(
    classes: ClassSchema,
    values: np.ndarray,
    fields: Sequence[str],
    read: Callable[[str], np.ndarray],
) -> ClassSchema:
    """Names and colours that other fields of the layer give to classes known by value only.

    Training samples as ArcGIS writes them have Classname beside Classvalue, and RED, GREEN, BLUE.
    They count where they are the same for all features of a class.

    Args:
        classes: The classes of the class field.
        values: Class value of each feature ``[n]``.
        fields: Fields of the layer.
        read: Gives the cells ``[n]`` of a field.
    """
    if any(entry.name != str(entry.value) for entry in classes):
        return classes
    by_lower = {field.lower(): field for field in reversed(fields)}
    name_field = next((by_lower[name] for name in NAME_FIELDS if name in by_lower), None)
    names = _constant(classes, values, read(name_field)) if name_field else None
    colors = None
    if all(part in by_lower for part in _COLOR_FIELDS):
        columns = [_constant(classes, values, read(by_lower[part])) for part in _COLOR_FIELDS]
        colors = None if None in columns else list(zip(*columns))
    entries = []
    for number, entry in enumerate(classes):
        name = str(names[number]).strip() if names else entry.name
        color = color_or_none(colors[number]) if colors else entry.color
        entries.append(ClassEntry(entry.value, name or entry.name, color))
    return lenient_schema(entries)


def _constant(classes: ClassSchema, values: np.ndarray, cells: np.ndarray) -> Optional[list[Any]]:
    """The cell of each class, or None where a class has several or an empty one."""
    result = []
    for entry in classes:
        own = {_clean(cell) for cell in np.unique(cells[values == entry.value].astype(str))}
        if len(own) != 1 or not (only := own.pop()) or only.lower() in ("none", "nan"):
            return None
        result.append(only)
    return result


def _clean(cell: Any) -> Any:
    """A cell without padding; None for null, NaN and blank."""
    if isinstance(cell, str):
        return cell.strip() or None
    if cell is None or (isinstance(cell, (float, np.floating)) and np.isnan(cell)):
        return None
    return cell


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
    numbers: Sequence[Optional[float]], field: str, schema: Optional[ClassSchema], where: str
) -> ClassColumn:
    for number in numbers:
        if number is not None and not (number == int(number) and 0 <= number <= MAX_CLASS_VALUE):
            raise DataError(
                f"{number:g} in {where} cannot be a class value.",
                f"Class values are whole numbers from 0 to {MAX_CLASS_VALUE}.",
            )
    values = np.array([-1 if number is None else int(number) for number in numbers], dtype=np.int32)
    present = sorted(set(values[values >= 0].tolist()))
    if schema is None:
        return ClassColumn(values, ClassSchema(ClassEntry(v, str(v)) for v in present), field)
    _refuse_unknown([str(value) for value in present if value not in schema], where)
    return ClassColumn(values, schema, field)


def _named(
    names: Sequence[Optional[str]], field: str, schema: Optional[ClassSchema], where: str
) -> ClassColumn:
    if schema is None:
        distinct = sorted({name for name in names if name is not None})
        schema = ClassSchema(ClassEntry(i, name) for i, name in enumerate(distinct, start=1))
        value_of: Mapping[str, int] = {entry.name: entry.value for entry in schema}
    else:
        known = _by_name(schema)
        value_of = {name: known[name.lower()] for name in names if name and name.lower() in known}
        _refuse_unknown(sorted({name for name in names if name and name not in value_of}), where)
    values = [-1 if name is None else value_of[name] for name in names]
    return ClassColumn(np.array(values, dtype=np.int32), schema, field)


def _refuse_unknown(missing: Sequence[str], where: str) -> None:
    if missing:
        shown = ", ".join(missing[:10]) + (" and more" if len(missing) > 10 else "")
        raise DataError(
            f"The class schema has no class {shown}, which occurs in {where}.",
            "Add a line for it to CLASS_SCHEMA: value, name, #RRGGBB.",
        )
