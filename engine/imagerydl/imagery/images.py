"""Finding images in a folder, or with a wildcard pattern whose matches pair images with labels."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..errors import DataError

#: Name extensions taken for images in a plain folder.
IMAGE_EXTENSIONS = frozenset({
    ".tif", ".tiff", ".jpg", ".jpeg", ".png", ".mrf", ".img", ".jp2", ".j2k", ".bmp", ".gif",
    ".vrt", ".webp", ".bil", ".bip", ".bsq", ".ecw", ".sid", ".nitf", ".ntf",
})  # fmt: skip

_WILDCARD = re.compile(r"[*?\[]")


@dataclass(frozen=True)
class ImageEntry:
    """An image file that was found.

    Attributes:
        path: The file.
        stem: Its name without folder and extension.
        captures: What each wildcard of the pattern matched, from left to right; for a plain
            folder, the names of the folders between it and the file.
        key: What an image and its label have in common when both were found with patterns, or
            in folders, of the same shape.
    """

    path: Path
    stem: str
    captures: tuple[str, ...]
    key: tuple[str, ...]


def find_images(folder_or_pattern: str) -> list[ImageEntry]:
    """Find images in a folder and the folders inside it, or by a pattern.

    Args:
        folder_or_pattern: A folder, or a path with the wildcards ``*``, ``?``, ``[abc]`` in any
            part (``**`` for any folders): ``/data/Tile */images/*.jpg``.

    Returns:
        The files, sorted by path in a way that puts 2 before 10.

    Raises:
        DataError: If the folder is missing, or nothing is found.
    """
    # A folder whose very name looks like a pattern is a folder.
    is_pattern = bool(_WILDCARD.search(folder_or_pattern)) and not os.path.isdir(folder_or_pattern)
    found = list(_by_pattern(folder_or_pattern) if is_pattern else _in_folder(folder_or_pattern))
    if not found and is_pattern:
        raise DataError(f"No image matches {folder_or_pattern}.", "Wildcards are *, ? and [abc].")
    if not found:
        raise DataError(
            f"There is no image in {folder_or_pattern}.",
            f"Images end with {' '.join(sorted(IMAGE_EXTENSIONS))}.",
        )
    return sorted(found, key=lambda entry: _natural(str(entry.path)))


def _in_folder(folder: str) -> Iterator[ImageEntry]:
    root = Path(folder)
    if not root.is_dir():
        raise DataError(f"The folder {folder} does not exist.", "Give a folder of images, or a pattern.")
    for parent, folders, names in os.walk(root, followlinks=True):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in names:
            stem, extension = os.path.splitext(name)
            if name.startswith(".") or extension.lower() not in IMAGE_EXTENSIONS:
                continue
            captures = Path(parent).relative_to(root).parts
            yield ImageEntry(Path(parent, name), stem, captures, (*captures, stem))


def _by_pattern(pattern: str) -> Iterator[ImageEntry]:
    parts = Path(pattern).parts
    fixed = next(i for i, part in enumerate(parts) if _WILDCARD.search(part))
    root = Path(*parts[:fixed]) if fixed else Path(".")
    if not root.is_dir():
        raise DataError(f"The folder {root} does not exist.", f"It is the fixed part of {pattern}.")
    for path, captures in _descend(root, parts[fixed:]):
        # A fixed file name in changing folders leaves the stem equal everywhere: harmless.
        in_name = bool(_WILDCARD.search(parts[-1]))
        yield ImageEntry(path, path.stem, captures, captures if in_name else (*captures, path.stem))


def _descend(folder: Path, parts: tuple[str, ...]) -> Iterator[tuple[Path, tuple[str, ...]]]:
    part, rest = parts[0], parts[1:]
    if part == "**" and rest:
        for parent, folders, _ in os.walk(folder, followlinks=True):
            folders.sort()
            between = Path(parent).relative_to(folder).as_posix()
            for path, captures in _descend(Path(parent), rest):
                yield path, (between, *captures)
        return
    if not _WILDCARD.search(part):
        candidates = [(part, ())]
    else:
        matcher = _capturing(part)
        matches = ((name, matcher.fullmatch(name)) for name in os.listdir(folder))
        candidates = [(name, match.groups()) for name, match in matches if match]
    for name, captures in candidates:
        path = folder / name
        if name.startswith(".") and not part.startswith("."):
            continue
        if rest and path.is_dir():
            for deeper, more in _descend(path, rest):
                yield deeper, (*captures, *more)
        elif not rest and path.is_file():
            yield path, captures


def _capturing(part: str) -> re.Pattern[str]:
    """A part of a pattern as a regular expression with one group per wildcard."""
    pieces = re.split(r"(\*+|\?|\[[^\]]+\])", part)
    text = ""
    for piece in pieces:
        if piece.startswith("*"):
            text += "(.*?)"
        elif piece == "?":
            text += "(.)"
        elif piece.startswith("[") and piece.endswith("]"):
            text += (
                "([" + piece[1:-1].replace("!", "^", 1 if piece[1] == "!" else 0).replace("\\", "\\\\") + "])"
            )
        else:
            text += re.escape(piece)
    # Windows names do not tell upper from lower case, and camera files come as .JPG.
    return re.compile(text, re.IGNORECASE)


def _natural(text: str) -> list[tuple[int, int, str]]:
    pieces = re.split(r"(\d+)", text)
    return [(1, int(piece), "") if piece.isdigit() else (0, 0, piece) for piece in pieces]
