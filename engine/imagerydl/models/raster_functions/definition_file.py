"""The definition as a raster function reads it: a file of strict JSON that leads to the model."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Optional

from ..definition import ModelDefinition, write_definition


class DefinitionFile:
    """A file that any function can read.

    Functions read a definition by themselves, strictly, and look for its ``ModelFile`` by the path as it is
    written. Where that fails - the definition was given as text, has a comma too many, or a path with the
    separators of another system - they get a corrected copy. Text instead of a file, which the contract
    allows, is no way out: ``open`` answers a long text with an error that functions do not expect.

    Args:
        definition: The model.
    """

    def __init__(self, definition: ModelDefinition) -> None:
        self._temporary: Optional[tempfile.TemporaryDirectory[str]] = None
        original = definition.folder / definition.name if definition.folder else None
        if original and _reads_as_it_is(original):
            self.path = original
            return
        self._temporary = tempfile.TemporaryDirectory(prefix="imagerydl-function-")
        name = original.name if original else "model.emd"
        self.path = Path(self._temporary.name) / name
        model = definition.model_file
        found = {} if model is None else {"ModelFile": str(model.resolve())}
        write_definition({**definition.raw, **found}, self.path)

    def close(self) -> None:
        """Remove the copy, if there is one."""
        if self._temporary:
            self._temporary.cleanup()


def _reads_as_it_is(path: Path) -> bool:
    try:
        content: Any = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    if not isinstance(content, Mapping):
        return False
    written = content.get("ModelFile")
    return not written or (isinstance(written, str) and (path.parent / written).exists())
