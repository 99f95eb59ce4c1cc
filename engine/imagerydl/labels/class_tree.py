"""Classes in groups, as an analyst keeps them: read from whatever holds classes, written as JSON.

A schema file is a JSON object with ``Name`` and ``Classes``; a class has the keys it has in a model
definition (``Value``, ``Name``, ``Color``) and, where it has parts, ``Classes`` of its own. Reading is
tolerant of other programs' spellings, since Esri does not document the keys of its ``.ecs`` files.
Standard library only: the QGIS side uses it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Optional

from ..errors import EngineError, OutputError, ParameterError
from ..models.definition import find_definition
from ..models.json_text import decode_json_text, mend
from .classes import MAX_CLASS_VALUE, ClassEntry, ClassSchema, Color, color_or_none, distinct_color, hex_color

#: Version of the file format; a reader needs it only once there is a second one.
VERSION = 1

#: Extension of the files written.
EXTENSION = "json"

#: What a chip folder calls its definition, and a class's name before it became a folder name.
_CHIP_DEFINITION, _ORIGINAL_NAME = "esri_model_definition.emd", "OriginalName"

_MODEL_SUFFIXES = (".emd", ".dlpk", ".onnx")

# Keys by meaning, in lower case and without underscores; the first one there is counts.
_VALUE_KEYS = ("value", "classvalue", "code", "classcode", "id")
_NAME_KEYS = ("name", "classname", "label", "title")
_COLOR_KEYS = ("color", "colour", "rgb")
_PART_KEYS = ("red", "green", "blue")

#: Groups within groups; a file that goes deeper refers to itself, or is no schema.
_DEEPEST = 32


@dataclass(frozen=True)
class ClassNode:
    """A class, or a group of classes.

    Attributes:
        name: Its name.
        value: Its value in rasters; None for a group that is no class itself.
        color: Its colour, where known.
        children: The classes it consists of.
    """

    name: str
    value: Optional[int] = None
    color: Optional[Color] = None
    children: tuple[ClassNode, ...] = ()

    @property
    def entry(self) -> Optional[ClassEntry]:
        """The class without its parts; None for a group that is no class itself."""
        return None if self.value is None else ClassEntry(self.value, self.name, self.color)


@dataclass(frozen=True)
class ClassTree:
    """A class schema with groups; changing it gives another one.

    Attributes:
        name: What the schema is called.
        nodes: The outermost classes and groups.

    Raises:
        ParameterError: For a value or name that two classes share, or a value out of range.
    """

    name: str = ""
    nodes: tuple[ClassNode, ...] = ()

    def __post_init__(self) -> None:
        ClassSchema(ClassEntry(entry.value, entry.name) for entry in self.entries)

    def walk(self) -> Iterator[tuple[ClassNode, int]]:
        """Every class and group from top to bottom, with its depth."""
        return _walk(self.nodes, 0)

    @property
    def entries(self) -> tuple[ClassEntry, ...]:
        """The classes from top to bottom, without the groups."""
        return tuple(node.entry for node, _ in self.walk() if node.entry is not None)

    def entry(self, value: int) -> Optional[ClassEntry]:
        """The class of a value."""
        return next((entry for entry in self.entries if entry.value == value), None)

    def free_value(self) -> int:
        """The value a further class gets: above all others, from 1, so that 0 stays the background."""
        highest = max((entry.value for entry in self.entries), default=0)
        if highest < MAX_CLASS_VALUE:
            return highest + 1
        taken = {entry.value for entry in self.entries}
        return next(value for value in range(1, MAX_CLASS_VALUE) if value not in taken)

    def added(self, entry: ClassEntry, parent: Optional[int] = None) -> ClassTree:
        """With a further class: inside the class ``parent``, or outermost."""
        node = ClassNode(entry.name, entry.value, entry.color)
        if parent is None:
            return replace(self, nodes=(*self.nodes, node))
        return self._changed(parent, lambda found: (replace(found, children=(*found.children, node)),))

    def changed(self, value: int, entry: ClassEntry) -> ClassTree:
        """With ``entry`` in place of the class ``value``, whose parts it keeps."""
        return self._changed(
            value,
            lambda found: (replace(found, name=entry.name, value=entry.value, color=entry.color),),
        )

    def removed(self, value: int) -> ClassTree:
        """Without the class ``value``; its parts take its place."""
        return self._changed(value, lambda found: found.children)

    def colored(self) -> ClassTree:
        """With a colour for each class that has none."""
        return replace(self, nodes=_colored(self.nodes))

    def _changed(self, value: int, change: Any) -> ClassTree:
        if self.entry(value) is None:
            raise ParameterError(f"The schema {self.name!r} has no class {value}.")
        return replace(self, nodes=_replaced(self.nodes, value, change))

    def to_json(self) -> dict[str, Any]:
        """The content of a schema file."""
        return {"Name": self.name, "Version": VERSION, "Classes": [_to_json(node) for node in self.nodes]}

    @classmethod
    def from_json(cls, content: Any, name: str = "") -> ClassTree:
        """The classes in JSON content, whatever the program that wrote it calls them.

        Args:
            content: Objects and lists.
            name: What the schema is called where the content does not say.

        Raises:
            ParameterError: If there are no classes, or two share a value.
        """
        own = _found(content, _NAME_KEYS) if isinstance(content, Mapping) else None
        nodes = _nodes(content, 0)
        if not nodes:
            raise ParameterError(
                f"{name or 'The schema'} holds no classes.",
                "Classes are objects with Value and Name, in a list called Classes.",
            )
        return cls(str(own or name), _apart(nodes))


def read_class_tree(path: str) -> ClassTree:
    """The classes that a file or folder holds.

    Args:
        path: A schema file (JSON, Esri's ``.ecs``), lines of ``value, name, #RRGGBB``, a model definition or
            package, or a folder of training chips.

    Raises:
        EngineError: If it cannot be read, or holds no classes.
    """
    file = Path(path)
    if file.is_dir():
        file /= _CHIP_DEFINITION
        if not file.is_file():
            raise ParameterError(
                f"{path} holds no {_CHIP_DEFINITION}.", "Choose a folder that Export Training Data wrote."
            )
    if not file.is_file():
        raise ParameterError(f"{path} does not exist.", "Choose a file or folder that is there.")
    if file.suffix.lower() in _MODEL_SUFFIXES:
        written = find_definition(str(file))
        items = written.raw.get("Classes") or ()
        titled = Path(path).stem
        return ClassTree.from_json({"Name": titled, "Classes": _with_true_names(items)}, file.name)
    return _read_schema_file(file)


def write_class_tree(tree: ClassTree, path: str) -> None:
    """Write a schema file.

    Raises:
        OutputError: If it cannot be written.
    """
    text = json.dumps(tree.to_json(), indent=2, ensure_ascii=False) + "\n"
    try:
        Path(path).write_text(text, encoding="utf-8")
    except OSError as error:
        raise OutputError(
            f"{path} cannot be written ({error.strerror or error}).", "Choose another place."
        ) from error


def tree_of(entries: Iterable[ClassEntry], name: str = "") -> ClassTree:
    """Classes without groups as a tree."""
    return ClassTree(name, tuple(ClassNode(entry.name, entry.value, entry.color) for entry in entries))


def _read_schema_file(file: Path) -> ClassTree:
    try:
        text = decode_json_text(file.read_bytes(), file.name)
    except OSError as error:
        raise ParameterError(f"{file} cannot be read ({error.strerror or error}).") from error
    except EngineError as error:
        raise ParameterError(error.message, "Choose a class schema: JSON, or lines of text.") from error
    if not text.lstrip().startswith(("{", "[")):
        return tree_of(ClassSchema.parse(text + "\n"), file.stem)
    try:
        content = json.loads(mend(text))
    except (ValueError, RecursionError) as error:
        line = getattr(error, "lineno", 1)
        raise ParameterError(
            f"{file.name} is not JSON: {getattr(error, 'msg', error)} at line {line}.", "Correct that line."
        ) from error
    return ClassTree.from_json(content, file.stem)


def _with_true_names(items: Any) -> list[Any]:
    """Classes of a definition; those of chips that lie in folders carry their true name beside."""
    if not isinstance(items, (list, tuple)):
        return []
    return [
        {**item, "Name": item.get(_ORIGINAL_NAME) or item.get("Name", item.get("ClassName"))}
        if isinstance(item, Mapping)
        else item
        for item in items
    ]


def _walk(nodes: Iterable[ClassNode], depth: int) -> Iterator[tuple[ClassNode, int]]:
    for node in nodes:
        yield node, depth
        yield from _walk(node.children, depth + 1)


def _replaced(nodes: tuple[ClassNode, ...], value: int, change: Any) -> tuple[ClassNode, ...]:
    result: list[ClassNode] = []
    for node in nodes:
        if node.value == value:
            result += change(node)
        else:
            result.append(replace(node, children=_replaced(node.children, value, change)))
    return tuple(result)


def _colored(nodes: tuple[ClassNode, ...]) -> tuple[ClassNode, ...]:
    return tuple(
        replace(
            node,
            color=node.color or (distinct_color(node.value) if node.value is not None else None),
            children=_colored(node.children),
        )
        for node in nodes
    )


def _apart(nodes: tuple[ClassNode, ...]) -> tuple[ClassNode, ...]:
    """The same with names that differ: one used again gets its value added."""
    names: set[str] = set()

    def renamed(node: ClassNode) -> ClassNode:
        name = node.name
        if node.value is not None:
            name = f"{name} ({node.value})" if name in names else name
            names.add(name)
        return replace(node, name=name, children=tuple(renamed(child) for child in node.children))

    return tuple(renamed(node) for node in nodes)


def _to_json(node: ClassNode) -> dict[str, Any]:
    result: dict[str, Any] = {} if node.value is None else {"Value": node.value}
    result["Name"] = node.name
    if node.color is not None:
        result["Color"] = list(node.color)
    if node.children:
        result["Classes"] = [_to_json(child) for child in node.children]
    return result


def _nodes(content: Any, depth: int) -> tuple[ClassNode, ...]:
    """The classes in the lists below ``content``, at whatever depth they begin."""
    if depth > _DEEPEST:
        raise ParameterError("The schema's groups are nested too deeply.", "Use fewer levels.")
    if isinstance(content, Mapping):
        parts = (_nodes(value, depth + 1) for value in content.values() if isinstance(value, (list, dict)))
        return tuple(node for part in parts for node in part)
    if not isinstance(content, list):
        return ()
    nodes: list[ClassNode] = []
    for item in content:
        if isinstance(item, Mapping):
            nodes += _node(item, depth)
    return tuple(nodes)


def _node(item: Mapping[str, Any], depth: int) -> tuple[ClassNode, ...]:
    """A class with its parts; a group of classes; or, where it is neither, the classes inside of it."""
    name, value = _found(item, _NAME_KEYS), _class_value(_found(item, _VALUE_KEYS))
    children = _nodes(item, depth + 1)
    if value is None and not (children and isinstance(name, str)):
        return children
    return (ClassNode(str(value if name is None else name), value, _color(item), children),)


def _found(item: Mapping[str, Any], keys: Iterable[str]) -> Any:
    by_key = {str(key).lower().replace("_", ""): value for key, value in item.items()}
    return next((by_key[key] for key in keys if by_key.get(key) is not None), None)


def _class_value(value: Any) -> Optional[int]:
    try:
        number = int(value)
    except (TypeError, ValueError):
        return None
    return number if not isinstance(value, bool) and number == float(value) else None


def _color(item: Mapping[str, Any]) -> Optional[Color]:
    found = _found(item, _COLOR_KEYS)
    if isinstance(found, str):
        digits = found.strip().lstrip("#")
        return hex_color(digits[-6:]) if len(digits) in (6, 8) and _is_hex(digits) else None
    if isinstance(found, Mapping):
        item, found = found, None
    if found is None:
        found = [_found(item, (part,)) for part in _PART_KEYS]
    return color_or_none(found[:3]) if isinstance(found, (list, tuple)) else None


def _is_hex(digits: str) -> bool:
    try:
        int(digits, 16)
    except ValueError:
        return False
    return True
