"""Which label image belongs to which image: by what wildcards matched, else by file stem."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from pathlib import Path

from ..errors import DataError
from ..imagery.images import ImageEntry

#: Names shown of a long list.
_SHOWN = 5


def pair_images(
    images: Sequence[ImageEntry], labels: Sequence[ImageEntry], what: str = "label image"
) -> list[tuple[Path, Path]]:
    """Find the partner of each image.

    ``Tile */images/*.jpg`` and ``Tile */masks/*.png`` pair by what both wildcards matched. Where
    the two patterns have another shape, file stems decide, if they tell the files apart.

    Args:
        images: The images.
        labels: Their label images, or whatever each image is to have one of.
        what: What to call a partner in messages.

    Returns:
        Pairs (image, label) in the order of ``images``.

    Raises:
        DataError: Naming images without a label and labels that compete for one image.
    """
    by_key = _index(labels, lambda entry: _folded(entry.key))
    if not any(_folded(image.key) in by_key for image in images):
        return _paired(images, labels, lambda entry: entry.stem.lower(), what)
    return _paired(images, labels, lambda entry: _folded(entry.key), what)


def _paired(
    images: Sequence[ImageEntry],
    labels: Sequence[ImageEntry],
    key: Callable[[ImageEntry], Hashable],
    what: str,
) -> list[tuple[Path, Path]]:
    candidates = _index(labels, key)
    missing = [str(image.path) for image in images if key(image) not in candidates]
    if missing:
        raise DataError(
            f"{len(missing)} of {len(images)} images have no {what}: {shortened(missing)}.",
            "They pair by what the wildcards match, or by file name without extension.",
        )
    for image in images:
        rivals = [str(label.path) for label in candidates[key(image)]]
        if len(rivals) > 1:
            raise DataError(
                f"The image {image.path} has {len(rivals)} {what}s: {shortened(rivals)}.",
                "Give a pattern that matches one of them.",
            )
    twins = [entries for entries in _index(images, key).values() if len(entries) > 1]
    if twins:
        names = [str(entry.path) for entry in twins[0]]
        raise DataError(
            f"The images {shortened(names)} share one {what}, {candidates[key(twins[0][0])][0].path}.",
            "Give both folders as patterns with the same wildcards.",
        )
    return [(image.path, candidates[key(image)][0].path) for image in images]


def _index(
    entries: Sequence[ImageEntry], key: Callable[[ImageEntry], Hashable]
) -> dict[Hashable, list[ImageEntry]]:
    result: dict[Hashable, list[ImageEntry]] = defaultdict(list)
    for entry in entries:
        result[key(entry)].append(entry)
    return dict(result)


def _folded(key: Sequence[str]) -> tuple[str, ...]:
    return tuple(part.lower() for part in key)


def shortened(names: Sequence[str]) -> str:
    """The first few of ``names``, and how many more there are."""
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
