"""What a run works on: one raster, a mosaic, or images one by one; and what each result is called.

The top of this file needs the standard library only: the declaration of the tool reads it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Optional

SEPARATELY = "PROCESS_ITEMS_SEPARATELY"
PROCESSING_MODES = ("PROCESS_AS_MOSAICKED_IMAGE", SEPARATELY)

#: Processing mode for image features of which a field tells the ones to process.
CANDIDATES = "PROCESS_CANDIDATE_ITEMS_ONLY"


@dataclass(frozen=True)
class Item:
    """A raster, or a mosaic, that gives one result.

    Attributes:
        images: Its files.
        stem: File name of its result without extension; no two items share one.
        feature: Number of the feature it came with.
    """

    images: tuple[str, ...]
    stem: str
    feature: Optional[int] = None

    @property
    def name(self) -> str:
        """What to call it in messages."""
        return os.path.basename(self.images[0]) or self.images[0]


def gives_many(values: Mapping[str, Any]) -> bool:
    """Whether a job gives a folder of results rather than one."""
    return bool(
        values.get("IN_FOLDER")
        or values.get("IN_IMAGE_FEATURES")
        or values.get("PROCESSING_MODE") == SEPARATELY
    )


def raster_items(values: Mapping[str, Any]) -> list[Item]:
    """The items of a job's rasters or folder.

    Raises:
        DataError: If a folder holds no image.
    """
    if values.get("IN_FOLDER"):
        images = [(str(entry.path), "_".join((*entry.captures, entry.stem))) for entry in _entries(values)]
        return named_items(images)
    from ..imagery.mosaics import mosaic_members

    rasters = values["IN_RASTER"]
    if values.get("PROCESSING_MODE") != SEPARATELY:
        return [Item(tuple(rasters), _stem(rasters[0]))]
    return named_items([(member, _stem(member)) for raster in rasters for member in mosaic_members(raster)])


def named_items(images: list[tuple[str, str]], features: Optional[list[int]] = None) -> list[Item]:
    """Items of (image, wished stem); a stem that occurs again gets a number."""
    taken: set[str] = set()
    items = []
    for number, (image, wish) in enumerate(images):
        stem, count = wish, 1
        while stem.casefold() in taken:  # file names that differ by case only are one on some disks
            count += 1
            stem = f"{wish}_{count}"
        taken.add(stem.casefold())
        items.append(Item((image,), stem, features[number] if features else None))
    return items


def _entries(values: Mapping[str, Any]) -> list[Any]:
    from ..imagery.images import find_images

    found = find_images(values["IN_FOLDER"])
    # With a pattern, captures are parts of the name itself; folders tell images of one name apart.
    is_folder = os.path.isdir(values["IN_FOLDER"])
    return found if is_folder else [_without_captures(entry) for entry in found]


def _without_captures(entry: Any) -> Any:
    return replace(entry, captures=())


def _stem(raster: str) -> str:
    return Path(raster.split("?", 1)[0].rstrip("/")).stem or "raster"
