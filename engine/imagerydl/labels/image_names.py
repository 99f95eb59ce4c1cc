"""Which image a name in a table means: the longest common end of the paths decides."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Optional

from ..errors import DataError


class ImageNames:
    """Finds images by what other files call them.

    Letter case, the kind of slash and folders before the common end do not matter. Where no image
    has the file name, one with the same stem is taken: tables outlive a change of format.

    Args:
        images: Paths of the images.
    """

    def __init__(self, images: Sequence[str]) -> None:
        self._by_name: dict[str, list[tuple[str, list[str]]]] = defaultdict(list)
        self._by_stem: dict[str, list[tuple[str, list[str]]]] = defaultdict(list)
        for image in dict.fromkeys(images):
            *folders, name = _parts(image)
            self._by_name[name].append((image, folders))
            self._by_stem[_stem(name)].append((image, folders))

    def find(self, named: Optional[str], source: str) -> Optional[str]:
        """The image that ``named`` means, or None.

        Args:
            named: A file name, with as much of its path as there is, with or without extension.
            source: What calls it so, for errors.

        Raises:
            DataError: If it could mean several images.
        """
        if not named:
            return None
        *folders, name = _parts(named)
        # A name without extension may itself hold a dot: chip.1 is not the stem chip.
        candidates = (
            self._by_name.get(name) or self._by_stem.get(name) or self._by_stem.get(_stem(name)) or []
        )
        agreement = [_common_end(folders, others) for _, others in candidates]
        best = [image for (image, _), length in zip(candidates, agreement) if length == max(agreement)]
        if len(best) > 1:
            raise DataError(
                f"{named!r} in {source} could be {best[0]} or {best[1]}.",
                "Write enough of the path into the image column to tell them apart.",
            )
        return best[0] if best else None


def _parts(path: str) -> list[str]:
    parts = [part for part in path.replace("\\", "/").lower().split("/") if part not in ("", ".")]
    return parts or [""]


def _stem(name: str) -> str:
    stem, dot, _ = name.rpartition(".")
    return stem if dot and stem else name


def _common_end(one: Sequence[str], other: Sequence[str]) -> int:
    length = 0
    for a, b in zip(reversed(one), reversed(other)):
        if a != b:
            break
        length += 1
    return length
