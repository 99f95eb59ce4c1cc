"""Many items, many results: a folder of class rasters, and a mosaic over it.

The folder appears when every item is done. Until then it stands under a hidden name, with a list of
what is done, so that an interrupted run goes on with the next item.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .. import outputs
from ..errors import DataError, ModelError
from ..events import Reporter
from ..imagery.virtual import write_mosaic
from .classification import CLASSES
from .finishing import ResultFiles
from .items import Item
from .pixel_classifier import PixelClassifier

_DONE = ".done.jsonl"


@dataclass
class FolderResult:
    """What came out of many items.

    Attributes:
        folder: The folder.
        done: Class raster by item stem, in order.
        failed: What could not be classified, and why.
        valid_pixels: Pixels with a class.
    """

    folder: Path
    done: dict[str, Path] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    valid_pixels: int = 0


def classify_items(
    classifier: PixelClassifier,
    items: Sequence[Item],
    folder: Path,
    layers: Iterable[str],
    header: Mapping[str, Any],
    reporter: Reporter,
    overwrite: bool,
    resume: bool,
) -> FolderResult:
    """Classify items one by one into a folder.

    An item that cannot be read is listed and left out; the run ends when every one fails.

    Args:
        classifier: The model.
        items: What to classify.
        folder: Where results go.
        layers: Rasters wanted beside the class rasters.
        header: What the run is; an unfinished folder of another run is begun anew.
        reporter: Hears about progress.
        overwrite: Whether an existing folder is replaced.
        resume: Whether an unfinished folder may be gone on with.

    Raises:
        EngineError: If nothing could be classified, or the run cannot go on.
    """
    layers = tuple(layers)
    result = FolderResult(folder)
    with outputs.resumable(folder, overwrite) as staging:
        notes = _Notes(staging / _DONE, header, resume)
        for number, item in enumerate(items):
            if item.stem in notes.done:
                result.valid_pixels += notes.done[item.stem]
                result.done[item.stem] = folder / _file(item.stem)
                continue
            reporter.message(f"Image {number + 1} of {len(items)}: {item.name}.")
            try:
                one = classifier.classify(item, _files(staging, item.stem, layers), overwrite=True)
            except (DataError, ModelError) as error:
                result.failed[item.name] = error.message
                reporter.warning(f"{item.name} is left out: {error.message}")
                continue
            notes.add(item.stem, one.tally.valid_pixels)
            result.valid_pixels += one.tally.valid_pixels
            result.done[item.stem] = folder / _file(item.stem)
        if not result.done:
            name, reason = next(iter(result.failed.items()))
            raise DataError(f"None of the {len(items)} images could be classified; {name}: {reason}")
        notes.remove()
    return result


def mosaic_results(
    result: FolderResult, layer: str, target: Path, reporter: Reporter, overwrite: bool
) -> bool:
    """Write a VRT over the rasters of a layer; returns whether there is one.

    Images without georeference, or in several coordinate systems, do not lie side by side.
    """
    rasters = [result.folder / _file(stem, layer) for stem in result.done]
    try:
        with outputs.staged(target, overwrite) as staging:
            write_mosaic(rasters, staging, target.parent)
    except DataError as error:
        reporter.warning(f"There is no mosaic of the results: {error.message}")
        return False
    return True


class _Notes:
    """What is done of a folder, one line an item."""

    def __init__(self, path: Path, header: Mapping[str, Any], resume: bool) -> None:
        self._path = path
        self.done: dict[str, int] = {}
        lines = self._lines() if resume else []
        if lines and lines[0] == json.loads(json.dumps(dict(header))):
            self.done = {str(line["stem"]): int(line["valid"]) for line in lines[1:]}
            return
        outputs.empty_folder(path.parent)
        path.write_text(json.dumps(dict(header)) + "\n", encoding="utf-8")

    def add(self, stem: str, valid: int) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"stem": stem, "valid": valid}) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def remove(self) -> None:
        self._path.unlink()

    def _lines(self) -> list[dict[str, Any]]:
        lines = []
        try:
            for line in self._path.read_text(encoding="utf-8").splitlines():
                lines.append(json.loads(line))
        except (OSError, ValueError):  # none, or a last line that a kill cut short
            pass
        return lines


def _file(stem: str, layer: str = CLASSES) -> str:
    return f"{stem}.tif" if layer == CLASSES else f"{stem}_{layer}.tif"


def _files(folder: Path, stem: str, layers: Sequence[str]) -> ResultFiles:
    return ResultFiles(folder / _file(stem), {layer: folder / _file(stem, layer) for layer in layers})
