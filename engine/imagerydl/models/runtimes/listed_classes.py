"""The classes of a network that counts them."""

from __future__ import annotations

from ...errors import ModelError
from ...labels.classes import ClassEntry, ClassSchema
from ..definition import ModelDefinition

#: Name some programs give to a class that is none.
_BACKGROUND = "__background__"


def listed_classes(definition: ModelDefinition, count: int, file: str) -> ClassSchema:
    """The classes of a network by their number; unnamed ones where nothing names them.

    Args:
        definition: The model.
        count: Classes the network counts; 0 where it does not tell.
        file: What to call the network.

    Raises:
        ModelError: If network and definition disagree, or neither tells.
    """
    listed = [entry for entry in definition.classes if entry.name != _BACKGROUND]
    if count and listed and len(listed) != count:
        raise ModelError(
            f"{file} counts {count} classes and {definition.name} lists {len(listed)}.",
            "Correct Classes in the definition: one for each class of the network, in its order.",
        )
    if listed:
        return ClassSchema(listed)
    if not count:
        raise ModelError(
            f"{definition.name} lists no classes, and the outputs of {file} do not tell how many there are.",
            "Add Classes to the definition: one for each class of the network, in its order.",
        )
    return ClassSchema(ClassEntry(number, f"Class {number}") for number in range(count))
