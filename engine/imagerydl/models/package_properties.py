"""What a package says of itself beside its definitions: the properties of Esri's property pane.

They lie in the archive as :data:`PROPERTIES_FILE`, a JSON object of ours::

    {"Version": 1, "Input": "...", "Framework": "...", "ModelConfiguration": "...",
     "Description": "...", "Summary": "...", "Tags": ["...", "..."]}

Only what somebody has set is in it; the rest follows the definitions. ArcGIS ignores the file, and what
runs is always what the definition says. Standard library only.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import ModelDefinitionError
from .archive import Member, open_archive
from .json_text import read_json_object
from .package import model_names

#: Its name in the archive.
PROPERTIES_FILE = "imagerydl_package.json"

_VERSION = 1
#: Bytes that a definition or the properties may have: far more than any.
_MAX_TEXT = 64 * 1024**2


@dataclass(frozen=True)
class PackageProperties:
    """The properties of a package.

    Attributes:
        input: What the models take, for people ("raster with 3 bands").
        framework: ``Framework`` of the definitions.
        model_configuration: ``ModelConfiguration`` of the definitions.
        description: What the models are for.
        summary: The same in one sentence.
        tags: Search words.
    """

    input: str = ""
    framework: str = ""
    model_configuration: str = ""
    description: str = ""
    summary: str = ""
    tags: tuple[str, ...] = ()


#: Key in the JSON of each property.
_KEYS = {
    "input": "Input",
    "framework": "Framework",
    "model_configuration": "ModelConfiguration",
    "description": "Description",
    "summary": "Summary",
    "tags": "Tags",
}


def read_properties(path: Path) -> PackageProperties:
    """The properties of a package: as set, else as its definitions say.

    Raises:
        ModelDefinitionError: If the package or its properties cannot be read.
    """
    with open_archive(path) as members:
        return properties_of(members)


def properties_of(members: Iterable[Member]) -> PackageProperties:
    """As :func:`read_properties`, of an archive's members."""
    members = list(members)
    return PackageProperties(**{**_from_definitions(members), **stored_properties(members)})


def stored_properties(members: Iterable[Member]) -> dict[str, Any]:
    """The properties that somebody has set, by their names in :class:`PackageProperties`."""
    member = next((member for member in members if member.name == PROPERTIES_FILE), None)
    if member is None:
        return {}
    raw = read_object(member)
    stored = {name: raw[key] for name, key in _KEYS.items() if key in raw}
    for name, value in stored.items():
        texts = value if name == "tags" and isinstance(value, list) else [value]
        if not all(isinstance(text, str) for text in texts) or (name == "tags" and texts is not value):
            raise ModelDefinitionError(
                f"{_KEYS[name]} in {PROPERTIES_FILE} cannot be {value!r}.",
                "Tags are a list of texts, the other properties texts.",
            )
    if "tags" in stored:
        stored["tags"] = tuple(stored["tags"])
    return stored


def changed_properties(stored: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """``stored`` with ``changes``; a property that is None there follows the definitions again."""
    merged = {**stored, **changes}
    return {name: merged[name] for name in _KEYS if merged.get(name) is not None}


def properties_text(stored: Mapping[str, Any]) -> bytes:
    """The content of :data:`PROPERTIES_FILE`."""
    content = {"Version": _VERSION, **{_KEYS[name]: stored[name] for name in _KEYS if name in stored}}
    return (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode()


def read_object(member: Member) -> dict[str, Any]:
    """The JSON object in a member, read leniently."""
    try:
        text = member.read(_MAX_TEXT).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ModelDefinitionError(f"{member.name} cannot be read as text ({error}).") from error
    return read_json_object(text, member.name)


def _from_definitions(members: list[Member]) -> dict[str, Any]:
    definitions = set(model_names(members).values())
    raws = [read_object(member) for member in members if member.name in definitions]

    def told(values: Iterable[str]) -> str:
        return ", ".join(dict.fromkeys(value for value in values if value))

    return {
        "input": told(_input(raw) for raw in raws),
        "framework": told(str(raw.get("Framework") or "") for raw in raws),
        "model_configuration": told(_configuration(raw) for raw in raws),
        "description": told(str(raw.get("Description") or "") for raw in raws),
    }


def _input(raw: Mapping[str, Any]) -> str:
    bands = raw.get("ExtractBands")
    if not isinstance(bands, list) or not bands:
        return "raster"
    return f"raster with {len(bands)} band{'s' if len(bands) > 1 else ''}"


def _configuration(raw: Mapping[str, Any]) -> str:
    value = raw.get("ModelConfiguration") or ""
    return str(value.get("Name") or "") if isinstance(value, Mapping) else str(value)
