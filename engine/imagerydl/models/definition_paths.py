"""Where the paths in a model definition lead, and what lies there. Standard library only."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Optional

#: The file that makes a folder a TensorFlow SavedModel.
SAVED_MODEL = "saved_model.pb"

# What a single backslash in a Windows path turns into when it is read as JSON (".\frozen.pb").
_PATH_CONTROLS = {"\b": "b", "\f": "f", "\n": "n", "\r": "r", "\t": "t"}


def resolve_file(written: str, folder: Optional[Path]) -> Path:
    r"""Where a path in a definition leads: as written, from the folder, or its name in the folder.

    Definitions carry Windows separators, leading ``.\`` and absolute paths of other machines. A network
    path (``\\server\...``) is tried last: merely looking at one contacts the server it names.
    """
    return _resolve(written, folder, exists)


def resolve_model(written: str, folder: Optional[Path]) -> Path:
    """As :func:`resolve_file`, for a model: a file, or the folder of a TensorFlow SavedModel."""
    return _resolve(written, folder, is_model)


def exists(path: Path) -> bool:
    """Whether something is there; nothing has a name that the system does not take."""
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def is_file(path: Path) -> bool:
    """Whether a file is there."""
    return exists(path) and path.is_file()


def is_folder(path: Path) -> bool:
    """Whether a folder is there."""
    return exists(path) and path.is_dir()


def is_model(path: Path) -> bool:
    """Whether a file or the folder of a SavedModel is there."""
    return is_file(path) or is_file(path / SAVED_MODEL)


def _resolve(written: str, folder: Optional[Path], fits: Callable[[Path], bool]) -> Path:
    for control, letter in _PATH_CONTROLS.items():
        written = written.replace(control, "/" + letter)
    written = written.strip().replace("\\", "/")
    path = Path(written)
    as_written = [path] if path.is_absolute() or folder is None else []
    beside = [folder / written.lstrip("/"), folder / path.name] if folder is not None else []
    candidates = beside + as_written if written.startswith("//") else as_written + beside
    return next((candidate for candidate in candidates if fits(candidate)), candidates[0])
